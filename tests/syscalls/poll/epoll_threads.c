/* Many threads on one epoll: every event is taken, one-shot ones by one thread at a time. */
#include "observe.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { EVENTS = 16, WORKERS = 4, POSTS = 500 };
static int ep, fds[EVENTS];
static atomic_long taken;
static atomic_int busy[EVENTS], clashes;

static void *work(void *unused)
{
    (void)unused;
    for (;;) {
        struct epoll_event e;
        if (epoll_wait(ep, &e, 1, 2000) != 1)
            return NULL;
        int i = (int)e.data.u32;
        if (i == EVENTS)
            return NULL;
        if (busy[i]++)
            clashes++;
        eventfd_t v = 0;
        eventfd_read(fds[i], &v);
        taken += (long)v;
        busy[i]--;
        e.events = EPOLLIN | EPOLLONESHOT;
        epoll_ctl(ep, EPOLL_CTL_MOD, fds[i], &e);
    }
}

int main(void)
{
    ep = epoll_create1(0);
    for (uint32_t i = 0; i < EVENTS; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK);
        struct epoll_event e = {EPOLLIN | EPOLLONESHOT, {.u32 = i}};
        epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e);
    }
    pthread_t t[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&t[i], NULL, work, NULL);
    for (int k = 0; k < POSTS; k++)
        for (int i = 0; i < EVENTS; i++)
            eventfd_write(fds[i], 1);
    for (int i = 0; i < 5000 && taken < EVENTS * POSTS; i++)
        sleep_ms(1);
    int stop = eventfd(1, 0);
    struct epoll_event e = {EPOLLIN, {.u32 = EVENTS}};
    epoll_ctl(ep, EPOLL_CTL_ADD, stop, &e);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(t[i], NULL);
    say("taken %ld, clashes %d", taken, clashes);
    return 0;
}
