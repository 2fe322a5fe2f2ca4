// build: static no-pie
/*
 * System calls whose number is loaded a few instructions earlier, where no jump fits over the `syscall` itself:
 * with what may stand between and what may not, entered at each instruction, stepped through, interrupted
 * anywhere, and rewritten by the program.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 2, REGISTERS = 15 };

/* What follows leads far below any program at 4 MiB: no window. No padding either. */
#define END "syscall\n mov %rax, %rax\n ret\n"
#define MOV "mov $95, %eax\n" /* umask */
#define SITE(name, before, between) \
    ".type s_" #name ", @function\n s_" #name ": .cfi_startproc\n" before "\n" between "\n" END \
    ".cfi_endproc\n .size s_" #name ", . - s_" #name "\n"

/* Can be executed elsewhere. */
#define GOOD(X) \
    X(lea, MOV, "lea 0x8f0(%rbx), %rdi") \
    X(lea_stack, MOV, "lea 8(%rsp), %rsi") \
    X(lea_index, MOV, "lea -3(%rbx,%rdx,4), %edi") \
    X(mov, MOV, "mov %ebx, %edi") \
    X(mov_immediate, MOV, "mov $0777, %edi") \
    X(mov_long, MOV, "movabs $0x123456789abcdef, %rdi") \
    X(mov_byte, MOV, "mov $077, %dil\n mov %bl, %dh") \
    X(mov_rcx, MOV, "mov %rcx, %r10\n mov %r11, %rsi\n mov %eax, %edi") \
    X(extend, MOV, "movslq %ebx, %rdi\n movzbl %dl, %esi\n movsbq %dl, %r8\n movzwl %bx, %r9d") \
    X(zero, MOV, "xor %edi, %edi\n xor %r10d, %r10d") \
    X(logic, MOV, "and $0x80, %esi\n xor $0x81, %sil\n or %ebx, %edi\n add $-1, %rdi") \
    X(flags, MOV, "sub %rbx, %rdi\n cmp %rdx, %rbx") \
    X(flags_too, MOV, "mov $-1, %edi\n add %edi, %edi\n test %edi, %edi") \
    X(longer, ".byte 0x48,0xc7,0xc0,95,0,0,0\n", "lea 1(%rbx), %rdi\n xor %edx, %edx") \
    X(longest, MOV, "movabs $0x11, %rdi\n movabs $0x22, %rsi\n mov %ebx, %edx\n mov %ebx, %ebx")

/* Depends on its place, may fault, changes what the call needs, or is not what it seems. */
#define BAD(X) \
    X(load, MOV, "mov (%rsp), %rdi\n mov %ebx, %edi") \
    X(load_fs, MOV, "mov %fs:0, %rsi\n mov %fs, %esi") \
    X(store, MOV, "mov %rbx, -8(%rsp)") \
    X(relative, MOV, "lea relative(%rip), %rdi") \
    X(stack, MOV, "push %rbx\n pop %rdi") \
    X(stack_moves, MOV, "add $8, %rsp\n sub $8, %rsp") \
    X(loads_rax, MOV, "mov $39, %ah\n mov $0, %ah") \
    X(exchange, MOV, "xchg %rdi, %rbx") \
    X(too_many, MOV, "mov %ebx, %edi\n mov %ebx, %esi\n mov %ebx, %edx\n mov %ebx, %r8d\n mov %ebx, %r9d") \
    X(too_long, MOV, "movabs $0x11, %rdi\n movabs $0x22, %rsi\n movabs $0x33, %rdx") \
    X(branch, MOV, "jmp 1f\n1:") \
    X(other_register, "", ".byte 0x41\n mov $95, %eax\n mov %ebx, %edi") \
    X(address, "", ".byte 0x8d\n mov $95, %eax\n mov %ebx, %esi") \
    X(skipped, "", "jmp 1f\n .byte 0x8b\n mov $95, %eax\n1: mov %ebx, %edi")

