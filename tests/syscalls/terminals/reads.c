// timeout: 60
// Reads without lines: VMIN and VTIME in all four cases, signals, poll; flow control; packet mode.
#include "terminal.h"

#include <pthread.h>

static int pair[2];

static void fresh_pair(void)
{
    if (pair[0] > 0) {
        close(pair[1]);
        close(pair[0]);
    }
    open_pair(pair);
}

struct typing {
    int after;
    const char *text;
};

/* Types each text after so many milliseconds; an empty one sends a signal. */
static void *typist(void *list)
{
    for (struct typing *t = list; t->text; t++) {
        sleep_ms(t->after);
        if (*t->text)
            type(pair[0], t->text);
        else
            kill(getpid(), SIGUSR1);
    }
    return NULL;
}

static void timed(const char *what, struct typing *list, size_t size, int from, int to)
{
    char text[64];
    pthread_t thread;
    int64_t start = now_ns(CLOCK_MONOTONIC);
    code("thread", pthread_create(&thread, NULL, typist, list));
    long n = read(pair[1], text, size);
    int error = errno;
    long ms = (now_ns(CLOCK_MONOTONIC) - start) / 1000000;
    say("%s: %ld %.*s %s", what, n, n > 0 ? (int)n : 0, text, n < 0 ? errno_name(error) : "");
    yes("in time", ms >= from && ms <= to);
    if (ms < from || ms > to)
        fprintf(stderr, "%s took %ld ms\n", what, ms);
    pthread_join(thread, NULL);
    ioctl(pair[1], TCFLSH, TCIFLUSH);
}

static void handler(int signal)
{
    (void)signal;
}

static void *blocked_typist(void *list)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return typist(list);
}

static void interrupted(const char *what, struct typing *list, size_t size)
{
    char text[64];
    pthread_t thread;
    code("thread", pthread_create(&thread, NULL, blocked_typist, list));
    long n = read(pair[1], text, size);
    say("%s: %ld %.*s %s", what, n, n > 0 ? (int)n : 0, text, n < 0 ? errno_name(errno) : "");
    pthread_join(thread, NULL);
    ioctl(pair[1], TCFLSH, TCIFLUSH);
}

static void least_and_time(void)
{
    fresh_pair();
    raw(pair[1], 0, 0);
    timed("nothing is waited for", (struct typing[]){{0, NULL}}, 10, 0, 1000);
    type(pair[0], "ab");
    sleep_ms(50);
    timed("what is there", (struct typing[]){{0, NULL}}, 10, 0, 1000);
    raw(pair[1], 0, 2);
    timed("time runs out", (struct typing[]){{0, NULL}}, 10, 180, 2000);
    timed("a byte in time", (struct typing[]){{60, "a"}, {0, NULL}}, 10, 50, 2000);
    raw(pair[1], 3, 0);
    timed("three bytes", (struct typing[]){{50, "a"}, {50, "b"}, {50, "cd"}, {0, NULL}}, 10, 140, 4000);
    timed("two are wanted", (struct typing[]){{50, "a"}, {50, "b"}, {0, NULL}}, 2, 90, 4000);
    raw(pair[1], 5, 3);
    timed("a pause", (struct typing[]){{400, "a"}, {50, "b"}, {0, NULL}}, 10, 700, 5000);
    timed("enough", (struct typing[]){{50, "abcde"}, {0, NULL}}, 10, 40, 3000);
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    raw(pair[1], 5, 0);
    interrupted("a signal first", (struct typing[]){{100, ""}, {0, NULL}}, 10);
    interrupted("a signal behind two", (struct typing[]){{50, "ab"}, {100, ""}, {0, NULL}}, 10);
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    interrupted("restarted", (struct typing[]){{100, ""}, {50, "abcde"}, {0, NULL}}, 10);
}

