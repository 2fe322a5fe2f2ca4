// timeout: 60
// poll, select and epoll over every kind of object; what epoll refuses, tells twice, and forgets.
#include "../terminals/terminal.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define ALL (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLRDNORM | EPOLLWRNORM | EPOLLRDBAND)

static void look(const char *what, int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM, 0};
    struct epoll_event event = {ALL, {.u32 = 1}}, told = {0};
    struct timeval none = {0, 0};
    fd_set in, out, other;
    int set = epoll_create1(0);
    int n = poll(&p, 1, 0);
    FD_ZERO(&in);
    FD_SET(fd, &in);
    other = out = in;
    int s = select(fd + 1, &in, &out, &other, &none);
    int added = epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), error = errno;
    int w = epoll_wait(set, &told, 1, 0);
    say("%s: poll %d %#x, select %d %d%d%d, epoll %s %d %#x", what, n, p.revents, s,
        FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &out) != 0, FD_ISSET(fd, &other) != 0,
        added ? errno_name(error) : "added", w, told.events);
    close(set);
}

static void kinds(void)
{
    int p[2], pair[2];
    uint64_t many = UINT64_MAX - 1;
    char block[4096] = {0};
    need(pipe2(p, O_NONBLOCK) == 0, "pipe");
    look("empty pipe, read", p[0]);
    look("empty pipe, write", p[1]);
    while (write(p[1], block, sizeof block) > 0)
        ;
    look("full pipe, read", p[0]);
    look("full pipe, write", p[1]);
    read(p[0], block, 1);
    look("almost full, write", p[1]);
    close(p[1]);
    look("no writer", p[0]);
    need(pipe2(p, O_NONBLOCK) == 0, "pipe");
    close(p[0]);
    look("no reader", p[1]);
    close(p[1]);
    need(mkfifo("fifo", 0600) == 0, "mkfifo");
    int f = open("fifo", O_RDONLY | O_NONBLOCK);
    look("fifo without a writer", f);
    int g = open("fifo", O_WRONLY);
    look("fifo, read", f);
    close(g);
    look("its writer went", f);
    close(f);
    f = open("fifo", O_RDWR);
    look("fifo, both", f);
    close(f);
    for (int kind = SOCK_STREAM; kind <= SOCK_SEQPACKET; kind++) {
        if (kind != SOCK_STREAM && kind != SOCK_DGRAM && kind != SOCK_SEQPACKET)
            continue;
        need(socketpair(AF_UNIX, kind | SOCK_NONBLOCK, 0, p) == 0, "socketpair");
        say("kind %d", kind);
        look("fresh", p[0]);
        write(p[1], "x", 1);
        look("one byte", p[0]);
        shutdown(p[1], SHUT_WR);
        look("shut by the other", p[0]);
        look("shut by itself", p[1]);
        close(p[1]);
        look("closed", p[0]);
        close(p[0]);
    }
    int e = eventfd(0, EFD_NONBLOCK);
    look("eventfd 0", e);
    write(e, &many, 8);
    look("eventfd full", e);
    close(e);
    e = eventfd(1, 0);
    look("eventfd 1", e);
    close(e);
    int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    look("timerfd", t);
    struct itimerspec soon = {{0, 0}, {0, 1}};
    timerfd_settime(t, 0, &soon, NULL);
    sleep_ms(10);
    look("timerfd over", t);
    close(t);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int s = signalfd(-1, &signals, SFD_NONBLOCK);
    look("signalfd", s);
    raise(SIGUSR1);
    look("signalfd pending", s);
    close(s);
    open_pair(pair);
    look("master", pair[0]);
    look("slave", pair[1]);
    type(pair[0], "x\n");
    ready(pair[1], 200);
    ready(pair[0], 200);
    look("master, echo", pair[0]);
    look("slave, a line", pair[1]);
    close(pair[1]);
    sleep_ms(20);
    look("master alone", pair[0]);
    close(pair[0]);
    put_text("file", "x");
    f = open("file", O_RDWR);
    look("file", f);
    close(f);
    f = open(".", O_RDONLY | O_DIRECTORY);
    look("directory", f);
    close(f);
    f = open("/dev/null", O_RDWR);
    look("null", f);
    close(f);
    f = open("/dev/zero", O_RDWR);
    look("zero", f);
    close(f);
    f = open("/dev/urandom", O_RDONLY);
    look("urandom", f);
    close(f);
    f = open("/proc/self/status", O_RDONLY);
    look("proc", f);
    close(f);
    f = memfd_create("m", 0);
    look("memfd", f);
    close(f);
    f = epoll_create1(0);
    look("epoll", f);
    close(f);
}

