/* ioctl: the requests that every descriptor knows, those of terminals on what is none, extended attributes. */
#include "observe.h"
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <termios.h>

int main(void)
{
    int file = open("f", O_RDWR | O_CREAT, 0600), p[2], null = open("/dev/null", O_RDWR), n = -7;
    pipe(p);
    write(file, "12345", 5);
    lseek(file, 2, SEEK_SET);
    value("FIONREAD of a file", ioctl(file, FIONREAD, &n));
    say("%d", n);
    value("FIOCLEX", ioctl(file, FIOCLEX));
    say("%d", fcntl(file, F_GETFD));
    value("FIONCLEX", ioctl(file, FIONCLEX));
    say("%d", fcntl(file, F_GETFD));
    n = 1;
    value("FIONBIO", ioctl(p[0], FIONBIO, &n));
    say("%d", (fcntl(p[0], F_GETFL) & O_NONBLOCK) != 0);
    n = 0;
    value("FIONBIO off", ioctl(p[0], FIONBIO, &n));
    say("%d", (fcntl(p[0], F_GETFL) & O_NONBLOCK) != 0);
    struct termios t;
    struct winsize w;
    value("TCGETS of a file", ioctl(file, TCGETS, &t));
    value("TCGETS of a pipe", ioctl(p[0], TCGETS, &t));
    value("TCGETS of /dev/null", ioctl(null, TCGETS, &t));
    value("TIOCGWINSZ of a file", ioctl(file, TIOCGWINSZ, &w));
    value("TIOCGPGRP of a pipe", ioctl(p[0], TIOCGPGRP, &n));
    say("isatty %d", isatty(file));
    value("unknown", ioctl(file, 0x12345678, &n));
    value("closed", ioctl(999, FIONREAD, &n));
    value("O_PATH", ioctl(open("f", O_PATH), FIONREAD, &n));
    value("FIONREAD of a directory", ioctl(open(".", O_RDONLY), FIOCLEX));
    char text[16];
    value("getxattr of what is not set", getxattr("f", "user.nothing", text, 16));
    value("getxattr of nothing", getxattr("none", "user.nothing", text, 16));
    value("fgetxattr closed", fgetxattr(999, "user.x", text, 16));
    value("setxattr, unknown space", setxattr("f", "nospace", "v", 1, 0));
    return 0;
}
