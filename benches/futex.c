// Two threads hand a word back and forth, each asleep while the other has it: a round trip is two
// waits and two wakes. The same with priority-inheriting mutexes: each thread holds one of three, takes
// the next, which the other one holds, and gives up its own.

#include "measure.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAIN, OTHER, OVER };

static atomic_int turn;

static void wait_for(int mine)
{
    int seen;
    while ((seen = atomic_load(&turn)) != mine && seen != OVER)
        if (syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0) < 0 &&
            errno != EAGAIN)
            must(-1, "futex wait");
}

static void give(int to)
{
    atomic_store(&turn, to);
    must(syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), "futex wake");
}

static void *answer(void *argument)
{
    for (;;) {
        wait_for(OTHER);
        if (atomic_load(&turn) == OVER)
            return argument;
        give(MAIN);
    }
}

static void ask(void *context, long count)
{
    (void)context;
    while (count-- > 0) {
        give(OTHER);
        wait_for(MAIN);
    }
}

enum { MUTEXES = 3 };

static pthread_mutex_t mutexes[MUTEXES];
static atomic_int ready, stopping;

// Takes the mutex after the one that the caller holds, and gives up that one; gives the new one.
static int step(int held)
{
    int next = (held + 1) % MUTEXES;
    must_be_zero(pthread_mutex_lock(&mutexes[next]), "pthread_mutex_lock");
    must_be_zero(pthread_mutex_unlock(&mutexes[held]), "pthread_mutex_unlock");
    return next;
}

static void *follow(void *argument)
{
    int held = 1;
    must_be_zero(pthread_mutex_lock(&mutexes[held]), "pthread_mutex_lock");
    atomic_store(&ready, 1);
    while (!atomic_load(&stopping))
        held = step(held);
    must_be_zero(pthread_mutex_unlock(&mutexes[held]), "pthread_mutex_unlock");
    return argument;
}

static void lead(void *context, long count)
{
    int *held = context;
    while (count-- > 0)
        *held = step(*held);
}

static void inheriting(void)
{
    pthread_mutexattr_t attributes;
    pthread_t other;
    int held = 0;
    must_be_zero(pthread_mutexattr_init(&attributes), "pthread_mutexattr_init");
    must_be_zero(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT),
                 "pthread_mutexattr_setprotocol");
    for (int i = 0; i < MUTEXES; i++)
        must_be_zero(pthread_mutex_init(&mutexes[i], &attributes), "pthread_mutex_init");
    must_be_zero(pthread_mutex_lock(&mutexes[held]), "pthread_mutex_lock");
    must_be_zero(pthread_create(&other, NULL, follow, NULL), "pthread_create");
    while (!atomic_load(&ready))
        usleep(100);
    measure("PI mutex round trip", lead, &held);
    atomic_store(&stopping, 1);
    must_be_zero(pthread_mutex_unlock(&mutexes[held]), "pthread_mutex_unlock");
    must_be_zero(pthread_join(other, NULL), "pthread_join");
}

int main(int argc, char **argv)
{
    pthread_t other;
    begin(argc, argv);
    must_be_zero(pthread_create(&other, NULL, answer, NULL), "pthread_create");
    measure("futex round trip", ask, NULL);
    give(OVER);
    must_be_zero(pthread_join(other, NULL), "pthread_join");
    inheriting();
    end();
    return 0;
}
