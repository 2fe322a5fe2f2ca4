// timeout: 170
/* 10,000 sleeping threads start, sleep, wake and end. */
#include "observe.h"
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 10000 };
static pthread_t t[THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t go = PTHREAD_COND_INITIALIZER;
static atomic_int started, ended;
static int open_;

static void *sleeper(void *unused)
{
    (void)unused;
    started++;
    pthread_mutex_lock(&lock);
    while (!open_)
        pthread_cond_wait(&go, &lock);
    pthread_mutex_unlock(&lock);
    ended++;
    return NULL;
}

int main(void)
{
    int failed = 0;
    for (int i = 0; i < THREADS; i++)
        failed += pthread_create(&t[i], NULL, sleeper, NULL) != 0;
    say("failed %d", failed);
    while (started < THREADS)
        sleep_ms(5);
    say("started %d, ended %d", started, ended);
    pthread_mutex_lock(&lock);
    open_ = 1;
    pthread_cond_broadcast(&go);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    say("ended %d", ended);
    return 0;
}
