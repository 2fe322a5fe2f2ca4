// build: static musl
/* POSIX timers: whom they tell and with what, overruns, deletion while a signal waits, ids, limits, kernels' own words. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#ifndef PR_TIMER_CREATE_RESTORE_IDS
#define PR_TIMER_CREATE_RESTORE_IDS 77
#endif
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile int count, tid_seen, overrun_seen, value_seen;
static void on(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    tid_seen = (int)syscall(SYS_gettid);
    overrun_seen = info->si_overrun;
    value_seen = info->si_value.sival_int;
    count++;
}

static long create(clockid_t clock, struct sigevent *e, int *id) { return syscall(SYS_timer_create, clock, e, id); }
static long set(int id, int flags, long first_ms, long each_ms, struct itimerspec *old)
{
    struct itimerspec s = {{each_ms / 1000, each_ms % 1000 * 1000000}, {first_ms / 1000, first_ms % 1000 * 1000000}};
    return syscall(SYS_timer_settime, id, flags, &s, old);
}
static void await(int wanted)
{
    for (int i = 0; i < 3000 && count < wanted; i++)
        sleep_ms(1);
}

static volatile int helper_tid, stop;
static void *helper(void *unused)
{
    helper_tid = (int)syscall(SYS_gettid);
    while (!stop)
        sleep_ms(1);
    return unused;
}

int main(void)
{
    struct sigaction a = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN, &a, NULL);
    sigaction(SIGALRM, &a, NULL);
    sigaction(SIGUSR1, &a, NULL);
    int id = -1, other = -1;
    struct itimerspec s;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 5};
    value("no sigevent", create(CLOCK_MONOTONIC, NULL, &id));
    value("set", set(id, 0, 5, 0, NULL));
    await(1);
    say("SIGALRM came %d, its value is its id %d", count, value_seen == id);
    value("delete", syscall(SYS_timer_delete, id));
    value("delete again", syscall(SYS_timer_delete, id));
    value("a bad sigevent", create(CLOCK_MONOTONIC, (void *)8, &id));
    value("a bad place for the id", create(CLOCK_MONOTONIC, &e, (void *)8));
    e.sigev_notify = 77;
    value("an unknown way", create(CLOCK_MONOTONIC, &e, &id));
    e.sigev_notify = SIGEV_SIGNAL | SIGEV_THREAD;
    value("two ways", create(CLOCK_MONOTONIC, &e, &id));
    e.sigev_notify = SIGEV_SIGNAL;
    for (int number = -1; number <= 65; number += 66) {
        e.sigev_signo = number;
        value("a bad signal", create(CLOCK_MONOTONIC, &e, &id));
    }
    e.sigev_signo = 0;
    value("signal 0", create(CLOCK_MONOTONIC, &e, &id));
    e.sigev_notify = SIGEV_NONE;
    value("nobody, a bad signal", create(CLOCK_MONOTONIC, &e, &id));
    value("  set with an interval", set(id, 0, 10, 10, NULL));
    sleep_ms(25);
    value("  gettime", syscall(SYS_timer_gettime, id, &s));
    yes("  goes on", s.it_value.tv_nsec > 0 && s.it_value.tv_nsec <= 10000000);
    value("  overruns of nobody", syscall(SYS_timer_getoverrun, id));
    value("  set once", set(id, 0, 1, 0, NULL));
    sleep_ms(5);
    syscall(SYS_timer_gettime, id, &s);
    say("  expired: left %ld.%09ld", (long)s.it_value.tv_sec, s.it_value.tv_nsec);
    syscall(SYS_timer_delete, id);

    pthread_t thread;
    pthread_create(&thread, NULL, helper, NULL);
    while (!helper_tid)
        sleep_ms(1);
    e = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 9};
    e.sigev_notify_thread_id = helper_tid;
    count = 0;
    value("one thread", create(CLOCK_MONOTONIC, &e, &id));
    set(id, 0, 2, 0, NULL);
    await(1);
    say("it took it %d, value %d", tid_seen == helper_tid, value_seen);
    stop = 1;
    pthread_join(thread, NULL);
    value("set for a thread that ended", set(id, 0, 1, 0, NULL));
    sleep_ms(10);
    value("nobody took it", count);
    syscall(SYS_timer_delete, id);
    value("a thread that ended", create(CLOCK_MONOTONIC, &e, &id));
    e.sigev_notify_thread_id = 1;
    value("somebody else's thread", getpid() == 1 ? (errno = EINVAL, -1) : create(CLOCK_MONOTONIC, &e, &id));

    sigset_t block, old;
    sigemptyset(&block);
    sigaddset(&block, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &block, &old);
    e = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 1};
    create(CLOCK_MONOTONIC, &e, &id);
    e.sigev_value.sival_int = 2;
    create(CLOCK_MONOTONIC, &e, &other);
    set(id, 0, 1, 0, NULL);
    set(other, 0, 2, 1, NULL);
    sleep_ms(30);
    siginfo_t info;
    yes("two timers, two signals", sigwaitinfo(&block, &info) == SIGRTMIN);
    say("the first: value %d overrun %d", info.si_value.sival_int, info.si_overrun);
    sigwaitinfo(&block, &info);
    say("the second: value %d overran %d, told %d", info.si_value.sival_int, info.si_overrun >= 15,
        info.si_overrun == syscall(SYS_timer_getoverrun, other));
    sleep_ms(10);
    value("set anew while its signal waits", set(other, 0, 0, 0, &s));
    yes("  it had an interval", s.it_interval.tv_nsec == 1000000);
    struct timespec none = {0, 0};
    value("  the signal is gone", sigtimedwait(&block, &info, &none));
    value("  no overruns", syscall(SYS_timer_getoverrun, other));
    set(id, 0, 1, 0, NULL);
    sleep_ms(10);
    value("delete while its signal waits", syscall(SYS_timer_delete, id));
    value("  the signal is gone", sigtimedwait(&block, &info, &none));
    syscall(SYS_timer_delete, other);

    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigprocmask(SIG_SETMASK, &old, NULL);
    sigaction(SIGRTMIN, &ignore, NULL);
    create(CLOCK_MONOTONIC, &e, &id);
    set(id, 0, 2, 2, NULL);
    sleep_ms(30);
    syscall(SYS_timer_gettime, id, &s);
    yes("ignored, it still goes on", s.it_value.tv_nsec > 0 && s.it_value.tv_nsec <= 2000000);
    count = 0;
    sigaction(SIGRTMIN, &a, NULL);
    await(2);
    yes("no longer ignored, it comes", count >= 2);
    syscall(SYS_timer_delete, id);

    set(9999, 0, 1, 0, NULL);
    create(CLOCK_MONOTONIC, NULL, &id);
    value("no new setting", syscall(SYS_timer_settime, id, 0, NULL, NULL));
    value("a bad new setting", syscall(SYS_timer_settime, id, 0, 8, NULL));
    s = (struct itimerspec){{0, 0}, {-1, 0}};
    value("a negative time", syscall(SYS_timer_settime, id, 0, &s, NULL));
    s = (struct itimerspec){{0, -1}, {1, 0}};
    value("a negative interval", syscall(SYS_timer_settime, id, 0, &s, NULL));
    s = (struct itimerspec){{0, 0}, {100, 0}};
    value("unknown flags", syscall(SYS_timer_settime, id, 0x70, &s, NULL));
    value("a bad place for the old", syscall(SYS_timer_settime, id, 0, &s, 8));
    value("gettime to nowhere", syscall(SYS_timer_gettime, id, 8));
    value("gettime of none", syscall(SYS_timer_gettime, -1, &s));
    count = 0;
    value("until long ago", set(id, TIMER_ABSTIME, 1, 0, NULL));
    await(1);
    say("comes at once %d", count);
    syscall(SYS_timer_delete, id);

    int before = -1, after = -1;
    create(CLOCK_MONOTONIC, NULL, &before);
    syscall(SYS_timer_delete, before);
    create(CLOCK_MONOTONIC, NULL, &after);
    say("ids go on: %d", after - before);
    syscall(SYS_timer_delete, after);
    value("restore ids: off", prctl(PR_TIMER_CREATE_RESTORE_IDS, 2, 0, 0, 0));
    value("restore ids: on", prctl(PR_TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0));
    value("restore ids: asked", prctl(PR_TIMER_CREATE_RESTORE_IDS, 2, 0, 0, 0));
    value("restore ids: nonsense", prctl(PR_TIMER_CREATE_RESTORE_IDS, 3, 0, 0, 0));
    value("restore ids: more words", prctl(PR_TIMER_CREATE_RESTORE_IDS, 1, 1, 0, 0));
    id = 4711;
    value("with a wanted id", create(CLOCK_MONOTONIC, NULL, &id));
    say("has it: %d", id);
    value("the same again", create(CLOCK_MONOTONIC, NULL, &id));
    int negative = -5;
    value("a negative id", create(CLOCK_MONOTONIC, NULL, &negative));
    prctl(PR_TIMER_CREATE_RESTORE_IDS, 0, 0, 0, 0);
    syscall(SYS_timer_delete, id);

    struct itimerval v = {{0, 0}, {0, 20000}}, was;
    e = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    count = 0;
    value("on the process's time", create(CLOCK_PROCESS_CPUTIME_ID, &e, &id));
    value("on the thread's time", create(CLOCK_THREAD_CPUTIME_ID, &e, &other));
    set(id, 0, 20, 0, NULL);
    set(other, 0, 40, 0, NULL);
    while (count < 2)
        ;
    yes("both come with work", now_ns(CLOCK_PROCESS_CPUTIME_ID) >= 40000000);
    syscall(SYS_timer_delete, id);
    syscall(SYS_timer_delete, other);
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &v, NULL);
    sleep_ms(30);
    getitimer(ITIMER_REAL, &was);
    say("an ignored SIGALRM leaves %ld.%06ld", (long)was.it_value.tv_sec, (long)was.it_value.tv_usec);
    struct rlimit limit;
    getrlimit(RLIMIT_SIGPENDING, &limit);
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_SIGPENDING, &limit);
    value("over RLIMIT_SIGPENDING", create(CLOCK_MONOTONIC, NULL, &id));
    return 0;
}