static void ioctls(void)
{
    struct { uint32_t usecs; uint16_t budget; uint8_t prefer, pad; } params = {1, 2, 0, 0};
    const unsigned long set = 0x40088a01, get = 0x80088a02;
    int e = epoll_create1(0), n, p[2];
    value("get", ioctl(e, get, &params));
    say("%u %u %u %u", params.usecs, params.budget, params.prefer, params.pad);
    params.usecs = 100, params.budget = 8, params.prefer = 1;
    value("set", ioctl(e, set, &params));
    memset(&params, 0xff, sizeof params);
    value("get", ioctl(e, get, &params));
    say("%u %u %u %u", params.usecs, params.budget, params.prefer, params.pad);
    params.pad = 1;
    value("pad", ioctl(e, set, &params));
    params.pad = 0, params.prefer = 2;
    value("prefer 2", ioctl(e, set, &params));
    params.prefer = 0, params.usecs = 0x80000000U;
    value("too long", ioctl(e, set, &params));
    value("bad set", ioctl(e, set, 8));
    value("bad get", ioctl(e, get, 8));
    value("FIONREAD", ioctl(e, FIONREAD, &n));
    value("unknown", ioctl(e, 0x12345, &n));
    need(pipe(p) == 0, "pipe");
    value("get of a pipe", ioctl(p[0], get, &params));
}

static void shown(int e, const char *what)
{
    char name[64], text[4096], *line;
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", e);
    slurp(name, text, sizeof text);
    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        int fd, n = 0;
        unsigned events, sdev;
        unsigned long long data;
        long long pos;
        unsigned long ino;
        struct stat st;
        if (sscanf(line, "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%lx sdev:%x%n", &fd,
                   &events, &data, &pos, &ino, &sdev, &n) == 6) {
            need(fstat(fd, &st) == 0, "fstat");
            say("%s: %x %llx %lld whole %d", what, events, data, pos, line[n] == 0);
            yes("inode", st.st_ino == ino);
        } else if (strncmp(line, "tfd", 3) == 0)
            say("odd");
    }
}

static void info(void)
{
    struct epoll_event event = {EPOLLIN, {.u64 = 0x123456789abcdefULL}}, told;
    int e = epoll_create1(0), v = eventfd(1, 0);
    epoll_ctl(e, EPOLL_CTL_ADD, v, &event);
    shown(e, "added");
    event.events = EPOLLIN | EPOLLONESHOT | EPOLLET;
    epoll_ctl(e, EPOLL_CTL_MOD, v, &event);
    shown(e, "modified");
    epoll_wait(e, &told, 1, 0);
    shown(e, "told once");
    char text[64];
    yes("max_user_watches", slurp("/proc/sys/fs/epoll/max_user_watches", text, sizeof text) > 1
        && atol(text) > 1000);
    close(e);
    close(v);
}

