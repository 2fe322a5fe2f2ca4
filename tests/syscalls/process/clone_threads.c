/* clone and clone3 by raw calls: flag rules, tid words, and a thread without any libc. */
#include "observe.h"
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdatomic.h>

static _Atomic int child_tid, parent_tid, ran;
static char stack[65536] __attribute__((aligned(16)));

static long try_clone(unsigned long flags) { return syscall(SYS_clone, flags, NULL, NULL, NULL, 0); }

/* A thread by clone3 that sets a flag and ends by a raw exit. */
static long start_raw(unsigned long flags)
{
    struct clone_args args = {.flags = flags, .stack = (uintptr_t)stack, .stack_size = sizeof stack,
                              .child_tid = (uintptr_t)&child_tid, .parent_tid = (uintptr_t)&parent_tid};
    long r;
    __asm__ volatile(
        "syscall\n\t test %%rax, %%rax\n\t jnz 1f\n\t"
        "lock incl %c3(%%rip)\n\t xor %%edi, %%edi\n\t mov $60, %%eax\n\t syscall\n\t 1:"
        : "=a"(r) : "a"(SYS_clone3), "D"(&args), "i"(&ran), "S"(sizeof args) : "rcx", "r11", "memory", "cc");
    if (r < 0) {
        errno = (int)-r;
        return -1;
    }
    return r;
}

int main(void)
{
    value("THREAD without SIGHAND", try_clone(CLONE_THREAD | CLONE_VM));
    value("SIGHAND without VM", try_clone(CLONE_SIGHAND));
    value("FS and NEWNS", try_clone(CLONE_FS | CLONE_NEWNS));
    struct clone_args args = {.flags = CLONE_VM};
    value("clone3 too small", syscall(SYS_clone3, &args, 8));
    value("clone3 bad pointer", syscall(SYS_clone3, 8, sizeof args));
    args.stack = 0x1000;
    value("clone3 stack without a size", syscall(SYS_clone3, &args, sizeof args));
    args.stack = 0;
    args.stack_size = 4096;
    value("clone3 size without a stack", syscall(SYS_clone3, &args, sizeof args));
    args.stack_size = 0;
    args.flags = 1UL << 60;
    value("clone3 unknown flag", syscall(SYS_clone3, &args, sizeof args));
    args.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    args.exit_signal = 17;
    value("clone3 a thread with an exit signal", syscall(SYS_clone3, &args, sizeof args));
    struct { struct clone_args a; uint64_t more; } longer = {{0}, 1};
    value("clone3 longer, not zero", syscall(SYS_clone3, &longer, sizeof longer));

    unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM
                          | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    int good = 1;
    for (int i = 0; i < 200; i++) {
        child_tid = -1;
        long tid = start_raw(flags);
        good &= tid > 0 && parent_tid == tid;
        int now;
        while ((now = child_tid) != 0)
            syscall(SYS_futex, &child_tid, FUTEX_WAIT, now, NULL, NULL, 0);
        good &= ran == i + 1;
    }
    yes("200 raw threads ran, were named, and cleared their word", good);
    value("unshare of threads' things", syscall(SYS_unshare, 0));
    return 0;
}
