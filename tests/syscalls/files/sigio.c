/* Signal-driven I/O: whose signal it is, which one, and what it says. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#ifndef F_OWNER_TID
#define F_OWNER_TID 0
#endif
#ifndef F_OWNER_PID
#define F_OWNER_PID 1
#define F_OWNER_PGRP 2
#endif
#define GETOWNER_UIDS 17
struct owner {
    int type, pid;
};

static int expected_fd;

/* Takes and tells the signals that are pending. */
static void signals(const char *what)
{
    sigset_t all;
    siginfo_t info;
    struct timespec none = {0, 0};
    int any = 0;
    sigfillset(&all);
    while (sigtimedwait(&all, &info, &none) > 0) {
        any = 1;
        if (info.si_code == SI_KERNEL)
            say("%s: signal %d from the kernel", what, info.si_signo);
        else
            say("%s: signal %d code %d band %lx fd %s", what, info.si_signo, info.si_code,
                (long)info.si_band, info.si_fd == expected_fd ? "as set" : "ANOTHER");
    }
    if (!any)
        say("%s: no signal", what);
}

static long get_owner(int fd)
{
    struct owner owner = {-1, -1};
    long result = fcntl(fd, F_GETOWN_EX, &owner);
    if (result == 0)
        say("owner: type %d, %s", owner.type,
            owner.pid == 0 ? "none" : owner.pid == getpid() ? "this process" : owner.pid == getpgrp() ? "this group" : "another");
    else
        value("owner", result);
    return result;
}

static void owners(void)
{
    int p[2];
    struct owner owner = {7, 0};
    uid_t uids[2] = {9, 9};
    need(pipe(p) == 0, "pipe");
    get_owner(p[0]);
    value("F_GETOWN", fcntl(p[0], F_GETOWN));
    value("F_SETOWN to nobody there", fcntl(p[0], F_SETOWN, 0x3ffffff));
    value("F_SETOWN to no group", fcntl(p[0], F_SETOWN, -0x3ffffff));
    value("F_SETOWN to the lowest", fcntl(p[0], F_SETOWN, -0x7fffffff - 1));
    value("F_SETOWN", fcntl(p[0], F_SETOWN, getpid()));
    get_owner(p[0]);
    yes("F_GETOWN is the process", fcntl(p[0], F_GETOWN) == getpid());
    get_owner(p[1]);
    if (syscall(SYS_fcntl, p[0], GETOWNER_UIDS, uids) == 0)
        yes("set by this user", uids[0] == getuid() && uids[1] == geteuid());
    value("uids to nowhere", syscall(SYS_fcntl, p[0], GETOWNER_UIDS, 8));
    value("F_SETOWN to nobody", fcntl(p[0], F_SETOWN, 0));
    get_owner(p[0]);
    value("unknown type", fcntl(p[0], F_SETOWN_EX, &owner));
    owner = (struct owner){F_OWNER_TID, getpid()};
    value("a thread", fcntl(p[0], F_SETOWN_EX, &owner));
    get_owner(p[0]);
    owner = (struct owner){F_OWNER_PGRP, getpgrp()};
    value("no thread", fcntl(p[0], F_SETOWN_EX, &(struct owner){F_OWNER_TID, 0x3ffffff}));
    get_owner(p[0]);
    value("negative", fcntl(p[0], F_SETOWN_EX, &(struct owner){F_OWNER_PID, -1}));
    value("nowhere", fcntl(p[0], F_SETOWN_EX, 8));
    value("to nowhere", fcntl(p[0], F_GETOWN_EX, 8));
    owner = (struct owner){F_OWNER_PID, 0};
    value("nobody", fcntl(p[0], F_SETOWN_EX, &owner));
    get_owner(p[0]);
    value("F_GETSIG", fcntl(p[0], F_GETSIG));
    value("F_SETSIG 65", fcntl(p[0], F_SETSIG, 65));
    value("F_SETSIG -1", fcntl(p[0], F_SETSIG, -1));
    value("F_SETSIG 64", fcntl(p[0], F_SETSIG, 64));
    value("F_GETSIG", fcntl(p[0], F_GETSIG));
    int file = open("f", O_RDWR | O_CREAT, 0600), path = open("f", O_PATH);
    value("F_SETOWN of a file", fcntl(file, F_SETOWN, getpid()));
    get_owner(file);
    value("F_SETSIG of a file", fcntl(file, F_SETSIG, SIGUSR1));
    value("F_SETOWN of O_PATH", fcntl(path, F_SETOWN, getpid()));
    value("F_GETSIG of O_PATH", fcntl(path, F_GETSIG));
    int copy = dup(p[0]);
    value("a copy's signal", fcntl(copy, F_GETSIG));
    close(copy), close(file), close(path), close(p[0]), close(p[1]);
}

