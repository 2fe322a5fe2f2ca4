/* Priority-inheriting mutexes: exclusion, deadlock found, time limit, robust. */
#include "observe.h"
#include <pthread.h>

static pthread_mutex_t m;
static long counter;
static void *add(void *unused)
{
    (void)unused;
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&m);
        counter++;
        pthread_mutex_unlock(&m);
    }
    return NULL;
}

int main(void)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    code("protocol", pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
    code("init", pthread_mutex_init(&m, &attr));
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, add, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    say("counter %ld", counter);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&m, &attr);
    code("lock", pthread_mutex_lock(&m));
    code("again", pthread_mutex_lock(&m));
    code("unlock", pthread_mutex_unlock(&m));
    code("unlock again", pthread_mutex_unlock(&m));
    return 0;
}
