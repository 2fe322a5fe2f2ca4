// build: static musl
/* kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo: errors in their order, what comes with a signal, order of
 * delivery, limits; sigtimedwait, sigsuspend, pause, restart_syscall. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static volatile int n, numbers[128], values[128], codes[128];
static void on(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (n < 128) {
        numbers[n] = signal;
        values[n] = info->si_value.sival_int;
        codes[n++] = info->si_code;
    }
}

static void show(const char *what)
{
    printf("%s:", what);
    for (int i = 0; i < n; i++)
        printf(" %d/%d/%d", numbers[i], codes[i], values[i]);
    say(" ");
    n = 0;
}

static volatile int other, stop;
static void *waiter(void *unused)
{
    other = (int)syscall(SYS_gettid);
    while (!stop)
        sleep_ms(1);
    return unused;
}

static long queue(int pid, int signal, siginfo_t *info) { return syscall(SYS_rt_sigqueueinfo, pid, signal, info); }
static long tgqueue(int pid, int tid, int signal, siginfo_t *info)
{
    return syscall(SYS_rt_tgsigqueueinfo, pid, tid, signal, info);
}

int main(void)
{
    int pid = getpid(), tid = (int)syscall(SYS_gettid);
    struct sigaction a = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    sigfillset(&a.sa_mask);
    int used[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGRTMIN, SIGRTMIN + 5, SIGRTMAX};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        sigaction(used[i], &a, NULL);
    value("kill 0", kill(pid, 0));
    value("kill 65", kill(pid, 65));
    value("kill -1", kill(pid, -1));
    value("kill of nobody", kill(0x3ffff0, SIGUSR1));
    value("kill 65 of nobody", kill(0x3ffff0, 65));
    value("kill of the least number", syscall(SYS_kill, 0x80000000, SIGUSR1));
    value("kill of a group of nobody", kill(-0x3ffff0, SIGUSR1));
    value("tkill 0", syscall(SYS_tkill, 0, SIGUSR1));
    value("tkill of nobody", syscall(SYS_tkill, 0x3ffff0, SIGUSR1));
    value("tkill 65", syscall(SYS_tkill, tid, 65));
    value("tkill 65 of nobody", syscall(SYS_tkill, 0x3ffff0, 65));
    value("tgkill of another process's thread", syscall(SYS_tgkill, pid + 1, tid, SIGUSR1));
    value("tgkill -1", syscall(SYS_tgkill, -1, tid, SIGUSR1));
    value("tgkill 0", syscall(SYS_tgkill, pid, tid, 0));
    value("tgkill 65", syscall(SYS_tgkill, pid, tid, 65));
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 7;
    value("queue", queue(pid, SIGUSR1, &info));
    show("came");
    value("queue 0", queue(pid, 0, &info));
    value("queue 65", queue(pid, 65, &info));
    value("queue from a bad address", queue(pid, SIGUSR1, (void *)8));
    value("queue to nobody", queue(0x3ffff0, SIGUSR1, &info));
    value("queue 65 to nobody", queue(0x3ffff0, 65, &info));
    int wrong[] = {SI_USER, SI_TKILL, SI_KERNEL, 1, SI_TIMER, SI_ASYNCNL, -70};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        info.si_code = wrong[i];
        say("si_code %d", wrong[i]);
        value("  to oneself", queue(pid, SIGUSR1, &info));
        value("  to nobody", queue(0x3ffff0, SIGUSR1, &info));
        value("  to a thread of oneself", tgqueue(pid, tid, SIGUSR2, &info));
        show("  came");
    }
    info.si_code = SI_QUEUE;
    value("tgqueue of nobody", tgqueue(pid, 0x3ffff0, SIGUSR1, &info));
    value("tgqueue 0", tgqueue(pid, tid, 0, &info));
    value("tgqueue to -1", tgqueue(-1, tid, SIGUSR1, &info));
    value("tgqueue 65", tgqueue(pid, tid, 65, &info));

    sigset_t all, old, set;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    for (int i = 0; i < 3; i++) {
        info.si_value.sival_int = i;
        queue(pid, SIGRTMAX, &info);
        queue(pid, SIGRTMIN, &info);
        queue(pid, SIGUSR2, &info);
        tgqueue(pid, tid, SIGRTMIN, &info);
        tgqueue(pid, tid, SIGUSR1, &info);
    }
    raise(SIGHUP);
    kill(pid, SIGCHLD);
    for (size_t i = 4; i < 10; i++)
        raise(used[i]);
    sigprocmask(SIG_SETMASK, &old, NULL);
    show("in order");

    sigprocmask(SIG_SETMASK, &all, NULL);
    struct rlimit limit, was;
    getrlimit(RLIMIT_SIGPENDING, &was);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    limit = (struct rlimit){0, was.rlim_max};
    setrlimit(RLIMIT_SIGPENDING, &limit);
    value("a limit of 0: queue", queue(pid, SIGRTMIN, &info));
    value("a limit of 0: queue a standard one", queue(pid, SIGUSR1, &info));
    value("a limit of 0: kill", kill(pid, SIGRTMIN));
    value("a limit of 0: tgkill", syscall(SYS_tgkill, pid, tid, SIGRTMIN));
    value("a limit of 0: kill a standard one", kill(pid, SIGUSR2));
    setrlimit(RLIMIT_SIGPENDING, &was);
    sigprocmask(SIG_SETMASK, &old, NULL);
    show("came without what was with them");

    value("timedwait from a bad set", syscall(SYS_rt_sigtimedwait, 8, &info, NULL, 8));
    value("timedwait of a bad size", syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 16));
    struct timespec bad = {0, -1}, none = {0, 0};
    value("timedwait of a bad time", syscall(SYS_rt_sigtimedwait, &set, &info, &bad, 8));
    value("timedwait from a bad time", syscall(SYS_rt_sigtimedwait, &set, &info, 8, 8));
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGRTMIN);
    value("timedwait to a bad address", syscall(SYS_rt_sigtimedwait, &set, 8, &none, 8));
    value("  it is gone", syscall(SYS_rt_sigtimedwait, &set, &info, &none, 8));
    raise(SIGRTMIN);
    value("timedwait to nowhere", syscall(SYS_rt_sigtimedwait, &set, NULL, &none, 8) - SIGRTMIN);
    sigset_t kill_set;
    sigemptyset(&kill_set);
    sigaddset(&kill_set, SIGKILL);
    value("timedwait of SIGKILL", syscall(SYS_rt_sigtimedwait, &kill_set, &info, &none, 8));
    value("suspend from a bad mask", syscall(SYS_rt_sigsuspend, 8, 8));
    value("suspend of a bad size", syscall(SYS_rt_sigsuspend, &set, 7));
    value("restart of nothing", syscall(SYS_restart_syscall));
    value("pending of size 4", syscall(SYS_rt_sigpending, &set, 4));
    value("pending of size 9", syscall(SYS_rt_sigpending, &set, 9));
    value("pending to a bad address", syscall(SYS_rt_sigpending, 8, 8));

    pthread_t thread;
    pthread_create(&thread, NULL, waiter, NULL);
    while (!other)
        sleep_ms(1);
    value("kill by a thread's number", kill(other, 0));
    value("a thread's number as a group", syscall(SYS_tgkill, other, other, 0));
    value("queue by a thread's number", queue(other, 0, &info));
    stop = 1;
    pthread_join(thread, NULL);
    value("tgkill of one that ended", syscall(SYS_tgkill, pid, other, 0));
    return 0;
}
