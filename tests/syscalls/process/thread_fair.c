// timeout: 120
// options: --vcpus 2
/* 1,000 runnable threads share the processors: each makes progress, none much more than another. On a machine
   that does much besides, one of three rounds has to show it. */
#include "observe.h"
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 1000 };
static pthread_t t[THREADS];
static volatile unsigned long progress[THREADS];
static atomic_int go, stop;

static void *spin(void *n)
{
    while (!go)
        sched_yield();
    while (!stop) {
        for (volatile int i = 0; i < 20000; i++)
            ;
        progress[(long)n]++;
        sched_yield();
    }
    return NULL;
}

static int fair(void)
{
    go = stop = 0;
    for (long i = 0; i < THREADS; i++) {
        progress[i] = 0;
        pthread_create(&t[i], NULL, spin, (void *)i);
    }
    go = 1;
    sleep_ms(4000);
    stop = 1;
    unsigned long least = ~0UL, most = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        if (progress[i] < least)
            least = progress[i];
        if (progress[i] > most)
            most = progress[i];
    }
    return least > 0 && most <= 8 * least + 8;
}

int main(void)
{
    yes("the first makes at most eight times the last one's progress", fair() || fair() || fair());
    return 0;
}
