/* Corner cases of calls about threads and the machine that programs make seldom. */
#include "observe.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};

static long getattr(long pid, void *attributes, unsigned size, unsigned flags)
{
    return syscall(SYS_sched_getattr, pid, attributes, size, flags);
}

static pid_t other;
static volatile int go;
static void *thread(void *unused)
{
    (void)unused;
    other = (pid_t)syscall(SYS_gettid);
    while (!go)
        sleep_ms(1);
    return NULL;
}

static void handler(int signal) { (void)signal; }

int main(void)
{
    pid_t pid = getpid();
    pthread_t t;
    pthread_create(&t, NULL, thread, NULL);
    while (!other)
        sleep_ms(1);

    say("-- sched_getattr");
    struct attributes a = {0};
    memset(&a, 0xff, sizeof a);
    value("of oneself", getattr(0, &a, sizeof a, 0));
    say("policy %u flags %lu nice %d priority %u, slice %d", a.policy, (unsigned long)a.flags, a.nice, a.priority, a.runtime > 0 || a.runtime == 0);
    say("size %d", a.size >= 48);
    value("48 bytes", getattr(0, &a, 48, 0));
    say("size %u", a.size);
    value("too small", getattr(0, &a, 47, 0));
    char page[5000];
    memset(page, 0xff, sizeof page);
    value("a page", getattr(0, page, 4096, 0));
    value("more than a page", getattr(0, page, 4097, 0));
    value("flags", getattr(0, &a, 48, 1));
    value("NULL", getattr(0, NULL, 48, 0));
    value("negative", getattr(-1, &a, 48, 0));
    value("nobody", getattr(999999, &a, 48, 0));
    value("of a thread", getattr(other, &a, 48, 0));
    struct timespec slice = {-1, -1};
    value("sched_rr_get_interval", sched_rr_get_interval(0, &slice));
    say("%d", slice.tv_sec == 0 && slice.tv_nsec >= 0);
    value("negative", sched_rr_get_interval(-1, &slice));
    value("nobody", sched_rr_get_interval(999999, &slice));
    value("a bad buffer", syscall(SYS_sched_rr_get_interval, 0, 8));

    say("-- affinity");
    unsigned long mask[128];
    value("too small", syscall(SYS_sched_getaffinity, 0, 4, mask));
    value("not a multiple of 8", syscall(SYS_sched_getaffinity, 0, 12, mask));
    value("nobody", syscall(SYS_sched_getaffinity, 999999, sizeof mask, mask));
    value("a thread", syscall(SYS_sched_getaffinity, other, sizeof mask, mask) > 0);
    memset(mask, 0, sizeof mask);
    value("no CPU", syscall(SYS_sched_setaffinity, 0, sizeof mask, mask));
    value("no bytes", syscall(SYS_sched_setaffinity, 0, 0, mask));
    value("nobody", syscall(SYS_sched_setaffinity, 999999, sizeof mask, mask));

    say("-- getcpu");
    unsigned cpu = 999999, node = 999999;
    value("both", syscall(SYS_getcpu, &cpu, &node, NULL));
    say("%d %d", cpu < 1024, node < 64);
    value("none", syscall(SYS_getcpu, NULL, NULL, NULL));
    value("a bad one", syscall(SYS_getcpu, 8, NULL, NULL));
    value("the third is not looked at", syscall(SYS_getcpu, &cpu, NULL, 8));

    say("-- threads");
    int word;
    value("set_tid_address", syscall(SYS_set_tid_address, &word) == pid);
    value("set_tid_address, anything", syscall(SYS_set_tid_address, 1) == pid);
    syscall(SYS_set_tid_address, NULL);
    value("set_robust_list, another size", syscall(SYS_set_robust_list, NULL, 23));
    value("set_robust_list, none", syscall(SYS_set_robust_list, NULL, 24));
    void *head = (void *)1;
    size_t size = 0;
    value("get_robust_list", syscall(SYS_get_robust_list, 0, &head, &size));
    say("%d %zu", head == NULL, size);
    value("set_robust_list, anywhere", syscall(SYS_set_robust_list, 8, 24));
    value("get_robust_list", syscall(SYS_get_robust_list, pid, &head, &size));
    say("%ld", (long)head);
    syscall(SYS_set_robust_list, NULL, 24);
    value("of a thread", syscall(SYS_get_robust_list, other, &head, &size));
    value("of nobody", syscall(SYS_get_robust_list, 999999, &head, &size));
    value("tkill 0", syscall(SYS_tkill, other, 0));
    value("tkill nobody", syscall(SYS_tkill, 999999, 0));
    value("tkill negative", syscall(SYS_tkill, -1, 0));
    value("tkill a bad signal", syscall(SYS_tkill, other, 65));
    value("tgkill of another group", syscall(SYS_tgkill, 999999, other, 0));
    value("tgkill zero", syscall(SYS_tgkill, 0, other, 0));
    value("kill of a thread's number", kill(other, 0));
    value("kill a bad signal", kill(pid, -1));
    value("getpgid of oneself", getpgid(0) == getpgrp());
    value("getpgid of nobody", getpgid(999999));
    value("getsid of nobody", getsid(999999));
    value("getpriority of nobody", getpriority(PRIO_PROCESS, 999999));
    value("getpriority of what", getpriority(7, 0));
    yes("effective", (gid_t)syscall(SYS_getegid) == getegid() && (uid_t)syscall(SYS_geteuid) == geteuid());
    value("unshare nothing", syscall(SYS_unshare, 0));
    value("unshare unknown", syscall(SYS_unshare, 1));
    value("getrusage of what", syscall(SYS_getrusage, 7, page));
    value("getrlimit of what", syscall(SYS_getrlimit, 16, page));
    value("uname to NULL", syscall(SYS_uname, NULL));
    value("sysinfo to NULL", syscall(SYS_sysinfo, NULL));
    value("personality asked", syscall(SYS_personality, 0xffffffff));
    value("arch_prctl unknown", syscall(SYS_arch_prctl, 0x7777, 0));
    value("futex unknown", syscall(SYS_futex, &word, 77, 0, NULL, NULL, 0));
    value("a handler returns", (signal(SIGUSR1, handler), raise(SIGUSR1)));
    go = 1;
    pthread_join(t, NULL);
    return 0;
}
