// build: static dynamic musl
/* Threads: create, join, detach, results, thread-local storage, cancellation, keys, once, stacks. */
#include "observe.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static __thread int local = 7;
static __thread char filled[256] = "initial";
static atomic_int detached_ran, destroyed, once_ran;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *square(void *n) { return (void *)((long)n * (long)n); }

static void *touch_local(void *n)
{
    int good = local == 7 && !strcmp(filled, "initial");
    for (int i = 0; i < 50; i++) {
        local = (int)(long)n;
        snprintf(filled, sizeof filled, "thread %ld", (long)n);
        sched_yield();
        char expected[64];
        snprintf(expected, sizeof expected, "thread %ld", (long)n);
        good &= local == (long)n && !strcmp(filled, expected);
    }
    return (void *)(long)good;
}

static void *detached(void *unused) { (void)unused; detached_ran++; return NULL; }
static void destroy(void *v) { destroyed += (int)(long)v; }
static void *with_key(void *v) { pthread_setspecific(key, v); return pthread_getspecific(key) == v ? v : NULL; }
static void run_once(void) { once_ran++; }
static void *call_once(void *unused) { (void)unused; pthread_once(&once, run_once); return NULL; }
static void cleanup(void *flag) { *(int *)flag = 1; }
static int cleaned;
static void *wait_forever(void *unused)
{
    (void)unused;
    pthread_cleanup_push(cleanup, &cleaned);
    for (;;)
        sleep_ms(1000);
    pthread_cleanup_pop(0);
    return NULL;
}
static void *leave_deep(void *unused) { (void)unused; pthread_exit((void *)55); }
static void *stack_size(void *unused)
{
    (void)unused;
    volatile char big[512 << 10];
    big[0] = big[sizeof big - 1] = 3;
    return (void *)(long)(big[0] + big[sizeof big - 1]);
}

int main(void)
{
    pthread_t t[64];
    void *r;
    long sum = 0;
    for (long i = 0; i < 64; i++)
        need(pthread_create(&t[i], NULL, square, (void *)i) == 0, "pthread_create");
    for (int i = 0; i < 64; i++) {
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    say("sum of squares %ld", sum);
    int good = 1;
    for (long i = 0; i < 32; i++)
        pthread_create(&t[i], NULL, touch_local, (void *)i);
    for (int i = 0; i < 32; i++) {
        pthread_join(t[i], &r);
        good &= (long)r;
    }
    yes("thread-local variables", good && local == 7);
    for (int i = 0; i < 100; i++) {
        pthread_create(&t[0], NULL, detached, NULL);
        pthread_detach(t[0]);
    }
    for (int i = 0; i < 2000 && detached_ran < 100; i++)
        sleep_ms(1);
    say("detached %d", detached_ran);
    pthread_key_create(&key, destroy);
    for (long i = 1; i <= 10; i++) {
        pthread_create(&t[0], NULL, with_key, (void *)i);
        pthread_join(t[0], &r);
    }
    say("destructors %d", destroyed);
    for (int i = 0; i < 16; i++)
        pthread_create(&t[i], NULL, call_once, NULL);
    for (int i = 0; i < 16; i++)
        pthread_join(t[i], NULL);
    say("once %d", once_ran);
    pthread_create(&t[0], NULL, wait_forever, NULL);
    sleep_ms(20);
    code("cancel", pthread_cancel(t[0]));
    pthread_join(t[0], &r);
    say("cancelled %d, cleaned %d", r == PTHREAD_CANCELED, cleaned);
    pthread_create(&t[0], NULL, leave_deep, NULL);
    pthread_join(t[0], &r);
    say("pthread_exit %ld", (long)r);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 1 << 20);
    pthread_create(&t[0], &attr, stack_size, NULL);
    pthread_join(t[0], &r);
    say("a stack of 1 MiB %ld", (long)r);
    void *mine = fresh(256 << 10);
    pthread_attr_setstack(&attr, mine, 256 << 10);
    code("on a stack of mine", pthread_create(&t[0], &attr, square, (void *)12));
    pthread_join(t[0], &r);
    say("%ld", (long)r);
    for (int round = 0; round < 3000; round++) {
        pthread_create(&t[0], NULL, square, (void *)3);
        pthread_join(t[0], &r);
        sum += (long)r;
    }
    say("3000 in a row %ld", sum);
    return 0;
}
