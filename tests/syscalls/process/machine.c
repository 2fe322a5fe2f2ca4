// build: static musl
/* uname, sysinfo, sched_getaffinity, getcpu: plausible and consistent. */
#include "observe.h"
#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int main(void)
{
    struct utsname u;
    value("uname", uname(&u));
    say("%s %s", u.sysname, u.machine);
    int major = 0, minor = 0;
    sscanf(u.release, "%d.%d", &major, &minor);
    yes("a release that any glibc accepts", major > 5 || (major == 5 && minor >= 15));
    yes("a node name", u.nodename[0] != 0);
    value("uname NULL", syscall(SYS_uname, NULL));
    struct sysinfo s;
    value("sysinfo", sysinfo(&s));
    yes("memory", s.mem_unit > 0 && s.totalram > 0 && s.freeram <= s.totalram);
    yes("uptime", s.uptime >= 0);
    yes("processes", s.procs > 0);
    value("sysinfo NULL", syscall(SYS_sysinfo, NULL));
    cpu_set_t set;
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof set, &set);
    yes("sched_getaffinity returns the bytes written", bytes > 0 && bytes % 8 == 0);
    sched_getaffinity(0, sizeof set, &set);
    yes("as many as there are online", CPU_COUNT(&set) == sysconf(_SC_NPROCESSORS_ONLN));
    value("too small", syscall(SYS_sched_getaffinity, 0, 1, &set));
    value("odd size", syscall(SYS_sched_getaffinity, 0, 9, &set));
    value("no such thread", syscall(SYS_sched_getaffinity, -1, sizeof set, &set));
    value("no such thread to move", syscall(SYS_sched_setaffinity, -1, sizeof set, &set));
    value("no such thread", syscall(SYS_sched_getaffinity, 0x3ffffff, sizeof set, &set));
    value("sched_setaffinity to what it has", sched_setaffinity(0, sizeof set, &set));
    cpu_set_t none;
    CPU_ZERO(&none);
    value("sched_setaffinity to none", sched_setaffinity(0, sizeof none, &none));
    unsigned cpu = 9999, node = 9999;
    value("getcpu", syscall(SYS_getcpu, &cpu, &node, NULL));
    yes("one of them", CPU_ISSET(cpu, &set));
    yes("sched_getcpu", CPU_ISSET(sched_getcpu(), &set));
    value("sched_yield", sched_yield());
    value("sched_getscheduler", sched_getscheduler(0));
    struct sched_param p = {7};
    value("sched_getparam", sched_getparam(0, &p));
    say("%d", p.sched_priority);
    value("sched_get_priority_max FIFO", sched_get_priority_max(SCHED_FIFO));
    value("sched_get_priority_min RR", sched_get_priority_min(SCHED_RR));
    value("sched_get_priority_max OTHER", sched_get_priority_max(SCHED_OTHER));
    value("sched_get_priority_max unknown", sched_get_priority_max(77));
    value("getpagesize", getpagesize());
    value("_SC_CLK_TCK", sysconf(_SC_CLK_TCK));
    return 0;
}
