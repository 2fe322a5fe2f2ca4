/* Operations over files, pipes and socket pairs; errors of entries. */
#include "ring.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/xattr.h>

static struct ring r;
static char *buffer;

static void one(const char *what, int op, int fd, const void *addr, unsigned len, uint64_t off)
{
    entry(&r, op, fd, addr, len, off, 1);
    run(&r, what, 1);
}

static struct sqe *flags(struct sqe *e, unsigned f)
{
    e->op_flags = f;
    return e;
}

int main(void)
{
    ring_open(&r, 16, 0);
    buffer = fresh(3 * PAGE);
    char dir[] = "aio_operations_XXXXXX";
    need(mkdtemp(dir) != NULL && chdir(dir) == 0, "mkdtemp");
    int f = open("file", O_RDWR | O_CREAT, 0644);
    need(f >= 0, "open");

    memcpy(buffer, "hello ring", 10);
    one("write", WRITE, f, buffer, 10, 0);
    one("write at the position", WRITE, f, buffer, 10, -1);
    say("position %ld", (long)lseek(f, 0, SEEK_CUR));
    memset(buffer, 0, 32);
    one("read", READ, f, buffer, 32, 0);
    say("read %s, position %ld", buffer, (long)lseek(f, 0, SEEK_CUR));
    one("read at 6", READ, f, buffer + 64, 4, 6);
    say("%s", buffer + 64);
    one("read beyond", READ, f, buffer, 4, 100);
    one("read nothing", READ, f, buffer, 0, 0);
    one("negative", READ, f, buffer, 4, -2);
    one("closed", READ, 99, buffer, 4, 0);
    one("bad buffer", READ, f, (void *)8, 4, 0);
    one("bad buffer to write", WRITE, f, (void *)8, 4, 0);
    struct iovec v[2] = {{buffer, 3}, {buffer + 100, 5}};
    one("readv", READV, f, v, 2, 0);
    one("writev", WRITEV, f, v, 2, 30);
    one("readv of too many", READV, f, v, 1025, 0);
    one("readv of none", READV, f, v, 0, 0);
    one("readv of bad ones", READV, f, (void *)8, 1, 0);
    flags(entry(&r, READ, f, buffer, 4, 0, 1), 1u << 30);
    run(&r, "unknown transfer flags", 1);
    flags(entry(&r, WRITE, f, buffer, 4, 0, 1), 2 | 0x10);
    run(&r, "append, synchronous", 1);
    int ro = open("file", O_RDONLY), wo = open("file", O_WRONLY);
    one("write a read-only one", WRITE, ro, buffer, 4, 0);
    one("read a write-only one", READ, wo, buffer, 4, 0);
    one("read a directory", READ, open(".", O_RDONLY), buffer, 4, 0);

    one("fsync", FSYNC, f, NULL, 0, 0);
    flags(entry(&r, FSYNC, f, NULL, 0, 0, 1), 1);
    run(&r, "fdatasync", 1);
    flags(entry(&r, FSYNC, f, NULL, 0, 0, 1), 2);
    run(&r, "fsync, unknown flag", 1);
    one("fsync with an address", FSYNC, f, buffer, 0, 0);
    one("sync_file_range", SYNC_FILE_RANGE, f, NULL, 10, 0);
    one("fallocate", FALLOCATE, f, (void *)4096, 0, 0);
    one("ftruncate", FTRUNCATE, f, NULL, 0, 100);
    struct stat st;
    fstat(f, &st);
    say("size %ld", (long)st.st_size);
    one("fadvise", FADVISE, f, NULL, 0, 0);
    flags(entry(&r, MADVISE, -1, buffer + PAGE, PAGE, 0, 1), MADV_DONTNEED);
    run(&r, "madvise", 1);
    flags(entry(&r, FADVISE, f, NULL, 0, 0, 1), 77);
    run(&r, "fadvise, unknown", 1);

    flags(entry(&r, OPENAT, AT_FDCWD, "new", 0600, 0, 1), O_CREAT | O_RDWR);
    submit(&r, 1);
    struct cqe c;
    take(&r, &c);
    yes("openat", c.res > 2);
    one("close", CLOSE, c.res, NULL, 0, 0);
    one("close again", CLOSE, c.res, NULL, 0, 0);
    one("open what is not there", OPENAT, AT_FDCWD, "none", 0, 0);
    one("open a bad path", OPENAT, AT_FDCWD, (void *)8, 0, 0);
    struct { uint64_t flags, mode, resolve; } how = {O_RDONLY, 0, 0};
    one("openat2 what is not there", OPENAT2, AT_FDCWD, "none", sizeof how, (uint64_t)&how);
    one("openat2, bad size", OPENAT2, AT_FDCWD, "file", 3, (uint64_t)&how);
    struct statx sx;
    one("statx", STATX, AT_FDCWD, "file", STATX_ALL, (uint64_t)&sx);
    say("size %llu", (unsigned long long)sx.stx_size);
    one("mkdirat", MKDIRAT, AT_FDCWD, "sub", 0700, 0);
    one("mkdirat again", MKDIRAT, AT_FDCWD, "sub", 0700, 0);
    one("symlinkat", SYMLINKAT, AT_FDCWD, "file", 0, (uint64_t)"link");
    one("linkat", LINKAT, AT_FDCWD, "file", AT_FDCWD, (uint64_t)"hard");
    one("renameat", RENAMEAT, AT_FDCWD, "hard", AT_FDCWD, (uint64_t)"moved");
    one("unlinkat", UNLINKAT, AT_FDCWD, "moved", 0, 0);
    one("unlinkat of a directory", UNLINKAT, AT_FDCWD, "sub", 0, 0);
    flags(entry(&r, UNLINKAT, AT_FDCWD, "sub", 0, 0, 1), AT_REMOVEDIR);
    run(&r, "rmdir", 1);

    int ep = epoll_create1(0), event = eventfd(0, 0);
    struct epoll_event ev = {.events = EPOLLIN};
    one("epoll_ctl", EPOLL_CTL, ep, &ev, EPOLL_CTL_ADD, event);
    one("epoll_ctl again", EPOLL_CTL, ep, &ev, EPOLL_CTL_ADD, event);
    uint64_t count = 5;
    one("write an eventfd", WRITE, event, &count, 8, 0);
    one("read an eventfd", READ, event, &count, 8, 0);
    say("count %llu", (unsigned long long)count);

    /* What waits. */
    int p[2], s[2];
    need(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "pipe");
    entry(&r, READ, p[0], buffer, 16, 0, 2);
    run(&r, "read an empty pipe", 0);
    entry(&r, WRITE, p[1], "pipe", 4, 0, 3);
    run(&r, "write it", 2);
    entry(&r, READ, p[0], buffer, 16, -1, 2);
    run(&r, "read it again", 0);
    close(p[1]);
    value("its end", ring_enter(r.fd, 0, 1, 1, NULL, 0));
    show(&r);
    signal(SIGPIPE, SIG_IGN);
    need(pipe(p) == 0, "pipe");
    close(p[0]);
    one("write a broken pipe", WRITE, p[1], buffer, 4, 0);

    entry(&r, RECV, s[0], buffer, 16, 0, 4);
    run(&r, "recv", 0);
    entry(&r, SEND, s[1], "socket", 6, 0, 5);
    run(&r, "send", 2);
    struct iovec iov = {buffer, 16};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    entry(&r, RECVMSG, s[0], &m, 1, 0, 6);
    run(&r, "recvmsg", 0);
    iov.iov_len = 3;
    struct msghdr m2 = {.msg_iov = &iov, .msg_iovlen = 1};
    entry(&r, SENDMSG, s[1], &m2, 1, 0, 7);
    run(&r, "sendmsg", 2);
    one("send to a file", SEND, f, buffer, 4, 0);
    one("shutdown", SHUTDOWN, s[1], NULL, SHUT_WR, 0);
    one("recv the end", RECV, s[0], buffer, 4, 0);

    /* Entries that are refused. */
    one("unknown operation", 200, f, NULL, 0, 0);
    entry(&r, NOP, -1, NULL, 0, 0, 8)->flags = 0x80;
    run(&r, "unknown flag", 1);
    entry(&r, NOP, -1, NULL, 0, 0, 8)->personality = 3;
    run(&r, "unknown personality", 1);
    entry(&r, NOP, -1, NULL, 0, 0, 8)->flags = SELECT;
    run(&r, "no buffers to choose from", 1);
    entry(&r, NOP, -1, NULL, 0, 0, 10);
    entry(&r, 200, -1, NULL, 0, 0, 11);
    entry(&r, NOP, -1, NULL, 0, 0, 12);
    run(&r, "the second is refused", 2);
    r.queued = 1;
    run(&r, "the rest", 1);
    entry(&r, NOP, -1, NULL, 0, 0, 13)->flags = SKIP;
    entry(&r, READ, 99, buffer, 1, 0, 14)->flags = SKIP;
    run(&r, "only failures told", 1);

    /* Registered files and buffers. */
    int fds[3] = {f, -1, 99};
    value("register files, one closed", ring_register(r.fd, 2, fds, 3));
    value("register no files", ring_register(r.fd, 2, fds, 0));
    fds[2] = r.fd;
    value("register a ring", ring_register(r.fd, 2, fds, 3));
    value("register two", ring_register(r.fd, 2, fds, 2));
    value("register again", ring_register(r.fd, 2, fds, 2));
    entry(&r, READ, 0, buffer, 5, 0, 20)->flags = FIXED;
    entry(&r, READ, 1, buffer, 5, 0, 21)->flags = FIXED;
    entry(&r, READ, 2, buffer, 5, 0, 22)->flags = FIXED;
    entry(&r, FSYNC, 0, NULL, 0, 0, 23)->flags = FIXED;
    run(&r, "by index", 4);
    struct { uint32_t offset, resv; uint64_t fds; } up = {1, 0, (uint64_t)&ro};
    value("update", ring_register(r.fd, 6, &up, 1));
    value("update beyond", ring_register(r.fd, 6, &up, 2));
    entry(&r, READ, 1, buffer, 5, 0, 24)->flags = FIXED;
    run(&r, "the new one", 1);
    fds[0] = -1;
    entry(&r, FILES_UPDATE, -1, fds, 1, 1, 25);
    run(&r, "update by an entry", 1);
    struct sqe *e = flags(entry(&r, OPENAT, AT_FDCWD, "file", 0, 0, 26), O_RDONLY);
    e->file_index = 2;
    run(&r, "open into a slot", 1);
    entry(&r, READ, 1, buffer, 5, 0, 27)->flags = FIXED;
    run(&r, "read it", 1);
    entry(&r, CLOSE, 0, NULL, 0, 0, 28)->file_index = 2;
    run(&r, "close the slot", 1);
    entry(&r, CLOSE, 0, NULL, 0, 0, 28)->file_index = 2;
    run(&r, "close it again", 1);
    value("unregister", ring_register(r.fd, 3, NULL, 0));
    value("unregister again", ring_register(r.fd, 3, NULL, 0));
    struct iovec b[2] = {{buffer, PAGE}, {buffer + PAGE, 0}};
    value("register buffers", ring_register(r.fd, 0, b, 1));
    value("again", ring_register(r.fd, 0, b, 1));
    entry(&r, READ_FIXED, f, buffer + 10, 5, 0, 30)->buf_index = 0;
    entry(&r, READ_FIXED, f, buffer + PAGE - 2, 5, 0, 31)->buf_index = 0;
    entry(&r, READ_FIXED, f, buffer, 5, 0, 32)->buf_index = 1;
    entry(&r, WRITE_FIXED, f, buffer + 10, 5, 50, 33)->buf_index = 0;
    run(&r, "fixed", 4);
    value("unregister buffers", ring_register(r.fd, 1, NULL, 0));

    /* Between rings. */
    struct ring other;
    ring_open(&other, 4, 0);
    entry(&r, MSG_RING, other.fd, NULL, 77, 1234, 40);
    entry(&r, MSG_RING, f, NULL, 77, 1234, 41);
    run(&r, "messages", 2);
    show(&other);
    unlink("file"), unlink("new"), unlink("link");
    if (chdir("..") == 0)
        rmdir(dir);
    return 0;
}
