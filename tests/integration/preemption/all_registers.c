// timeout: 60
/*
 * 64 spinning threads hold values of their own in every general register, the flags, x87, MXCSR, the SSE, AVX
 * and AVX-512 registers and masks, while they are preempted, and find them again.
 *
 * The spin is one `loop` instruction, which changes nothing but rcx.
 */
#include "observe.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum { THREADS = 64, GENERAL = 16, RCX = 13, FLAGS = 15, TURNS = 1000000 };

/* What is loaded before the spin, and what is found after it. */
struct state {
    uint64_t general[GENERAL]; /* r15 to r8, rdi, rsi, rbp, rbx, rdx, rcx, rax, flags */
    uint16_t control;          /* x87 */
    uint32_t mxcsr;
    uint8_t x87[8][16];
    uint64_t masks[8];
    uint8_t vectors[32][64] __attribute__((aligned(64)));
};

_Static_assert(offsetof(struct state, control) == 128, "known to the assembly");
_Static_assert(offsetof(struct state, mxcsr) == 132, "known to the assembly");
_Static_assert(offsetof(struct state, x87) == 136, "known to the assembly");
_Static_assert(offsetof(struct state, masks) == 264, "known to the assembly");
_Static_assert(offsetof(struct state, vectors) == 384, "known to the assembly");

/* Loads `in`, spins, stores `out`. Level 0 is SSE, 1 AVX, 2 AVX-512. */
void spin(const struct state *in, struct state *out, int level);

__asm__(
    ".set CONTROL_, 128\n.set MXCSR_, 132\n.set X87_, 136\n.set MASKS_, 264\n.set VECTORS_, 384\n"
    ".macro x87_in\n .irp n,7,6,5,4,3,2,1,0\n fldt X87_+16*\\n(%rdi)\n .endr\n .endm\n"
    ".macro x87_out\n .irp n,0,1,2,3,4,5,6,7\n fstpt X87_+16*\\n(%rsi)\n .endr\n .endm\n"
    ".macro low_in op reg\n .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "  \\op VECTORS_+64*\\n(%rdi), %\\reg\\n\n .endr\n .endm\n"
    ".macro low_out op reg\n .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "  \\op %\\reg\\n, VECTORS_+64*\\n(%rsi)\n .endr\n .endm\n"
    ".macro high_in\n .irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "  vmovdqa64 VECTORS_+64*\\n(%rdi), %zmm\\n\n .endr\n"
    " .irp n,0,1,2,3,4,5,6,7\n  kmovw MASKS_+8*\\n(%rdi), %k\\n\n .endr\n .endm\n"
    ".macro high_out\n .irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "  vmovdqa64 %zmm\\n, VECTORS_+64*\\n(%rsi)\n .endr\n"
    " .irp n,0,1,2,3,4,5,6,7\n  kmovw %k\\n, MASKS_+8*\\n(%rsi)\n .endr\n .endm\n");

