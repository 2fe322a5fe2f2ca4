// diagnostics: expected
/* Ways to end, chosen by the first argument: see test_ends.py. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static void *thread_exit(void *code)
{
    exit((int)(long)code);
}

static void *thread_raw_exit(void *unused)
{
    (void)unused;
    sleep_ms(30);
    say("the last thread");
    syscall(SYS_exit, 9);
    return NULL;
}

static void *sleep_forever(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

static void last_words(void) { say("atexit ran"); }

int main(int argc, char **argv)
{
    if (argc < 2)
        return 0;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    const char *how = argv[1];
    long n = argc > 2 ? atol(argv[2]) : 0;
    pthread_t thread;
    atexit(last_words);
    if (!strcmp(how, "return"))
        return (int)n;
    if (!strcmp(how, "exit"))
        exit((int)n);
    if (!strcmp(how, "_exit"))
        _exit((int)n);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "raise"))
        raise((int)n);
    if (!strcmp(how, "kill"))
        kill(getpid(), (int)n);
    if (!strcmp(how, "null"))
        *(volatile int *)NULL = 1;
    if (!strcmp(how, "illegal"))
        __asm__ volatile("ud2");
    if (!strcmp(how, "divide"))
        __asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::: "eax", "ecx", "edx");
    if (!strcmp(how, "int3"))
        __asm__ volatile("int3");
    if (!strcmp(how, "hlt"))
        __asm__ volatile("hlt");
    if (!strcmp(how, "thread-exit")) {
        pthread_create(&thread, NULL, thread_exit, (void *)n);
        sleep_forever(NULL);
    }
    if (!strcmp(how, "threads-running")) {
        for (int i = 0; i < 8; i++)
            pthread_create(&thread, NULL, sleep_forever, NULL);
        return (int)n;
    }
    if (!strcmp(how, "main-leaves")) {
        pthread_create(&thread, NULL, thread_raw_exit, NULL);
        syscall(SYS_exit, n); /* the main thread alone; its code is the process's */
    }
    if (!strcmp(how, "pthread-exit")) {
        pthread_create(&thread, NULL, thread_raw_exit, NULL);
        pthread_exit(NULL);
    }
    say("still here");
    return 77;
}
