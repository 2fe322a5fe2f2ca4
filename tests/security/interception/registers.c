// build: static dynamic no-pie
/*
 * A system call changes rax, rcx and r11 and nothing else: all general registers, 128 bytes below the
 * stack pointer, flags (DF, AC, NT and ID among them), x87, MXCSR, xmm, ymm, zmm and k, whichever the
 * processor has. Checked at sites of each shape: with the number loaded just before (mov), with a
 * neighbour that a jump can share (pun), and with one that it cannot (trap), first and later calls,
 * while other threads yield and fill the wide registers with theirs.
 */
#include <cpuid.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden"), aligned(64)))

enum { NONE, YMM, ZMM };

/* rax rbx rcx rdx rsi rdi rbp r8 .. r15, rsp */
HIDDEN uint64_t in_gpr[16], out_gpr[16];
HIDDEN uint64_t in_red[16], out_red[16];
HIDDEN uint64_t in_flags, out_flags, out_next, saved_rsp;
HIDDEN uint8_t in_fx[512], out_fx[512];
HIDDEN uint8_t in_wide[32][64], out_wide[32][64];
HIDDEN uint64_t in_k[8], out_k[8];
HIDDEN int width;

/* Where a jump made of `nopl (%rax)` would lead, 2 MB on, lies in here: no trampoline can. */
HIDDEN uint8_t in_the_way[6 << 20];

__asm__(
    ".macro gprs op\n"
    "  \\op rbx, 1\n \\op rcx, 2\n \\op rdx, 3\n \\op rsi, 4\n \\op rdi, 5\n \\op rbp, 6\n"
    "  \\op r8, 7\n \\op r9, 8\n \\op r10, 9\n \\op r11, 10\n \\op r12, 11\n \\op r13, 12\n"
    "  \\op r14, 13\n \\op r15, 14\n"
    ".endm\n"
    ".macro load reg, i\n mov in_gpr+8*\\i(%rip), %\\reg\n .endm\n"
    ".macro store reg, i\n mov %\\reg, out_gpr+8*\\i(%rip)\n .endm\n"
    ".macro wide insn, width, dir, count\n"
    "  .set i, 0\n .rept \\count\n"
    "    wide_one \\insn, \\width, \\dir, %i\n"
    "    .set i, i+1\n .endr\n"
    ".endm\n"
    ".altmacro\n"
    ".macro wide_one insn, width, dir, i\n"
    "  .ifc \\dir,load\n \\insn in_wide+64*\\i(%rip), %\\width\\i\n"
    "  .else\n \\insn %\\width\\i, out_wide+64*\\i(%rip)\n .endif\n"
    ".endm\n"
    ".macro masks dir\n"
    "  .irp i, 0,1,2,3,4,5,6,7\n"
    "  .ifc \\dir,load\n kmovq in_k+8*\\i(%rip), %k\\i\n"
    "  .else\n kmovq %k\\i, out_k+8*\\i(%rip)\n .endif\n .endr\n"
    ".endm\n"
    /* Everything but rax is loaded by `before`, everything is stored by `after`; neither touches flags
       between, and nothing is pushed while the red zone is in use. */
    ".macro before\n"
    "  push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n sub $264, %rsp\n"
    "  mov %rsp, saved_rsp(%rip)\n"
    "  fxrstor64 in_fx(%rip)\n"
    "  cmpl $1, width(%rip)\n jb 3f\n je 2f\n"
    "  wide vmovdqu64, zmm, load, 32\n masks load\n jmp 3f\n"
    "2: wide vmovdqu, ymm, load, 16\n"
    "3: push in_flags(%rip)\n popfq\n"
    "  .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "    mov in_red+8*\\i(%rip), %rax\n mov %rax, -128+8*\\i(%rsp)\n .endr\n"
    "  gprs load\n"
    ".endm\n"
    ".macro after\n"
    "  gprs store\n mov %rsp, out_gpr+8*15(%rip)\n"
    "  .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "    mov -128+8*\\i(%rsp), %rax\n mov %rax, out_red+8*\\i(%rip)\n .endr\n"
    "  pushfq\n popq out_flags(%rip)\n push $2\n popfq\n"
    "  fxsave64 out_fx(%rip)\n"
    "  cmpl $1, width(%rip)\n jb 3f\n je 2f\n"
    "  wide vmovdqu64, zmm, store, 32\n masks store\n vzeroupper\n jmp 3f\n"
    "2: wide vmovdqu, ymm, store, 16\n vzeroupper\n"
    "3: emms\n lea 1b(%rip), %rax\n mov %rax, out_next(%rip)\n"
    "  mov saved_rsp(%rip), %rsp\n add $264, %rsp\n"
    "  pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
    ".endm\n"
    ".text\n"
    "mov_getppid: before\n mov $110, %eax\n syscall\n"
    "1: mov %rax, out_gpr(%rip)\n after\n"
    "mov_yield: before\n mov $24, %eax\n syscall\n"
    "1: mov %rax, out_gpr(%rip)\n after\n"
    "long_mov_getppid: before\n .byte 0x48,0xc7,0xc0,110,0,0,0\n syscall\n"
    "1: mov %rax, out_gpr(%rip)\n after\n"
    /* What follows is 48 89 05: a jump by 93 MB. */
    "pun: before\n mov in_gpr(%rip), %rax\n syscall\n"
    "1: mov %rax, out_gpr(%rip)\n after\n"
    "trap: before\n mov in_gpr(%rip), %rax\n syscall\n"
    "1: nopl (%rax)\n mov %rax, out_gpr(%rip)\n after\n"
    ".noaltmacro\n");