/* `at` marks the start of an instruction of the loop. */
__asm__(".pushsection .data.rel.ro, \"aw\"\n .balign 8\n starts:\n .popsection\n"
        ".macro at\n 9: .pushsection .data.rel.ro\n .quad 9b\n .popsection\n .endm\n"
        ".pushsection .text.pages, \"ax\", @progbits\n .balign 4096\n"
        "page_start:\n" GOOD(SITE) BAD(SITE)
        /* sched_yield, which tells what goes wrong by its result. */
        "loop_start: at\n push %rbx\n at\n mov %rdi, %rbx\n at\n xor %r8d, %r8d\n"
        "1: at\n mov $24, %eax\n"
        "loop_between: at\n lea 5(%rbx), %rdi\n at\n xor %esi, %esi\n at\n movabs $0x123456789, %rdx\n"
        "loop_call: at\n syscall\n at\n mov %rax, %rax\n at\n or %rax, %r8\n"
        " at\n sub %rbx, %rdi\n at\n sub $5, %rdi\n at\n or %rdi, %r8\n"
        " at\n dec %rbx\n at\n jnz 1b\n at\n mov %r8, %rax\n at\n pop %rbx\n at\n ret\n"
        "loop_end:\n"
        "stepped: pushf\n orl $0x100, (%rsp)\n popf\n nop\n mov $24, %eax\n xor %edi, %edi\n lea 1(%rdi), %rsi\n"
        "syscall\n mov %rax, %rax\n nop\n pushf\n andl $~0x100, (%rsp)\n popf\n nop\n ret\n"
        /* What the program changes below is on another page than the jump. */
        ".org page_start + 4096 - 7, 0xf4\n"
        "across: mov $95, %eax\n mov %ebx, %edi\n across_call: syscall\n mov %rax, %rax\n ret\n"
        ".org page_start + 2 * 4096, 0xf4\n .popsection\n"
        ".pushsection .data.rel.ro\n starts_end:\n .popsection\n"

        /* Calls `target` with the registers and flags of `in`, on a stack of its own; leaves them in `out`. */
        ".text\n run: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, kept(%rip)\n lea stack_end(%rip), %rsp\n"
        "push flags(%rip)\n popf\n"
        "mov in(%rip), %rax\n mov in+8(%rip), %rbx\n mov in+16(%rip), %rcx\n mov in+24(%rip), %rdx\n"
        "mov in+32(%rip), %rsi\n mov in+40(%rip), %rdi\n mov in+48(%rip), %rbp\n mov in+56(%rip), %r8\n"
        "mov in+64(%rip), %r9\n mov in+72(%rip), %r10\n mov in+80(%rip), %r11\n mov in+88(%rip), %r12\n"
        "mov in+96(%rip), %r13\n mov in+104(%rip), %r14\n mov in+112(%rip), %r15\n"
        "call *target(%rip)\n"
        "mov %rax, out(%rip)\n mov %rbx, out+8(%rip)\n mov %rcx, out+16(%rip)\n mov %rdx, out+24(%rip)\n"
        "mov %rsi, out+32(%rip)\n mov %rdi, out+40(%rip)\n mov %rbp, out+48(%rip)\n mov %r8, out+56(%rip)\n"
        "mov %r9, out+64(%rip)\n mov %r10, out+72(%rip)\n mov %r11, out+80(%rip)\n mov %r12, out+88(%rip)\n"
        "mov %r13, out+96(%rip)\n mov %r14, out+104(%rip)\n mov %r15, out+112(%rip)\n"
        "pushf\n pop flags(%rip)\n mov kept(%rip), %rsp\n cld\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".bss\n .balign 16\n .skip 4096\n stack_end: .skip 256\n relative: .skip 8\n kept: .skip 8\n .text\n");

extern uint8_t page_start[], across[], across_call[], stepped[], loop_start[], loop_between[], loop_call[], loop_end[];
extern const uintptr_t starts[], starts_end[];
extern const char __executable_start[], etext[];
void run(void);
long loop(long rounds) __asm__("loop_start");
uint64_t in[REGISTERS], out[REGISTERS], flags;
const void *target;

#define DECLARE(name, before, between) extern const char s_##name[];
GOOD(DECLARE)
BAD(DECLARE)
#define ROW(name, before, between) {#name, s_##name},
typedef struct {
    const char *name, *code;
} Site;
static const Site good[] = {GOOD(ROW)}, bad[] = {BAD(ROW)};
enum { GOOD_COUNT = sizeof good / sizeof *good, BAD_COUNT = sizeof bad / sizeof *bad };

static const char *const names[REGISTERS] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8",
                                             "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

/* Enters at `code` with registers that tell `round`s apart. */
static void enter(const void *code, uint64_t rax, uint64_t round)
{
    static const uint64_t some_flags[] = {0x202, 0xad7, 0x602, 0x247, 0xa93};
    for (uint64_t i = 0; i < REGISTERS; i++)
        in[i] = (i + 1) * 0x100000001000 + round * 0x1001;
    in[0] = rax;
    in[1] = 07 + round % 8 * 010;
    flags = some_flags[round % 5];
    target = code;
    run();
}

static void show(const char *what, uint64_t round)
{
    printf("%s %lu:", what, (unsigned long)round);
    for (int i = 0; i < REGISTERS; i++)
        printf(" %s=%lx", names[i], (unsigned long)out[i]);
    printf(" flags=%lx\n", (unsigned long)flags);
}

static void registers(const Site *sites, int count, uint64_t rounds)
{
    for (uint64_t round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            enter(sites[i].code, SYS_umask, round);
            show(sites[i].name, round);
        }
}

static uint8_t linked[PAGES * PAGE], copy[PAGES * PAGE];

static void same(void)
{
    int ends[2];
    pipe(ends);
    memset(copy, 0, sizeof copy);
    write(ends[1], page_start, sizeof copy);
    read(ends[0], copy, sizeof copy);
    close(ends[0]);
    close(ends[1]);
    printf("text is unchanged: %s\n", memcmp(copy, linked, sizeof copy) == 0 ? "yes" : "no");
}

/* At the `mov`, at what is between, at the `syscall`, each with other numbers. */
static void entries(void)
{
    const char *start = s_mov_long, *between = start + 5, *call = between + 10;
    for (uint64_t round = 0; round < 12; round++) {
        enter(start, 1234567, round);
        show("at the mov", round);
        enter(between, SYS_umask, round);
        show("between", round);
        enter(between, 4242, round);
        show("between, unknown", round);
        enter(call, SYS_umask, round);
        show("at the call", round);
        enter(call, SYS_sched_yield, round);
        show("at the call, other", round);
        enter(call + 2, 77, round);
        show("behind", round);
    }
    /* Behind the jump of `skipped` is a load. */
    static const uint32_t value = 0123;
    for (uint64_t round = 0; round < 3; round++) {
        enter(s_skipped + 2, (uint64_t)&value - SYS_umask, round);
        show("the load", round);
    }
}

static void changed(void)
{
    uint8_t *page = page_start + PAGE;
    for (uint64_t round = 0; round < 4; round++) {
        enter(across, 0, round);
        show("across", round);
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        memcpy(across_call, "\x31\xc0", 2); /* xor %eax, %eax */
        mprotect(page, PAGE, PROT_READ | PROT_EXEC);
        enter(across, 0, round);
        show("without the call", round);
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        memcpy(across_call, "\x0f\x05", 2);
        mprotect(page, PAGE, PROT_READ | PROT_EXEC);
        for (int i = 0; i < 3; i++)
            enter(across, 0, round);
    }
}

static long steps[64];
static int count;

static void step(int number, siginfo_t *info, void *context)
{
    const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)number;
    if (count < 64)
        steps[count++] = registers[REG_RIP] == (greg_t)info->si_addr
                             ? (registers[REG_RIP] - (long)stepped) * 1000 + (registers[REG_RAX] & 0xff)
                             : -1;
}

