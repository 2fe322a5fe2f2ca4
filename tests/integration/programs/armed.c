/* Computes for a time while timers are far away, or until a near one has come often enough.
 *
 * armed far COUNT MS: COUNT timers an hour away; computes for MS milliseconds.
 * armed idle COUNT MS: the same, but sleeps.
 * armed near US COUNT: spins till an interval timer of US microseconds has come COUNT times; prints how many of its
 * periods passed from the first to the last. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t came;
static struct timespec first, last;

static void on_alarm(int signal)
{
    (void)signal;
    clock_gettime(CLOCK_MONOTONIC, came ? &last : &first);
    came++;
}

static long long between(struct timespec a, struct timespec b)
{
    return (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
}

static struct timespec now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    long first_word = atol(argv[2]), second_word = atol(argv[3]);
    if (strcmp(argv[1], "near") == 0) {
        signal(SIGALRM, on_alarm);
        struct timeval each = {0, first_word};
        setitimer(ITIMER_REAL, &(struct itimerval){each, each}, NULL);
        while (came < second_word)
            ;
        printf("%lld\n", between(first, last) / (first_word * 1000));
        return 0;
    }
    struct rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_SIGPENDING, &limit);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec hour = {.it_value = {.tv_sec = 3600}};
    for (long i = 0; i < first_word; i++) {
        timer_t timer;
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &hour, NULL) != 0)
            return 1;
    }
    struct timespec start = now();
    if (strcmp(argv[1], "idle") == 0)
        usleep(second_word * 1000);
    while (between(start, now()) < second_word * 1000000)
        ;
    return 0;
}