static void polled(void)
{
    fresh_pair();
    raw(pair[1], 3, 0);
    type(pair[0], "ab");
    value("two of three", ready(pair[1], 50));
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    char text[8];
    value("but they can be read", read(pair[1], text, 8));
    value("no more", read(pair[1], text, 8));
    type(pair[0], "abc");
    value("three", ready(pair[1], 500));
    value("read", read(pair[1], text, 8));
    raw(pair[1], 3, 1);
    type(pair[0], "a");
    value("one, with a time", ready(pair[1], 500));
    value("read", read(pair[1], text, 8));
    raw(pair[1], 0, 0);
    value("neither", read(pair[1], text, 8));
    raw(pair[1], 0, 5);
    value("time does not count", read(pair[1], text, 8));
}

static void flow(void)
{
    fresh_pair();
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    type(pair[0], "\x13");
    sleep_ms(50);
    value("write while stopped", write(pair[1], "a", 1));
    type(pair[0], "echo");
    show("stopped", pair[0]);
    type(pair[0], "\x11");
    show("started", pair[0]);
    value("write", write(pair[1], "b", 1));
    show("written", pair[0]);
    change(pair[1], (unsigned[]){0, 0, 0}, (unsigned[]){IXANY, 0, 0});
    type(pair[0], "\x13x");
    sleep_ms(50);
    value("any character", write(pair[1], "c", 1));
    show("written", pair[0]);
    type(pair[0], "\x13");
    sleep_ms(50);
    change(pair[1], (unsigned[]){IXON, 0, 0}, (unsigned[]){0, 0, 0});
    value("no flow control", write(pair[1], "d", 1));
    show("written", pair[0]);
    type(pair[0], "\x13\n");
    show("characters like any other", pair[0]);
    show("read", pair[1]);
    value("TCOOFF", ioctl(pair[1], TCXONC, TCOOFF));
    value("write", write(pair[1], "e", 1));
    value("TCOON", ioctl(pair[1], TCXONC, TCOON));
    value("write", write(pair[1], "f", 1));
    value("TCIOFF", ioctl(pair[1], TCXONC, TCIOFF));
    value("TCION", ioctl(pair[1], TCXONC, TCION));
    value("TCXONC 4", ioctl(pair[1], TCXONC, 4));
    show("sent", pair[0]);
}

static void packets(void)
{
    int one = 1, zero = 0, on = -1;
    struct termios t;
    fresh_pair();
    value("TIOCGPKT", ioctl(pair[0], TIOCGPKT, &on));
    say("%d", on);
    value("TIOCPKT", ioctl(pair[0], TIOCPKT, &one));
    value("TIOCGPKT", ioctl(pair[0], TIOCGPKT, &on));
    say("%d", on);
    need(write(pair[1], "out\n", 4) == 4, "write");
    show("data", pair[0]);
    type(pair[0], "\x13");
    sleep_ms(50);
    say("poll %#x", ready(pair[0], 100));
    show("stop", pair[0]);
    type(pair[0], "\x11");
    sleep_ms(50);
    show("start", pair[0]);
    change(pair[1], (unsigned[]){IXON, 0, 0}, (unsigned[]){0, 0, 0});
    show("no flow control", pair[0]);
    change(pair[1], (unsigned[]){0, 0, 0}, (unsigned[]){IXON, 0, 0});
    show("flow control", pair[0]);
    value("TCIFLUSH", ioctl(pair[1], TCFLSH, TCIFLUSH));
    show("flushed", pair[0]);
    value("TCIOFLUSH", ioctl(pair[1], TCFLSH, TCIOFLUSH));
    show("flushed", pair[0]);
    get(pair[1], &t);
    t.c_lflag |= EXTPROC;
    set(pair[1], &t);
    show("EXTPROC", pair[0]);
    type(pair[0], "a\x7f\x03");
    show("nothing is processed", pair[1]);
    t.c_lflag &= ~EXTPROC;
    set(pair[1], &t);
    show("no EXTPROC", pair[0]);
    value("off", ioctl(pair[0], TIOCPKT, &zero));
    need(write(pair[1], "out\n", 4) == 4, "write");
    show("data", pair[0]);
}

int main(void)
{
    least_and_time();
    polled();
    flow();
    packets();
    return 0;
}