static void stepping(void)
{
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    for (uint64_t round = 0; round < 5; round++) {
        count = 0;
        enter(stepped, 0, round);
        show("steps", round);
        for (int i = 0; i < count; i++)
            printf(" %ld", steps[i]);
        printf("\n");
    }
}

static volatile int stop;
static volatile long in_loop, astray, elsewhere, numbers;

static void handler(int number, siginfo_t *info, void *context)
{
    const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t rip = (uintptr_t)registers[REG_RIP];
    (void)number;
    (void)info;
    if (rip < (uintptr_t)loop_start || rip >= (uintptr_t)loop_end) {
        elsewhere += rip < (uintptr_t)__executable_start || rip >= (uintptr_t)etext;
        return;
    }
    in_loop++;
    if (rip >= (uintptr_t)loop_between && rip <= (uintptr_t)loop_call)
        numbers += registers[REG_RAX] != SYS_sched_yield;
    for (const uintptr_t *start = starts; start < starts_end; start++)
        if (*start == rip)
            return;
    astray++;
}

static void *looping(void *wrong)
{
    *(pid_t *)wrong = (pid_t)syscall(SYS_gettid);
    long sum = 0;
    while (!stop)
        sum |= loop(500);
    return (void *)sum;
}

/* Threads that do nothing else are interrupted anywhere, while the jumps come and go. */
static void storm(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t threads[2];
    volatile pid_t tids[2] = {0};
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, looping, (void *)&tids[i]);
    for (int i = 0; i < 20000 && in_loop < 4000; i++) {
        if (tids[i % 2])
            syscall(SYS_tgkill, getpid(), tids[i % 2], SIGUSR1);
        if (i % 16 == 0)
            usleep(50);
        if (in_loop > 2000 && i % 64 == 0) {
            mprotect(page_start, PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
            mprotect(page_start, PAGES * PAGE, PROT_READ | PROT_EXEC);
        }
    }
    stop = 1;
    void *wrong[2];
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], &wrong[i]);
    printf("signals came: %s; not at an instruction: %ld; outside of the program: %ld; other numbers: %ld; "
           "calls wrong: %s\n",
           in_loop > 100 ? "yes" : "no", astray, elsewhere, numbers, wrong[0] || wrong[1] ? "yes" : "no");
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        int which = strcmp(argv[1], "good") == 0;
        for (long n = atol(argv[2]); n > 0; n--)
            for (int i = 0; i < (which ? GOOD_COUNT : BAD_COUNT); i++)
                enter(which ? good[i].code : bad[i].code, SYS_umask, 1);
        return 0;
    }
    umask(0);
    memcpy(linked, page_start, sizeof linked);
    registers(good, GOOD_COUNT, 5);
    same();
    registers(bad, BAD_COUNT, 5);
    same();
    entries();
    changed();
    same();
    stepping();
    storm();
    same();
    return 0;
}
