// build: static dynamic musl
/* clock_gettime and its kin: every clock, order, agreement of vDSO and call, errors. */
#include "observe.h"
#include <sys/time.h>

static int64_t raw(clockid_t clock)
{
    struct timespec t;
    need(syscall(SYS_clock_gettime, clock, &t) == 0, "clock_gettime");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(void)
{
    static const struct { const char *name; clockid_t id; } clocks[] = {
        {"REALTIME", CLOCK_REALTIME}, {"MONOTONIC", CLOCK_MONOTONIC}, {"MONOTONIC_RAW", CLOCK_MONOTONIC_RAW},
        {"REALTIME_COARSE", CLOCK_REALTIME_COARSE}, {"MONOTONIC_COARSE", CLOCK_MONOTONIC_COARSE},
        {"BOOTTIME", CLOCK_BOOTTIME}, {"PROCESS_CPUTIME_ID", CLOCK_PROCESS_CPUTIME_ID},
        {"THREAD_CPUTIME_ID", CLOCK_THREAD_CPUTIME_ID}, {"TAI", CLOCK_TAI}};
    struct timespec t;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        clockid_t id = clocks[i].id;
        int64_t a = now_ns(id), b = raw(id), c = now_ns(id);
        int coarse = id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE;
        yes(clocks[i].name, a > 0 && b >= a - (coarse ? 20000000 : 0) && c >= b && c - a < 2000000000);
        clock_getres(id, &t);
        yes("  resolution", t.tv_sec == 0 && t.tv_nsec >= 1 && t.tv_nsec <= 10000000 && (t.tv_nsec == 1 || coarse));
    }
    int backwards = 0;
    for (size_t i = 0; i < 3; i++) {
        int64_t last = 0;
        for (int k = 0; k < 200000; k++) {
            int64_t now = now_ns(clocks[i].id);
            backwards += now < last;
            last = now;
        }
    }
    say("backwards %d", backwards);
    int64_t drift = (now_ns(CLOCK_REALTIME) - now_ns(CLOCK_REALTIME_COARSE)) / 1000000;
    yes("coarse follows", drift > -1000 && drift < 1000);
    struct timeval v;
    gettimeofday(&v, NULL);
    yes("gettimeofday agrees", labs(v.tv_sec - time(NULL)) <= 1);
    yes("time agrees", labs(time(NULL) - (long)(now_ns(CLOCK_REALTIME) / 1000000000)) <= 1);
    yes("after 2024", time(NULL) > 1704067200);
    time_t stored;
    yes("time stores", time(&stored) == stored);
    int64_t m = now_ns(CLOCK_MONOTONIC), r = now_ns(CLOCK_REALTIME);
    sleep_ms(100);
    m = now_ns(CLOCK_MONOTONIC) - m;
    r = now_ns(CLOCK_REALTIME) - r;
    yes("both clocks run alike", m >= 100000000 && llabs(m - r) < 20000000);
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(100);
    yes("sleep costs no processor time", now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu < 50000000);
    cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
    int64_t end = now_ns(CLOCK_MONOTONIC) + 100000000;
    while (now_ns(CLOCK_MONOTONIC) < end)
        ;
    cpu = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
    yes("work does", cpu > 5000000 && cpu < 1000000000);
    clockid_t mine;
    value("clock_getcpuclockid", clock_getcpuclockid(0, &mine));
    yes("runs", now_ns(mine) > 0);
    value("unknown clock", clock_gettime(77, &t));
    value("unknown clock's resolution", clock_getres(77, &t));
    value("bad address", syscall(SYS_clock_gettime, CLOCK_REALTIME, NULL));
    value("getres NULL", clock_getres(CLOCK_MONOTONIC, NULL));
    value("gettimeofday bad", syscall(SYS_gettimeofday, 8, NULL));
    t = (struct timespec){1, 1};
    value("clock_settime MONOTONIC", clock_settime(CLOCK_MONOTONIC, &t));
    t.tv_nsec = -1;
    value("clock_settime malformed", clock_settime(CLOCK_REALTIME, &t));
    return 0;
}
