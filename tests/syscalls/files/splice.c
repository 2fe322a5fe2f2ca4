/* splice, tee and vmsplice: bytes moved and seen twice, slots, ends, waiting, offsets, errors. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char b[1 << 17];
static volatile int signals;
static void on(int signal) { (void)signal; signals++; }

static int held(int fd)
{
    int n = -1;
    ioctl(fd, FIONREAD, &n);
    return n;
}

static int events(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static void empty(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (read(fd, b, sizeof b) > 0)
        ;
    fcntl(fd, F_SETFL, flags);
}

static int later_fd;
static void *write_later(void *text)
{
    sleep_ms(30);
    write(later_fd, text, strlen(text));
    return NULL;
}

static void *read_later(void *unused)
{
    (void)unused;
    sleep_ms(30);
    char c[4096];
    read(later_fd, c, sizeof c);
    return NULL;
}

static void *close_later(void *unused)
{
    (void)unused;
    sleep_ms(30);
    close(later_fd);
    return NULL;
}

static pthread_t meanwhile(void *(*what)(void *), int fd, const char *text)
{
    pthread_t t;
    later_fd = fd;
    pthread_create(&t, NULL, what, (void *)text);
    return t;
}

int main(void)
{
    int p[2], q[2], sv[2];
    pipe2(p, O_NONBLOCK);
    pipe2(q, O_NONBLOCK);
    signal(SIGPIPE, on);
    struct iovec v = {"spliced", 7};
    value("vmsplice", vmsplice(p[1], &v, 1, 0));
    value("tee", tee(p[0], q[1], 100, 0));
    value("read", read(q[0], b, 64));
    value("the source keeps it", read(p[0], b, 64));
    value("tee, empty, not blocking", tee(p[0], q[1], 100, SPLICE_F_NONBLOCK));
    value("tee of a file", tee(open(".", O_RDONLY), q[1], 100, 0));
    value("tee to itself", tee(p[0], p[1], 100, 0));
    put_text("f", "text");
    loff_t at = 1;
    int file = open("f", O_RDONLY);
    value("splice from a file", splice(file, &at, p[1], NULL, 100, 0));
    value("its offset", at);
    value("splice between files", splice(file, NULL, file, NULL, 100, 0));

    say("-- what arrives");
    memset(b, 0, 16);
    value("read", read(p[0], b, 64));
    say("%s", b);
    value("the file's position", lseek(file, 0, SEEK_CUR));
    value("from the position", splice(file, NULL, p[1], NULL, 2, 0));
    value("the file's position", lseek(file, 0, SEEK_CUR));
    value("the rest", splice(file, NULL, p[1], NULL, 100, 0));
    value("at its end", splice(file, NULL, p[1], NULL, 100, 0));
    memset(b, 0, 16);
    value("read", read(p[0], b, 64));
    say("%s", b);
    at = 100;
    value("beyond its end", splice(file, &at, p[1], NULL, 100, 0));

    say("-- to a file");
    int out = open("g", O_RDWR | O_CREAT, 0600);
    write(p[1], "0123456789", 10);
    value("a part", splice(p[0], NULL, out, NULL, 4, 0));
    value("its position", lseek(out, 0, SEEK_CUR));
    at = 8;
    value("the rest, farther on", splice(p[0], NULL, out, &at, 100, 0));
    say("offset %ld, position %ld", (long)at, (long)lseek(out, 0, SEEK_CUR));
    memset(b, 'x', 20);
    value("pread", pread(out, b, 20, 0));
    say("%d %.4s %d %.6s", memcmp(b, "0123\0\0\0\0", 8), b, b[4], b + 8);
    value("nothing there", splice(p[0], NULL, out, NULL, 100, 0));
    int append = open("g", O_WRONLY | O_APPEND);
    write(p[1], "z", 1);
    value("appending", splice(p[0], NULL, append, NULL, 100, 0));
    value("still there", held(p[0]));
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, on);
    limit = (struct rlimit){20, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    at = 20;
    value("at the limit", splice(p[0], NULL, out, &at, 100, 0));
    say("signals %d, left %d", signals, held(p[0]));
    write(p[1], "yxwv", 4);
    at = 18;
    value("across the limit", splice(p[0], NULL, out, &at, 100, 0));
    say("left %d", held(p[0]));
    setrlimit(RLIMIT_FSIZE, &old);
    empty(p[0]);
    signals = 0;

    say("-- slots");
    int big = open("big", O_RDWR | O_CREAT, 0600);
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (char)(i * 7 + i / 4096);
    write(big, b, sizeof b);
    at = 4000;
    value("across a page", splice(big, &at, p[1], NULL, 200, 0));
    for (int i = 2; i < 16; i++) {
        at = i;
        need(splice(big, &at, p[1], NULL, 1, 0) == 1, "splice");
    }
    say("events %#x, %d bytes", events(p[1]), held(p[0]));
    value("a write adds nothing", write(p[1], "w", 1));
    value("full", splice(big, &at, p[1], NULL, 1, 0));
    empty(p[0]);
    at = 0;
    value("more than fits", splice(big, &at, p[1], NULL, sizeof b, 0));
    value("offset", at);
    static char c[1 << 17];
    value("read", read(p[0], c, sizeof c));
    say("the same %d", memcmp(b, c, 65536));
    at = 100;
    value("more than fits, not from a page's start", splice(big, &at, p[1], NULL, sizeof b, 0));
    empty(p[0]);
    write(p[1], "ab", 2);
    value("moved whole", splice(p[0], NULL, q[1], NULL, 2, 0));
    write(q[1], "cd", 2);
    for (int i = 0; i < 15; i++)
        write(q[1], b, 4096);
    say("events %#x", events(q[1]));
    empty(q[0]);
    write(p[1], "ab", 2);
    value("moved in part", splice(p[0], NULL, q[1], NULL, 1, 0));
    write(q[1], "cd", 2);
    for (int i = 0; i < 14; i++)
        write(q[1], b, 4096);
    say("events %#x, %d left", events(q[1]), held(p[0]));
    empty(p[0]);
    for (int i = 0; i < 3; i++)
        write(p[1], b, 4096);
    value("room for none", splice(p[0], NULL, q[1], NULL, 1 << 20, 0));
    value("tee, room for none", tee(p[0], q[1], 1 << 20, 0));
    read(q[0], c, 1);
    read(q[0], c, 2);
    say("events %#x", events(q[1]));
    value("room for some", splice(p[0], NULL, q[1], NULL, 1 << 20, 0));
    say("left %d", held(p[0]));
    read(q[0], c, 3 * 4096);
    value("tee, more than one", tee(p[0], q[1], 5000, 0));
    say("%d %d", held(p[0]), held(q[0]));
    empty(p[0]);
    empty(q[0]);

    say("-- memory");
    char *m = fresh(4 * PAGE);
    memset(m, 'm', 3 * PAGE);
    mprotect(m + 3 * PAGE, PAGE, PROT_NONE);
    struct iovec w[3] = {{m + 10, 5000}, {m, 0}, {m + 2 * PAGE, 6}};
    value("vmsplice", vmsplice(p[1], w, 3, SPLICE_F_GIFT));
    say("%d bytes", held(p[0]));
    for (int i = 3; i < 16; i++)
        vmsplice(p[1], &w[2], 1, SPLICE_F_NONBLOCK);
    say("events %#x", events(p[1]));
    value("full", vmsplice(p[1], w, 1, SPLICE_F_NONBLOCK));
    empty(p[0]);
    w[0] = (struct iovec){m + 3 * PAGE - 8, 16};
    value("a buffer that ends", vmsplice(p[1], w, 1, 0));
    empty(p[0]);
    w[0] = (struct iovec){m + 3 * PAGE, 16};
    value("a bad buffer", vmsplice(p[1], w, 1, 0));
    w[0].iov_base = NULL;
    value("NULL", vmsplice(p[1], w, 1, 0));
    value("no vector", vmsplice(p[1], NULL, 1, 0));
    value("no vectors", vmsplice(p[1], NULL, 0, 0));
    value("too many vectors", vmsplice(p[1], w, 1025, 0));
    w[0] = (struct iovec){m, 3};
    w[1] = (struct iovec){m + 100, 100};
    write(p[1], "to memory", 9);
    value("from a pipe to memory", vmsplice(p[0], w, 2, 0));
    say("%.3s %.6s", m, m + 100);
    value("nothing there", vmsplice(p[0], w, 2, SPLICE_F_NONBLOCK));
    write(p[1], "to memory", 9);
    w[0] = (struct iovec){m + 3 * PAGE - 4, 9};
    value("to a bad buffer", vmsplice(p[0], w, 1, 0));
    say("left %d", held(p[0]));
    empty(p[0]);
    value("of a file", vmsplice(out, w, 1, 0));
    value("of O_PATH", vmsplice(open("f", O_PATH), w, 1, 0));

    say("-- sockets and devices");
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    write(p[1], "through a socket", 16);
    value("to a socket", splice(p[0], NULL, sv[0], NULL, 100, 0));
    value("from a socket", splice(sv[1], NULL, q[1], NULL, 100, 0));
    memset(b, 0, 32);
    value("read", read(q[0], b, 64));
    say("%s", b);
    value("nothing there", splice(sv[1], NULL, q[1], NULL, 100, SPLICE_F_NONBLOCK));
    at = 0;
    value("an offset", splice(sv[1], &at, q[1], NULL, 100, SPLICE_F_NONBLOCK));
    pthread_t t = meanwhile(write_later, sv[0], "late");
    fcntl(q[1], F_SETFL, 0);
    value("waits", splice(sv[1], NULL, q[1], NULL, 100, 0));
    pthread_join(t, NULL);
    empty(q[0]);
    write(p[1], "gone", 4);
    close(sv[1]);
    value("to a closed socket", splice(p[0], NULL, sv[0], NULL, 100, 0));
    say("signals %d", signals);
    value("from a closed socket", splice(sv[0], NULL, q[1], NULL, 100, 0));
    empty(p[0]);
    int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR);
    value("from /dev/zero", splice(zero, NULL, p[1], NULL, 10000, 0));
    value("to /dev/null", splice(p[0], NULL, null, NULL, 100000, 0));
    value("from /dev/null", splice(null, NULL, p[1], NULL, 100, 0));
    write(p[1], "0", 1);
    at = 5;
    value("to /dev/zero, with an offset", splice(p[0], NULL, zero, &at, 100, 0));
    empty(p[0]);
    value("from a directory", splice(open(".", O_RDONLY), NULL, p[1], NULL, 100, 0));
    write(p[1], "12345678", 8);
    value("to an eventfd", splice(p[0], NULL, eventfd(0, 0), NULL, 8, 0));
    value("from an eventfd", splice(eventfd(5, 0), NULL, p[1], NULL, 8, 0));
    int memory = memfd_create("m", 0);
    value("to a memfd", splice(p[0], NULL, memory, NULL, 100, 0));

    say("-- ends and waiting");
    int r[2], s[2];
    pipe(r);
    pipe(s);
    t = meanwhile(write_later, r[1], "awaited");
    value("splice waits for bytes", splice(r[0], NULL, s[1], NULL, 100, 0));
    pthread_join(t, NULL);
    t = meanwhile(write_later, r[1], "again");
    value("tee waits for bytes", tee(r[0], s[1], 100, 0));
    pthread_join(t, NULL);
    value("and leaves them", read(r[0], b, 64));
    empty(s[0]);
    t = meanwhile(write_later, r[1], "file");
    value("to a file waits", splice(r[0], NULL, memory, NULL, 100, 0));
    pthread_join(t, NULL);
    t = meanwhile(write_later, r[1], "memory");
    w[0] = (struct iovec){m, 100};
    value("to memory waits", vmsplice(r[0], w, 1, 0));
    pthread_join(t, NULL);
    for (int i = 0; i < 16; i++)
        write(s[1], c, 4096);
    t = meanwhile(read_later, s[0], NULL);
    w[0].iov_len = 3;
    value("vmsplice waits for room", vmsplice(s[1], w, 1, 0));
    pthread_join(t, NULL);
    t = meanwhile(read_later, s[0], NULL);
    at = 0;
    value("from a file waits for room", splice(big, &at, s[1], NULL, 100000, 0));
    pthread_join(t, NULL);
    write(r[1], "more", 4);
    t = meanwhile(read_later, s[0], NULL);
    value("from a pipe waits for room", splice(r[0], NULL, s[1], NULL, 100000, 0));
    pthread_join(t, NULL);
    empty(s[0]);
    t = meanwhile(close_later, r[1], NULL);
    value("the last writer goes", splice(r[0], NULL, s[1], NULL, 100, 0));
    pthread_join(t, NULL);
    value("nobody writes", splice(r[0], NULL, s[1], NULL, 100, 0));
    value("tee, nobody writes", tee(r[0], s[1], 100, 0));
    value("to a file, nobody writes", splice(r[0], NULL, memory, NULL, 100, 0));
    value("to memory, nobody writes", vmsplice(r[0], w, 1, 0));
    signals = 0;
    close(s[0]);
    value("nobody reads or writes", splice(r[0], NULL, s[1], NULL, 100, 0));
    value("nobody reads", splice(p[0], NULL, s[1], NULL, 100, SPLICE_F_NONBLOCK));
    write(p[1], "x", 1);
    value("nobody reads", splice(p[0], NULL, s[1], NULL, 100, 0));
    value("tee, nobody reads", tee(p[0], s[1], 100, 0));
    at = 0;
    value("from a file, nobody reads", splice(big, &at, s[1], NULL, 100, 0));
    value("vmsplice, nobody reads", vmsplice(s[1], w, 1, 0));
    say("signals %d", signals);

    say("-- errors");
    value("no bytes", splice(-1, NULL, -1, NULL, 0, -1));
    value("unknown flag", splice(p[0], NULL, q[1], NULL, 1, 16));
    value("closed", splice(999, NULL, q[1], NULL, 1, 0));
    value("closed", splice(p[0], NULL, 999, NULL, 1, 0));
    value("the wrong end", splice(p[1], NULL, q[1], NULL, 1, 0));
    value("the wrong end", splice(p[0], NULL, q[0], NULL, 1, 0));
    value("to itself", splice(p[0], NULL, p[1], NULL, 1, 0));
    value("an offset into a pipe", splice(p[0], &at, q[1], NULL, 1, 0));
    value("an offset into a pipe", splice(p[0], NULL, q[1], &at, 1, 0));
    value("a bad offset", splice(big, (loff_t *)8, q[1], NULL, 1, 0));
    at = -1;
    value("a negative offset", splice(big, &at, q[1], NULL, 1, 0));
    value("not for writing", splice(p[0], NULL, file, NULL, 1, 0));
    value("not for reading", splice(append, NULL, p[1], NULL, 1, 0));
    loff_t *fixed = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    value("an offset that can't be written", splice(big, fixed, q[1], NULL, 1, 0));
    value("after that", held(q[0]));
    value("tee of no bytes", tee(-1, -1, 0, 0));
    value("tee, unknown flag", tee(-1, -1, 0, 32));
    value("tee, closed", tee(999, q[1], 1, 0));
    value("tee, the wrong end", tee(p[1], q[1], 1, 0));
    value("vmsplice, unknown flag", vmsplice(p[1], w, 1, 16));
    value("vmsplice, closed", vmsplice(999, w, 1, 0));
    return 0;
}
