// Signals: to oneself and back, faults that a handler repairs, and timers that are far away.

#define _GNU_SOURCE
#include "measure.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define TIMERS 100000

static volatile sig_atomic_t handled;

static void handle(int signal)
{
    (void)signal;
    handled++;
}

static void to_self(void *context, long count)
{
    (void)context;
    int process = getpid(), thread = (int)syscall(SYS_gettid);
    while (count-- > 0)
        must(syscall(SYS_tgkill, process, thread, SIGUSR1), "tgkill");
}

// Goes on behind the load, which is two bytes long.
static void skip(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void fault(void *context, long count)
{
    while (count-- > 0)
        __asm__ volatile(".byte 0x8b, 0x00" : : "a"(context) : "memory"); // mov (%rax), %eax
}

static void parent(void *context, long count)
{
    (void)context;
    while (count-- > 0)
        getppid();
}

static timer_t last;

// As many timers as there may be, an hour away.
static long arm_timers(void)
{
    struct rlimit limit = {TIMERS + 1000, TIMERS + 1000};
    if (setrlimit(RLIMIT_SIGPENDING, &limit) != 0) {
        must(getrlimit(RLIMIT_SIGPENDING, &limit), "getrlimit");
        limit.rlim_cur = limit.rlim_max;
        must(setrlimit(RLIMIT_SIGPENDING, &limit), "setrlimit");
    }
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec hour = {.it_value = {.tv_sec = 3600}};
    long armed = 0;
    while (armed < TIMERS && timer_create(CLOCK_MONOTONIC, &event, &last) == 0) {
        must(timer_settime(last, 0, &hour, NULL), "timer_settime");
        armed++;
    }
    return armed;
}

static void set_timer(void *context, long count)
{
    (void)context;
    struct itimerspec hour = {.it_value = {.tv_sec = 3600}};
    while (count-- > 0)
        must(timer_settime(last, 0, &hour, NULL), "timer_settime");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    struct sigaction action = {.sa_handler = handle};
    must(sigaction(SIGUSR1, &action, NULL), "sigaction");
    action.sa_sigaction = skip;
    action.sa_flags = SA_SIGINFO;
    must(sigaction(SIGSEGV, &action, NULL), "sigaction");
    measure("signal to self and back", to_self, NULL);
    measure("SIGSEGV and back", fault, (void *)8);
    if (arm_timers() == 0) {
        fprintf(stderr, "timer_create: %s\n", strerror(errno));
        return 1;
    }
    measure("getppid, 100,000 timers armed", parent, NULL);
    measure("timer_settime, 100,000 timers armed", set_timer, NULL);
    end();
    return 0;
}
