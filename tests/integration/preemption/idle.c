/*
 * Waits in one of the ways in which programs wait, after it said "idle":
 * sleep, read (of stdin), futex (100 threads), poll (for a second at a time), signal.
 */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void *wait_for_ever(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;)
        pthread_cond_wait(&never, &lock);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "sleep";
    char byte;
    pthread_t thread;
    if (strcmp(how, "futex") == 0)
        for (int i = 0; i < 100; i++)
            pthread_create(&thread, NULL, wait_for_ever, NULL);
    say("idle");
    fflush(stdout);
    if (strcmp(how, "read") == 0)
        return read(0, &byte, 1) != 0;
    if (strcmp(how, "futex") == 0)
        wait_for_ever(NULL);
    if (strcmp(how, "poll") == 0)
        for (;;)
            poll(NULL, 0, 1000);
    if (strcmp(how, "signal") == 0)
        pause();
    sleep_ms(60000);
    return 0;
}
