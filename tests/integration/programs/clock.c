/*
 * For each byte that it reads it says its monotonic clock in ns; meanwhile a thread compares the vDSO's clock
 * with the system call's, which must never be seen out of order.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t now(int by_call)
{
    struct timespec t;
    if (by_call)
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    else
        clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *compare(void *unused)
{
    (void)unused;
    int64_t last = now(0);
    for (unsigned turn = 0;; turn++) {
        int64_t next = now(turn % 2);
        if (next < last) {
            printf("backwards by %lld\n", (long long)(last - next));
            exit(1);
        }
        last = next;
        if (turn % 64 == 0)
            usleep(200);
    }
}

int main(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, compare, NULL);
    char byte;
    while (read(0, &byte, 1) == 1) {
        printf("%lld\n", (long long)now(0));
        fflush(stdout);
    }
    return 0;
}
