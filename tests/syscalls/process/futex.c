// build: static
/* futex by raw calls: every operation, its errno, its counts, its clocks. */
#include "observe.h"
#include <linux/futex.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

static _Atomic uint32_t word, other;
static atomic_int woken[8], waiting;

static long futex(void *address, int op, uint32_t v, const void *time, void *second, uint32_t v3)
{
    return syscall(SYS_futex, address, op, v, time, second, v3);
}

static void *wait_on(void *n)
{
    waiting++;
    long r = futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
    woken[(long)n] = r == 0 ? 1 : errno;
    return NULL;
}

static void *wait_bits(void *n)
{
    waiting++;
    futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 1U << (long)n);
    woken[(long)n] = 1;
    return NULL;
}

static int sum(void)
{
    int s = 0;
    for (int i = 0; i < 8; i++)
        s += woken[i];
    return s;
}

static pthread_t t[8];
static void start(void *(*f)(void *), int n)
{
    waiting = 0;
    for (int i = 0; i < 8; i++)
        woken[i] = 0;
    for (long i = 0; i < n; i++)
        pthread_create(&t[i], NULL, f, (void *)i);
    while (waiting < n)
        sleep_ms(1);
    sleep_ms(100);
}

static void settle(int expected)
{
    for (int i = 0; i < 1000 && sum() < expected; i++)
        sleep_ms(1);
    sleep_ms(10);
    say("  woken %d", sum());
}

int main(void)
{
    struct timespec ms20 = {0, 20000000}, bad = {0, 1000000000}, negative = {-1, 0}, past = {1, 0};
    value("wait, value differs", futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    value("wait, 20 ms", futex(&word, FUTEX_WAIT, 0, &ms20, NULL, 0));
    int64_t took = now_ns(CLOCK_MONOTONIC) - begin;
    yes("relative", took >= 20000000 && took < 2000000000);
    value("wait, nanoseconds too many", futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0));
    value("wait, negative", futex(&word, FUTEX_WAIT, 0, &negative, NULL, 0));
    value("wait, time at a bad address", futex(&word, FUTEX_WAIT, 0, (void *)8, NULL, 0));
    value("wait bitset, absolute and past", futex(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, ~0U));
    value("wait bitset, realtime and past", futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, ~0U));
    value("wait with FUTEX_CLOCK_REALTIME", futex(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, &past, NULL, 0));
    value("wake with FUTEX_CLOCK_REALTIME", futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
    value("wait bitset, no bits", futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    value("wake bitset, no bits", futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    value("unaligned", futex((char *)&word + 1, FUTEX_WAIT, 0, NULL, NULL, 0));
    value("unaligned wake", futex((char *)&word + 2, FUTEX_WAKE, 1, NULL, NULL, 0));
    value("NULL", futex(NULL, FUTEX_WAIT, 0, NULL, NULL, 0));
    value("kernel", futex((void *)0xffffffff81000000, FUTEX_WAIT, 0, NULL, NULL, 0));
    value("unmapped, private wake", futex((void *)0x10000, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    value("unmapped, shared wake", futex((void *)0x10000, FUTEX_WAKE, 1, NULL, NULL, 0));
    value("unknown operation", futex(&word, 99, 0, NULL, NULL, 0));
    value("wake nobody", futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));

    start(wait_on, 5);
    value("wake 2", futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0));
    settle(2);
    value("wake all", futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
    settle(5);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
    start(wait_on, 6);
    value("requeue: wake 1, move 2", futex(&word, FUTEX_REQUEUE_PRIVATE, 1, (void *)2, &other, 0));
    settle(1);
    value("cmp_requeue, value differs", futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 77));
    value("cmp_requeue: wake 1, move 1", futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 0));
    settle(2);
    value("wake the second", futex(&other, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
    settle(5);
    value("wake the first", futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
    settle(6);
    value("requeue negative", futex(&word, FUTEX_REQUEUE_PRIVATE, (uint32_t)-1, (void *)1, &other, 0));
    for (int i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
    start(wait_bits, 4);
    value("wake bit 2", futex(&word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 4));
    settle(1);
    say("  it was %d%d%d%d", woken[0], woken[1], woken[2], woken[3]);
    value("wake bits 0 and 5", futex(&word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 33));
    settle(2);
    value("a plain wake matches all", futex(&word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
    settle(4);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);

    static const struct { const char *name; uint32_t op; uint32_t before, after; } ops[] = {
        {"set", FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 5), 5, 7},
        {"add", FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_LT, 6), 5, 8},
        {"or", FUTEX_OP(FUTEX_OP_OR, 8, FUTEX_OP_CMP_NE, 5), 5, 13},
        {"andn", FUTEX_OP(FUTEX_OP_ANDN, 4, FUTEX_OP_CMP_GT, 4), 5, 1},
        {"xor", FUTEX_OP(FUTEX_OP_XOR, 1, FUTEX_OP_CMP_GE, 6), 5, 4},
        {"shifted or", FUTEX_OP(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 5, FUTEX_OP_CMP_LE, 5), 5, 37}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        start(wait_on, 2);
        other = ops[i].before;
        long r = futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)5, &other, ops[i].op);
        say("wake_op %s: %ld, the second is %s", ops[i].name, r, other == ops[i].after ? "right" : "WRONG");
        futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        pthread_join(t[0], NULL);
        pthread_join(t[1], NULL);
    }
    value("wake_op unknown", futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other, 0x70000000));

    int fd = memfd_create("m", 0);
    ftruncate(fd, PAGE);
    _Atomic uint32_t *a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    _Atomic uint32_t *b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    value("shared memory, another address: nobody", futex((void *)b, FUTEX_WAKE, 1, NULL, NULL, 0));
    (void)a;
    char *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    value("wait on read-only memory", futex(read_only, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
    value("wake_op on read-only memory", futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, read_only, ops[0].op));
    value("set_robust_list of a wrong size", syscall(SYS_set_robust_list, &word, 5));
    void *list = NULL;
    size_t size = 0;
    value("get_robust_list", syscall(SYS_get_robust_list, 0, &list, &size));
    say("size %zu", size);
    value("get_robust_list of nobody", syscall(SYS_get_robust_list, 0x3ffffff, &list, &size));
    yes("set_tid_address returns the tid", syscall(SYS_set_tid_address, &word) == getpid());
    return 0;
}
