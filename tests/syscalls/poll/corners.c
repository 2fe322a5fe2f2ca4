/* Corner cases of the calls that wait: sizes, masks, times, what they leave alone. */
#include "observe.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

static volatile int handled;
static void handler(int signal) { (void)signal; handled++; }

int main(void)
{
    struct epoll_event e = {EPOLLIN, {.u64 = 1}}, got[4];
    struct timespec zero = {0, 0}, bad = {0, 1000000000}, negative = {-1, 0};
    sigset_t none, usr1;
    int p[2];
    pipe(p);
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    signal(SIGUSR1, handler);

    say("-- epoll");
    value("epoll_create 0", epoll_create(0));
    value("epoll_create -1", epoll_create(-1));
    int ep = done("epoll_create 1", epoll_create(1));
    say("cloexec %d", fcntl(ep, F_GETFD));
    value("epoll_create1 unknown flag", epoll_create1(1));
    say("cloexec %d", fcntl(epoll_create1(EPOLL_CLOEXEC), F_GETFD));
    value("add", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
    value("add itself", epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e));
    value("unknown operation", epoll_ctl(ep, 9, p[0], &e));
    value("add without an event", epoll_ctl(ep, EPOLL_CTL_ADD, p[1], NULL));
    value("delete without an event", epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
    value("no epoll", epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &e));
    epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e);
    value("no room", epoll_wait(ep, got, 0, 0));
    value("less than no room", epoll_wait(ep, got, -1, 0));
    value("too much room", syscall(SYS_epoll_wait, ep, got, 1 << 28, 0));
    value("nothing", epoll_wait(ep, got, 4, 0));
    value("nothing, to NULL", syscall(SYS_epoll_wait, ep, NULL, 4, 0));
    value("nothing, to the kernel's", syscall(SYS_epoll_wait, ep, 0xffff888000000000, 4, 0));
    value("of a pipe", epoll_wait(p[0], got, 4, 0));
    value("closed", epoll_wait(999, got, 4, 0));
    value("epoll_pwait, another size", syscall(SYS_epoll_pwait, ep, got, 4, 0, &none, 4));
    value("epoll_pwait, a bad mask", syscall(SYS_epoll_pwait, ep, got, 4, 0, 8, 8));
    value("epoll_pwait, no mask", syscall(SYS_epoll_pwait, ep, got, 4, 0, NULL, 77));
    value("epoll_pwait2", syscall(SYS_epoll_pwait2, ep, got, 4, &zero, NULL, 0));
    value("epoll_pwait2, a bad time", syscall(SYS_epoll_pwait2, ep, got, 4, &bad, NULL, 0));
    value("epoll_pwait2, a negative time", syscall(SYS_epoll_pwait2, ep, got, 4, &negative, NULL, 0));
    value("epoll_pwait2, no time there", syscall(SYS_epoll_pwait2, ep, got, 4, 8, NULL, 0));
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    raise(SIGUSR1);
    value("a signal that the mask lets through", epoll_pwait(ep, got, 4, 1000, &none));
    say("handled %d", handled);
    raise(SIGUSR1);
    value("and for no time", epoll_pwait(ep, got, 4, 0, &none));
    say("handled %d", handled);
    write(p[1], "x", 1);
    raise(SIGUSR1);
    value("an event comes first", epoll_pwait(ep, got, 4, 1000, &none));
    say("handled %d", handled);
    struct timespec wait = {1, 0};
    value("epoll_pwait2 has it at once", syscall(SYS_epoll_pwait2, ep, got, 4, &wait, &none, 8));
    say("handled %d, still %ld", handled, (long)wait.tv_sec);

    say("-- poll");
    struct pollfd f[3] = {{p[0], POLLIN, -1}, {-5, POLLIN, -1}, {999, POLLIN, -1}};
    value("three", poll(f, 3, 0));
    say("%#x %#x %#x", f[0].revents, f[1].revents, f[2].revents);
    value("none", poll(NULL, 0, 0));
    value("too many", syscall(SYS_poll, f, 1 << 30, 0));
    value("NULL", syscall(SYS_poll, NULL, 1, 0));
    value("ppoll, a bad time", syscall(SYS_ppoll, f, 1, &bad, NULL, 8));
    value("ppoll, a negative time", syscall(SYS_ppoll, f, 1, &negative, NULL, 8));
    value("ppoll, another size", syscall(SYS_ppoll, f, 1, &zero, &none, 4));
    value("ppoll, no mask, another size", syscall(SYS_ppoll, f, 1, &zero, NULL, 4));
    wait = (struct timespec){5, 0};
    value("ppoll", syscall(SYS_ppoll, f, 1, &wait, NULL, 8));
    say("time is left %d", wait.tv_sec >= 4);

    say("-- select");
    fd_set in;
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    struct timeval time = {5, 0}, bad_time = {0, -1};
    value("select", select(p[0] + 1, &in, NULL, NULL, &time));
    say("time is left %d", time.tv_sec >= 4);
    value("negative", select(-1, &in, NULL, NULL, &time));
    value("a negative time", select(0, NULL, NULL, NULL, &bad_time));
    FD_ZERO(&in);
    FD_SET(900, &in);
    value("closed", select(901, &in, NULL, NULL, &time));
    say("left alone %d", FD_ISSET(900, &in) != 0);
    dup2(p[0], 700);
    close(700);
    FD_ZERO(&in);
    FD_SET(900, &in);
    value("closed, but in the table now", select(901, &in, NULL, NULL, &(struct timeval){0, 0}));
    value("beyond the table", select(1 << 20, NULL, NULL, NULL, &(struct timeval){0, 0}));
    struct { const void *mask; size_t size; } six = {&none, 8}, odd = {&none, 4}, away = {(void *)8, 8};
    value("pselect6", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &zero, &six));
    value("another size", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &zero, &odd));
    value("a bad mask", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &zero, &away));
    value("a bad pair", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &zero, 8));
    value("a bad time", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &bad, NULL));
    raise(SIGUSR1);
    value("a signal that the mask lets through", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &wait, &six));
    say("handled %d", handled);
    return 0;
}
