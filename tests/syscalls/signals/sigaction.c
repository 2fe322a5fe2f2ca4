// build: static musl
/* rt_sigaction: what is stored and returned, flags by effect, refusals. */
#include "observe.h"
#include <signal.h>
#include <ucontext.h>

static volatile int count, depth, deepest, last_code, last_value;
static volatile long last_pid;

static void simple(int signal) { (void)signal; count++; }

static void nested(int signal)
{
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (++count < 5)
        raise(signal);
    depth--;
}

static void informed(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    last_code = info->si_code;
    last_pid = info->si_pid;
    last_value = info->si_value.sival_int;
    count++;
}

static void masked(int signal)
{
    sigset_t now;
    (void)signal;
    sigprocmask(SIG_BLOCK, NULL, &now);
    say("in the handler: USR1 %d USR2 %d HUP %d", sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2),
        sigismember(&now, SIGHUP));
}

int main(void)
{
    struct sigaction a = {0}, old;
    sigaction(SIGUSR1, NULL, &old);
    yes("default at the start", old.sa_handler == SIG_DFL && !(old.sa_flags & ~0x04000000));
    a.sa_handler = simple;
    a.sa_flags = SA_RESTART | SA_NOCLDWAIT;
    sigemptyset(&a.sa_mask);
    sigaddset(&a.sa_mask, SIGUSR2);
    sigaddset(&a.sa_mask, SIGKILL);
    value("set", sigaction(SIGUSR1, &a, NULL));
    sigaction(SIGUSR1, NULL, &old);
    yes("handler", old.sa_handler == simple);
    say("flags %#x", old.sa_flags & ~0x04000000);
    say("mask USR2 %d KILL %d", sigismember(&old.sa_mask, SIGUSR2), sigismember(&old.sa_mask, SIGKILL));
    raise(SIGUSR1);
    say("delivered %d", count);
    value("SIGKILL", sigaction(SIGKILL, &a, NULL));
    value("SIGSTOP", sigaction(SIGSTOP, &a, NULL));
    value("SIGKILL read", sigaction(SIGKILL, NULL, &old));
    value("0", syscall(SYS_rt_sigaction, 0, NULL, NULL, 8));
    value("65", syscall(SYS_rt_sigaction, 65, NULL, NULL, 8));
    value("size 4", syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
    value("bad new", syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8));
    value("bad old", syscall(SYS_rt_sigaction, SIGUSR1, NULL, 8, 8));

    count = 0;
    a = (struct sigaction){.sa_handler = nested};
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    say("without NODEFER: %d times, depth %d", count, deepest);
    count = deepest = 0;
    a.sa_flags = SA_NODEFER;
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    say("with NODEFER: %d times, depth %d", count, deepest);
    count = 0;
    a = (struct sigaction){.sa_handler = simple, .sa_flags = SA_RESETHAND};
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &old);
    say("RESETHAND: %d, then default %d", count, old.sa_handler == SIG_DFL);
    a = (struct sigaction){.sa_handler = masked};
    sigaddset(&a.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    say("after: USR1 %d USR2 %d", sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2));

    a = (struct sigaction){.sa_sigaction = informed, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR2, &a, NULL);
    kill(getpid(), SIGUSR2);
    say("kill: code %d, pid is mine %d", last_code, last_pid == getpid());
    raise(SIGUSR2);
    say("raise: code %d, pid is mine %d", last_code, last_pid == getpid());
    sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 1234});
    say("sigqueue: code %d, value %d", last_code, last_value);
    siginfo_t forged = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};
    value("rt_sigqueueinfo to oneself may forge", syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR2, &forged));
    forged.si_value.sival_int = 99;
    value("rt_tgsigqueueinfo", syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR2, &forged));
    say("value %d", last_value);
    value("rt_tgsigqueueinfo of nobody", syscall(SYS_rt_tgsigqueueinfo, getpid(), 0x3ffffff, SIGUSR2, &forged));
    value("rt_tgsigqueueinfo bad signal", syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), 99, &forged));
    signal(SIGUSR2, SIG_IGN);
    count = 0;
    raise(SIGUSR2);
    say("ignored %d", count);
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    a = (struct sigaction){.sa_sigaction = informed, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR2, &a, NULL);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR2);
    signal(SIGUSR2, SIG_IGN);
    sigpending(&now);
    say("setting SIG_IGN drops what is pending: %d", sigismember(&now, SIGUSR2));
    return 0;
}
