// build: static musl
/* setitimer, alarm, timer_create: expiry, intervals, overruns, remaining time, signals, errors. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static volatile int alarms, virtuals, profs, value_seen, code_seen, overruns;
static void on_alarm(int signal) { (void)signal; alarms++; }
static void on_virtual(int signal) { (void)signal; virtuals++; }
static void on_prof(int signal) { (void)signal; profs++; }
static void on_timer(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    value_seen = info->si_value.sival_int;
    code_seen = info->si_code;
    overruns = info->si_overrun;
    alarms++;
}
static volatile int notified;
static void by_thread(union sigval v) { notified = v.sival_int; }

int main(void)
{
    struct sigaction a = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &a, NULL);
    struct itimerval it = {{0, 10000}, {0, 10000}}, old;
    value("setitimer", setitimer(ITIMER_REAL, &it, NULL));
    while (alarms < 5)
        pause();
    value("getitimer", getitimer(ITIMER_REAL, &old));
    yes("interval", old.it_interval.tv_usec == 10000 && old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 10000);
    value("stop", setitimer(ITIMER_REAL, &(struct itimerval){0}, &old));
    int now = alarms;
    sleep_ms(50);
    yes("stopped", alarms == now);
    it = (struct itimerval){{0, 0}, {0, 20000}};
    alarms = 0;
    setitimer(ITIMER_REAL, &it, NULL);
    sleep_ms(100);
    say("once %d", alarms);
    getitimer(ITIMER_REAL, &old);
    say("left %ld.%06ld", (long)old.it_value.tv_sec, (long)old.it_value.tv_usec);
    value("alarm", alarm(100));
    value("alarm again returns what was left", alarm(0));
    value("unknown timer", setitimer(9, &it, NULL));
    it.it_value.tv_usec = 1000000;
    value("microseconds too many", setitimer(ITIMER_REAL, &it, NULL));
    value("bad address", syscall(SYS_setitimer, 0, 8, NULL));
    value("getitimer unknown", getitimer(9, &old));
    signal(SIGVTALRM, on_virtual);
    signal(SIGPROF, on_prof);
    it = (struct itimerval){{0, 10000}, {0, 10000}};
    setitimer(ITIMER_VIRTUAL, &it, NULL);
    setitimer(ITIMER_PROF, &it, NULL);
    int64_t end = now_ns(CLOCK_MONOTONIC) + 5000000000;
    while ((virtuals < 3 || profs < 3) && now_ns(CLOCK_MONOTONIC) < end)
        for (volatile int i = 0; i < 100000; i++)
            ;
    yes("virtual and profiling timers run with work", virtuals >= 3 && profs >= 3);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){0}, NULL);
    setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);

    a = (struct sigaction){.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN, &a, NULL);
    timer_t timer;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
    value("timer_create", timer_create(CLOCK_MONOTONIC, &e, &timer));
    alarms = 0;
    struct itimerspec its = {{0, 0}, {0, 20000000}}, was;
    value("timer_settime", timer_settime(timer, 0, &its, NULL));
    value("timer_gettime", timer_gettime(timer, &was));
    yes("runs down", was.it_value.tv_nsec > 0 && was.it_value.tv_nsec <= 20000000);
    while (!alarms)
        sleep_ms(1);
    say("value %d, code %d", value_seen, code_seen);
    timer_gettime(timer, &was);
    say("left %ld.%09ld", (long)was.it_value.tv_sec, was.it_value.tv_nsec);
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += 20000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    its.it_value = at;
    alarms = 0;
    value("absolute", timer_settime(timer, TIMER_ABSTIME, &its, NULL));
    while (!alarms)
        sleep_ms(1);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    its = (struct itimerspec){{0, 5000000}, {0, 5000000}};
    alarms = 0;
    timer_settime(timer, 0, &its, NULL);
    sleep_ms(100);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    int seen = overruns;
    yes("blocked, it overran", seen >= 10 && seen <= 200);
    timer_settime(timer, 0, &(struct itimerspec){0}, &was);
    yes("interval is returned", was.it_interval.tv_nsec == 5000000);
    value("timer_delete", timer_delete(timer));
    value("unknown clock", timer_create(77, &e, &timer));
    e.sigev_signo = 99;
    value("bad signal", timer_create(CLOCK_REALTIME, &e, &timer));
    value("raw: settime of no timer", syscall(SYS_timer_settime, 1234, 0, &its, NULL));
    value("raw: delete of no timer", syscall(SYS_timer_delete, 1234));
    value("raw: getoverrun of no timer", syscall(SYS_timer_getoverrun, 1234));
    e = (struct sigevent){.sigev_notify = SIGEV_NONE};
    value("SIGEV_NONE", timer_create(CLOCK_REALTIME, &e, &timer));
    its.it_value.tv_nsec = 1000000000;
    value("nanoseconds too many", timer_settime(timer, 0, &its, NULL));
    timer_delete(timer);
    e = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = by_thread, .sigev_value.sival_int = 5};
    value("SIGEV_THREAD", timer_create(CLOCK_MONOTONIC, &e, &timer));
    its = (struct itimerspec){{0, 0}, {0, 1000000}};
    timer_settime(timer, 0, &its, NULL);
    for (int i = 0; i < 1000 && !notified; i++)
        sleep_ms(1);
    say("notified %d", notified);
    return 0;
}
