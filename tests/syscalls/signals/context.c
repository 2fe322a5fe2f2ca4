/* The signal frame: a handler may read and change every register; the frame keeps the red zone, flags and vectors. */
#include "observe.h"
#include <immintrin.h>
#include <signal.h>
#include <ucontext.h>

static volatile int handled;
static volatile uint64_t seen[17];
static volatile int seen_mask;

static void change(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ucontext_t *u = context;
    static const int registers[] = {REG_R8, REG_R9, REG_R10, REG_R12, REG_R13, REG_RDI, REG_RSI, REG_RBX, REG_RDX};
    for (size_t i = 0; i < sizeof registers / sizeof *registers; i++) {
        seen[i] = (uint64_t)u->uc_mcontext.gregs[registers[i]];
        u->uc_mcontext.gregs[registers[i]] = (greg_t)(1000 + i);
    }
    u->uc_mcontext.gregs[REG_EFL] |= 1; /* carry */
    u->uc_mcontext.gregs[REG_RIP] += 2;
    seen_mask = sigismember(&u->uc_sigmask, SIGUSR2);
    sigaddset(&u->uc_sigmask, SIGHUP);
    handled++;
}

static volatile int storm;
static void scribble(int signal)
{
    (void)signal;
    volatile char junk[4096];
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (char)0xee;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::: "xmm0", "xmm7", "xmm15");
    __asm__ volatile("fninit");
    storm++;
}

int main(void)
{
    struct sigaction a = {.sa_sigaction = change, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &a, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_SETMASK, &set, NULL);
    uint64_t out[9];
    unsigned char carry;
    __asm__ volatile(
        "mov $1, %%r8\n\t mov $2, %%r9\n\t mov $3, %%r10\n\t mov $4, %%r12\n\t mov $5, %%r13\n\t mov $6, %%rdi\n\t"
        "mov $7, %%rsi\n\t mov $8, %%rbx\n\t mov $9, %%rdx\n\t clc\n\t ud2\n\t setc %1\n\t"
        "mov %%r8, %0\n\t mov %%r9, 8+%0\n\t mov %%r10, 16+%0\n\t mov %%r12, 24+%0\n\t mov %%r13, 32+%0\n\t"
        "mov %%rdi, 40+%0\n\t mov %%rsi, 48+%0\n\t mov %%rbx, 56+%0\n\t mov %%rdx, 64+%0\n\t"
        : "=m"(out), "=m"(carry)::"r8", "r9", "r10", "r12", "r13", "rdi", "rsi", "rbx", "rdx", "cc", "memory");
    int right = 1, changed = 1;
    for (int i = 0; i < 9; i++) {
        right &= seen[i] == (uint64_t)i + 1;
        changed &= out[i] == (uint64_t)1000 + i;
    }
    say("seen %d, changed %d, carry %d, mask in the frame %d", right, changed, carry, seen_mask);
    sigprocmask(SIG_BLOCK, NULL, &set);
    say("the frame's mask is restored: USR2 %d HUP %d", sigismember(&set, SIGUSR2), sigismember(&set, SIGHUP));

    struct sigaction s = {.sa_handler = scribble, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &s, NULL);
    struct { long i[2]; long v[2]; } timer = {{0, 1000}, {0, 1000}};
    syscall(SYS_setitimer, 0, &timer, NULL);
    int kept = 1;
    for (int round = 0; round < 400000 || storm < 50; round++) {
        uint64_t red = 0x5566778899aabbcc + (uint64_t)round, back = 0, low = (uint64_t)round * 3, low_back = 0;
        __asm__ volatile(
            "mov %2, -120(%%rsp)\n\t movq %3, %%xmm7\n\t movq %3, %%xmm15\n\t mov $2000, %%ecx\n\t"
            "1: dec %%ecx\n\t jnz 1b\n\t mov -120(%%rsp), %0\n\t pand %%xmm15, %%xmm7\n\t movq %%xmm7, %1\n\t"
            : "=&r"(back), "=&r"(low_back) : "r"(red), "r"(low) : "rcx", "xmm7", "xmm15", "memory", "cc");
        kept &= back == red && low_back == low;
        if (round > 4000000)
            break;
    }
    yes("the red zone and the vectors survive a storm of signals", kept);
    yes("there was a storm", storm >= 50);
    return 0;
}
