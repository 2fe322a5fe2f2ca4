// build: static musl
/* nanosleep, clock_nanosleep: how long, absolute times, past ones, errors. */
#include "observe.h"

static int64_t begin;
static void took(int64_t least_ms)
{
    int64_t t = (now_ns(CLOCK_MONOTONIC) - begin) / 1000000;
    say("  took %s", t >= least_ms && t < least_ms + 1000 ? "as long as asked" : "ANOTHER TIME");
}

int main(void)
{
    struct timespec t = {0, 30000000}, left = {5, 5}, at;
    begin = now_ns(CLOCK_MONOTONIC);
    value("nanosleep", nanosleep(&t, &left));
    took(30);
    say("left untouched %ld %ld", (long)left.tv_sec, left.tv_nsec);
    t = (struct timespec){0, 0};
    value("none", nanosleep(&t, NULL));
    t = (struct timespec){0, 1000000000};
    value("too many nanoseconds", nanosleep(&t, NULL));
    t = (struct timespec){-1, 0};
    value("negative", nanosleep(&t, NULL));
    value("NULL", syscall(SYS_nanosleep, NULL, NULL));
    static const struct { const char *name; clockid_t id; } clocks[] = {
        {"REALTIME", CLOCK_REALTIME}, {"MONOTONIC", CLOCK_MONOTONIC}, {"BOOTTIME", CLOCK_BOOTTIME}, {"TAI", CLOCK_TAI}};
    for (size_t i = 0; i < 4; i++) {
        t = (struct timespec){0, 20000000};
        begin = now_ns(CLOCK_MONOTONIC);
        code(clocks[i].name, clock_nanosleep(clocks[i].id, 0, &t, NULL));
        took(20);
        clock_gettime(clocks[i].id, &at);
        at.tv_nsec += 30000000;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        begin = now_ns(CLOCK_MONOTONIC);
        code("  absolute", clock_nanosleep(clocks[i].id, TIMER_ABSTIME, &at, NULL));
        took(29);
        at.tv_sec -= 100;
        begin = now_ns(CLOCK_MONOTONIC);
        code("  past", clock_nanosleep(clocks[i].id, TIMER_ABSTIME, &at, NULL));
        took(0);
    }
    t = (struct timespec){0, 1};
    code("thread clock", clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
    code("coarse clock", clock_nanosleep(CLOCK_MONOTONIC_COARSE, 0, &t, NULL));
    code("raw clock", clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &t, NULL));
    code("unknown clock", clock_nanosleep(77, 0, &t, NULL));
    begin = now_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < 100; i++) {
        t = (struct timespec){0, 100000};
        nanosleep(&t, NULL);
    }
    took(10);
    value("usleep", usleep(1000));
    return 0;
}
