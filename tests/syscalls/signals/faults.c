// build: static musl
/* Faults as signals: number, code, address and trap number; a handler changes the context and goes on. */
#include "observe.h"
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

static sigjmp_buf out;
static volatile int number, code_, trap, error;
static void *volatile address;
static void *volatile rip;

static void on(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    number = signal;
    code_ = info->si_code;
    address = info->si_addr;
    trap = (int)u->uc_mcontext.gregs[REG_TRAPNO];
    error = (int)u->uc_mcontext.gregs[REG_ERR];
    rip = (void *)u->uc_mcontext.gregs[REG_RIP];
    siglongjmp(out, 1);
}

#define FAULT(what, expected, code)                                                                   \
    do {                                                                                              \
        if (!sigsetjmp(out, 1)) {                                                                     \
            code;                                                                                     \
            say(what ": no fault");                                                                   \
        } else                                                                                        \
            say(what ": signal %d code %d trap %d error %#x address %s", number, code_, trap, error,  \
                address == (void *)(expected) ? "right" : address == rip ? "of the instruction" : "other"); \
    } while (0)

static void skip(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ucontext_t *u = context;
    u->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
    u->uc_mcontext.gregs[REG_RAX] = 4711;
    u->uc_mcontext.fpregs->_xmm[5].element[0] = 99;
}

static void repair(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    mprotect((void *)((uintptr_t)info->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
}

int main(void)
{
    struct sigaction a = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sigaction(all[i], &a, NULL);
    volatile char *p = fresh(2 * PAGE);
    FAULT("read NULL", NULL, (void)*(volatile char *)0);
    FAULT("write NULL", NULL, *(volatile char *)0 = 1);
    FAULT("read 8", 8, (void)*(volatile char *)8);
    mprotect((void *)p, PAGE, PROT_NONE);
    FAULT("read PROT_NONE", p + 5, (void)p[5]);
    mprotect((void *)p, PAGE, PROT_READ);
    FAULT("write read-only", p + 7, p[7] = 1);
    FAULT("run without x", p + PAGE, ((void (*)(void))(uintptr_t)(p + PAGE))());
    FAULT("jump to NULL", NULL, ((void (*)(void))NULL)());
    FAULT("non-canonical", NULL, (void)*(volatile char *)0x1234567812345678);
    FAULT("kernel", 0xffffffff81000000, (void)*(volatile char *)0xffffffff81000000);
    FAULT("unaligned across into nothing", p + PAGE, (munmap((void *)(p + PAGE), PAGE), *(volatile uint64_t *)(p + PAGE - 4)));
    int fd = memfd_create("m", 0);
    ftruncate(fd, 1);
    volatile char *m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    FAULT("behind the end of a file", m + PAGE, (void)m[PAGE]);
    FAULT("ud2", 1, __asm__ volatile("ud2"));
    FAULT("division by zero", 1, __asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::: "eax", "ecx", "edx"));
    FAULT("division overflow", 1, __asm__ volatile("mov $-1, %%ecx; mov $0x80000000, %%eax; cltd; idiv %%ecx" ::: "eax", "ecx", "edx"));
    FAULT("int3", NULL, __asm__ volatile("int3"));
    FAULT("int $0x30", NULL, __asm__ volatile("int $0x30"));
    FAULT("hlt", NULL, __asm__ volatile("hlt"));
    FAULT("cli", NULL, __asm__ volatile("cli"));
    FAULT("in", NULL, __asm__ volatile("in $0x80, %%al" ::: "eax"));
    FAULT("movaps unaligned", NULL, __asm__ volatile("movaps 1(%%rsp), %%xmm0" ::: "xmm0"));
    FAULT("SSE division by zero, unmasked", 1, ({
        unsigned csr = 0x1f80 & ~0x200;
        volatile double zero = 0, one = 1;
        __asm__ volatile("ldmxcsr %0" :: "m"(csr));
        zero = one / zero;
    }));
    unsigned csr = 0x1f80;
    __asm__ volatile("ldmxcsr %0" ::"m"(csr));

    a.sa_sigaction = skip;
    sigaction(SIGILL, &a, NULL);
    long rax = 0;
    int xmm = 0;
    __asm__ volatile("ud2\n\t movd %%xmm5, %1" : "=a"(rax), "=r"(xmm) :: "xmm5");
    say("skipped over: rax %ld, xmm5 %d", rax, xmm);
    a.sa_sigaction = repair;
    sigaction(SIGSEGV, &a, NULL);
    char *q = fresh(64 * PAGE);
    mprotect(q, 64 * PAGE, PROT_NONE);
    for (int i = 0; i < 64; i++)
        q[i * PAGE + 3] = (char)i;
    int good = 1;
    for (int i = 0; i < 64; i++)
        good &= q[i * PAGE + 3] == i;
    yes("64 pages repaired in the handler", good);
    return 0;
}
