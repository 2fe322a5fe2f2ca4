// Reads of standard input that signals end or restart, and what stays in the buffers. The other side
// writes what a line `give …` asks for, once it comes.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile int handled;

static void on_signal(int number)
{
    (void)number;
    handled++;
}

static void handle(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
}

static void after(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void show(const char *what, long result)
{
    int error = errno;
    printf("%s: %ld", what, result);
    if (result < 0) printf(" %s", strerrorname_np(error));
    printf(", handled %d\n", handled);
    fflush(stdout);
    handled = 0;
}

// Whether all bytes of a buffer are as they were.
static const char *kept(const char *buffer, size_t len, char byte)
{
    for (size_t at = 0; at < len; at++)
        if (buffer[at] != byte) return "no";
    return "yes";
}

static void *interrupt_later(void *thread)
{
    after(60);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

static void with_signal(const char *what, long (*call)(void))
{
    pthread_t self = pthread_self(), helper;
    pthread_create(&helper, NULL, interrupt_later, &self);
    long result = call();
    int error = errno;
    pthread_join(helper, NULL);
    errno = error;
    show(what, result);
}

static char first[4096], second[4096];

static long reads(void)
{
    return read(0, first, sizeof first);
}

static long reads_two(void)
{
    struct iovec parts[] = {{first, 10}, {first + 10, 1000}};
    return readv(0, parts, 2);
}

static long polls(void)
{
    struct pollfd item = {.fd = 0, .events = POLLIN};
    return poll(&item, 1, -1);
}

static long selects(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(0, &set);
    return select(1, &set, NULL, NULL, NULL);
}

static long waits(void)
{
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
    long result = epoll_wait(epoll, &event, 1, -1);
    int error = errno;
    close(epoll);
    errno = error;
    return result;
}

static void *reads_for_ever(void *unused)
{
    (void)unused;
    read(0, first, sizeof first);
    return NULL;
}

static void *gets_a_line(void *unused)
{
    (void)unused;
    long got = read(0, second, sizeof second);
    printf("a thread got: %.*s", got > 0 ? (int)got : 0, second);
    fflush(stdout);
    return NULL;
}

int main(int count, char **words)
{
    memset(first, '.', sizeof first);
    handle(0);
    with_signal("read", reads);
    with_signal("readv", reads_two);
    with_signal("poll", polls);
    with_signal("select", selects);
    with_signal("epoll_wait", waits);
    ualarm(60000, 0);
    show("read until the alarm", reads());
    printf("the buffer is as it was: %s\n", kept(first, sizeof first, '.'));

    // What comes now belongs to the next read, wholly.
    printf("give one\n");
    fflush(stdout);
    long got = read(0, second, sizeof second);
    printf("then: %.*s", got > 0 ? (int)got : 0, second);
    printf("the first buffer is as it was: %s\n", kept(first, sizeof first, '.'));

    // Restarted, the call goes on as if nothing had come.
    handle(SA_RESTART);
    pthread_t self = pthread_self(), helper;
    pthread_create(&helper, NULL, interrupt_later, &self);
    printf("give two, late\n");
    fflush(stdout);
    got = read(0, first, sizeof first);
    pthread_join(helper, NULL);
    printf("restarted: %.*s", got > 0 ? (int)got : 0, first);
    printf("handled %d\n", handled);

    // Two wait, one is interrupted, the other gets the line.
    pthread_t other;
    handle(0);
    pthread_create(&other, NULL, gets_a_line, NULL);
    after(50);
    handled = 0;
    with_signal("read beside another", reads);
    printf("give three\n");
    fflush(stdout);
    pthread_join(other, NULL);

    for (int n = 0; n < 3; n++) {
        pthread_t waiting;
        pthread_create(&waiting, NULL, reads_for_ever, NULL);
    }
    after(50);
    printf("over\n");
    fflush(stdout);
    if (count > 1 && strcmp(words[1], "killed") == 0) kill(getpid(), SIGTERM);
    _exit(7);
}
