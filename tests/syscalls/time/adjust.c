/* adjtimex, clock_adjtime, settimeofday: reading, and refusals; nothing here sets the clock. */
#include "observe.h"
#include <sys/time.h>
#include <sys/timex.h>

int main(void)
{
    struct timex t = {0};
    yes("adjtimex reads", adjtimex(&t) >= 0);
    yes("the clock", t.time.tv_sec > 1704067200 && t.tick > 0);
    value("adjtimex NULL", syscall(SYS_adjtimex, NULL));
    t = (struct timex){0};
    yes("clock_adjtime reads", clock_adjtime(CLOCK_REALTIME, &t) >= 0);
    value("clock_adjtime monotonic", clock_adjtime(CLOCK_MONOTONIC, &t));
    value("clock_adjtime unknown", clock_adjtime(77, &t));
    value("clock_adjtime NULL", syscall(SYS_clock_adjtime, CLOCK_REALTIME, NULL));
    struct timeval v = {1, 1000000};
    value("settimeofday malformed", syscall(SYS_settimeofday, &v, NULL));
    value("settimeofday bad address", syscall(SYS_settimeofday, 8, NULL));
    value("settimeofday of nothing", syscall(SYS_settimeofday, NULL, NULL));
    return 0;
}