void mov_getppid(void), mov_yield(void), long_mov_getppid(void), pun(void), trap(void);

static const struct {
    const char *name;
    void (*call)(void);
    long nr;
} shapes[] = {
    {"mov getppid", mov_getppid, SYS_getppid},
    {"mov sched_yield", mov_yield, SYS_sched_yield},
    {"long mov getppid", long_mov_getppid, SYS_getppid},
    {"pun getppid", pun, SYS_getppid},
    {"pun sched_yield", pun, SYS_sched_yield},
    {"pun no such call", pun, 999},
    {"trap getppid", trap, SYS_getppid},
    {"trap sched_yield", trap, SYS_sched_yield},
};

static const char *names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8",
                              "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rsp"};

/* none; CF PF AF ZF SF OF; DF; AC; NT; ID; all of these */
static const uint64_t flags[] = {0x202, 0xad7, 0x602, 0x40202, 0x4202, 0x200202, 0x244ed7};

static uint64_t seed = 88172645463325252u;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void fill(void *at, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t value = next();
        memcpy((char *)at + i, &value, 8);
    }
}

/* Eight x87 registers with finite values, control words that mask every exception. */
static void fill_fx(void)
{
    static const uint16_t control[] = {0x37f, 0x27f, 0xf7f};
    static const uint32_t mxcsr[] = {0x1f80, 0x9fc0, 0x3fbf};
    memset(in_fx, 0, sizeof in_fx);
    unsigned choice = next() % 3;
    memcpy(in_fx, &control[choice], 2);
    in_fx[3] = 0x38 & (uint8_t)next(); /* top of stack */
    in_fx[4] = 0xff;                   /* all in use */
    memcpy(in_fx + 24, &mxcsr[choice], 4);
    for (int i = 0; i < 8; i++) {
        uint64_t mantissa = next() | 1ull << 63;
        uint16_t exponent = 0x3f00 + next() % 0x1ff;
        memcpy(in_fx + 32 + 16 * i, &mantissa, 8);
        memcpy(in_fx + 40 + 16 * i, &exponent, 2);
    }
    for (int i = 0; i < 16; i++)
        memcpy(in_fx + 160 + 16 * i, in_wide[i], 16);
}

static int wrong(const char *shape, const char *what, uint64_t want, uint64_t got)
{
    printf("%s: %s is %#lx, not %#lx\n", shape, what, got, want);
    return 1;
}

