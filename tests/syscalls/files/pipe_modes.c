/* Pipes: packets, what is atomic with several writers, FIONREAD, and opening FIFOs in each way. */
#include "observe.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static char big[200000];

static void packets(void)
{
    int p[2], n = -1;
    char buffer[8192];
    struct iovec v[2] = {{"ab", 2}, {"cde", 3}}, r[2] = {{buffer, 2}, {buffer + 2, 2}};
    value("pipe2", pipe2(p, O_DIRECT | O_NONBLOCK));
    say("flags %x %x", fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL));
    write(p[1], "one", 3);
    write(p[1], "three", 5);
    value("nothing", write(p[1], "", 0));
    value("FIONREAD", ioctl(p[0], FIONREAD, &n));
    value("bytes", n);
    value("a part", read(p[0], buffer, 2));
    value("the rest is lost", read(p[0], buffer, 100));
    value("that was all", read(p[0], buffer, 100));
    value("writev is one", writev(p[1], v, 2));
    value("readv", readv(p[0], r, 2));
    value("is empty", read(p[0], buffer, 100));
    value("more than a page", write(p[1], big, 5000));
    value("first", read(p[0], buffer, 8000));
    value("second", read(p[0], buffer, 8000));
    for (n = 0; write(p[1], "x", 1) == 1; n++)
        ;
    value("so many packets", n);
    value("read of no byte", read(p[0], buffer, 0));
    value("one makes room", read(p[0], buffer, 100) + write(p[1], "yy", 2));
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    while (read(p[0], buffer, 100) > 0)
        ;
    write(p[1], "a", 1);
    write(p[1], "b", 1);
    value("no packets any more", read(p[0], buffer, 100));
    fcntl(p[1], F_SETFL, O_NONBLOCK | O_DIRECT);
    write(p[1], "c", 1);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    write(p[1], "d", 1);
    value("a packet", read(p[0], buffer, 100));
    value("and bytes", read(p[0], buffer, 100));
    close(p[0]), close(p[1]);
}

/* Several threads write records of PIPE_BUF and less; none may be torn. */
enum { WRITERS = 4, RECORDS = 300 };
static int ends[2];

static void *writer(void *argument)
{
    long me = (long)argument;
    unsigned char record[4096];
    for (int i = 0; i < RECORDS; i++) {
        size_t len = i % 3 == 0 ? 4096 : 5 + (i * 37 + me * 11) % 3000;
        memset(record, 'a' + me, sizeof record);
        record[0] = '#';
        record[1] = me;
        record[2] = len & 0xff;
        record[3] = len >> 8;
        if (write(ends[1], record, len) != (ssize_t)len)
            say("short write");
    }
    return NULL;
}

static void get(void *to, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(ends[0], (char *)to + at, len - at);
        need(n > 0, "read");
        at += n;
    }
}

static void atomic(void)
{
    pthread_t threads[WRITERS];
    unsigned char record[8192];
    int torn = 0, counts[WRITERS] = {0};
    need(pipe(ends) == 0, "pipe");
    for (long i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, writer, (void *)i);
    for (int i = 0; i < WRITERS * RECORDS; i++) {
        get(record, 4);
        size_t len = record[2] | record[3] << 8;
        if (record[0] != '#' || record[1] >= WRITERS || len < 4 || len > 4096) {
            torn = 1;
            break;
        }
        get(record + 4, len - 4);
        for (size_t at = 4; at < len; at++)
            torn |= record[at] != 'a' + record[1];
        counts[record[1]]++;
    }
    value("torn", torn);
    for (int i = 0; i < WRITERS && !torn; i++) {
        pthread_join(threads[i], NULL);
        value("records", counts[i]);
    }
    close(ends[0]), close(ends[1]);
}

