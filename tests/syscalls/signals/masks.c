// build: static musl
/* Masks, pending signals, their order, queues of real-time signals, sigsuspend. */
#include "observe.h"
#include <signal.h>

static volatile int order[64], n;
static void record(int signal, siginfo_t *info, void *context)
{
    (void)context;
    order[n++] = signal >= SIGRTMIN ? 1000 + (signal - SIGRTMIN) * 100 + info->si_value.sival_int : signal;
}

static void show(const char *what)
{
    printf("%s:", what);
    for (int i = 0; i < n; i++)
        printf(" %d", order[i]);
    say(" ");
    n = 0;
}

int main(void)
{
    sigset_t all, set, old;
    struct sigaction a = {.sa_sigaction = record, .sa_flags = SA_SIGINFO};
    sigfillset(&a.sa_mask); /* so that each handler runs to its end */
    int used[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 2};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        sigaction(used[i], &a, NULL);
    sigfillset(&all);
    value("block all", sigprocmask(SIG_SETMASK, &all, &old));
    sigprocmask(SIG_BLOCK, NULL, &set);
    say("KILL %d STOP %d can not be blocked", sigismember(&set, SIGKILL), sigismember(&set, SIGSTOP));
    raise(SIGUSR2);
    raise(SIGHUP);
    raise(SIGUSR1);
    raise(SIGUSR1);
    for (int i = 3; i > 0; i--)
        for (int k = 1; k <= 3; k++)
            sigqueue(getpid(), SIGRTMIN + i - 1, (union sigval){.sival_int = k});
    sigpending(&set);
    say("pending HUP %d USR1 %d USR2 %d TERM %d RT %d", sigismember(&set, SIGHUP), sigismember(&set, SIGUSR1),
        sigismember(&set, SIGUSR2), sigismember(&set, SIGTERM), sigismember(&set, SIGRTMIN));
    sigprocmask(SIG_SETMASK, &old, NULL);
    show("each standard one once, real-time ones queued");
    value("how 77", syscall(SYS_rt_sigprocmask, 77, &set, NULL, 8));
    value("how 77 without a set", syscall(SYS_rt_sigprocmask, 77, NULL, &set, 8));
    value("size 16", syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16));
    value("bad set", syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8));
    value("bad old", syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, 8, 8));

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    sigset_t open_mask;
    sigemptyset(&open_mask);
    value("sigsuspend", sigsuspend(&open_mask));
    show("delivered in it");
    sigprocmask(SIG_BLOCK, NULL, &set);
    say("the mask came back %d", sigismember(&set, SIGUSR1));
    value("sigsuspend size", syscall(SYS_rt_sigsuspend, &open_mask, 4));

    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &ignore, NULL);
    raise(SIGTERM);
    sigprocmask(SIG_SETMASK, &all, NULL);
    raise(SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    sigpending(&set);
    say("pending CHLD after SIG_DFL %d", sigismember(&set, SIGCHLD));
    sigprocmask(SIG_SETMASK, &old, NULL);
    show("nothing");
    siginfo_t info;
    struct timespec none = {0, 0}, some = {0, 30000000}, bad = {0, 1000000000};
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    value("sigtimedwait at once", sigtimedwait(&set, &info, &none));
    int64_t start = now_ns(CLOCK_MONOTONIC);
    value("sigtimedwait 30 ms", sigtimedwait(&set, &info, &some));
    yes("waited", now_ns(CLOCK_MONOTONIC) - start >= 30000000);
    value("sigtimedwait bad time", sigtimedwait(&set, &info, &bad));
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42});
    yes("sigwaitinfo", sigwaitinfo(&set, &info) == SIGRTMIN);
    say("code %d value %d", info.si_code, info.si_value.sival_int);
    alarm(1);
    value("sigtimedwait of a blocked one, ended by another", (signal(SIGALRM, (void (*)(int))record), a.sa_flags = SA_SIGINFO,
          sigaction(SIGALRM, &a, NULL), syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8)));
    show("ALRM");
    return 0;
}