static int check(const char *shape, uint64_t result, uint64_t flags_in)
{
    int errors = 0;
    in_gpr[0] = result;
    in_gpr[2] = out_next;
    in_gpr[10] = flags_in;
    in_gpr[15] = saved_rsp;
    for (int i = 0; i < 16; i++)
        if (out_gpr[i] != in_gpr[i])
            errors += wrong(shape, names[i], in_gpr[i], out_gpr[i]);
    for (int i = 0; i < 16; i++)
        if (out_red[i] != in_red[i])
            errors += wrong(shape, "the red zone", in_red[i], out_red[i]);
    if (out_flags != flags_in)
        errors += wrong(shape, "rflags", flags_in, out_flags);
    /* Control, status and tag words; the last instruction's addresses are nobody's promise. */
    if (memcmp(in_fx, out_fx, 5) || memcmp(in_fx + 32, out_fx + 32, 128))
        errors += wrong(shape, "x87", 0, 1);
    if (memcmp(in_fx + 24, out_fx + 24, 4))
        errors += wrong(shape, "mxcsr", in_fx[24], out_fx[24]);
    for (int i = 0; i < 16; i++)
        if (memcmp(in_wide[i], out_fx + 160 + 16 * i, 16))
            errors += wrong(shape, "xmm", (uint64_t)i, (uint64_t)i);
    int count = width == ZMM ? 32 : width == YMM ? 16 : 0;
    for (int i = 0; i < count; i++)
        if (memcmp(in_wide[i], out_wide[i], width == ZMM ? 64 : 32))
            errors += wrong(shape, "a wide register", (uint64_t)i, (uint64_t)i);
    if (width == ZMM && memcmp(in_k, out_k, sizeof in_k))
        errors += wrong(shape, "k", in_k[1], out_k[1]);
    return errors;
}

static volatile int stop;

/* Fills the vector registers with its own, as far as they are wide, and lets others run. */
static void *disturb(void *unused)
{
    static const uint8_t ones[64] = {0xff, 0xff, 0xff};
    while (!stop) {
        if (width == ZMM)
            __asm__ volatile("vmovdqu64 %0, %%zmm1\n vmovdqa64 %%zmm1, %%zmm17\n"
                             "vmovdqa64 %%zmm1, %%zmm31\n kxnorq %%k1, %%k1, %%k1\n"
                             "kxnorq %%k7, %%k7, %%k7\n"
                             "mov $24, %%eax\n syscall" ::"m"(ones)
                             : "rax", "rcx", "r11", "memory");
        else if (width == YMM)
            __asm__ volatile("vmovdqu %0, %%ymm1\n vmovdqu %0, %%ymm15\n"
                             "mov $24, %%eax\n syscall" ::"m"(ones)
                             : "rax", "rcx", "r11", "memory");
        else
            __asm__ volatile("movdqu %0, %%xmm1\n movdqu %0, %%xmm15\n"
                             "mov $24, %%eax\n syscall" ::"m"(ones)
                             : "rax", "rcx", "r11", "memory");
    }
    return unused;
}

static int vector_width(void)
{
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c & bit_OSXSAVE))
        return NONE;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    __cpuid_count(7, 0, a, b, c, d);
    if ((low & 0xe6) == 0xe6 && (b & bit_AVX512F) && (b & bit_AVX512BW))
        return ZMM;
    return (low & 6) == 6 ? YMM : NONE;
}

int main(void)
{
    enum { ROUNDS = 300, THREADS = 3 };
    pthread_t threads[THREADS];
    width = vector_width();
    in_the_way[0] = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, disturb, NULL);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int errors = 0;
        for (int round = 0; round < ROUNDS && errors < 10; round++) {
            fill(in_gpr, sizeof in_gpr);
            fill(in_red, sizeof in_red);
            fill(in_wide, sizeof in_wide);
            fill(in_k, sizeof in_k);
            fill_fx();
            in_gpr[0] = (uint64_t)shapes[s].nr;
            in_flags = flags[round % 7];
            uint64_t result = shapes[s].nr == SYS_getppid ? (uint64_t)getppid()
                            : shapes[s].nr == 999         ? (uint64_t)-38
                                                          : 0;
            shapes[s].call();
            errors += check(shapes[s].name, result, flags[round % 7]);
        }
        printf("%s: %s\n", shapes[s].name, errors ? "changed" : "kept");
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
