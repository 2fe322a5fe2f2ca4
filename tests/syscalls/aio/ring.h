/* io_uring by its system calls alone: a ring, entries, completions. */
#ifndef RING_H
#define RING_H

#include "../observe.h"
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* The kernel's structures, so that nothing depends on the headers' age. */
struct sqe {
    uint8_t opcode, flags;
    uint16_t ioprio;
    int32_t fd;
    uint64_t off, addr;
    uint32_t len, op_flags;
    uint64_t user_data;
    uint16_t buf_index, personality;
    uint32_t file_index;
    uint64_t addr3, pad;
};
struct cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};
struct params {
    uint32_t sq_entries, cq_entries, flags, cpu, idle, features, wq_fd, resv[3];
    uint32_t sq[10], cq[10];
};
enum { /* sq */ HEAD, TAIL, MASK, ENTRIES, FLAGS, DROPPED, ARRAY };
enum { CQ_OVERFLOW = 4, CQES };

struct ring {
    int fd;
    struct params p;
    char *rings;
    struct sqe *sqes;
    unsigned queued;
};

enum {
    NOP, READV, WRITEV, FSYNC, READ_FIXED, WRITE_FIXED, POLL_ADD, POLL_REMOVE, SYNC_FILE_RANGE,
    SENDMSG, RECVMSG, TIMEOUT, TIMEOUT_REMOVE, ACCEPT, ASYNC_CANCEL, LINK_TIMEOUT, CONNECT,
    FALLOCATE, OPENAT, CLOSE, FILES_UPDATE, STATX, READ, WRITE, FADVISE, MADVISE, SEND, RECV,
    OPENAT2, EPOLL_CTL, SPLICE, PROVIDE_BUFFERS, REMOVE_BUFFERS, TEE, SHUTDOWN, RENAMEAT, UNLINKAT,
    MKDIRAT, SYMLINKAT, LINKAT, MSG_RING, FSETXATTR, SETXATTR, FGETXATTR, GETXATTR, FTRUNCATE = 55
};
enum { FIXED = 1, DRAIN = 2, LINK = 4, HARD = 8, APART = 16, SELECT = 32, SKIP = 64 };

UNUSED static int ring_setup(unsigned entries, struct params *p)
{
    return syscall(SYS_io_uring_setup, entries, p);
}
UNUSED static int ring_enter(int fd, unsigned n, unsigned min, unsigned flags, void *arg, size_t size)
{
    return syscall(SYS_io_uring_enter, fd, n, min, flags, arg, size);
}
UNUSED static int ring_register(int fd, unsigned op, void *arg, unsigned n)
{
    return syscall(SYS_io_uring_register, fd, op, arg, n);
}

UNUSED static void ring_open(struct ring *r, unsigned entries, unsigned flags)
{
    memset(r, 0, sizeof *r);
    r->p.flags = flags;
    r->fd = ring_setup(entries, &r->p);
    need(r->fd >= 0, "io_uring_setup");
    size_t size = r->p.cq[CQES] + r->p.cq_entries * sizeof(struct cqe);
    if (r->p.sq[ARRAY] + r->p.sq_entries * 4 > size)
        size = r->p.sq[ARRAY] + r->p.sq_entries * 4;
    r->rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
    need(r->rings != MAP_FAILED, "mmap of the rings");
    r->sqes = mmap(NULL, r->p.sq_entries * sizeof(struct sqe), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_POPULATE, r->fd, 0x10000000);
    need(r->sqes != MAP_FAILED, "mmap of the entries");
}

UNUSED static uint32_t *sq_word(struct ring *r, int which)
{
    return (uint32_t *)(r->rings + r->p.sq[which]);
}
UNUSED static uint32_t *cq_word(struct ring *r, int which)
{
    return (uint32_t *)(r->rings + r->p.cq[which]);
}

/* The next entry, cleared and queued; `user` names it. */
UNUSED static struct sqe *entry(struct ring *r, int opcode, int fd, const void *addr, unsigned len,
                                uint64_t off, uint64_t user)
{
    uint32_t tail = *sq_word(r, TAIL), slot = tail & *sq_word(r, MASK);
    struct sqe *e = &r->sqes[slot];
    memset(e, 0, sizeof *e);
    e->opcode = opcode;
    e->fd = fd;
    e->addr = (uint64_t)addr;
    e->len = len;
    e->off = off;
    e->user_data = user;
    if (r->p.sq[ARRAY])
        sq_word(r, ARRAY)[slot] = slot;
    __atomic_store_n(sq_word(r, TAIL), tail + 1, __ATOMIC_RELEASE);
    r->queued++;
    return e;
}

/* Submits what is queued and waits for `wait` completions. */
UNUSED static int submit(struct ring *r, unsigned wait)
{
    unsigned n = r->queued;
    r->queued = 0;
    int done;
    do
        done = ring_enter(r->fd, n, wait, wait ? 1 : 0, NULL, 0);
    while (done == -1 && errno == EINTR);
    return done;
}

UNUSED static int take(struct ring *r, struct cqe *out)
{
    uint32_t head = *cq_word(r, HEAD);
    if (head == __atomic_load_n(cq_word(r, TAIL), __ATOMIC_ACQUIRE))
        return 0;
    struct cqe *all = (struct cqe *)(r->rings + r->p.cq[CQES]);
    *out = all[head & *cq_word(r, MASK)];
    __atomic_store_n(cq_word(r, HEAD), head + 1, __ATOMIC_RELEASE);
    return 1;
}

UNUSED static void show_one(const struct cqe *c)
{
    if (c->res < 0)
        say("  [%llu] %s flags %x", (unsigned long long)c->user_data, errno_name(-c->res), c->flags);
    else
        say("  [%llu] %d flags %x", (unsigned long long)c->user_data, c->res, c->flags);
}

/* Shows all completions that are there, by their names. */
UNUSED static void show(struct ring *r)
{
    struct cqe all[256], c;
    int n = 0;
    while (n < 256 && take(r, &c)) {
        int at = n++;
        for (; at > 0 && all[at - 1].user_data > c.user_data; at--)
            all[at] = all[at - 1];
        all[at] = c;
    }
    for (int i = 0; i < n; i++)
        show_one(&all[i]);
    if (n == 0)
        say("  none");
}

/* Submits, waits for `wait` completions, and shows what came. */
UNUSED static void run(struct ring *r, const char *what, unsigned wait)
{
    int done = submit(r, wait);
    if (done < 0)
        say("%s: %s", what, errno_name(errno));
    else
        say("%s: %d", what, done);
    show(r);
}

UNUSED static void pause_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

#endif
