// timeout: 60
// Attributes in all shapes, windows, controlling terminals, signals from the keyboard, hangups.
#include "terminal.h"

static volatile int counts[65];

static void handler(int signal)
{
    counts[signal]++;
}

static void told(const char *what)
{
    static const struct { int signal; const char *name; } names[] = {
        {SIGHUP, "HUP"}, {SIGINT, "INT"}, {SIGQUIT, "QUIT"}, {SIGTSTP, "TSTP"},
        {SIGCONT, "CONT"}, {SIGWINCH, "WINCH"}, {SIGTTOU, "TTOU"},
    };
    char text[100] = "";
    sleep_ms(60);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (counts[names[i].signal]) {
            sprintf(text + strlen(text), " %s:%d", names[i].name, counts[names[i].signal]);
            counts[names[i].signal] = 0;
        }
    say("%s:%s", what, text);
}

static void shapes(void)
{
    int pair[2];
    struct termios t;
    struct termios2 t2;
    struct termio old;
    open_pair(pair);
    get(pair[1], &t);
    say("%o %o %o %o %d", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_line);
    for (int i = 0; i < NCCS; i++)
        printf(" %02x", t.c_cc[i]);
    say(".");
    value("TCGETS2", ioctl(pair[1], TCGETS2, &t2));
    say("%u %u", t2.c_ispeed, t2.c_ospeed);
    memset(&old, 0xee, sizeof old);
    value("TCGETA", ioctl(pair[1], TCGETA, &old));
    say("%o %o %o %o %d %02x %02x", old.c_iflag, old.c_oflag, old.c_cflag, old.c_lflag, old.c_line,
        old.c_cc[0], old.c_cc[7]);
    t.c_cflag = B9600 | CS7 | PARENB | CSTOPB | HUPCL | CLOCAL;
    value("TCSETS", ioctl(pair[0], TCSETS, &t));
    value("TCGETS2 at the master", ioctl(pair[0], TCGETS2, &t2));
    say("%o %u %u", t2.c_cflag, t2.c_ispeed, t2.c_ospeed);
    t2.c_cflag = (t2.c_cflag & ~(CBAUD | CIBAUD)) | BOTHER | (B300 << IBSHIFT);
    t2.c_ospeed = 12345;
    t2.c_ispeed = 777;
    value("TCSETS2", ioctl(pair[1], TCSETS2, &t2));
    value("TCGETS2", ioctl(pair[1], TCGETS2, &t2));
    say("%o %u %u", t2.c_cflag, t2.c_ispeed, t2.c_ospeed);
    old.c_lflag = ICANON;
    old.c_cc[0] = 0x5a;
    value("TCSETA", ioctl(pair[1], TCSETA, &old));
    value("TCSETAW", ioctl(pair[1], TCSETAW, &old));
    value("TCSETAF", ioctl(pair[1], TCSETAF, &old));
    get(pair[1], &t);
    say("%o %o %o %o %02x", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_cc[0]);
    t.c_iflag = ~0U;
    t.c_oflag = ~0U;
    t.c_line = 9;
    set(pair[1], &t);
    get(pair[1], &t);
    say("%o %o %d", t.c_iflag, t.c_oflag, t.c_line);
    static const unsigned requests[] = {TCGETS, TCSETS, TCSETSW, TCSETSF, TCGETA, TCSETA, TCGETS2,
                                        TCSETS2, TCSETSW2, TCSETSF2, TIOCGWINSZ, TIOCSWINSZ,
                                        TIOCGEXCL, TIOCPKT, TIOCGPKT, TIOCGDEV};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        value("bad pointer", ioctl(pair[0], requests[i], 8));
    close(pair[1]);
    close(pair[0]);
}

static void windows(void)
{
    int pair[2];
    struct winsize w = {1, 2, 3, 4};
    open_pair(pair);
    value("TIOCGWINSZ", ioctl(pair[1], TIOCGWINSZ, &w));
    say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    w = (struct winsize){24, 80, 640, 480};
    value("TIOCSWINSZ", ioctl(pair[0], TIOCSWINSZ, &w));
    memset(&w, 0, sizeof w);
    value("TIOCGWINSZ", ioctl(pair[1], TIOCGWINSZ, &w));
    say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    close(pair[1]);
    close(pair[0]);
    told("nobody is told");
}

static void exclusive(void)
{
    int on = -1, pair[2];
    open_pair(pair);
    value("TIOCEXCL", ioctl(pair[1], TIOCEXCL));
    value("TIOCGEXCL", ioctl(pair[1], TIOCGEXCL, &on));
    say("%d", on);
    value("TIOCGEXCL at the master", ioctl(pair[0], TIOCGEXCL, &on));
    say("%d", on);
    value("TIOCNXCL", ioctl(pair[1], TIOCNXCL));
    value("TIOCGEXCL", ioctl(pair[1], TIOCGEXCL, &on));
    say("%d", on);
    close(pair[1]);
    close(pair[0]);
}

