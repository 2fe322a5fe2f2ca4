/* Pairs of pseudoterminals for the programs of this folder.
 *
 * On Linux what is written at one side reaches the other a little later: who looks waits for it first. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include "../observe.h"

#include <asm/termbits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

UNUSED static int open_master(void)
{
    int zero = 0, fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    need(fd >= 0, "/dev/ptmx");
    need(ioctl(fd, TIOCSPTLCK, &zero) == 0, "TIOCSPTLCK");
    return fd;
}

UNUSED static int open_peer(int master, int flags)
{
    int fd = ioctl(master, TIOCGPTPEER, flags);
    need(fd >= 0, "TIOCGPTPEER");
    return fd;
}

UNUSED static void open_pair(int pair[2])
{
    pair[0] = open_master();
    pair[1] = open_peer(pair[0], O_RDWR | O_NOCTTY);
}

/* Waits until there is something, or for a short time. */
UNUSED static short ready(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

/* What can be read within a short time, as text. */
UNUSED static void show(const char *what, int fd)
{
    static char text[70000], shown[4 * sizeof text];
    size_t total = 0, at = 0;
    long n = 0;
    int first = 1;
    while (total < sizeof text && ready(fd, first ? 150 : 40) & (POLLIN | POLLHUP)) {
        first = 0;
        n = read(fd, text + total, sizeof text - total);
        if (n <= 0)
            break;
        total += n;
    }
    for (size_t i = 0; i < total; i++) {
        unsigned char c = text[i];
        if (c == '\\')
            at += sprintf(shown + at, "\\\\");
        else if (c < 32 || c >= 127)
            at += sprintf(shown + at, "\\x%02x", c);
        else
            shown[at++] = c;
    }
    shown[at] = 0;
    say("%s: %zu \"%s\"%s%s", what, total, shown, n < 0 ? " " : "", n < 0 ? errno_name(errno) : "");
}

UNUSED static void type(int master, const char *text)
{
    need(write(master, text, strlen(text)) == (long)strlen(text), "typing");
}

UNUSED static void get(int fd, struct termios *t)
{
    need(ioctl(fd, TCGETS, t) == 0, "TCGETS");
}

UNUSED static void set(int fd, const struct termios *t)
{
    need(ioctl(fd, TCSETS, t) == 0, "TCSETS");
}

/* Changes flags: those of `off` are taken away, those of `on` added; input, output, local. */
UNUSED static void change(int fd, unsigned off[3], unsigned on[3])
{
    struct termios t;
    get(fd, &t);
    t.c_iflag = (t.c_iflag & ~off[0]) | on[0];
    t.c_oflag = (t.c_oflag & ~off[1]) | on[1];
    t.c_lflag = (t.c_lflag & ~off[2]) | on[2];
    set(fd, &t);
}

UNUSED static void raw(int fd, int least, int tenths)
{
    struct termios t;
    get(fd, &t);
    t.c_iflag = 0;
    t.c_oflag = 0;
    t.c_lflag = 0;
    t.c_cc[VMIN] = least;
    t.c_cc[VTIME] = tenths;
    set(fd, &t);
}

#endif
