/* Scheduling classes, priorities, I/O priorities, memory policies, groups, barriers: alike for one ordinary process. */
#include "observe.h"
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/resource.h>

struct waitv { uint64_t val, uaddr; uint32_t flags, reserved; };

int main(void)
{
    struct sched_param p = {0};
    value("sched_setscheduler BATCH", sched_setscheduler(0, SCHED_BATCH, &p));
    value("sched_getscheduler", sched_getscheduler(0));
    value("sched_setscheduler OTHER", sched_setscheduler(0, SCHED_OTHER, &p));
    p.sched_priority = 5;
    value("OTHER with a priority", sched_setscheduler(0, SCHED_OTHER, &p));
    value("sched_setparam with a priority", sched_setparam(0, &p));
    p.sched_priority = 0;
    value("sched_setparam", sched_setparam(0, &p));
    value("unknown class", sched_setscheduler(0, 77, &p));
    value("of nobody", sched_setscheduler(0x3ffffff, SCHED_OTHER, &p));
    struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t t[3]; } a = {48, 0, 0, 3, 0, {0}};
    value("sched_setattr", syscall(SYS_sched_setattr, 0, &a, 0));
    value("nice became", getpriority(PRIO_PROCESS, 0));
    a.size = 8;
    value("sched_setattr too small", syscall(SYS_sched_setattr, 0, &a, 0));
    value("sched_setattr flags", syscall(SYS_sched_setattr, 0, &a, 1));
    value("setpriority", setpriority(PRIO_PROCESS, 0, 7));
    value("getpriority", getpriority(PRIO_PROCESS, 0));
    value("setpriority too high is cut", setpriority(PRIO_PROCESS, 0, 100));
    value("getpriority", getpriority(PRIO_PROCESS, 0));
    value("setpriority unknown", setpriority(9, 0, 0));
    value("setpriority of nobody", setpriority(PRIO_PROCESS, 0x3ffffff, 0));
    value("ioprio_get", syscall(SYS_ioprio_get, 1, 0) >= 0);
    value("ioprio_set", syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4));
    value("ioprio_get", syscall(SYS_ioprio_get, 1, 0));
    value("ioprio_set unknown class", syscall(SYS_ioprio_set, 1, 0, 7 << 13));
    value("ioprio_set unknown who", syscall(SYS_ioprio_set, 9, 0, 0));
    int mode = -1;
    value("get_mempolicy", syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0));
    say("%d", mode);
    value("set_mempolicy default", syscall(SYS_set_mempolicy, 0, NULL, 0));
    value("set_mempolicy unknown", syscall(SYS_set_mempolicy, 77, NULL, 0));
    void *m = fresh(PAGE);
    value("mbind default", syscall(SYS_mbind, m, PAGE, 0, NULL, 0, 0));
    value("mbind unknown flag", syscall(SYS_mbind, m, PAGE, 0, NULL, 0, 64));
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    yes("membarrier answers", commands > 0);
    value("membarrier private before registering", syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    value("membarrier register", syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    value("membarrier private", syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    value("membarrier global", syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
    value("membarrier unknown", syscall(SYS_membarrier, 1 << 30, 0, 0));
    value("membarrier unknown flag", syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 4, 0));
    uint32_t word = 5;
    struct waitv v = {4, (uintptr_t)&word, 2, 0};
    value("futex_waitv, value differs", syscall(SYS_futex_waitv, &v, 1, 0, NULL, 0));
    struct timespec past = {1, 0};
    v.val = 5;
    value("futex_waitv, past", syscall(SYS_futex_waitv, &v, 1, 0, &past, CLOCK_MONOTONIC));
    value("futex_waitv of none", syscall(SYS_futex_waitv, &v, 0, 0, NULL, 0));
    value("futex_waitv flags", syscall(SYS_futex_waitv, &v, 1, 1, NULL, 0));
    v.flags = 0;
    value("futex_waitv size", syscall(SYS_futex_waitv, &v, 1, 0, NULL, 0));
    value("setpgid", setpgid(0, 0) == 0 || errno == EPERM);
    value("setpgid negative", setpgid(0, -1));
    value("setpgid of nobody", setpgid(0x3ffffff, 0));
    value("setsid of a group's leader", setsid());
    value("sethostname of a negative length", syscall(SYS_sethostname, "x", -1));
    value("sethostname of 65 characters", syscall(SYS_sethostname, m, 65));
    value("sethostname bad address", syscall(SYS_sethostname, 8, 5));
    return 0;
}