__asm__(
    ".text\n.globl spin\nspin:\n"
    " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rdx\n push %rsi\n"
    " fninit\n fldcw CONTROL_(%rdi)\n ldmxcsr MXCSR_(%rdi)\n x87_in\n"
    " cmp $1, %edx\n jb 1f\n ja 2f\n"
    " low_in vmovdqa ymm\n jmp 3f\n"
    "2: low_in vmovdqa64 zmm\n high_in\n jmp 3f\n"
    "1: low_in movdqa xmm\n"
    "3: push 120(%rdi)\n popfq\n"
    " mov (%rdi), %r15\n mov 8(%rdi), %r14\n mov 16(%rdi), %r13\n mov 24(%rdi), %r12\n mov 32(%rdi), %r11\n"
    " mov 40(%rdi), %r10\n mov 48(%rdi), %r9\n mov 56(%rdi), %r8\n mov 72(%rdi), %rsi\n mov 80(%rdi), %rbp\n"
    " mov 88(%rdi), %rbx\n mov 96(%rdi), %rdx\n mov 104(%rdi), %rcx\n mov 112(%rdi), %rax\n mov 64(%rdi), %rdi\n"
    "4: loop 4b\n"
    " pushfq\n push %rax\n push %rcx\n push %rdx\n push %rbx\n push %rbp\n push %rsi\n push %rdi\n push %r8\n"
    " push %r9\n push %r10\n push %r11\n push %r12\n push %r13\n push %r14\n push %r15\n push $2\n popfq\n"
    " mov 128(%rsp), %rsi\n mov 136(%rsp), %rdx\n"
    " cmp $1, %edx\n jb 1f\n ja 2f\n"
    " low_out vmovdqa ymm\n vzeroupper\n jmp 3f\n"
    "2: low_out vmovdqa64 zmm\n high_out\n vzeroupper\n jmp 3f\n"
    "1: low_out movdqa xmm\n"
    "3: fnstcw CONTROL_(%rsi)\n stmxcsr MXCSR_(%rsi)\n x87_out\n fninit\n"
    " push $0x1f80\n ldmxcsr (%rsp)\n pop %rax\n"
    " mov %rsi, %rdi\n mov %rsp, %rsi\n mov $16, %ecx\n rep movsq\n add $144, %rsp\n"
    " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

static int level;
static atomic_int stop, wrong;
static atomic_long turns;

/* Flags that a program may set: CF PF AF ZF SF DF OF NT AC ID. */
static const uint64_t flags = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x400 | 0x800 | 0x4000 | 0x40000 | 0x200000;

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005 + 1442695040888963407;
    return *seed ^ *seed >> 29;
}

static void fill(struct state *in, uint64_t *seed)
{
    memset(in, 0, sizeof *in);
    for (int i = 0; i < GENERAL; i++)
        in->general[i] = next(seed);
    in->general[RCX] = TURNS + next(seed) % TURNS;
    in->general[FLAGS] = (next(seed) & flags) | 0x202;
    in->control = 0x037f & ~(3U << 10);
    in->control |= next(seed) % 4 << 10; /* rounding */
    in->mxcsr = 0x1f80 | next(seed) % 4 << 13;
    for (int i = 0; i < 8; i++) {
        uint64_t mantissa = next(seed) | 1ULL << 63;
        uint16_t exponent = 0x3fff + next(seed) % 1000;
        memcpy(in->x87[i], &mantissa, 8);
        memcpy(in->x87[i] + 8, &exponent, 2);
        in->masks[i] = next(seed) & 0xffff;
    }
    int count = level == 2 ? 32 : 16, len = 16 << level;
    for (int i = 0; i < count; i++)
        for (int at = 0; at < len; at += 8)
            *(uint64_t *)(in->vectors[i] + at) = next(seed);
    if (level < 2)
        memset(in->masks, 0, sizeof in->masks);
}

static void *work(void *number)
{
    uint64_t seed = (uint64_t)(long)number * 0x9e3779b97f4a7c15;
    struct state *in = aligned_alloc(64, sizeof *in), *out = aligned_alloc(64, sizeof *out);
    while (!stop) {
        fill(in, &seed);
        memset(out, 0, sizeof *out);
        spin(in, out, level);
        in->general[RCX] = 0;
        in->mxcsr |= out->mxcsr & 0x3f;
        if (memcmp(in, out, sizeof *in)) {
            wrong++;
            for (size_t i = 0; i < sizeof *in / 8; i++)
                if (((uint64_t *)in)[i] != ((uint64_t *)out)[i])
                    fprintf(stderr, "word %zu: %llx became %llx\n", i, ((unsigned long long *)in)[i],
                            ((unsigned long long *)out)[i]);
        }
        turns++;
    }
    free(in);
    free(out);
    return NULL;
}

int main(int argc, char **argv)
{
    level = __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    sleep_ms(argc > 1 ? atoi(argv[1]) : 3000);
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    say("wrong %d", wrong);
    yes("turns", turns > THREADS);
    return wrong != 0;
}
