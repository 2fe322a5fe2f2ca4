/* arch_prctl: FS and GS, values that are refused, and what survives calls and switches. */
#include "observe.h"
#include <asm/prctl.h>
#include <pthread.h>

static long prctl_arch(int what, unsigned long v) { return syscall(SYS_arch_prctl, what, v); }

static unsigned long block[4] = {11, 22, 33, 44};

static void *other(void *unused)
{
    (void)unused;
    unsigned long gs = 1;
    prctl_arch(ARCH_GET_GS, (unsigned long)&gs);
    yes("a new thread has its creator's GS", gs == (unsigned long)block);
    prctl_arch(ARCH_SET_GS, 0x5000);
    for (int i = 0; i < 200; i++)
        sched_yield();
    prctl_arch(ARCH_GET_GS, (unsigned long)&gs);
    say("kept %#lx", gs);
    return NULL;
}

int main(void)
{
    unsigned long fs = 0, gs = 1, self;
    value("GET_FS", prctl_arch(ARCH_GET_FS, (unsigned long)&fs));
    __asm__("mov %%fs:0, %0" : "=r"(self));
    yes("is the thread pointer", fs == self);
    value("GET_GS", prctl_arch(ARCH_GET_GS, (unsigned long)&gs));
    say("%lu", gs);
    value("SET_GS", prctl_arch(ARCH_SET_GS, (unsigned long)block));
    unsigned long v;
    __asm__ volatile("mov %%gs:8, %0" : "=r"(v));
    say("%lu", v);
    pthread_t thread;
    pthread_create(&thread, NULL, other, NULL);
    for (int i = 0; i < 200; i++)
        sched_yield();
    pthread_join(thread, NULL);
    __asm__ volatile("mov %%gs:16, %0" : "=r"(v));
    say("kept across calls and switches %lu", v);
    say("untouched %lu %lu %lu %lu", block[0], block[1], block[2], block[3]);
    value("SET_FS in the kernel's half", prctl_arch(ARCH_SET_FS, 0xffff800000000000));
    value("SET_GS in the kernel's half", prctl_arch(ARCH_SET_GS, 0xffff800000000000));
    value("GET_FS to NULL", prctl_arch(ARCH_GET_FS, 0));
    value("unknown", prctl_arch(0x7777, 0));
    unsigned long old = fs;
    long result = prctl_arch(ARCH_SET_FS, old);
    value("SET_FS to what it was", result);
    return 0;
}
