// What sched_yield costs while N threads do nothing else: nanoseconds from one to the next, of all
// threads together, which on one core is a switch each.
//
// usage: yield MILLISECONDS_PER_CASE THREADS…

#include "measure.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define THREADS_MAX 256

// A cache line each: with several cores the counters must not disturb one another.
struct counter {
    _Alignas(64) long yields;
};

static struct counter counters[THREADS_MAX];
static atomic_int go, stop;
static pthread_barrier_t ready;

static void *spin(void *argument)
{
    struct counter *mine = argument;
    pthread_barrier_wait(&ready);
    while (!atomic_load_explicit(&go, memory_order_acquire))
        sched_yield();
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        sched_yield();
        mine->yields++;
    }
    return NULL;
}

// The first thread also holds the watch: a sleeper with a timer would be one more to switch to.
static int64_t watch(int threads)
{
    // A round first, so that all have arrived and their places are patched.
    for (int i = 0; i < 100; i++)
        sched_yield();
    atomic_store_explicit(&go, 1, memory_order_release);
    int64_t start = now(), time;
    do {
        // Often enough by the clock, rarely enough by what reading it costs.
        for (int i = 0; i < 32; i++)
            sched_yield();
        counters[0].yields += 32;
        time = now() - start;
    } while (time < budget_ns || (time < 20 * budget_ns && counters[0].yields < 4L * threads));
    atomic_store(&stop, 1);
    return time;
}

static void run(int threads)
{
    pthread_t others[THREADS_MAX];
    char name[64];
    long total = 0;
    memset(counters, 0, sizeof counters);
    atomic_store(&go, 0);
    atomic_store(&stop, 0);
    must_be_zero(pthread_barrier_init(&ready, NULL, (unsigned)threads), "barrier");
    for (int i = 1; i < threads; i++)
        must_be_zero(pthread_create(&others[i], NULL, spin, &counters[i]), "pthread_create");
    pthread_barrier_wait(&ready);
    int64_t time = watch(threads);
    for (int i = 0; i < threads; i++)
        total += counters[i].yields;
    for (int i = 1; i < threads; i++)
        must_be_zero(pthread_join(others[i], NULL), "pthread_join");
    pthread_barrier_destroy(&ready);
    snprintf(name, sizeof name, "sched_yield, %d thread%s", threads, threads == 1 ? "" : "s");
    report(name, (double)time / (double)total, total);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    // Failing is fast too.
    must(sched_yield(), "sched_yield");
    for (int i = 2; i < argc; i++) {
        int threads = atoi(argv[i]);
        if (threads < 1 || threads > THREADS_MAX) {
            fprintf(stderr, "threads: 1 to %d\n", THREADS_MAX);
            return 2;
        }
        run(threads);
    }
    end();
    return 0;
}