static void controlled(void)
{
    pid_t id = -1;
    struct winsize w = {10, 20, 0, 0};
    char text[16];
    int master = open_master();
    value("no terminal", open("/dev/tty", O_RDWR));
    yes("it leads", getsid(0) == getpid());
    int other = open_peer(master, O_RDWR | O_NOCTTY);
    value("TIOCGPGRP of another", ioctl(other, TIOCGPGRP, &id));
    value("TIOCGSID of another", ioctl(other, TIOCGSID, &id));
    value("TIOCGPGRP at the master", ioctl(master, TIOCGPGRP, &id));
    say("%d", id);
    value("TIOCGSID at the master", ioctl(master, TIOCGSID, &id));
    value("TIOCNOTTY of another", ioctl(other, TIOCNOTTY));
    value("TIOCSPGRP of another", ioctl(other, TIOCSPGRP, &id));
    int slave = open_peer(master, O_RDWR);
    value("TIOCGPGRP", ioctl(slave, TIOCGPGRP, &id));
    yes("its group", id == getpgrp());
    value("TIOCGSID", ioctl(slave, TIOCGSID, &id));
    yes("its session", id == getsid(0));
    value("TIOCGSID at the master", ioctl(master, TIOCGSID, &id));
    yes("its session", id == getsid(0));
    int tty = done("/dev/tty", open("/dev/tty", O_RDWR));
    value("TIOCGPGRP", ioctl(tty, TIOCGPGRP, &id));
    value("write", write(tty, "hi", 2));
    show("there", master);
    id = 4000000;
    value("TIOCSPGRP of nobody", ioctl(slave, TIOCSPGRP, &id));
    id = -5;
    value("TIOCSPGRP -5", ioctl(slave, TIOCSPGRP, &id));
    id = getpgrp();
    value("TIOCSPGRP", ioctl(slave, TIOCSPGRP, &id));
    value("TIOCSPGRP bad", ioctl(slave, TIOCSPGRP, 8));
    value("TIOCSCTTY again", ioctl(slave, TIOCSCTTY, 0));
    int second = open_master();
    int third = open_peer(second, O_RDWR);
    value("TIOCSCTTY of a second", ioctl(third, TIOCSCTTY, 0));
    close(third);
    close(second);
    told("quiet so far");
    type(master, "\x03");
    told("interrupt");
    show("echoed", master);
    type(master, "\x1c");
    told("quit");
    type(master, "\x1a");
    told("suspend");
    show("echoed", master);
    type(master, "gone\x03left\n");
    sleep_ms(50);
    show("flushed", slave);
    told("interrupt");
    show("echoed", master);
    change(slave, (unsigned[]){0, 0, 0}, (unsigned[]){0, 0, NOFLSH});
    type(master, "kept\x03left\n");
    sleep_ms(50);
    show("not flushed", slave);
    told("interrupt");
    change(slave, (unsigned[]){0, 0, ISIG}, (unsigned[]){0, 0, 0});
    type(master, "\x03\n");
    show("a character", slave);
    told("no signal");
    show("echoed", master);
    value("TIOCSIG", ioctl(master, TIOCSIG, SIGQUIT));
    value("TIOCSIG HUP", ioctl(master, TIOCSIG, SIGHUP));
    told("sent");
    value("TIOCSWINSZ", ioctl(master, TIOCSWINSZ, &w));
    told("a new size");
    value("TIOCSWINSZ", ioctl(master, TIOCSWINSZ, &w));
    told("the same");
    w.ws_col++;
    value("TIOCSWINSZ", ioctl(slave, TIOCSWINSZ, &w));
    told("from inside");
    value("TIOCSTI", ioctl(slave, TIOCSTI, "\n"));
    show("typed", slave);
    value("TIOCSTI bad", ioctl(slave, TIOCSTI, 8));
    value("TIOCNOTTY at the master", ioctl(master, TIOCNOTTY));
    value("TIOCNOTTY", ioctl(slave, TIOCNOTTY));
    told("given up");
    value("/dev/tty", open("/dev/tty", O_RDWR));
    value("TIOCGPGRP", ioctl(slave, TIOCGPGRP, &id));
    value("TIOCSCTTY", ioctl(slave, TIOCSCTTY, 0));
    value("TIOCGPGRP", ioctl(slave, TIOCGPGRP, &id));
    yes("its group", id == getpgrp());
    close(master);
    told("the master is closed");
    value("/dev/tty", open("/dev/tty", O_RDWR));
    value("read", read(slave, text, 1));
    value("read", read(tty, text, 1));
    value("write", write(tty, text, 1));
    close(tty);
    close(other);
    close(slave);
}

static void vhangup_ioctl(void)
{
    int pair[2];
    char c;
    open_pair(pair);
    value("TIOCVHANGUP", ioctl(pair[1], TIOCVHANGUP));
    value("read", read(pair[1], &c, 1));
    value("write", write(pair[1], "x", 1));
    close(pair[1]);
    pair[1] = open_peer(pair[0], O_RDWR | O_NOCTTY);
    value("opened anew", write(pair[1], "x", 1));
    show("written", pair[0]);
    close(pair[1]);
    close(pair[0]);
}

int main(void)
{
    static const int all[] = {SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH, SIGTTOU};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sigaction(all[i], &action, NULL);
    shapes();
    windows();
    exclusive();
    controlled();
    vhangup_ioctl();
    return 0;
}
