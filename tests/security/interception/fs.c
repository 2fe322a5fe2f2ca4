// build: static dynamic
/*
 * FS belongs to the program: with nothing in it, system calls, signals and preemption go on, and with
 * anything in it, it keeps that.
 */
#include <asm/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile long signals;
static volatile int stop, ready;
static volatile pid_t target;

static long call(long nr, long a, long b)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return result;
}

/* Neither this nor what runs with FS at zero may touch thread-local memory. */
__attribute__((optimize("no-stack-protector"))) static void handler(int number)
{
    (void)number;
    signals++;
}

static void *storm(void *unused)
{
    while (!ready)
        call(SYS_sched_yield, 0, 0);
    while (!stop) {
        syscall(SYS_tgkill, getpid(), target, SIGUSR1);
        usleep(30);
    }
    return unused;
}

__attribute__((noinline, optimize("no-stack-protector"))) static long without(long parent, uintptr_t with)
{
    long wrong = 0;
    uintptr_t was = 0, is = 1;
    call(SYS_arch_prctl, ARCH_GET_FS, (long)&was);
    call(SYS_arch_prctl, ARCH_SET_FS, (long)with);
    ready = 1;
    for (int i = 0; i < 200000 && signals < 500; i++) {
        wrong += call(SYS_getppid, 0, 0) != parent;
        if (i % 16 == 0)
            wrong += call(SYS_sched_yield, 0, 0) != 0;
        for (volatile int spin = 0; spin < 100; spin++)
            ;
    }
    call(SYS_arch_prctl, ARCH_GET_FS, (long)&is);
    call(SYS_arch_prctl, ARCH_SET_FS, (long)was);
    return wrong + (is != with);
}

int main(void)
{
    pthread_t thread;
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    target = (pid_t)syscall(SYS_gettid);
    pthread_create(&thread, NULL, storm, NULL);
    long wrong = without(getppid(), 0);
    printf("nothing in FS: %ld wrong, signals came: %s\n", wrong, signals > 10 ? "yes" : "no");
    signals = 0;
    wrong = without(getppid(), 0x123456789000);
    printf("an address of nothing in FS: %ld wrong, signals came: %s\n", wrong, signals > 10 ? "yes" : "no");
    stop = 1;
    pthread_join(thread, NULL);
    return 0;
}
