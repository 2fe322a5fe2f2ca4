// build: static dynamic musl
/* Mutexes of each kind, condition variables, rwlocks, barriers, semaphores: exclusion, errors, time limits. */
#include "observe.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static long counter, readers_saw_odd;
static int queue[16], head, tail, in_queue;
static atomic_long consumed;
static atomic_int serial, phase_errors;
static int phase;

static void *add(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *produce(void *n)
{
    for (int i = 1; i <= (long)n; i++) {
        pthread_mutex_lock(&lock);
        while (in_queue == 16)
            pthread_cond_wait(&condition, &lock);
        queue[tail++ % 16] = i;
        in_queue++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *consume(void *n)
{
    for (int i = 0; i < (long)n; i++) {
        pthread_mutex_lock(&lock);
        while (in_queue == 0)
            pthread_cond_wait(&condition, &lock);
        consumed += queue[head++ % 16];
        in_queue--;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *read_pairs(void *unused)
{
    (void)unused;
    for (int i = 0; i < 3000; i++) {
        pthread_rwlock_rdlock(&rw);
        if (counter % 2)
            readers_saw_odd++;
        pthread_rwlock_unlock(&rw);
    }
    return NULL;
}

static void *write_pairs(void *unused)
{
    (void)unused;
    for (int i = 0; i < 3000; i++) {
        pthread_rwlock_wrlock(&rw);
        counter++;
        counter++;
        pthread_rwlock_unlock(&rw);
    }
    return NULL;
}

static void *phases(void *unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++) {
        if (phase != i)
            phase_errors++;
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            serial++;
            phase = i + 1;
        }
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void *post(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        sem_post(&sem);
    return NULL;
}

static struct timespec soon(clockid_t clock, long ms)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void *try_locked(void *mutex)
{
    code("trylock in another thread", pthread_mutex_trylock(mutex));
    code("unlock in another thread", pthread_mutex_unlock(mutex));
    return NULL;
}

static pthread_mutex_t robust;
static void *die_holding(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&robust);
    return NULL;
}

int main(void)
{
    pthread_t t[16];
    for (int i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, add, NULL);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    say("counter %ld", counter);
    for (int i = 0; i < 4; i++) {
        pthread_create(&t[i], NULL, produce, (void *)2500);
        pthread_create(&t[i + 4], NULL, consume, (void *)2500);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    say("consumed %ld", consumed);
    counter = 0;
    for (int i = 0; i < 4; i++) {
        pthread_create(&t[i], NULL, read_pairs, NULL);
        pthread_create(&t[i + 4], NULL, write_pairs, NULL);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    say("pairs %ld, odd seen %ld", counter, readers_saw_odd);
    pthread_barrier_init(&barrier, NULL, 5);
    for (int i = 0; i < 5; i++)
        pthread_create(&t[i], NULL, phases, NULL);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
    say("phases %d, serial %d, errors %d", phase, serial, phase_errors);
    sem_init(&sem, 0, 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, post, NULL);
    int taken = 0;
    for (; taken < 4000; taken++)
        sem_wait(&sem);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    say("taken %d, left %d", taken, sem_trywait(&sem) == 0);
    struct timespec until = soon(CLOCK_REALTIME, 20);
    value("sem_timedwait", sem_timedwait(&sem, &until));

    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutex_t m;
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&m, &attr);
    code("recursive 1", pthread_mutex_lock(&m));
    code("recursive 2", pthread_mutex_lock(&m));
    code("unlock 1", pthread_mutex_unlock(&m));
    pthread_create(&t[0], NULL, try_locked, &m);
    pthread_join(t[0], NULL);
    code("unlock 2", pthread_mutex_unlock(&m));
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&m, &attr);
    code("errorcheck", pthread_mutex_lock(&m));
    code("again", pthread_mutex_lock(&m));
    until = soon(CLOCK_REALTIME, 20);
    pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&plain);
    code("timedlock", pthread_mutex_timedlock(&plain, &until));
    pthread_mutex_unlock(&plain);
    pthread_mutex_lock(&lock);
    until = soon(CLOCK_REALTIME, 20);
    code("cond_timedwait", pthread_cond_timedwait(&condition, &lock, &until));
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_cond_t monotonic;
    pthread_cond_init(&monotonic, &ca);
    until = soon(CLOCK_MONOTONIC, 20);
    int64_t start = now_ns(CLOCK_MONOTONIC);
    code("cond_timedwait monotonic", pthread_cond_timedwait(&monotonic, &lock, &until));
    yes("waited", now_ns(CLOCK_MONOTONIC) - start >= 19000000);
    pthread_mutex_unlock(&lock);

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attr);
    pthread_create(&t[0], NULL, die_holding, NULL);
    pthread_join(t[0], NULL);
    code("robust, its owner dead", pthread_mutex_lock(&robust));
    code("consistent", pthread_mutex_consistent(&robust));
    code("unlock", pthread_mutex_unlock(&robust));
    code("lock", pthread_mutex_lock(&robust));
    code("unlock", pthread_mutex_unlock(&robust));
    pthread_create(&t[0], NULL, die_holding, NULL);
    pthread_join(t[0], NULL);
    pthread_mutex_lock(&robust);
    pthread_mutex_unlock(&robust);
    code("never made consistent", pthread_mutex_lock(&robust));
    return 0;
}
