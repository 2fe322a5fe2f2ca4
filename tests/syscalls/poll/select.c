// build: static
/* select, pselect6: sets, counts, limits, errors, the remaining time. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/select.h>

static int pipes[2];
static void *feed(void *unused) { (void)unused; sleep_ms(40); write(pipes[1], "x", 1); return NULL; }

int main(void)
{
    fd_set r, w, x;
    pipe(pipes);
#define SETS() do { FD_ZERO(&r); FD_ZERO(&w); FD_ZERO(&x); FD_SET(pipes[0], &r); FD_SET(pipes[1], &w); FD_SET(pipes[0], &x); } while (0)
    struct timeval none = {0, 0}, t;
    SETS();
    value("empty pipe", select(pipes[1] + 1, &r, &w, &x, &none));
    say("r %d w %d x %d", FD_ISSET(pipes[0], &r) != 0, FD_ISSET(pipes[1], &w) != 0, FD_ISSET(pipes[0], &x) != 0);
    write(pipes[1], "y", 1);
    SETS();
    value("with a byte", select(pipes[1] + 1, &r, &w, &x, &none));
    say("r %d w %d x %d", FD_ISSET(pipes[0], &r) != 0, FD_ISSET(pipes[1], &w) != 0, FD_ISSET(pipes[0], &x) != 0);
    SETS();
    value("n leaves one out", select(pipes[1], &r, &w, NULL, &none));
    char c;
    read(pipes[0], &c, 1);
    FD_ZERO(&r);
    FD_SET(40, &r);
    value("closed", select(41, &r, NULL, NULL, &none));
    FD_ZERO(&r);
    value("n negative", select(-1, &r, NULL, NULL, &none));
    t = (struct timeval){-1, 0};
    value("time negative", select(0, NULL, NULL, NULL, &t));
    t = (struct timeval){0, 20000};
    int64_t start = now_ns(CLOCK_MONOTONIC);
    value("only sleeps", select(0, NULL, NULL, NULL, &t));
    yes("20 ms", now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    say("left %ld.%06ld", (long)t.tv_sec, (long)t.tv_usec);
    pthread_t thread;
    pthread_create(&thread, NULL, feed, NULL);
    SETS();
    t = (struct timeval){5, 0};
    value("woken", select(pipes[1] + 1, &r, NULL, NULL, &t));
    yes("what is left", t.tv_sec == 4 && t.tv_usec > 0);
    pthread_join(thread, NULL);
    value("bad set", select(5, (void *)8, NULL, NULL, &none));
    struct timespec ts = {0, 1000000};
    FD_ZERO(&r);
    value("pselect", pselect(0, NULL, NULL, NULL, &ts, NULL));
    say("pselect leaves the time alone %ld", ts.tv_nsec);
    read(pipes[0], &c, 1);
    int high = fcntl(pipes[0], F_DUPFD, 800);
    FD_ZERO(&r);
    FD_SET(high, &r);
    value("a high descriptor, empty", select(high + 1, &r, NULL, NULL, &none));
    write(pipes[1], "z", 1);
    FD_SET(high, &r);
    value("a high descriptor, ready", select(high + 1, &r, NULL, NULL, &none));
    FD_ZERO(&r);
    int file = open("/dev/null", O_RDWR);
    FD_SET(file, &r);
    value("a file is always ready", select(file + 1, &r, NULL, NULL, &none));
    return 0;
}
