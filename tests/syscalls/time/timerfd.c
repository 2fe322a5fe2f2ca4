// build: static musl
/* timerfd: one shot, interval, counts, absolute, poll, errors. */
#include "observe.h"
#include <poll.h>
#include <sys/timerfd.h>

int main(void)
{
    uint64_t n = 99;
    int fd = done("timerfd_create", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    value("not armed", read(fd, &n, 8));
    struct itimerspec t = {{0, 0}, {0, 30000000}}, old;
    value("settime", timerfd_settime(fd, 0, &t, NULL));
    value("gettime", timerfd_gettime(fd, &old));
    yes("runs down", old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 30000000 && old.it_interval.tv_nsec == 0);
    value("too early", read(fd, &n, 8));
    struct pollfd p = {fd, POLLIN, 0};
    value("poll waits", poll(&p, 1, 5000));
    value("read 4 bytes", read(fd, &n, 4));
    value("read", read(fd, &n, 8));
    say("expired %lu", (unsigned long)n);
    value("read again", read(fd, &n, 8));
    t.it_interval.tv_nsec = 10000000;
    timerfd_settime(fd, 0, &t, NULL);
    sleep_ms(105);
    read(fd, &n, 8);
    yes("several expiries", n >= 7 && n <= 60);
    fcntl(fd, F_SETFL, 0);
    value("blocking read", read(fd, &n, 8));
    value("write", write(fd, &n, 8));
    t = (struct itimerspec){0};
    value("disarm", timerfd_settime(fd, 0, &t, &old));
    say("interval was %ld", old.it_interval.tv_nsec);
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    int real = timerfd_create(CLOCK_REALTIME, 0);
    t.it_value = (struct timespec){at.tv_sec - 5, 0};
    value("absolute, past", timerfd_settime(real, TFD_TIMER_ABSTIME, &t, NULL));
    value("at once", read(real, &n, 8));
    say("expired %lu", (unsigned long)n);
    t.it_value.tv_nsec = 1000000000;
    value("nanoseconds too many", timerfd_settime(real, 0, &t, NULL));
    t.it_value.tv_nsec = 1;
    value("unknown flag", timerfd_settime(real, 64, &t, NULL));
    value("unknown clock", timerfd_create(77, 0));
    value("cpu clock", timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    value("unknown create flag", timerfd_create(CLOCK_MONOTONIC, 1));
    value("not a timerfd", timerfd_settime(0, 0, &(struct itimerspec){0}, NULL));
    value("closed", timerfd_gettime(999, &old));
    value("bad address", timerfd_settime(real, 0, (void *)8, NULL));
    return 0;
}
