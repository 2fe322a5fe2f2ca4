// build: static
/* What a handler finds in its frame, and what becomes of changes: flags, segments, vectors; frames that are wrong. */
#include "observe.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>

static sigjmp_buf out;
static volatile int step, seen_signal, seen_code;
static volatile long flags_in, flags_saved, err_seen, trap_seen, old_mask;
static void *volatile address_seen;

static void leave(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    __asm__ volatile("pushfq; andl $~0x40000, (%rsp); popfq"); /* what follows may be misaligned */
    seen_signal = signal;
    seen_code = info->si_code;
    address_seen = info->si_addr;
    flags_saved = u->uc_mcontext.gregs[REG_EFL];
    err_seen = u->uc_mcontext.gregs[REG_ERR];
    trap_seen = u->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(out, 1);
}

static void look(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ucontext_t *u = context;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags_in));
    flags_saved = u->uc_mcontext.gregs[REG_EFL];
    old_mask = u->uc_mcontext.gregs[REG_OLDMASK];
    say("  uc_flags %#lx, link %p, segments %#llx", u->uc_flags, (void *)u->uc_link,
        (unsigned long long)u->uc_mcontext.gregs[REG_CSGSFS]);
    uint32_t *software = (uint32_t *)((char *)u->uc_mcontext.fpregs + 464);
    yes("  magic", software[0] == 0x46505853);
    uint32_t end;
    memcpy(&end, (char *)u->uc_mcontext.fpregs + software[1] - 4, 4);
    yes("  magic at the end", end == 0x46505845 && software[1] == software[4] + 4);
    yes("  has x87 and SSE", (software[2] & 3) == 3);
    yes("  the state is aligned", ((uintptr_t)u->uc_mcontext.fpregs & 63) == 0);
    yes("  the stack is aligned", (((uintptr_t)context - 8) & 15) == 8);
    step++;
}

static void edit(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ucontext_t *u = context;
    switch (step) {
    case 0: u->uc_mcontext.gregs[REG_EFL] |= 0x400 | 0x40 | 0x1; break;      /* DF ZF CF */
    case 1: u->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 0x20000; break;        /* IOPL, VM: ignored */
    case 2: u->uc_mcontext.fpregs->mxcsr = 0x3f80; break;                    /* round down */
    case 3: u->uc_mcontext.fpregs->_xmm[7].element[2] = 0xabcdef; break;
    case 4: sigaddset(&u->uc_sigmask, SIGUSR2); sigaddset(&u->uc_sigmask, SIGKILL); break;
    case 5: u->uc_mcontext.gregs[REG_R12] = 0x1234; break;
    case 6: u->uc_mcontext.fpregs->mxcsr |= 0x10000; break;                  /* reserved: SIGSEGV */
    case 7: u->uc_mcontext.gregs[REG_CSGSFS] = 0; break;                     /* CS 0 */
    case 8: u->uc_mcontext.gregs[REG_RIP] = 0x8000000000000000; break;       /* not canonical */
    case 9: ((uint32_t *)((char *)u->uc_mcontext.fpregs + 464))[0] = 0; break; /* without magic: legacy only */
    case 10: u->uc_mcontext.fpregs = NULL; break;                            /* without state: as new */
    case 11: u->uc_mcontext.fpregs = (void *)8; break;                       /* a bad address: SIGSEGV */
    case 12: u->uc_mcontext.fpregs = (void *)((char *)u->uc_mcontext.fpregs + 4); break; /* misaligned */
    }
}

