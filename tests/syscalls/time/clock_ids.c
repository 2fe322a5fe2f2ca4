// build: static musl
/* Every clock id: asking, resolution, sleeping, timers, timerfd; processor clocks of processes, threads and nobody;
 * clocks of descriptors; adjusting what is only asked. Setting is tried only where Linux refuses. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>

#define CPU_CLOCK(id, kind, thread) ((clockid_t)(~(unsigned)(id) << 3 | (thread) << 2 | (kind)))

static long get(long id, struct timespec *t) { return syscall(SYS_clock_gettime, id, t); }

static void each(const char *name, long id)
{
    struct timespec t = {0, 0}, none = {0, 0};
    char what[96];
#define SAY(format) (snprintf(what, sizeof what, "%s: " format, name), what)
    value(SAY("gettime"), get(id, &t));
    value(SAY("getres"), syscall(SYS_clock_getres, id, &t));
    value(SAY("getres into nothing"), syscall(SYS_clock_getres, id, NULL));
    value(SAY("sleep of no time"), syscall(SYS_clock_nanosleep, id, 0, &none, NULL));
    value(SAY("sleep until long ago"), syscall(SYS_clock_nanosleep, id, TIMER_ABSTIME, &none, NULL));
    struct timespec bad = {0, 1000000000}, negative = {-1, 0};
    value(SAY("sleep of a bad time"), syscall(SYS_clock_nanosleep, id, 0, &bad, NULL));
    value(SAY("sleep of a negative time"), syscall(SYS_clock_nanosleep, id, 0, &negative, NULL));
    value(SAY("sleep of a bad address"), syscall(SYS_clock_nanosleep, id, 0, 8, NULL));
    int timer;
    struct sigevent e = {.sigev_notify = SIGEV_NONE};
    if (done(SAY("timer_create"), syscall(SYS_timer_create, id, &e, &timer)) == 0)
        syscall(SYS_timer_delete, timer);
    int fd = (int)done(SAY("timerfd_create"), syscall(SYS_timerfd_create, id, 0));
    if (fd >= 0)
        close(fd);
    struct timex x = {.modes = 0};
    long state = syscall(SYS_clock_adjtime, id, &x);
    if (state >= 0)
        yes(SAY("clock_adjtime asks"), state <= 5 && x.tick > 0);
    else
        value(SAY("clock_adjtime"), state);
    if (id != CLOCK_REALTIME)
        value(SAY("settime"), syscall(SYS_clock_settime, id, &none));
}

static pthread_t other;
static volatile int other_tid, stop;
static void *spin(void *unused)
{
    other_tid = (int)syscall(SYS_gettid);
    while (!stop)
        ;
    return unused;
}

int main(void)
{
    for (long id = -1; id <= 26; id++) {
        if (id == CLOCK_REALTIME_ALARM || id == CLOCK_BOOTTIME_ALARM)
            continue; /* there with a machine's real-time clock only */
        char name[32];
        snprintf(name, sizeof name, "clock %ld", id);
        each(name, id);
    }
    each("a large number", 1 << 20);
    int pid = getpid();
    for (int kind = 0; kind < 3; kind++) {
        char name[64];
        snprintf(name, sizeof name, "own process, kind %d", kind);
        each(name, CPU_CLOCK(pid, kind, 0));
        snprintf(name, sizeof name, "own thread, kind %d", kind);
        each(name, CPU_CLOCK(pid, kind, 1));
        snprintf(name, sizeof name, "process 0, kind %d", kind);
        each(name, CPU_CLOCK(0, kind, 0));
        snprintf(name, sizeof name, "thread 0, kind %d", kind);
        each(name, CPU_CLOCK(0, kind, 1));
    }
    each("no process", CPU_CLOCK(0x3ffff0, 2, 0));
    each("no thread", CPU_CLOCK(0x3ffff0, 2, 1));
    int null = open("/dev/null", O_RDONLY);
    each("clock of /dev/null", CPU_CLOCK(null, 3, 0));
    each("clock of no descriptor", CPU_CLOCK(999, 3, 0));
    pthread_create(&other, NULL, spin, NULL);
    while (!other_tid)
        sleep_ms(1);
    struct timespec a, b;
    clockid_t clock;
    code("pthread_getcpuclockid", pthread_getcpuclockid(other, &clock));
    yes("its encoding", clock == CPU_CLOCK(other_tid, 2, 1));
    value("of another thread", get(clock, &a));
    sleep_ms(50);
    get(clock, &b);
    yes("it works", b.tv_sec * 1000000000LL + b.tv_nsec > a.tv_sec * 1000000000LL + a.tv_nsec);
    value("a thread's number for a process", get(CPU_CLOCK(other_tid, 2, 0), &a));
    struct timespec ms = {0, 5000000};
    value("sleep on another thread's time", syscall(SYS_clock_nanosleep, clock, 0, &ms, NULL));
    value("sleep on the process's time", syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &ms, NULL));
    stop = 1;
    pthread_join(other, NULL);
    value("gettime to a bad address", get(CLOCK_MONOTONIC, (void *)8));
    value("getres to a bad address", syscall(SYS_clock_getres, CLOCK_MONOTONIC, 8));
    value("gettimeofday to nowhere", syscall(SYS_gettimeofday, NULL, NULL));
    value("gettimeofday to a bad address", syscall(SYS_gettimeofday, 8, NULL));
    struct timezone zone = {7, 7};
    value("gettimeofday of the zone", syscall(SYS_gettimeofday, NULL, &zone));
    struct timeval bad = {0, 1000000};
    value("settimeofday of a bad time", syscall(SYS_settimeofday, &bad, NULL));
    bad = (struct timeval){-1, 0};
    value("settimeofday of a negative time", syscall(SYS_settimeofday, &bad, NULL));
    zone = (struct timezone){15 * 60 + 1, 0};
    value("settimeofday of a bad zone", syscall(SYS_settimeofday, NULL, &zone));
    value("settimeofday from a bad address", syscall(SYS_settimeofday, 8, NULL));
    struct timespec wrong = {0, -1};
    value("clock_settime of a bad time", syscall(SYS_clock_settime, CLOCK_REALTIME, &wrong));
    value("clock_settime from a bad address", syscall(SYS_clock_settime, CLOCK_REALTIME, 8));
    struct timex x = {.modes = ADJ_TICK, .tick = 1};
    value("adjtimex of a bad tick", syscall(SYS_adjtimex, &x));
    value("adjtimex of a bad address", syscall(SYS_adjtimex, 8));
    value("adjtimex of nothing", syscall(SYS_adjtimex, NULL));
    return 0;
}
