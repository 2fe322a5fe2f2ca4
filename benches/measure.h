// What the programs of this folder share: a clock, a way to repeat, a line per result.
//
// A program takes the milliseconds that each of its cases may use as its first argument and prints
// `case nanoseconds operations` for each, words separated by tabs, then `@tsc ticks_per_microsecond`: the clock that
// the results come from, held against the processor's own counter, so that a clock that runs wrong
// is noticed by whoever compares two sides.

#ifndef ADYTON_BENCHES_MEASURE_H
#define ADYTON_BENCHES_MEASURE_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#define BATCHES 11

typedef void operation(void *context, long count);

static uint64_t first_tsc;
static int64_t first_time;
static int64_t budget_ns;

static inline int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

// Ends the program when a call that has to work did not.
static inline long must(long result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

// pthread functions return their error.
static inline void must_be_zero(int error, const char *what)
{
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(error));
        exit(1);
    }
}

static inline void begin(int argc, char **argv)
{
    if (argc < 2 || atol(argv[1]) < 1) {
        fprintf(stderr, "usage: %s MILLISECONDS_PER_CASE\n", argv[0]);
        exit(2);
    }
    budget_ns = atol(argv[1]) * 1000000LL;
    first_time = now();
    first_tsc = __rdtsc();
}

static inline void report(const char *name, double nanoseconds, long operations)
{
    printf("%s\t%.3f\t%ld\n", name, nanoseconds, operations);
    fflush(stdout);
}

static inline void end(void)
{
    // Over a few milliseconds at least: what the two readings cost apart must not count.
    while (now() - first_time < 5000000)
        ;
    uint64_t ticks = __rdtsc() - first_tsc;
    printf("@tsc\t%.3f\n", 1000.0 * (double)ticks / (double)(now() - first_time));
}

static inline int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

// Repeats an operation in batches that use up the budget; reports the median batch, which one
// interruption by another process does not move.
static inline void measure(const char *name, operation *run, void *context)
{
    double batch[BATCHES];
    long count = 1;
    int64_t taken = 0;
    // Also warms caches up, and has the call's place patched where it is to be.
    for (;;) {
        int64_t start = now();
        run(context, count);
        taken = now() - start;
        if (taken * (BATCHES + 2) >= budget_ns || count > 1L << 40)
            break;
        count *= 2;
    }
    for (int i = 0; i < BATCHES; i++) {
        int64_t start = now();
        run(context, count);
        batch[i] = (double)(now() - start) / (double)count;
    }
    qsort(batch, BATCHES, sizeof batch[0], by_value);
    report(name, batch[BATCHES / 2], count * BATCHES);
}

#endif
