// build: static dynamic
// Pairs: how they are made, named and opened, their numbers, and what hangs up.
#include "terminal.h"

#include <sys/epoll.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static void made(void)
{
    struct stat st;
    struct statfs fs;
    char name[32];
    int n = -1, lock = -1, one = 1, zero = 0;
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    need(master >= 0, "/dev/ptmx");
    value("isatty master", isatty(master));
    value("TIOCGPTN", ioctl(master, TIOCGPTN, &n));
    yes("a number", n >= 0);
    value("TIOCGPTLCK", ioctl(master, TIOCGPTLCK, &lock));
    say("locked: %d", lock);
    snprintf(name, sizeof name, "/dev/pts/%d", n);
    value("open while locked", open(name, O_RDWR | O_NOCTTY));
    value("peer while locked", ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    value("unlock", ioctl(master, TIOCSPTLCK, &zero));
    value("TIOCGPTLCK", ioctl(master, TIOCGPTLCK, &lock));
    say("locked: %d", lock);
    value("TIOCSPTLCK bad", ioctl(master, TIOCSPTLCK, 8));
    value("TIOCGPTN bad", ioctl(master, TIOCGPTN, 8));
    need(stat(name, &st) == 0, name);
    say("mode %o rdev major %u links %lu", st.st_mode, major(st.st_rdev), (unsigned long)st.st_nlink);
    yes("minor is the number", (int)minor(st.st_rdev) == n);
    yes("inode", st.st_ino == (ino_t)n + 3);
    yes("owned by the opener", st.st_uid == geteuid());
    need(fstat(master, &st) == 0, "fstat");
    say("master: major %u minor %u", major(st.st_rdev), minor(st.st_rdev));
    need(statfs("/dev/pts", &fs) == 0, "statfs");
    say("type %lx", (unsigned long)fs.f_type);
    need(stat("/dev/pts/ptmx", &st) == 0, "ptmx");
    say("ptmx: %o %u %u", st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev));
    int slave = done("open", open(name, O_RDWR | O_NOCTTY));
    value("isatty slave", isatty(slave));
    yes("ttyname", ttyname(slave) && strcmp(ttyname(slave), name) == 0);
    int peer = done("peer", ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    value("cloexec", fcntl(peer, F_GETFD));
    value("flags", fcntl(peer, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    yes("ttyname of the peer", ttyname(peer) && strcmp(ttyname(peer), name) == 0);
    value("peer of a slave", ioctl(slave, TIOCGPTPEER, O_RDWR));
    value("TIOCGPTN of a slave", ioctl(slave, TIOCGPTN, &n));
    value("TIOCPKT of a slave", ioctl(slave, TIOCPKT, &one));
    value("chmod", fchmod(slave, 0640));
    need(stat(name, &st) == 0, name);
    say("mode %o", st.st_mode);
    unsigned dev = 0;
    value("TIOCGDEV", ioctl(slave, TIOCGDEV, &dev));
    yes("device", dev == st.st_rdev);
    value("lseek", lseek(slave, 0, SEEK_SET));
    value("pread", pread(slave, name, 1, 0));
    value("ftruncate", ftruncate(slave, 0));
    value("unlink", unlink(name));
    value("mkdir", mkdir("/dev/pts/x", 0700));
    value("creat", open("/dev/pts/x", O_CREAT | O_RDWR, 0600));
    value("missing", open("/dev/pts/4000", O_RDWR));
    value("unknown", ioctl(slave, 0x5499, &dev));
    value("TIOCMGET", ioctl(slave, TIOCMGET, &n));
    value("TIOCGETD", ioctl(slave, TIOCGETD, &n));
    say("discipline %d", n);
    value("TIOCSETD", ioctl(slave, TIOCSETD, &zero));
    n = 77;
    value("TIOCSETD 77", ioctl(slave, TIOCSETD, &n));
    int second = open_master();
    yes("another number", ioctl(second, TIOCGPTN, &n) == 0 && n != (int)minor(st.st_rdev));
    close(second);
    close(slave);
    close(peer);
    close(master);
    value("stat after the end", stat(name, &st));
}

static short events(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static void closing(void)
{
    char c;
    int pair[2];
    struct winsize w;
    open_pair(pair);
    say("master %#x slave %#x", events(pair[0]), events(pair[1]));
    need(write(pair[1], "last", 4) == 4, "write");
    close(pair[1]);
    ready(pair[0], 100);
    sleep_ms(30);
    say("slave closed: %#x", events(pair[0]));
    show("what it wrote", pair[0]);
    say("then: %#x", events(pair[0]));
    value("read", read(pair[0], &c, 1));
    value("write all the same", write(pair[0], "x\n", 2));
    pair[1] = open_peer(pair[0], O_RDWR | O_NOCTTY);
    sleep_ms(30);
    say("open again: %#x", events(pair[0]) & ~(POLLIN | POLLRDNORM));
    show("it was kept", pair[1]);
    show("and echoed", pair[0]);
    close(pair[0]);
    say("master closed: %#x", events(pair[1]));
    value("read", read(pair[1], &c, 1));
    value("write", write(pair[1], &c, 1));
    value("write nothing", write(pair[1], &c, 0));
    value("ioctl", ioctl(pair[1], TIOCGWINSZ, &w));
    value("TIOCSPGRP", ioctl(pair[1], TIOCSPGRP, &c));
    value("isatty", isatty(pair[1]));
    value("fstat", fstat(pair[1], &(struct stat){0}));
    close(pair[1]);
}

static void watched(void)
{
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 7}};
    int pair[2], set = epoll_create1(0);
    open_pair(pair);
    value("add master", epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event));
    value("nothing", epoll_wait(set, &event, 1, 0));
    need(write(pair[1], "a", 1) == 1, "write");
    value("something", epoll_wait(set, &event, 1, 500));
    say("events %#x", event.events);
    value("an edge", epoll_wait(set, &event, 1, 30));
    close(pair[1]);
    value("hangup", epoll_wait(set, &event, 1, 500));
    say("events %#x", event.events);
    close(pair[0]);
    value("gone", epoll_wait(set, &event, 1, 0));
    close(set);
}

static void nonblocking(void)
{
    char c;
    int pair[2];
    open_pair(pair);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    value("master read", read(pair[0], &c, 1));
    value("slave read", read(pair[1], &c, 1));
    value("nothing wanted", read(pair[1], &c, 0));
    value("bad buffer", write(pair[1], (void *)8, 1));
    long total = 0, n;
    char block[1000];
    memset(block, 'x', sizeof block);
    /* Linux goes on moving bytes for a while, which makes room again. */
    for (int i = 0; i < 6; i++, sleep_ms(30))
        while ((n = write(pair[1], block, sizeof block)) > 0)
            total += n;
    value("full", n);
    yes("it held some", total >= 4096);
    yes("no room", !(events(pair[1]) & POLLOUT));
    while ((n = read(pair[0], block, sizeof block)) > 0 || ready(pair[0], 50))
        total -= n > 0 ? n : 0;
    value("all came", total);
    yes("room", (events(pair[1]) & POLLOUT) != 0);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    made();
    closing();
    watched();
    nonblocking();
    return 0;
}
