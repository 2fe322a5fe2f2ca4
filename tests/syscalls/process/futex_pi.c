/* Priority-inheriting futexes: what the word says, dead owners, rings of waiters, and waiters that are moved on to a lock. */
#include "observe.h"
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>

static uint32_t w[4] __attribute__((aligned(16)));
static struct timespec past = {1, 0}, negative = {-1, 0};
static int step;

static long futex(uint32_t *word, int operation, unsigned v, void *time, void *second, unsigned v3)
{
    return syscall(SYS_futex, word, operation, v, time, second, v3);
}

static void show(const char *what)
{
    say("%s: %s, bits %x", what,
        (w[0] & FUTEX_TID_MASK) == (uint32_t)gettid() ? "mine"
        : w[0] & FUTEX_TID_MASK                       ? "another's"
                                                      : "free",
        w[0] >> 30);
}

static void reach(int wanted)
{
    while (__atomic_load_n(&step, __ATOMIC_SEQ_CST) < wanted)
        sleep_ms(1);
}

/* Takes the second lock, then the first, which main has. */
static void *other(void *unused)
{
    value("other locks", futex(w + 1, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    step = 1;
    value("other waits and gets", futex(w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    value("other unlocks", futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    value("other unlocks", futex(w + 1, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    return unused;
}

static struct timespec *limit;

static void *moves(void *unused)
{
    __atomic_add_fetch(&step, 1, __ATOMIC_SEQ_CST);
    long result = futex(w + 2, FUTEX_WAIT_REQUEUE_PI, 3, limit, w, 0);
    int error = errno;
    /* A success without the lock is EPERM of the unlock. */
    if (!result && futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0))
        error = errno;
    else if (!result)
        error = 0;
    (void)unused;
    return (void *)(long)error;
}

static void *dies(void *unused)
{
    futex(w, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    return unused;
}

static void ignored(int number)
{
    (void)number;
}

static void started(pthread_t *threads, int count)
{
    step = 0;
    for (int i = 0; i < count; i++)
        need(pthread_create(&threads[i], NULL, moves, NULL) == 0, "pthread_create");
    reach(count);
    sleep_ms(50);
}

static void joined(pthread_t thread)
{
    void *result;
    pthread_join(thread, &result);
    say("moved thread: %s", errno_name((long)result));
}

int main(void)
{
    value("lock", futex(w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    show("locked");
    value("again", futex(w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    value("try again", futex(w, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    value("unlock", futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    show("unlocked");
    value("unlock again", futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    w[0] = FUTEX_WAITERS;
    value("waiters only", futex(w, FUTEX_LOCK_PI2, 0, NULL, NULL, 0));
    show("locked");
    w[0] = FUTEX_OWNER_DIED | FUTEX_WAITERS;
    value("the owner died", futex(w, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    show("locked");
    value("unlock", futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    w[0] = 0x3ffffe;
    value("nobody's", futex(w, FUTEX_LOCK_PI, 0, &past, NULL, 0));
    say("%x", w[0]);
    w[0] = 0x3ffffe;
    value("try nobody's", futex(w, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    say("%x", w[0]);
    w[0] = 0x403ffffe;
    value("dead nobody's", futex(w, FUTEX_LOCK_PI, 0, &past, NULL, 0));
    say("%x", w[0]);
    value("not mine", futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    w[0] = 0;
    value("negative time", futex(w, FUTEX_LOCK_PI2, 0, &negative, NULL, 0));
    value("the old one with a clock", futex(w, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0));
    value("the new one with a clock", futex(w, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0));
    value("unlock", futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    value("misaligned", futex((void *)((char *)w + 1), FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    value("null", futex(NULL, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    value("FUTEX_FD", futex(w, FUTEX_FD, 0, NULL, NULL, 0));
    value("unknown", futex(w, 14, 0, NULL, NULL, 0));
    value("unknown", futex(w, 99, 0, NULL, NULL, 0));

    pthread_t thread, threads[3];
    value("lock", futex(w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    pthread_create(&thread, NULL, other, NULL);
    reach(1);
    sleep_ms(50);
    show("waited for");
    value("try what waits for me", futex(w + 1, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    value("a ring", futex(w + 1, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    /* Who gets it goes on at once: only one of the two may print now. */
    need(futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0, "unlock");
    pthread_join(thread, NULL);
    show("after all");

    pthread_create(&thread, NULL, dies, NULL);
    pthread_join(thread, NULL);
    value("a dead thread's, on no list", futex(w, FUTEX_LOCK_PI, 0, &past, NULL, 0));

    w[0] = 0, w[2] = 3;
    value("to itself", futex(w, FUTEX_WAIT_REQUEUE_PI, 0, &past, w, 0));
    value("another value", futex(w + 2, FUTEX_WAIT_REQUEUE_PI, 4, &past, w, 0));
    value("in the past", futex(w + 2, FUTEX_WAIT_REQUEUE_PI, 3, &past, w, 0));
    value("in the past", futex(w + 2, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 3, &past, w, 0));
    value("misaligned", futex((void *)((char *)w + 1), FUTEX_WAIT_REQUEUE_PI, 3, &past, w, 0));
    value("null lock", futex(w + 2, FUTEX_WAIT_REQUEUE_PI, 3, &past, NULL, 0));
    value("none woken", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 0, (void *)1, w, 3));
    value("two woken", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, w, 3));
    value("nobody there", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, w, 3));
    value("another value", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, w, 4));
    value("negative", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)-1, w, 3));
    value("to itself", futex(w, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, w, 0));
    show("untouched");

    started(threads, 3);
    value("elsewhere", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, w + 1, 3));
    value("free lock", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, w, 3));
    for (int i = 0; i < 3; i++)
        joined(threads[i]);
    show("given back");

    value("lock", futex(w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    started(threads, 3);
    value("held lock", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, w, 3));
    show("held");
    value("nobody left", futex(w + 2, FUTEX_WAKE, 9, NULL, NULL, 0));
    value("unlock", futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    for (int i = 0; i < 3; i++)
        joined(threads[i]);
    show("given back");

    struct sigaction action = {.sa_handler = ignored};
    sigaction(SIGUSR1, &action, NULL);
    value("lock", futex(w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    started(threads, 1);
    value("moved", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, w, 3));
    pthread_kill(threads[0], SIGUSR1);
    joined(threads[0]);
    started(threads, 1);
    pthread_kill(threads[0], SIGUSR1);
    sleep_ms(50);
    value("begun anew, and moved", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, w, 3));
    struct timespec soon;
    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_sec += 1;
    limit = &soon;
    pthread_t last;
    step = 0;
    pthread_create(&last, NULL, moves, NULL);
    reach(1);
    sleep_ms(50);
    value("moved behind it", futex(w + 2, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, w, 3));
    joined(last);
    value("unlock", futex(w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    joined(threads[0]);
    return 0;
}
