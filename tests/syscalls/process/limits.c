// build: static musl
/* getrlimit, setrlimit, prlimit64, getrusage, times. */
#include "observe.h"
#include <sys/resource.h>
#include <sys/times.h>

int main(void)
{
    struct rlimit r, old;
    static const int all[] = {RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_MEMLOCK,
                              RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_SIGPENDING, RLIMIT_STACK};
    int good = 1;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        good &= getrlimit(all[i], &r) == 0 && r.rlim_cur <= r.rlim_max;
    yes("all limits can be read", good);
    getrlimit(RLIMIT_STACK, &r);
    yes("a stack of some size", r.rlim_cur >= 1 << 20);
    value("getrlimit unknown", getrlimit(99, &r));
    value("getrlimit NULL", syscall(SYS_getrlimit, RLIMIT_CORE, NULL));
    r = (struct rlimit){100, 200};
    value("setrlimit", setrlimit(RLIMIT_NOFILE, &r));
    value("prlimit64", syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &old));
    say("%ld %ld", (long)old.rlim_cur, (long)old.rlim_max);
    r = (struct rlimit){150, 200};
    value("prlimit64 sets and gets", syscall(SYS_prlimit64, getpid(), RLIMIT_NOFILE, &r, &old));
    say("%ld", (long)old.rlim_cur);
    r = (struct rlimit){201, 200};
    value("above the hard limit", setrlimit(RLIMIT_NOFILE, &r));
    value("prlimit64 of nobody", syscall(SYS_prlimit64, 0x3ffffff, RLIMIT_NOFILE, NULL, &old));
    struct rlimit as = {64 << 20, RLIM_INFINITY};
    value("RLIMIT_AS", setrlimit(RLIMIT_AS, &as));
    mapped("more than it", mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mapped("less", mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    volatile unsigned long spin = 0;
    int64_t end = now_ns(CLOCK_MONOTONIC) + 200000000;
    while (now_ns(CLOCK_MONOTONIC) < end)
        spin++;
    struct rusage u, t;
    value("getrusage", getrusage(RUSAGE_SELF, &u));
    long used = u.ru_utime.tv_sec * 1000 + u.ru_utime.tv_usec / 1000 + u.ru_stime.tv_sec * 1000 + u.ru_stime.tv_usec / 1000;
    yes("it used its time", used >= 20 && used < 5000);
    yes("some memory", u.ru_maxrss > 0);
    value("getrusage thread", getrusage(RUSAGE_THREAD, &t));
    value("getrusage children", getrusage(RUSAGE_CHILDREN, &t));
    say("%ld", (long)t.ru_utime.tv_sec);
    value("getrusage unknown", getrusage(77, &t));
    value("getrusage NULL", syscall(SYS_getrusage, RUSAGE_SELF, NULL));
    struct tms tms;
    yes("times", times(&tms) != (clock_t)-1 && tms.tms_utime + tms.tms_stime >= 2);
    return 0;
}