static void edges(void)
{
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 1}}, told[4];
    int e = epoll_create1(0), v = eventfd(0, EFD_NONBLOCK);
    uint64_t one = 1;
    epoll_ctl(e, EPOLL_CTL_ADD, v, &event);
    write(v, &one, 8);
    value("written", epoll_wait(e, told, 4, 0));
    value("not again", epoll_wait(e, told, 4, 0));
    write(v, &one, 8);
    value("written again", epoll_wait(e, told, 4, 0));
    read(v, &one, 8);
    value("a read is none", epoll_wait(e, told, 4, 0));
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    epoll_ctl(e, EPOLL_CTL_MOD, v, &event);
    value("more is asked for", epoll_wait(e, told, 4, 0));
    say("%#x", told[0].events);
    one = 1;
    write(v, &one, 8);
    read(v, &one, 8);
    value("there and gone", epoll_wait(e, told, 4, 0));
    say("%#x", told[0].events);
    event.events = EPOLLET;
    epoll_ctl(e, EPOLL_CTL_MOD, v, &event);
    write(v, &one, 8);
    value("nothing is asked for", epoll_wait(e, told, 4, 0));
    event.events = EPOLLIN | EPOLLONESHOT;
    epoll_ctl(e, EPOLL_CTL_MOD, v, &event);
    value("once", epoll_wait(e, told, 4, 0));
    value("only", epoll_wait(e, told, 4, 0));
    value("still there", epoll_ctl(e, EPOLL_CTL_ADD, v, &event));
    epoll_ctl(e, EPOLL_CTL_MOD, v, &event);
    value("armed again", epoll_wait(e, told, 4, 0));
    int copy = dup(v);
    value("its copy", epoll_ctl(e, EPOLL_CTL_ADD, copy, &event));
    value("the copy's", epoll_wait(e, told, 4, 0));
    close(v);
    event.events = EPOLLIN;
    event.data.u32 = 2;
    value("closed", epoll_ctl(e, EPOLL_CTL_MOD, v, &event));
    value("the copy", epoll_ctl(e, EPOLL_CTL_MOD, copy, &event));
    value("told", epoll_wait(e, told, 4, 0));
    close(copy);
    value("all closed", epoll_wait(e, told, 4, 0));
    close(e);
}

static void refused(void)
{
    struct epoll_event event = {EPOLLIN | EPOLLEXCLUSIVE, {.u32 = 1}};
    struct timespec t = {0, 20000000}, bad = {0, 1000000000}, past = {-1, 0};
    int e = epoll_create1(0), f = epoll_create1(0), v = eventfd(1, 0);
    value("exclusive set", epoll_ctl(e, EPOLL_CTL_ADD, f, &event));
    event.events |= EPOLLRDHUP;
    value("exclusive RDHUP", epoll_ctl(e, EPOLL_CTL_ADD, v, &event));
    event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    value("exclusive once", epoll_ctl(e, EPOLL_CTL_ADD, v, &event));
    event.events = EPOLLIN;
    value("added", epoll_ctl(e, EPOLL_CTL_ADD, v, &event));
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    value("made exclusive", epoll_ctl(e, EPOLL_CTL_MOD, v, &event));
    value("deleted", epoll_ctl(e, EPOLL_CTL_DEL, v, (void *)8));
    value("exclusive", epoll_ctl(e, EPOLL_CTL_ADD, v, &event));
    event.events = EPOLLIN;
    value("modified", epoll_ctl(e, EPOLL_CTL_MOD, v, &event));
    value("itself", epoll_ctl(e, EPOLL_CTL_ADD, e, &event));
    value("inner", epoll_ctl(e, EPOLL_CTL_ADD, f, &event));
    value("circle", epoll_ctl(f, EPOLL_CTL_ADD, e, &event));
    value("no operation", epoll_ctl(e, 4, v, &event));
    value("no event", epoll_ctl(e, EPOLL_CTL_MOD, v, (void *)8));
    value("no set", epoll_ctl(v, EPOLL_CTL_ADD, e, &event));
    value("no descriptor", epoll_ctl(e, EPOLL_CTL_ADD, 999, &event));
    value("no room", epoll_wait(e, &event, 0, 0));
    close(v);
    int64_t start = now_ns(CLOCK_MONOTONIC);
    value("20 ms", syscall(SYS_epoll_pwait2, e, &event, 1, &t, NULL, 8));
    yes("waited", now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    value("bad time", syscall(SYS_epoll_pwait2, e, &event, 1, &bad, NULL, 8));
    value("negative", syscall(SYS_epoll_pwait2, e, &event, 1, &past, NULL, 8));
    value("bad pointer", syscall(SYS_epoll_pwait2, e, &event, 1, 8, NULL, 8));
    value("no mask, any size", syscall(SYS_epoll_pwait2, e, &event, 1, &t, NULL, 3));
    sigset_t none;
    sigemptyset(&none);
    value("a mask's size", syscall(SYS_epoll_pwait2, e, &event, 1, &t, &none, 3));
    close(f);
    close(e);
}

int main(void)
{
    kinds();
    ioctls();
    info();
    edges();
    refused();
    return 0;
}
