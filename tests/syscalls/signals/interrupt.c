// build: static musl
/* EINTR and SA_RESTART: which blocking calls end, which begin again. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

static volatile int handled;
static void on(int signal) { (void)signal; handled++; }
static pthread_t main_thread;
static int pipes[2], event;

/* A signal after 40 ms; then, after 40 ms more, what the call waits for. */
static void *disturb(void *argument)
{
    int feed = *(int *)argument;
    sleep_ms(40);
    pthread_kill(main_thread, SIGUSR1);
    sleep_ms(40);
    if (feed) {
        write(pipes[1], "x", 1);
        eventfd_write(event, 1);
    }
    return NULL;
}

static int feed;
static pthread_t start_disturbing(int flags, int will_feed)
{
    struct sigaction a = {.sa_handler = on, .sa_flags = flags};
    sigaction(SIGUSR1, &a, NULL);
    pthread_t thread;
    handled = 0;
    feed = will_feed;
    pthread_create(&thread, NULL, disturb, &feed);
    return thread;
}

#define TRY(what, flags, will_feed, call)                    \
    do {                                                     \
        pthread_t t = start_disturbing(flags, will_feed);    \
        value(what, call);                                   \
        pthread_join(t, NULL);                               \
        say("  handled %d", handled);                        \
        char junk[64];                                       \
        while (read(pipes[0 + 0], junk, 0) == 0 && ready())  \
            read(pipes[0], junk, sizeof junk);               \
        eventfd_write(event, 1);                             \
        eventfd_read(event, &(eventfd_t){0});                \
    } while (0)

static int ready(void)
{
    struct pollfd p = {pipes[0], POLLIN, 0};
    return poll(&p, 1, 0) == 1;
}

int main(void)
{
    main_thread = pthread_self();
    pipe(pipes);
    event = eventfd(0, 0);
    char c;
    uint64_t v;
    int sv[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    struct pollfd p = {pipes[0], POLLIN, 0};
    struct epoll_event e = {EPOLLIN, {0}};
    int ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, pipes[0], &e);
    struct timespec long_time = {0, 200000000};
    struct iovec iov = {&c, 1};
    TRY("read, EINTR", 0, 0, read(pipes[0], &c, 1));
    TRY("read, restarted", SA_RESTART, 1, read(pipes[0], &c, 1));
    TRY("readv, EINTR", 0, 0, readv(pipes[0], &iov, 1));
    TRY("eventfd read, restarted", SA_RESTART, 1, read(event, &v, 8));
    TRY("eventfd read, EINTR", 0, 0, read(event, &v, 8));
    TRY("recv of a socket, EINTR", 0, 0, recv(sv[0], &c, 1, 0));
    TRY("poll, EINTR", 0, 0, poll(&p, 1, 1000));
    TRY("poll, EINTR even with SA_RESTART", SA_RESTART, 0, poll(&p, 1, 1000));
    TRY("epoll_wait, EINTR even with SA_RESTART", SA_RESTART, 0, epoll_wait(ep, &e, 1, 1000));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipes[0], &set);
    TRY("select, EINTR", SA_RESTART, 0, select(pipes[0] + 1, &set, NULL, NULL, &(struct timeval){1, 0}));
    struct timespec left = {9, 9};
    TRY("nanosleep, EINTR", SA_RESTART, 0, nanosleep(&long_time, &left));
    yes("  what is left", left.tv_sec == 0 && left.tv_nsec > 50000000 && left.tv_nsec < 165000000);
    TRY("clock_nanosleep returns it", SA_RESTART, 0, clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, &left));
    TRY("pause", SA_RESTART, 0, pause());
    sem_t sem;
    sem_init(&sem, 0, 0);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    TRY("sem_timedwait, EINTR", 0, 0, sem_timedwait(&sem, &until));
    int futex = 0;
    TRY("futex wait with a time, EINTR", SA_RESTART, 0, syscall(SYS_futex, &futex, 0, 0, &long_time, NULL, 0));
    signal(SIGWINCH, SIG_DFL);
    pthread_t t;
    (void)t;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    pthread_t other = start_disturbing(0, 1);
    sigaction(SIGUSR1, &ignore, NULL);
    value("an ignored signal disturbs nothing", read(pipes[0], &c, 1));
    pthread_join(other, NULL);
    return 0;
}
