/* futex_wake, futex_wait, futex_requeue and futex_waitv: flags, sizes, nodes, clocks, and that they work together. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>

/* Not every libc's headers know them. */
#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif
#define U32 2
#define NUMA 4
#define PRIVATE 128

struct word { uint64_t value, address; uint32_t flags, reserved; };

static uint32_t w[4] __attribute__((aligned(16))) = {5, 0, 7, 0};
static struct timespec past = {1, 0}, negative = {-1, 0};
static int waiting;

static long wake(void *word, unsigned long mask, int count, unsigned flags)
{
    return syscall(SYS_futex_wake, word, mask, count, flags);
}

static long wait_on(void *word, unsigned long value_, unsigned long mask, unsigned flags, void *time, int clock)
{
    return syscall(SYS_futex_wait, word, value_, mask, flags, time, clock);
}

static void *waiter(void *mask)
{
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    long result = wait_on(w, 5, (unsigned long)mask, U32 | PRIVATE, NULL, 0);
    return (void *)(result ? (long)errno : 0);
}

static void ignored(int number)
{
    (void)number;
}

static void start(pthread_t *threads, int count, unsigned long mask)
{
    waiting = 0;
    for (int i = 0; i < count; i++)
        need(pthread_create(&threads[i], NULL, waiter, (void *)mask) == 0, "pthread_create");
    while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < count)
        sleep_ms(1);
    sleep_ms(50);
}

static void join(pthread_t *threads, int count)
{
    void *result;
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], &result);
        say("ended with %s", errno_name((long)result));
    }
}

int main(void)
{
    for (unsigned flags = 0; flags < 20; flags++) {
        w[1] = 0;
        say("flags %u", flags);
        value("wake", wake(w, ~0U, 1, flags));
        value("wait", wait_on(w, 5, ~0U, flags, &past, 1));
        struct word one = {5, (uintptr_t)w, flags, 0};
        value("waitv", syscall(SYS_futex_waitv, &one, 1, 0, &past, 1));
    }
    static const uint32_t nodes[] = {0, -1, 1, 5000, -2};
    for (int i = 0; i < 5; i++) {
        w[1] = nodes[i];
        value("node", wake(w, ~0U, 1, U32 | NUMA));
        say("became %x", w[1]);
    }
    w[1] = 0;
    value("a node's alignment", wake(w + 1, ~0U, 1, U32 | NUMA));
    value("private", wake(w, ~0U, 1, U32 | PRIVATE));
    value("no mask", wake(w, 0, 1, U32));
    value("long mask", wake(w, 1UL << 32, 1, U32));
    value("none", wake(w, 1, 0, U32));
    value("negative", wake(w, 1, -1, U32));
    value("null", wake(NULL, 1, 1, U32));
    value("misaligned", wake((char *)w + 1, 1, 1, U32));

    value("another value", wait_on(w, 4, ~0U, U32, NULL, 0));
    value("past, monotonic", wait_on(w, 5, ~0U, U32, &past, 1));
    value("past, realtime", wait_on(w, 5, ~0U, U32, &past, 0));
    value("another clock", wait_on(w, 5, ~0U, U32, &past, 7));
    value("another clock, no time", wait_on(w, 4, ~0U, U32, NULL, 7));
    value("long value", wait_on(w, 1UL << 32, ~0U, U32, &past, 1));
    value("no mask", wait_on(w, 5, 0, U32, &past, 1));
    value("long mask", wait_on(w, 5, 1UL << 32, U32, &past, 1));
    value("bad time", wait_on(w, 5, ~0U, U32, (void *)8, 1));
    value("negative time", wait_on(w, 5, ~0U, U32, &negative, 1));
    value("null", wait_on(NULL, 5, ~0U, U32, &past, 1));

    struct word q[2] = {{5, (uintptr_t)w, U32, 0}, {99, (uintptr_t)(w + 2), U32, 0}};
    value("requeue", syscall(SYS_futex_requeue, q, 0, 1, 1));
    value("flags", syscall(SYS_futex_requeue, q, 1, 1, 1));
    value("null", syscall(SYS_futex_requeue, NULL, 0, 1, 1));
    value("bad", syscall(SYS_futex_requeue, 8, 0, 1, 1));
    value("negative", syscall(SYS_futex_requeue, q, 0, -1, 1));
    value("negative", syscall(SYS_futex_requeue, q, 0, 1, -1));
    q[0].value = 4;
    value("another value", syscall(SYS_futex_requeue, q, 0, 1, 1));
    q[0].value = 1UL << 32;
    value("long value", syscall(SYS_futex_requeue, q, 0, 1, 1));
    q[0].value = 5, q[1].flags = 0;
    value("size", syscall(SYS_futex_requeue, q, 0, 1, 1));
    q[1].flags = U32, q[1].reserved = 1;
    value("reserved", syscall(SYS_futex_requeue, q, 0, 1, 1));
    q[1].reserved = 0, q[1].flags = U32 | PRIVATE;
    value("one of them private", syscall(SYS_futex_requeue, q, 0, 1, 1));
    q[1].flags = U32, q[1].address = q[0].address;
    value("the same", syscall(SYS_futex_requeue, q, 0, 1, 1));

    pthread_t threads[4];
    start(threads, 1, 2);
    value("other mask", wake(w, 1, 9, U32 | PRIVATE));
    value("its mask", wake(w, 3, 9, U32 | PRIVATE));
    join(threads, 1);
    start(threads, 4, ~0U);
    q[0].flags = q[1].flags = U32 | PRIVATE, q[1].address = (uintptr_t)(w + 2);
    value("one woken, two moved", syscall(SYS_futex_requeue, q, 0, 1, 2));
    value("left", wake(w, ~0U, 9, U32 | PRIVATE));
    value("moved, by the old call", syscall(SYS_futex, w + 2, 1 | 128, 9, NULL, NULL, 0));
    join(threads, 4);

    struct sigaction action = {.sa_handler = ignored};
    sigaction(SIGUSR1, &action, NULL);
    start(threads, 1, ~0U);
    pthread_kill(threads[0], SIGUSR1);
    join(threads, 1);
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    start(threads, 1, ~0U);
    pthread_kill(threads[0], SIGUSR1);
    sleep_ms(50);
    value("waits on", wake(w, ~0U, 1, U32 | PRIVATE));
    join(threads, 1);
    return 0;
}
