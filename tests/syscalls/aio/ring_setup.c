/* io_uring_setup, the shape of the rings, and io_uring_enter's arguments. */
#include "ring.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static void shape(const char *what, unsigned entries, unsigned flags, unsigned completions)
{
    struct params p = {.flags = flags, .cq_entries = completions};
    int fd = ring_setup(entries, &p);
    if (fd < 0) {
        say("%s: %s", what, errno_name(errno));
        return;
    }
    say("%s: %u entries, %u completions, array at %u", what, p.sq_entries, p.cq_entries, p.sq[ARRAY]);
    close(fd);
}

int main(void)
{
    struct params p;
    shape("one", 1, 0, 0);
    shape("three", 3, 0, 0);
    shape("4096", 4096, 0, 0);
    shape("none", 0, 0, 0);
    shape("32768", 32768, 0, 0);
    shape("32769", 32769, 0, 0);
    shape("32769 clamped", 32769, 0x10, 0);
    shape("completions 100", 8, 8, 100);
    shape("completions too few", 8, 8, 4);
    shape("completions none", 8, 8, 0);
    shape("completions too many", 8, 8, 65537);
    shape("completions clamped", 8, 8 | 0x10, 100000);
    shape("large entries", 8, 0x400, 0);
    shape("large completions", 8, 0x800, 0);
    shape("no array", 8, 0x10000, 0);
    shape("submit all, single issuer", 8, 0x80 | 0x1000, 0);
    shape("deferred", 8, 0x2000 | 0x1000, 0);
    shape("deferred without single issuer", 8, 0x2000, 0);
    shape("cooperative with flag", 8, 0x100 | 0x200, 0);
    shape("flag alone", 8, 0x200, 0);
    shape("disabled", 8, 0x40, 0);
    shape("affinity alone", 8, 4, 0);
    shape("unknown", 8, 1u << 31, 0);
    value("bad address", ring_setup(8, (void *)8));
    memset(&p, 0, sizeof p);
    p.resv[1] = 1;
    value("reserved", ring_setup(8, &p));
    memset(&p, 0, sizeof p);
    p.flags = 0x20;
    p.wq_fd = 0;
    value("attach to no ring", ring_setup(8, &p) < 0 ? -1 : 0);
    p.wq_fd = 99;
    value("attach to nothing", ring_setup(8, &p) < 0 ? -1 : 0);

    struct ring r;
    ring_open(&r, 4, 0);
    yes("single mmap, no drop", (r.p.features & 3) == 3);
    say("cloexec %d, status %x", fcntl(r.fd, F_GETFD), fcntl(r.fd, F_GETFL));
    say("sq %u %u %u %u %u %u", r.p.sq[0], r.p.sq[1], r.p.sq[2], r.p.sq[3], r.p.sq[4], r.p.sq[5]);
    say("cq %u %u %u %u %u %u %u", r.p.cq[0], r.p.cq[1], r.p.cq[2], r.p.cq[3], r.p.cq[4], r.p.cq[5], r.p.cq[6]);
    say("mask %u entries %u", *sq_word(&r, MASK), *sq_word(&r, ENTRIES));
    say("mask %u entries %u", *cq_word(&r, MASK), *cq_word(&r, ENTRIES));
    char *again = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0x8000000);
    need(again != MAP_FAILED, "mmap");
    entry(&r, NOP, -1, NULL, 0, 0, 7);
    run(&r, "nop", 1);
    yes("the other mapping is the same", memcmp(again, r.rings, 64) == 0);
    value("mmap elsewhere", mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, 0x4000000) == MAP_FAILED ? -1 : 0);
    char link[64] = "", path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", r.fd);
    need(readlink(path, link, sizeof link - 1) > 0, "readlink");
    say("called %s", link);
    value("read", read(r.fd, link, 8));
    value("write", write(r.fd, link, 8));

    value("unknown flag", ring_enter(r.fd, 0, 0, 1u << 30, NULL, 0));
    value("closed", ring_enter(99, 0, 0, 0, NULL, 0));
    value("no ring", ring_enter(0, 0, 0, 0, NULL, 0));
    value("nothing", ring_enter(r.fd, 0, 0, 0, NULL, 0));
    value("nothing, more than there is", ring_enter(r.fd, 10, 0, 0, NULL, 0));
    value("mask of a bad size", ring_enter(r.fd, 0, 0, 1, link, 3));
    value("bad mask", ring_enter(r.fd, 0, 0, 1, (void *)8, 8));
    value("registered, none", ring_enter(3, 0, 0, 0x10, NULL, 0));
    value("registered, beyond", ring_enter(16, 0, 0, 0x10, NULL, 0));
    struct { uint64_t mask; uint32_t size, least; uint64_t time; } arg = {0};
    struct timespec time = {0, 20000000};
    arg.time = (uint64_t)&time;
    value("argument of a bad size", ring_enter(r.fd, 0, 1, 9, &arg, 8));
    value("bad argument", ring_enter(r.fd, 0, 1, 9, (void *)8, sizeof arg));
    int64_t start = now_ns(CLOCK_MONOTONIC);
    value("timeout", ring_enter(r.fd, 0, 1, 9, &arg, sizeof arg));
    yes("took 20 ms", now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    time.tv_nsec = 1000000001;
    value("malformed time", ring_enter(r.fd, 0, 1, 9, &arg, sizeof arg));
    time.tv_nsec = 0;
    value("no time", ring_enter(r.fd, 0, 1, 9, &arg, sizeof arg));

    /* Readiness of the ring itself. */
    struct pollfd pf = {r.fd, POLLIN | POLLOUT, 0};
    poll(&pf, 1, 0);
    say("empty ring polls %x", pf.revents);
    entry(&r, NOP, -1, NULL, 0, 0, 8);
    submit(&r, 0);
    poll(&pf, 1, 0);
    say("with a completion %x", pf.revents);
    show(&r);
    int ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN};
    value("epoll", epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
    value("none", epoll_wait(ep, &ev, 1, 0));
    entry(&r, NOP, -1, NULL, 0, 0, 9);
    submit(&r, 0);
    value("one", epoll_wait(ep, &ev, 1, 1000));
    show(&r);

    /* A bad index in the array. */
    entry(&r, NOP, -1, NULL, 0, 0, 10);
    sq_word(&r, ARRAY)[(*sq_word(&r, TAIL) - 1) & 3] = 4;
    run(&r, "an index beyond", 0);
    say("dropped %u, head is tail %d", *sq_word(&r, DROPPED), *sq_word(&r, HEAD) == *sq_word(&r, TAIL));

    /* The completion queue overflows, and nothing is lost. */
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            entry(&r, NOP, -1, NULL, 0, 0, 20 + round * 4 + i);
        int n = submit(&r, 0);
        say("submitted %d, flags %u", n, *sq_word(&r, FLAGS) & 2);
    }
    show(&r);
    value("flush", ring_enter(r.fd, 0, 0, 1, NULL, 0));
    say("flags %u, lost %u", *sq_word(&r, FLAGS) & 2, *cq_word(&r, CQ_OVERFLOW));
    show(&r);

    /* eventfd. */
    int event = eventfd(0, EFD_NONBLOCK), other = 0;
    uint64_t count = 0;
    value("no eventfd", ring_register(r.fd, 4, &other, 1));
    value("two", ring_register(r.fd, 4, &event, 2));
    value("eventfd", ring_register(r.fd, 4, &event, 1));
    value("again", ring_register(r.fd, 4, &event, 1));
    entry(&r, NOP, -1, NULL, 0, 0, 40);
    entry(&r, NOP, -1, NULL, 0, 0, 41);
    run(&r, "two nops", 2);
    value("read", read(event, &count, 8));
    yes("counted", count >= 1);
    value("unregister", ring_register(r.fd, 5, NULL, 0));
    value("unregister again", ring_register(r.fd, 5, NULL, 0));

    /* Disabled and restricted. */
    struct ring d;
    ring_open(&d, 4, 0x40);
    entry(&d, NOP, -1, NULL, 0, 0, 50);
    run(&d, "disabled", 0);
    d.queued = 1;
    struct { uint16_t opcode; uint8_t arg, resv; uint32_t more[3]; } limits[4] = {
        {0, 12, 0, {0}}, {1, NOP, 0, {0}}, {2, LINK, 0, {0}}, {9, 0, 0, {0}},
    };
    value("unknown restriction", ring_register(d.fd, 11, limits, 4));
    value("restrict", ring_register(d.fd, 11, limits, 3));
    value("enable", ring_register(d.fd, 12, NULL, 0));
    value("enable again", ring_register(d.fd, 12, NULL, 0));
    run(&d, "nop is allowed", 1);
    entry(&d, READ, 0, NULL, 0, 0, 51);
    run(&d, "read is not", 1);
    entry(&d, NOP, 0, NULL, 0, 0, 52)->flags = APART;
    run(&d, "nor is the flag", 1);
    value("nor eventfd", ring_register(d.fd, 4, &event, 1));
    value("unknown registration", ring_register(r.fd, 1000, NULL, 0));
    value("restrict an enabled one", ring_register(r.fd, 11, limits, 3));

    /* An index instead of the descriptor. */
    uint32_t index[4] = {-1u, 0, r.fd, 0};
    value("register the ring", ring_register(r.fd, 20, index, 1));
    say("at %u", index[0]);
    entry(&r, NOP, -1, NULL, 0, 0, 60);
    value("enter by index", ring_enter(index[0], 1, 1, 0x11, NULL, 0));
    show(&r);
    index[2] = 0;
    value("unregister it", ring_register(r.fd, 21, index, 1));
    value("gone", ring_enter(0, 0, 0, 0x10, NULL, 0));
    return 0;
}
