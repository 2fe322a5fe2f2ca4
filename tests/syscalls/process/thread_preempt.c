// options: --vcpus 1
/* A thread that never calls the system does not stop the others, on one processor. */
#include "observe.h"
#include <pthread.h>
#include <sched.h>

static volatile int stop, turns;
static void *spin(void *unused) { (void)unused; while (!stop) ; return NULL; }
static void *work(void *unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++) {
        sleep_ms(1);
        turns++;
    }
    return NULL;
}

int main(void)
{
    cpu_set_t one;
    sched_getaffinity(0, sizeof one, &one);
    int first = 0;
    while (!CPU_ISSET(first, &one))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    sched_setaffinity(0, sizeof one, &one);
    pthread_t s[3], w;
    for (int i = 0; i < 3; i++)
        pthread_create(&s[i], NULL, spin, NULL);
    pthread_create(&w, NULL, work, NULL);
    pthread_join(w, NULL);
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(s[i], NULL);
    say("turns %d", turns);
    return 0;
}
