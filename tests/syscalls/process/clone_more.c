/* clone and clone3: contradicting flags, stacks, numbers that a program chooses, descriptors of new threads. */
#include "observe.h"
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
#define WORDS (CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)

static _Atomic int child_tid, parent_tid, ran;
static int pidfd;
static char stack[65536] __attribute__((aligned(16)));

/* A thread that counts itself, sleeps until its word changes and ends with 7. */
static long start(struct clone_args *args, size_t size)
{
    long r;
    args->stack = (uintptr_t)stack;
    args->stack_size = sizeof stack;
    args->child_tid = (uintptr_t)&child_tid;
    args->parent_tid = (uintptr_t)&parent_tid;
    __asm__ volatile(
        "syscall\n\t test %%rax, %%rax\n\t jnz 1f\n\t"
        "lock incl %c3(%%rip)\n\t mov $7, %%edi\n\t mov $60, %%eax\n\t syscall\n\t 1:"
        : "=a"(r) : "a"(SYS_clone3), "D"(args), "i"(&ran), "S"(size) : "rcx", "r11", "memory", "cc");
    if (r < 0) {
        errno = (int)-r;
        return -1;
    }
    while (child_tid)
        sleep_ms(1);
    return r;
}

static void refused(const char *what, struct clone_args args)
{
    value(what, syscall(SYS_clone3, &args, sizeof args));
}

int main(void)
{
    value("clone: pidfd and parent_tid", syscall(SYS_clone, THREAD | CLONE_PIDFD | CLONE_PARENT_SETTID, stack, 0, 0, 0));
    value("clone: pidfd and detached", syscall(SYS_clone, THREAD | CLONE_PIDFD | CLONE_DETACHED, stack, 0, 0, 0));
    value("clone: FS and NEWUSER", syscall(SYS_clone, CLONE_FS | CLONE_NEWUSER, stack, 0, 0, 0));
    refused("detached", (struct clone_args){.flags = THREAD | CLONE_DETACHED});
    refused("a signal in the flags", (struct clone_args){.flags = THREAD | 17});
    refused("clear and share handlers", (struct clone_args){.flags = THREAD | CLONE_CLEAR_SIGHAND});
    refused("a parent's thread with a signal", (struct clone_args){.flags = CLONE_PARENT, .exit_signal = 17});
    refused("signal 65", (struct clone_args){.flags = CLONE_VM, .exit_signal = 65});
    refused("signal 256", (struct clone_args){.flags = CLONE_VM, .exit_signal = 256});
    refused("stack far away", (struct clone_args){.flags = THREAD, .stack = 1UL << 62, .stack_size = 4096});
    refused("stack that wraps", (struct clone_args){.flags = THREAD, .stack = 4096, .stack_size = -1UL});
    int numbers[40] = {0};
    refused("numbers without a count", (struct clone_args){.flags = THREAD, .set_tid = (uintptr_t)numbers});
    refused("a count without numbers", (struct clone_args){.flags = THREAD, .set_tid_size = 1});
    refused("too many numbers",
            (struct clone_args){.flags = THREAD, .set_tid = (uintptr_t)numbers, .set_tid_size = 33});
    refused("numbers nowhere", (struct clone_args){.flags = THREAD, .set_tid = 8, .set_tid_size = 1});
    refused("number 0", (struct clone_args){.flags = THREAD, .set_tid = (uintptr_t)numbers, .set_tid_size = 1});
    numbers[0] = -1;
    refused("number -1", (struct clone_args){.flags = THREAD, .set_tid = (uintptr_t)numbers, .set_tid_size = 1});
    numbers[0] = 1 << 22;
    refused("number 4194304", (struct clone_args){.flags = THREAD, .set_tid = (uintptr_t)numbers, .set_tid_size = 1});
    numbers[0] = getpid();
    refused("a taken number", (struct clone_args){.flags = THREAD, .set_tid = (uintptr_t)numbers, .set_tid_size = 1});
    numbers[0] = 30000;
    while (!syscall(SYS_tkill, numbers[0], 0))
        numbers[0]--;
    child_tid = -1;
    struct clone_args args = {.flags = THREAD | WORDS, .set_tid = (uintptr_t)numbers, .set_tid_size = 1};
    yes("a free number", start(&args, sizeof args) == numbers[0]);
    say("ran %d, told %d", ran, parent_tid == numbers[0]);

    args = (struct clone_args){.flags = THREAD | WORDS | CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd};
    child_tid = -1;
    pidfd = -1;
    done("with a descriptor", start(&args, sizeof args));
    say("flags %o, on exec %d", fcntl(pidfd, F_GETFL), fcntl(pidfd, F_GETFD));
    struct pollfd p = {pidfd, POLLIN, 0};
    value("ended", poll(&p, 1, 5000));
    uint32_t info[16] = {8};
    value("info", syscall(SYS_ioctl, pidfd, _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, 64), info));
    say("code %x", info[15]);
    args.pidfd = 8;
    int before = dup(0);
    close(before);
    value("a descriptor nowhere", syscall(SYS_clone3, &args, sizeof args));
    int after = dup(0);
    yes("no descriptor is left", before == after);

    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    syscall(SYS_capget, &header, data);
    data[0].effective &= ~(1U << 21);
    data[1].effective &= ~(1U << (40 - 32));
    need(syscall(SYS_capset, &header, data) == 0, "capset");
    args = (struct clone_args){.flags = THREAD | WORDS, .set_tid = (uintptr_t)numbers, .set_tid_size = 1};
    value("without privilege", syscall(SYS_clone3, &args, sizeof args));
    return 0;
}
