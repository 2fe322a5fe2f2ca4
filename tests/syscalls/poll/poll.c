// build: static musl
/* poll, ppoll: events of each kind of descriptor, negative ones, time limits, masks. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

static short events(int fd, short wanted)
{
    struct pollfd p = {fd, wanted, 0x7fff};
    poll(&p, 1, 0);
    return p.revents;
}

static int pipes[2];
static void *feed(void *unused) { (void)unused; sleep_ms(40); write(pipes[1], "x", 1); return NULL; }
static volatile int handled;
static void on(int signal) { (void)signal; handled++; }

int main(void)
{
    short all = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM;
    pipe(pipes);
    say("empty pipe: read end %#x, write end %#x", events(pipes[0], all), events(pipes[1], all));
    write(pipes[1], "x", 1);
    say("with a byte: read end %#x, write end %#x", events(pipes[0], all), events(pipes[1], all));
    say("nothing asked %#x", events(pipes[0], 0));
    int q[2];
    pipe(q);
    close(q[1]);
    say("no writer %#x, nothing asked %#x", events(q[0], all), events(q[0], 0));
    pipe(q);
    write(q[1], "x", 1);
    close(q[1]);
    say("no writer but a byte %#x", events(q[0], all));
    pipe(q);
    close(q[0]);
    say("no reader %#x", events(q[1], all));
    say("closed %#x", events(999, all));
    int file = open("f", O_RDWR | O_CREAT, 0600), dir = open(".", O_RDONLY);
    say("file %#x, directory %#x", events(file, all), events(dir, all));
    say("/dev/null %#x, /dev/zero %#x", events(open("/dev/null", O_RDWR), all), events(open("/dev/zero", O_RDWR), all));
    int e = eventfd(0, 0);
    say("eventfd 0 %#x", events(e, all));
    eventfd_write(e, 1);
    say("eventfd 1 %#x", events(e, all));
    int sv[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    say("socket %#x", events(sv[0], all));
    write(sv[1], "x", 1);
    say("socket with a byte %#x", events(sv[0], all));
    shutdown(sv[1], SHUT_WR);
    say("its peer shut for writing %#x", events(sv[0], all));
    close(sv[1]);
    say("its peer closed %#x", events(sv[0], all));

    struct pollfd many[3] = {{-1, POLLIN, 7}, {pipes[0], POLLIN, 0}, {pipes[0], POLLIN, 0}};
    value("negative ones are skipped, twins both counted", poll(many, 3, 0));
    say("revents %d %#x %#x", many[0].revents, many[1].revents, many[2].revents);
    char c;
    read(pipes[0], &c, 1);
    int64_t start = now_ns(CLOCK_MONOTONIC);
    value("50 ms", poll(many + 1, 1, 50));
    int64_t took = now_ns(CLOCK_MONOTONIC) - start;
    yes("waited", took >= 49000000 && took < 2000000000);
    pthread_t t;
    pthread_create(&t, NULL, feed, NULL);
    value("woken by a byte", poll(many + 1, 1, 5000));
    pthread_join(t, NULL);
    read(pipes[0], &c, 1);
    pthread_create(&t, NULL, feed, NULL);
    value("without a limit", poll(many + 1, 1, -1));
    pthread_join(t, NULL);
    value("none at all, 10 ms", poll(NULL, 0, 10));
    value("bad array", poll((void *)8, 1, 0));
    struct rlimit limit = {16, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    static struct pollfd too_many[17];
    for (int i = 0; i < 17; i++)
        too_many[i].fd = -1;
    value("more than RLIMIT_NOFILE", poll(too_many, 17, 0));
    value("as many", poll(too_many, 16, 0));

    struct timespec none = {0, 0}, bad = {0, -1}, ms30 = {0, 30000000};
    read(pipes[0], &c, 1);
    value("ppoll", ppoll(many + 1, 1, &none, NULL));
    value("ppoll bad time", ppoll(many + 1, 1, &bad, NULL));
    sigset_t mask, blocked;
    sigemptyset(&mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGUSR1, on);
    raise(SIGUSR1);
    value("ppoll opens the mask", ppoll(many + 1, 1, &ms30, &mask));
    say("handled %d", handled);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    say("mask is back %d", sigismember(&mask, SIGUSR1));
    value("ppoll with a bad mask size", syscall(SYS_ppoll, many, 1, &none, &mask, 4));
    unlink("f");
    return 0;
}
