// timeout: 60
// options: --vcpus 2
/* 100 threads that compute and never call the system share the processors, since they are preempted: none gets
   more than four times what another gets. On a machine that does much besides, one of three rounds has to show
   it. */
#include "observe.h"
#include <pthread.h>

enum { THREADS = 100 };
static pthread_t t[THREADS];
static struct { _Alignas(64) volatile unsigned long rounds; } progress[THREADS];
static pthread_barrier_t all;
static volatile int stop;

static void *spin(void *n)
{
    pthread_barrier_wait(&all);
    while (!stop)
        progress[(long)n].rounds++;
    return NULL;
}

static int fair(void)
{
    stop = 0;
    pthread_barrier_init(&all, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++) {
        progress[i].rounds = 0;
        pthread_create(&t[i], NULL, spin, (void *)i);
    }
    pthread_barrier_wait(&all);
    sleep_ms(4000);
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    pthread_barrier_destroy(&all);
    unsigned long least = ~0UL, most = 0;
    for (int i = 0; i < THREADS; i++) {
        if (progress[i].rounds < least)
            least = progress[i].rounds;
        if (progress[i].rounds > most)
            most = progress[i].rounds;
    }
    return least > 0 && most <= 4 * least;
}

int main(void)
{
    yes("the first gets at most four times what the last gets", fair() || fair() || fair());
    return 0;
}
