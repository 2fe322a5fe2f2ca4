// Two threads hand a word back and forth, each asleep while the other has it: a round trip is two
// waits and two wakes.

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

int main(int argc, char **argv)
{
    pthread_t other;
    begin(argc, argv);
    must_be_zero(pthread_create(&other, NULL, answer, NULL), "pthread_create");
    measure("futex round trip", ask, NULL);
    give(OVER);
    must_be_zero(pthread_join(other, NULL), "pthread_join");
    end();
    return 0;
}