static unsigned mxcsr(void)
{
    unsigned value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static void take(int number, const char *what)
{
    unsigned fresh_csr = 0x1f80;
    __asm__ volatile("ldmxcsr %0; cld" ::"m"(fresh_csr));
    step = number;
    seen_signal = 0;
    long flags = 0, r12 = 0;
    int lane = 0;
    if (!sigsetjmp(out, 1)) {
        __asm__ volatile("mov %%rax, %%r12\n\t pxor %%xmm7, %%xmm7\n\t"
                         "mov %3, %%edi\n\t mov %4, %%esi\n\t mov $200, %%eax\n\t syscall\n\t"
                         "pushfq\n\t popq %0\n\t mov %%r12, %1\n\t pshufd $2, %%xmm7, %%xmm7\n\t movd %%xmm7, %2\n\t cld"
                         : "=r"(flags), "=r"(r12), "=r"(lane)
                         : "r"((int)syscall(SYS_gettid)), "r"(SIGUSR1)
                         : "rax", "rcx", "rdi", "rsi", "r11", "r12", "xmm7", "memory", "cc");
        sigset_t now;
        sigprocmask(SIG_BLOCK, NULL, &now);
        say("%s: flags %#lx r12 %#lx lane %#x mxcsr %#x mask %d%d", what, flags & 0x20441, number == 5 ? r12 : 0, lane, mxcsr(),
            sigismember(&now, SIGUSR2), sigismember(&now, SIGKILL));
        sigemptyset(&now);
        sigprocmask(SIG_SETMASK, &now, NULL);
    } else
        say("%s: signal %d code %d trap %ld err %ld address %d", what, seen_signal, seen_code, trap_seen, err_seen, address_seen == NULL);
}

static volatile int steps;
static void count_steps(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    ucontext_t *u = context;
    steps++;
    seen_code = info->si_code;
    if (steps == 5)
        u->uc_mcontext.gregs[REG_EFL] &= ~0x100LL;
}

#define FAULT(what, code)                                                                             \
    do {                                                                                              \
        if (!sigsetjmp(out, 1)) {                                                                     \
            code;                                                                                     \
            say(what ": nothing");                                                                    \
        } else                                                                                        \
            say(what ": signal %d code %d trap %ld err %ld", seen_signal, seen_code, trap_seen, err_seen); \
    } while (0)

int main(void)
{
    struct sigaction a = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &a, NULL);
    __asm__ volatile("std");
    raise(SIGUSR1);
    __asm__ volatile("cld");
    say("in the handler DF %d, saved or not is the call's", (int)(flags_in >> 10 & 1));
    yes("room for a frame is told", getauxval(AT_MINSIGSTKSZ) > 1000);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    sigprocmask(SIG_BLOCK, &one, NULL);
    raise(SIGUSR1);
    say("the mask before: %#lx", old_mask);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    a.sa_sigaction = edit;
    sigaction(SIGUSR1, &a, NULL);
    a.sa_sigaction = leave;
    int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigaction(faults[i], &a, NULL);
    take(0, "DF ZF CF set");
    take(1, "IOPL and VM set");
    take(2, "MXCSR changed");
    take(3, "xmm7 changed");
    take(4, "mask changed");
    take(5, "r12 changed");
    take(6, "a reserved bit of MXCSR");
    take(7, "another code segment");
    take(8, "rip not canonical");
    take(9, "no magic");
    take(10, "no state");
    take(11, "state at a bad address");
    take(12, "state misaligned");

    FAULT("x87 division by zero", __asm__ volatile("fninit; fldcw %0; fldz; fld1; fdivp; fwait" ::"m"((unsigned short){0x33b})));
    FAULT("x87 invalid", __asm__ volatile("fninit; fldcw %0; fldz; fldz; fdivp; fwait" ::"m"((unsigned short){0x33e})));
    FAULT("x87 inexact", __asm__ volatile("fninit; fldcw %0; fld1; fldpi; fdivp; fwait" ::"m"((unsigned short){0x31f})));
    __asm__ volatile("fninit");
    double big = 1e308, small = 1e-308, zero = 0, one_ = 1, three = 3;
    unsigned csr;
#define SSE(what, mask, a, b, op)                                                              \
    FAULT(what, (csr = 0x1f80 & ~(mask), ({ __asm__ volatile("ldmxcsr %0; movsd %1, %%xmm0; " op " %2, %%xmm0" ::"m"(csr), "m"(a), "m"(b) : "xmm0"); }))); \
    csr = 0x1f80;                                                                              \
    __asm__ volatile("ldmxcsr %0" ::"m"(csr))
    SSE("SSE invalid", 0x80, zero, zero, "divsd");
    SSE("SSE division", 0x200, one_, zero, "divsd");
    SSE("SSE overflow", 0x400, big, big, "mulsd");
    SSE("SSE underflow", 0x800, small, small, "mulsd");
    SSE("SSE inexact", 0x1000, one_, three, "divsd");
    static char bytes[64] __attribute__((aligned(64)));
    FAULT("alignment", __asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq; movl 1(%0), %%eax" ::"r"(bytes) : "eax"));
    __asm__ volatile("pushfq; andl $~0x40000, (%rsp); popfq");
    FAULT("int1", __asm__ volatile(".byte 0xf1"));
    a.sa_sigaction = count_steps;
    sigaction(SIGTRAP, &a, NULL);
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop; nop; nop; nop; nop; nop; nop" ::: "memory");
    say("steps %d code %d", steps, seen_code);
    return 0;
}
