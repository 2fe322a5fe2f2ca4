// build: static musl
/* pipe, pipe2: capacity, ends, O_NONBLOCK, EPIPE and SIGPIPE, atomic writes, FIONREAD. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static volatile int sigpipes;
static void on_sigpipe(int signal) { (void)signal; sigpipes++; }

static int writers[2];
static void *write_records(void *argument)
{
    char record[512];
    memset(record, *(char *)argument, sizeof record);
    for (int i = 0; i < 500; i++)
        if (write(writers[1], record, sizeof record) != sizeof record)
            return "short";
    return NULL;
}

static void *close_later(void *argument)
{
    sleep_ms(50);
    close(*(int *)argument);
    return NULL;
}

int main(void)
{
    int p[2];
    char buffer[70000];
    value("pipe", pipe(p));
    yes("neighbours", p[1] == p[0] + 1);
    say("flags %d %d, access %d %d", fcntl(p[0], F_GETFD), fcntl(p[1], F_GETFD),
        fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL));
    value("write to the read end", write(p[0], "x", 1));
    value("read from the write end", read(p[1], buffer, 1));
    value("write", write(p[1], "hello", 5));
    int ready;
    ioctl(p[0], FIONREAD, &ready);
    say("FIONREAD %d", ready);
    value("read more than there is", read(p[0], buffer, 100));
    value("two writes", (write(p[1], "ab", 2), write(p[1], "cd", 2)));
    value("are one read", read(p[0], buffer, 100));
    value("write 0", write(p[1], "", 0));

    fcntl(p[0], F_SETFL, O_NONBLOCK);
    value("empty and O_NONBLOCK", read(p[0], buffer, 1));
    value("read 0 bytes of an empty pipe", read(p[0], buffer, 0));
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    long total = 0, n;
    while ((n = write(p[1], buffer, 4096)) > 0)
        total += n;
    value("full", n);
    say("capacity %ld", total);
    value("F_GETPIPE_SZ", fcntl(p[1], F_GETPIPE_SZ));
    read(p[0], buffer, 100);
    value("room of 100 bytes is not enough for 200", write(p[1], buffer, 200));
    read(p[0], buffer, 3996);
    value("a page free: 200 fit", write(p[1], buffer, 200));
    value("more than PIPE_BUF goes in parts", write(p[1], buffer, 60000) < 60000);
    while (read(p[0], buffer, sizeof buffer) > 0)
        ;
    value("more than the capacity, not blocking", write(p[1], buffer, 70000));
    while (read(p[0], buffer, sizeof buffer) > 0)
        ;
    value("F_SETPIPE_SZ", fcntl(p[1], F_SETPIPE_SZ, 5000));
    total = 0;
    while ((n = write(p[1], buffer, 1024)) > 0)
        total += n;
    say("capacity %ld", total);
    value("F_SETPIPE_SZ below what it holds", fcntl(p[1], F_SETPIPE_SZ, 4096));
    struct pollfd poll_end = {p[1], POLLOUT, 0};
    value("poll POLLOUT on a full one", poll(&poll_end, 1, 0));

    signal(SIGPIPE, on_sigpipe);
    close(p[0]);
    value("no reader", write(p[1], "x", 1));
    say("SIGPIPE %d", sigpipes);
    value("no reader, no bytes", write(p[1], "x", 0));
    struct iovec v = {"x", 1};
    value("writev, no reader", writev(p[1], &v, 1));
    poll_end = (struct pollfd){p[1], POLLOUT, 0};
    poll(&poll_end, 1, 0);
    say("poll says %#x", poll_end.revents);
    signal(SIGPIPE, SIG_IGN);
    value("ignored", write(p[1], "x", 1));
    say("SIGPIPE %d", sigpipes);
    close(p[1]);

    value("pipe2", pipe2(p, O_CLOEXEC | O_NONBLOCK));
    say("flags %d %#x %#x", fcntl(p[0], F_GETFD), fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL));
    int q[2] = {-7, -7};
    value("pipe2 unknown flag", pipe2(q, O_APPEND | 1));
    say("untouched %d %d", q[0], q[1]);
    value("pipe NULL", syscall(SYS_pipe, NULL));
    write(p[1], "rest", 4);
    close(p[1]);
    value("what was written is still read", read(p[0], buffer, 100));
    value("then the end", read(p[0], buffer, 100));
    poll_end = (struct pollfd){p[0], POLLIN, 0};
    poll(&poll_end, 1, 0);
    say("poll says %#x", poll_end.revents);
    close(p[0]);

    pipe(p);
    pthread_t thread;
    pthread_create(&thread, NULL, close_later, &p[1]);
    value("a blocked reader sees the last writer close", read(p[0], buffer, 1));
    pthread_join(thread, NULL);
    close(p[0]);

    pipe(writers);
    pthread_t threads[4];
    char letters[] = "abcd";
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_records, &letters[i]);
    int counts[4] = {0}, mixed = 0;
    for (int record = 0; record < 2000; record++) {
        size_t got = 0;
        while (got < 512)
            got += read(writers[0], buffer + got, 512 - got);
        for (int i = 1; i < 512; i++)
            mixed |= buffer[i] != buffer[0];
        counts[buffer[0] - 'a']++;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    say("records %d %d %d %d, mixed %d", counts[0], counts[1], counts[2], counts[3], mixed);
    return 0;
}