static void nonblocking(void)
{
    int p[2], n;
    need(pipe2(p, O_NONBLOCK) == 0, "pipe");
    value("fill", write(p[1], big, sizeof big));
    value("full", write(p[1], "x", 1));
    read(p[0], big, 100);
    value("a part of a page free", write(p[1], "x", 1));
    read(p[0], big, 3996);
    value("more than that, at once or not at all", write(p[1], big, 4096));
    read(p[0], big, 4096);
    value("more than PIPE_BUF: what fits", write(p[1], big, 4097));
    value("FIONREAD", ioctl(p[1], FIONREAD, &n));
    value("bytes", n);
    struct pollfd both[2] = {{p[0], POLLIN | POLLOUT, 0}, {p[1], POLLIN | POLLOUT, 0}};
    value("poll", poll(both, 2, 0));
    say("%x %x", both[0].revents, both[1].revents);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    value("nobody reads", write(p[1], "x", 1));
    value("nothing to nobody", write(p[1], "", 0));
    both[1].revents = 0;
    poll(both + 1, 1, 0);
    say("%x", both[1].revents);
    value("ioctl", ioctl(p[1], FIONREAD, &n));
    close(p[1]);
}

static void *open_later(void *how)
{
    sleep_ms(50);
    long fd = open("fifo", (int)(long)how);
    sleep_ms(50);
    return (void *)fd;
}

static void none(int unused)
{
    (void)unused;
}

static void *interrupt(void *thread)
{
    sleep_ms(50);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

static void fifos(void)
{
    static const int ways[] = {O_RDONLY, O_WRONLY, O_RDWR};
    pthread_t thread, self = pthread_self();
    struct sigaction act = {.sa_handler = none};
    void *other;
    char byte;
    mkfifo("fifo", 0600);
    sigaction(SIGUSR1, &act, NULL);
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread, NULL, interrupt, &self);
        value("interrupted", open("fifo", ways[i]));
        pthread_join(thread, NULL);
        for (int k = 0; k < 3; k++) {
            if (k == i)
                continue;
            pthread_create(&thread, NULL, open_later, (void *)(long)ways[k]);
            int fd = open("fifo", ways[i]);
            say("open %d with %d: %s", ways[i], ways[k], fd >= 0 ? "ok" : errno_name(errno));
            pthread_join(thread, &other);
            close(fd);
            close((long)other);
        }
    }
    value("O_WRONLY|O_NONBLOCK with nobody", open("fifo", O_WRONLY | O_NONBLOCK));
    int rw = open("fifo", O_RDWR | O_NONBLOCK), w = open("fifo", O_WRONLY | O_NONBLOCK), r = open("fifo", O_RDONLY | O_NONBLOCK);
    value("both ways", rw >= 0 && w >= 0 && r >= 0 ? 0 : -1);
    value("empty", read(r, &byte, 1));
    value("write", write(rw, "x", 1) + write(w, "y", 1));
    close(w), close(rw);
    value("what was written stays", read(r, &byte, 1));
    value("and the rest", read(r, &byte, 1));
    value("the end", read(r, &byte, 1));
    w = open("fifo", O_WRONLY);
    value("no end any more", read(r, &byte, 1));
    write(w, "z", 1);
    close(r);
    value("nobody reads", write(w, "x", 1));
    r = open("fifo", O_RDONLY | O_NONBLOCK);
    value("the bytes are", read(r, &byte, 1));
    close(w), close(r);
    w = open("fifo", O_RDWR);
    write(w, "kept?", 5);
    close(w);
    r = open("fifo", O_RDONLY | O_NONBLOCK);
    value("gone with the last", read(r, &byte, 1));
    value("lseek", lseek(r, 0, SEEK_SET));
    value("ftruncate", ftruncate(r, 0));
    value("O_CREAT of a fifo", open("fifo", O_RDWR | O_CREAT, 0600) >= 0 ? 0 : -1);
    value("O_TRUNC of a fifo", open("fifo", O_RDWR | O_TRUNC) >= 0 ? 0 : -1);
    value("O_DIRECTORY of a fifo", open("fifo", O_RDONLY | O_DIRECTORY));
    value("capacity", fcntl(r, F_GETPIPE_SZ));
}

int main(void)
{
    packets();
    atomic();
    nonblocking();
    fifos();
    return 0;
}
