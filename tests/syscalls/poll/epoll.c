// build: static musl
/* epoll: level, edge, one-shot, exclusive, nesting, changes, errors. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int ep, p[2];

static void show(const char *what)
{
    struct epoll_event e[8];
    int n = epoll_wait(ep, e, 8, 0);
    printf("%s: %d", what, n);
    for (int i = 0; i < n; i++)
        printf(" %#x/%lu", e[i].events, (unsigned long)e[i].data.u64);
    say(" ");
}

static long control(int op, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event e = {events, {.u64 = data}};
    return epoll_ctl(ep, op, fd, &e);
}

static void *feed(void *unused) { (void)unused; sleep_ms(40); write(p[1], "x", 1); return NULL; }

int main(void)
{
    char c[16];
    ep = done("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
    say("cloexec %d", fcntl(ep, F_GETFD));
    value("epoll_create 0", epoll_create(0));
    value("epoll_create1 unknown", epoll_create1(1));
    pipe(p);
    value("add", control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
    value("add again", control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
    value("modify what is not there", control(EPOLL_CTL_MOD, p[1], EPOLLIN, 1));
    value("delete what is not there", control(EPOLL_CTL_DEL, p[1], 0, 0));
    value("unknown operation", control(9, p[0], 0, 0));
    value("add itself", control(EPOLL_CTL_ADD, ep, EPOLLIN, 0));
    value("add closed", control(EPOLL_CTL_ADD, 999, EPOLLIN, 0));
    int file = open("f", O_RDWR | O_CREAT, 0600);
    value("add a file", control(EPOLL_CTL_ADD, file, EPOLLIN, 0));
    value("add a directory", control(EPOLL_CTL_ADD, open(".", O_RDONLY), EPOLLIN, 0));
    value("not an epoll", epoll_ctl(file, EPOLL_CTL_ADD, p[0], &(struct epoll_event){0}));
    value("add without an event", epoll_ctl(ep, EPOLL_CTL_ADD, p[1], NULL));
    show("empty");
    write(p[1], "ab", 2);
    show("level");
    show("level again");
    control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 2);
    show("edge after modify");
    show("edge again");
    write(p[1], "c", 1);
    show("edge after one more byte");
    read(p[0], c, 1);
    show("edge after a read");
    control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 3);
    show("one-shot");
    write(p[1], "d", 1);
    show("one-shot is disarmed");
    control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 4);
    show("armed again");
    control(EPOLL_CTL_MOD, p[0], 0, 5);
    show("nothing asked");
    control(EPOLL_CTL_ADD, p[1], EPOLLOUT, 6);
    show("write end");
    read(p[0], c, 16);
    close(p[1]);
    show("writer closed: hang-up is never masked");
    value("delete without an event", epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
    show("deleted");

    pipe(p);
    control(EPOLL_CTL_ADD, p[0], EPOLLIN, 7);
    int twin = dup(p[0]);
    write(p[1], "x", 1);
    close(p[0]);
    show("closed, but its twin is open");
    close(twin);
    show("the last closed");
    close(p[1]);
    int e1 = eventfd(1, 0), e2 = eventfd(1, 0), e3 = eventfd(1, 0);
    control(EPOLL_CTL_ADD, e1, EPOLLIN, 11);
    control(EPOLL_CTL_ADD, e2, EPOLLIN, 12);
    control(EPOLL_CTL_ADD, e3, EPOLLIN, 13);
    struct epoll_event one;
    int seen[3] = {0};
    for (int i = 0; i < 6; i++)
        if (epoll_wait(ep, &one, 1, 0) == 1)
            seen[one.data.u64 - 11]++;
    say("one at a time goes round: %d %d %d", seen[0], seen[1], seen[2]);
    value("no room", epoll_wait(ep, &one, 0, 0));
    value("negative room", epoll_wait(ep, &one, -1, 0));
    value("bad address", epoll_wait(ep, (void *)8, 1, 0));
    value("not an epoll", epoll_wait(e1, &one, 1, 0));
    int outer = epoll_create1(0);
    struct epoll_event inner = {EPOLLIN, {.u64 = 99}};
    value("an epoll in an epoll", epoll_ctl(outer, EPOLL_CTL_ADD, ep, &inner));
    value("is ready", epoll_wait(outer, &one, 1, 0));
    value("a circle", epoll_ctl(ep, EPOLL_CTL_ADD, outer, &inner));
    eventfd_t v;
    eventfd_read(e1, &v);
    eventfd_read(e2, &v);
    eventfd_read(e3, &v);
    value("is not", epoll_wait(outer, &one, 1, 0));

    pipe(p);
    control(EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE, 20);
    value("EXCLUSIVE cannot be modified", control(EPOLL_CTL_MOD, p[0], EPOLLIN, 20));
    pthread_t t;
    pthread_create(&t, NULL, feed, NULL);
    value("waits", epoll_wait(ep, &one, 1, 5000));
    say("%lu", (unsigned long)one.data.u64);
    pthread_join(t, NULL);
    read(p[0], c, 1);
    int64_t start = now_ns(CLOCK_MONOTONIC);
    value("30 ms", epoll_wait(ep, &one, 1, 30));
    yes("waited", now_ns(CLOCK_MONOTONIC) - start >= 29000000);
    sigset_t mask;
    sigemptyset(&mask);
    value("epoll_pwait", epoll_pwait(ep, &one, 1, 0, &mask));
    struct timespec ms1 = {0, 1000000};
    value("epoll_pwait2", syscall(SYS_epoll_pwait2, ep, &one, 1, &ms1, NULL, 8));
    int sv[2];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv);
    control(EPOLL_CTL_ADD, sv[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 30);
    show("socket");
    show("edge");
    write(sv[1], "x", 1);
    show("a byte comes");
    shutdown(sv[1], SHUT_WR);
    show("peer shut");
    close(sv[1]);
    show("peer closed");
    unlink("f");
    return 0;
}
