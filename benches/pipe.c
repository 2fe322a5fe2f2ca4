// Two threads and pipes: 64 bytes back and forth, and a stream of 4 KiB blocks.

#include "measure.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define MESSAGE 64
#define BLOCK 4096

static int forth[2], back[2], stream[2];

static void whole(ssize_t got, ssize_t wanted, const char *what)
{
    must(got, what);
    if (got != wanted) {
        fprintf(stderr, "%s: %zd bytes of %zd\n", what, got, wanted);
        exit(1);
    }
}

static void *echo(void *argument)
{
    char message[MESSAGE];
    ssize_t got;
    while ((got = read(forth[0], message, MESSAGE)) == MESSAGE)
        whole(write(back[1], message, MESSAGE), MESSAGE, "write back");
    must(got, "read forth");
    return argument;
}

static void ask(void *context, long count)
{
    char message[MESSAGE] = {0};
    (void)context;
    while (count-- > 0) {
        whole(write(forth[1], message, MESSAGE), MESSAGE, "write forth");
        whole(read(back[0], message, MESSAGE), MESSAGE, "read back");
    }
}

static void *pour(void *argument)
{
    static char block[BLOCK];
    // Ends by EPIPE, with SIGPIPE ignored, when the reader has closed its end.
    while (write(stream[1], block, BLOCK) == BLOCK)
        ;
    return argument;
}

static void drain(void *context, long count)
{
    static char block[BLOCK];
    (void)context;
    for (long left = count * BLOCK; left > 0;) {
        long want = left < BLOCK ? left : BLOCK;
        left -= must(read(stream[0], block, (size_t)want), "read stream");
    }
}

int main(int argc, char **argv)
{
    pthread_t other;
    begin(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    must(pipe(forth), "pipe");
    must(pipe(back), "pipe");
    must_be_zero(pthread_create(&other, NULL, echo, NULL), "pthread_create");
    measure("pipe round trip, 64 B", ask, NULL);
    close(forth[1]);
    must_be_zero(pthread_join(other, NULL), "pthread_join");
    must(pipe(stream), "pipe");
    must_be_zero(pthread_create(&other, NULL, pour, NULL), "pthread_create");
    measure("pipe stream, 4 KiB", drain, NULL);
    close(stream[0]);
    must_be_zero(pthread_join(other, NULL), "pthread_join");
    end();
    return 0;
}
