/* Scheduling policies: attributes of each size, flags, privileges, barriers' registrations, the old release name. */
#include "observe.h"
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/utsname.h>

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t low, high;
    uint64_t more[4];
};

static void get(unsigned size)
{
    struct attr a;
    memset(&a, 0x11, sizeof a);
    long result = syscall(SYS_sched_getattr, 0, &a, size, 0);
    if (result) {
        say("get of %u: %s", size, errno_name(errno));
        return;
    }
    /* The usual slice is the scheduler's own affair. */
    int told = a.runtime == 0 || a.runtime == 5000000 || a.runtime == 100000 || a.runtime == 100000000;
    say("  size %u, policy %u, flags %lx, nice %d, priority %u, slice %ld, %lx %lx, %x %x, %lx", a.size, a.policy,
        (long)a.flags, a.nice, a.priority, told ? (long)a.runtime : -1, (long)a.deadline, (long)a.period,
        a.low, a.high, (long)a.more[0]);
}

static void set(const char *what, struct attr a)
{
    long result = syscall(SYS_sched_setattr, 0, &a, 0);
    say("%s: %ld %s, size %u", what, result, result ? errno_name(errno) : "", a.size);
    get(56);
}

static void interval(void)
{
    struct timespec t;
    value("interval", sched_rr_get_interval(0, &t));
    say("%ld.%09ld", (long)t.tv_sec, t.tv_nsec);
}

static void *child(void *what)
{
    struct sched_param p;
    sched_getparam(0, &p);
    say("%s: policy %x, priority %d, nice %d", (char *)what, sched_getscheduler(0), p.sched_priority,
        getpriority(PRIO_PROCESS, 0));
    return NULL;
}

static void in_child(const char *what)
{
    pthread_t thread;
    pthread_create(&thread, NULL, child, (void *)what);
    pthread_join(thread, NULL);
}

static void drop_nice(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    syscall(SYS_capget, &header, data);
    data[0].effective &= ~(1U << 23);
    need(syscall(SYS_capset, &header, data) == 0, "capset");
}

int main(void)
{
    static const unsigned sizes[] = {0, 47, 48, 52, 56, 72, 4097};
    for (int i = 0; i < 7; i++)
        get(sizes[i]);
    value("getattr flags", syscall(SYS_sched_getattr, 0, &sizes, 56, 1));
    value("getattr nowhere", syscall(SYS_sched_getattr, 0, NULL, 56, 0));
    value("getattr of nobody", syscall(SYS_sched_getattr, 0x3ffffe, &sizes, 56, 0));
    set("nice 100", (struct attr){.size = 48, .nice = 100});
    set("nice 0", (struct attr){.size = 48});
    set("slice 5 ms", (struct attr){.size = 56, .runtime = 5000000});
    interval();
    struct sched_param p = {0};
    value("the old call keeps it", sched_setscheduler(0, SCHED_BATCH, &p));
    get(56);
    set("slice 1 ns", (struct attr){.size = 56, .runtime = 1});
    set("slice 1 s", (struct attr){.size = 56, .runtime = 1000000000});
    set("slice 0", (struct attr){.size = 56});
    set("size 0", (struct attr){.size = 0});
    set("size 47", (struct attr){.size = 47});
    set("size 5000", (struct attr){.size = 5000});
    set("size 64", (struct attr){.size = 64});
    set("size 64, unknown", (struct attr){.size = 64, .more = {1}});
    set("policy -1", (struct attr){.size = 56, .policy = -1});
    set("policy 4", (struct attr){.size = 56, .policy = 4});
    set("policy 7", (struct attr){.size = 56, .policy = 7});
    for (int i = 0; i < 9; i++)
        set("flag", (struct attr){.size = 56, .flags = 1U << i});
    set("clamp, first size", (struct attr){.size = 48, .flags = 0x20});
    set("inner flag", (struct attr){.size = 56, .flags = 0x10000000});
    set("FIFO 0", (struct attr){.size = 56, .policy = SCHED_FIFO});
    set("FIFO 5", (struct attr){.size = 56, .policy = SCHED_FIFO, .priority = 5, .nice = 3});
    interval();
    in_child("inherits");
    set("keep policy", (struct attr){.size = 56, .flags = 8, .priority = 7});
    set("keep parameters", (struct attr){.size = 56, .policy = SCHED_RR, .flags = 0x10});
    set("keep parameters, OTHER", (struct attr){.size = 56, .flags = 0x10, .priority = 9});
    set("keep both", (struct attr){.size = 56, .flags = 0x18, .priority = 9});
    set("RR 100", (struct attr){.size = 56, .policy = SCHED_RR, .priority = 100});
    set("RR 99", (struct attr){.size = 56, .policy = SCHED_RR, .priority = 99, .flags = 1});
    interval();
    in_child("starts anew");
    set("IDLE", (struct attr){.size = 56, .policy = SCHED_IDLE, .nice = 4});
    set("BATCH", (struct attr){.size = 56, .policy = SCHED_BATCH, .nice = 4});
    set("deadline without", (struct attr){.size = 56, .policy = 6});
    set("deadline in disorder", (struct attr){.size = 56, .policy = 6, .runtime = 9999, .deadline = 5, .period = 5});
    for (int policy = -1; policy < 9; policy++)
        say("bounds of %d: %d %d", policy, sched_get_priority_min(policy), sched_get_priority_max(policy));
    p.sched_priority = 3;
    value("FIFO, reset", sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p));
    say("%x", sched_getscheduler(0));
    p.sched_priority = 4;
    value("sched_setparam", sched_setparam(0, &p));
    say("%x", sched_getscheduler(0));
    drop_nice();
    struct rlimit none = {0, 0}, some = {2, 2};
    setrlimit(RLIMIT_RTPRIO, &none);
    value("lower", sched_setparam(0, &(struct sched_param){2}));
    value("higher", sched_setparam(0, &(struct sched_param){3}));
    value("another class", sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &(struct sched_param){1}));
    value("reset taken back", sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){2}));
    value("ordinary", sched_setscheduler(0, SCHED_RESET_ON_FORK, &(struct sched_param){0}));
    value("and back", sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &(struct sched_param){1}));
    value("idle", sched_setscheduler(0, SCHED_IDLE | SCHED_RESET_ON_FORK, &(struct sched_param){0}));
    setrlimit(RLIMIT_NICE, &none);
    value("up from idle", sched_setscheduler(0, SCHED_RESET_ON_FORK, &(struct sched_param){0}));
    (void)some;

    value("barriers", syscall(SYS_membarrier, 0, 0, 0));
    static const int registering[] = {0, 1 << 4, 1 << 2, 1 << 8, 1 << 6};
    for (int i = 0; i < 5; i++) {
        if (registering[i])
            value("register", syscall(SYS_membarrier, registering[i], 0, 0));
        value("registered", syscall(SYS_membarrier, 1 << 9, 0, 0));
    }
    value("registered, flags", syscall(SYS_membarrier, 1 << 9, 1, 0));
    value("query, flags", syscall(SYS_membarrier, 0, 1, 0));
    static const int cpus[] = {0, 9999, -1};
    for (int i = 0; i < 3; i++)
        value("of one processor", syscall(SYS_membarrier, 1 << 7, 1, cpus[i]));
    struct utsname name;
    personality(0x20000);
    uname(&name);
    say("%.6s", name.release);
    personality(0);
    uname(&name);
    say("%.5s", name.release);
    return 0;
}