static void pipes(void)
{
    int p[2];
    char byte[70000] = "";
    need(pipe(p) == 0, "pipe");
    value("O_ASYNC", fcntl(p[0], F_SETFL, O_ASYNC));
    say("flags %x", fcntl(p[0], F_GETFL));
    write(p[1], "x", 1);
    signals("no owner");
    fcntl(p[0], F_SETOWN, getpid());
    write(p[1], "x", 1);
    signals("SIGIO");
    write(p[1], "x", 1);
    signals("a second write");
    expected_fd = p[0];
    fcntl(p[0], F_SETSIG, SIGIO);
    write(p[1], "x", 1);
    signals("SIGIO that says more");
    fcntl(p[0], F_SETSIG, SIGRTMIN + 2);
    write(p[1], "x", 1);
    write(p[1], "x", 1);
    signals("a real-time signal");
    fcntl(p[0], F_SETSIG, SIGUSR1);
    write(p[1], "x", 1);
    write(p[1], "x", 1);
    signals("an ordinary signal");
    fcntl(p[0], F_SETSIG, SIGCHLD);
    write(p[1], "x", 1);
    signals("a signal with codes of its own");
    fcntl(p[0], F_SETSIG, SIGUSR1);
    write(p[1], "", 0);
    signals("nothing written");
    read(p[0], byte, 1);
    signals("one read");
    int copy = dup(p[0]);
    close(p[0]);
    write(p[1], "x", 1);
    signals("through a copy");
    fcntl(copy, F_SETFL, 0);
    write(p[1], "x", 1);
    signals("switched off");
    expected_fd = copy;
    fcntl(copy, F_SETFL, O_ASYNC | O_NONBLOCK);
    write(p[1], "x", 1);
    signals("switched on by the copy");
    int saved = p[1];
    close(saved);
    signals("the writer goes");
    close(copy);

    need(pipe(p) == 0, "pipe");
    expected_fd = p[1];
    fcntl(p[1], F_SETOWN, getpid());
    fcntl(p[1], F_SETSIG, SIGUSR2);
    value("FIOASYNC", ioctl(p[1], FIOASYNC, &(int){1}));
    say("flags %x", fcntl(p[1], F_GETFL));
    signals("at the start");
    fcntl(p[1], F_SETFL, O_ASYNC | O_NONBLOCK);
    value("full", write(p[1], byte, sizeof byte));
    signals("nothing read");
    read(p[0], byte, 1);
    signals("one byte read");
    read(p[0], byte, 8192);
    signals("a page read");
    close(p[0]);
    signals("the reader goes");
    value("FIOASYNC off", ioctl(p[1], FIOASYNC, &(int){0}));
    say("flags %x", fcntl(p[1], F_GETFL));
    close(p[1]);
    signals("at the end");
}

static void sockets(void)
{
    int s[2];
    char bytes[4096] = "";
    need(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "socketpair");
    expected_fd = s[0];
    value("SIOCSPGRP", ioctl(s[0], 0x8902, &(int){getpid()}));
    get_owner(s[0]);
    int owner = 0;
    value("SIOCGPGRP", ioctl(s[0], 0x8904, &owner));
    yes("its owner", owner == getpid());
    value("FIOGETOWN", ioctl(s[0], 0x8903, &owner));
    value("FIOSETOWN to nobody there", ioctl(s[0], 0x8901, &(int){0x3ffffff}));
    fcntl(s[0], F_SETSIG, SIGUSR1);
    value("O_ASYNC", fcntl(s[0], F_SETFL, O_ASYNC | O_NONBLOCK));
    signals("at the start");
    write(s[1], "x", 1);
    signals("written");
    write(s[1], "x", 1);
    signals("written again");
    read(s[0], bytes, 1);
    signals("read");
    shutdown(s[1], SHUT_WR);
    signals("no more to come");
    close(s[1]);
    signals("the peer went");
    close(s[0]);
    need(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "socketpair");
    fcntl(s[0], F_SETOWN, getpid());
    fcntl(s[0], F_SETSIG, SIGUSR1);
    fcntl(s[0], F_SETFL, O_ASYNC);
    expected_fd = s[0];
    close(s[1]);
    signals("the peer went");
    close(s[0]);
}

static void others(void)
{
    int p[2] = {-1, -1}, in = inotify_init1(IN_NONBLOCK), e = eventfd(0, 0), t = timerfd_create(CLOCK_MONOTONIC, 0);
    int set = epoll_create1(0), file = open("f", O_RDWR), zero = open("/dev/zero", O_RDWR);
    int fds[] = {e, t, set, file, zero};
    const char *names[] = {"eventfd", "timerfd", "epoll", "file", "zero"};
    for (int i = 0; i < 5; i++) {
        say("%s", names[i]);
        value("FIOASYNC", ioctl(fds[i], FIOASYNC, &(int){1}));
        value("FIOASYNC off", ioctl(fds[i], FIOASYNC, &(int){0}));
        int flags = fcntl(fds[i], F_GETFL);
        value("F_SETFL", fcntl(fds[i], F_SETFL, O_ASYNC));
        say("changed: %x", (flags ^ fcntl(fds[i], F_GETFL)) & ~O_NONBLOCK);
        value("FIOASYNC once more", ioctl(fds[i], FIOASYNC, &(int){1}));
        fcntl(fds[i], F_SETOWN, getpid());
    }
    write(e, &(long){1}, 8);
    write(file, "x", 1);
    signals("of all these");
    expected_fd = in;
    fcntl(in, F_SETOWN, getpid());
    fcntl(in, F_SETSIG, SIGUSR1);
    value("inotify", fcntl(in, F_SETFL, O_ASYNC));
    inotify_add_watch(in, "f", IN_MODIFY);
    write(file, "x", 1);
    signals("an event");
    write(file, "x", 1);
    signals("merged");
    mkfifo("fifo", 0600);
    p[0] = open("fifo", O_RDWR | O_ASYNC);
    say("opened with O_ASYNC: %x", fcntl(p[0], F_GETFL) & O_ASYNC);
    fcntl(p[0], F_SETOWN, getpid());
    write(p[0], "x", 1);
    signals("which has no effect");
    fcntl(p[0], F_SETFL, 0);
    say("nor can it be taken back: %x", fcntl(p[0], F_GETFL) & O_ASYNC);
    close(p[0]);
    p[0] = open("fifo", O_RDWR);
    fcntl(p[0], F_SETOWN, getpid());
    fcntl(p[0], F_SETFL, O_ASYNC);
    fcntl(p[0], F_SETSIG, SIGRTMIN);
    expected_fd = p[0];
    write(p[0], "x", 1);
    signals("both ends: written");
    char byte;
    read(p[0], &byte, 1);
    signals("both ends: read");
    p[1] = open("fifo", O_RDONLY);
    signals("opened once more");
    close(p[1]);
    signals("closed");
    value("setfl of what can't be direct", fcntl(e, F_SETFL, O_DIRECT));
}

static volatile int got;
static volatile pid_t by;

static void handler(int number, siginfo_t *info, void *unused)
{
    (void)unused;
    by = syscall(SYS_gettid);
    got = number * 1000 + info->si_code;
}

static void *thread(void *argument)
{
    int *p = argument;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    struct owner owner = {F_OWNER_TID, syscall(SYS_gettid)};
    value("F_SETOWN_EX", fcntl(p[0], F_SETOWN_EX, &owner));
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    fcntl(p[0], F_SETFL, O_ASYNC);
    write(p[2], "x", 1);
    while (!got)
        sleep_ms(1);
    say("got %d", got);
    yes("in the thread that asked", by == owner.pid);
    return NULL;
}

static void threads(void)
{
    int p[4];
    char byte;
    pthread_t id;
    need(pipe(p) == 0 && pipe(p + 2) == 0, "pipe");
    int ready = p[2], tell = p[3];
    p[2] = tell;
    sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = handler, .sa_flags = SA_SIGINFO}, NULL);
    fcntl(p[0], F_SETSIG, SIGUSR1);
    pthread_create(&id, NULL, thread, p);
    read(ready, &byte, 1);
    write(p[1], "x", 1);
    pthread_join(id, NULL);
    /* The owner is gone. */
    got = 0;
    write(p[1], "x", 1);
    signals("a thread that ended");
    value("nothing got", got);
    get_owner(p[0]);
}

int main(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    owners();
    pipes();
    sockets();
    others();
    threads();
    return 0;
}
