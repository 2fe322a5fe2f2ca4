// timeout: 90
// The line discipline: lines and their editing, echoes, special characters, output.
#include "terminal.h"

static int pair[2];

static void both(const char *what, const char *text)
{
    char label[80];
    type(pair[0], text);
    snprintf(label, sizeof label, "%s, echo", what);
    show(label, pair[0]);
    snprintf(label, sizeof label, "%s, read", what);
    show(label, pair[1]);
}

static void again(unsigned input_off, unsigned input, unsigned output_off, unsigned output,
                  unsigned local_off, unsigned local)
{
    if (pair[0] > 0) {
        close(pair[1]);
        close(pair[0]);
    }
    open_pair(pair);
    change(pair[1], (unsigned[]){input_off, output_off, local_off},
           (unsigned[]){input, output, local});
}

static void editing(void)
{
    again(0, 0, 0, 0, 0, 0);
    both("line", "hello\r");
    both("no line", "abc");
    both("erase", "\x7f\x7fxy\n");
    both("erase nothing", "\x7f\n");
    both("kill", "some words\x15other\n");
    both("word", "one two_3 four  \x17\x17z\n");
    both("tab", "a\tb\x7f\x7f" "c\n");
    both("two tabs", "a\t\tb\x7f\x7f\x7f" "c\n");
    both("control", "a\x01\x02" "b\x7f\x7f\x7f\n");
    both("literal", "a\x16\x03\x16\x16\x16\n\n");
    both("reprint", "abc\x12" "d\n");
    both("two lines", "one\ntwo\n");
    both("end of file", "rest\x04");
    type(pair[0], "\x04");
    sleep_ms(50);
    char c;
    value("an end alone", read(pair[1], &c, 1));
    type(pair[0], "abc\x04" "d\n");
    sleep_ms(50);
    char text[8];
    value("as long as the buffer", read(pair[1], text, 3));
    value("the end is not told twice", read(pair[1], text, 8));
    type(pair[0], "long line\nnext\n");
    sleep_ms(50);
    value("a part", read(pair[1], text, 4));
    value("more", read(pair[1], text, 8));
    value("the next", read(pair[1], text, 8));
    show("rest", pair[0]);
    int n = -1;
    type(pair[0], "12345\nabc\x04xy");
    sleep_ms(50);
    value("FIONREAD", ioctl(pair[1], FIONREAD, &n));
    say("%d", n);
    value("TIOCOUTQ", ioctl(pair[1], TIOCOUTQ, &n));
    say("%d", n);
    value("FIONREAD at the master", ioctl(pair[0], FIONREAD, &n));
    say("%d", n);
    value("bad pointer", ioctl(pair[1], FIONREAD, 8));
}

static void utf8(void)
{
    again(0, IUTF8, 0, 0, 0, 0);
    both("erase whole", "a\xc3\xa4\xe2\x82\xac\x7f\x7f" "b\n");
    both("erase a tab behind", "\xc3\xa4\t\x7f\n");
    both("word", "x \xc3\xa4\xc3\xb6\x17y\n");
    again(IUTF8, 0, 0, 0, 0, 0);
    both("without", "a\xc3\xa4\x7f\n");
}

static void echoes(void)
{
    again(0, 0, 0, 0, ECHO, 0);
    both("none", "a\x7f" "b\x15" "c\x16\x01\n");
    again(0, 0, 0, 0, ECHO, ECHONL);
    both("only newlines", "ab\n");
    again(0, 0, 0, 0, ECHOE, 0);
    both("no ECHOE", "ab\x7f" "c\x15" "d\n");
    again(0, 0, 0, 0, ECHOKE, 0);
    both("no ECHOKE", "ab\x15" "c\n");
    again(0, 0, 0, 0, ECHOK | ECHOKE, 0);
    both("no ECHOK", "ab\x15" "c\n");
    again(0, 0, 0, 0, ECHOCTL, 0);
    both("no ECHOCTL", "a\x01" "b\x7f\x7f\x16\x02\n");
    again(0, 0, 0, 0, 0, ECHOPRT);
    both("ECHOPRT", "abc\x7f\x7f" "d\x15" "e\n");
    again(0, 0, 0, 0, IEXTEN, 0);
    both("no IEXTEN", "a b\x17\x16\x12\n");
    again(0, 0, OPOST, 0, 0, 0);
    both("no OPOST", "a\n");
}

static void input(void)
{
    again(ICRNL, 0, 0, 0, 0, 0);
    both("CR is itself", "a\rb\n");
    again(ICRNL, IGNCR, 0, 0, 0, 0);
    both("CR is dropped", "a\rb\n");
    again(ICRNL, INLCR, 0, 0, 0, 0);
    both("NL becomes CR", "a\nb\x04");
    again(0, ISTRIP, 0, 0, 0, 0);
    both("seven bits", "\xe1\xff\n");
    again(0, IUCLC, 0, 0, 0, 0);
    both("small letters", "AbC\n");
    again(0, PARMRK, 0, 0, 0, 0);
    both("marked", "a\xff" "b\n");
    struct termios t;
    again(0, 0, 0, 0, 0, 0);
    get(pair[1], &t);
    t.c_cc[VEOL] = ';';
    t.c_cc[VEOL2] = '!';
    t.c_cc[VERASE] = 0;
    t.c_cc[VKILL] = '@';
    set(pair[1], &t);
    both("ends of lines", "one;two!three@four\x7f\n");
}

static void output(void)
{
    static const char text[] = "a\tb\rc\nd\b\x01\te\r\rf\n";
    struct { const char *name; unsigned off, on; } rows[] = {
        {"as it comes", 0, 0},
        {"no ONLCR", ONLCR, 0},
        {"OCRNL", 0, OCRNL},
        {"ONOCR", 0, ONOCR},
        {"ONLRET", ONLCR, ONLRET | ONOCR},
        {"XTABS", 0, XTABS},
        {"OLCUC", 0, OLCUC},
        {"OCRNL and ONLRET", 0, OCRNL | ONLRET},
        {"no OPOST", OPOST, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        again(0, 0, rows[i].off, rows[i].on, 0, 0);
        value(rows[i].name, write(pair[1], text, sizeof text - 1));
        show(rows[i].name, pair[0]);
    }
    again(0, 0, 0, XTABS, 0, 0);
    need(write(pair[1], "ab", 2) == 2, "write");
    both("a tab behind a prompt", "\t\x7f\n");
    both("behind two columns", "x\t\x7f\x7f\n");
}

static void modes(void)
{
    struct termios t;
    again(0, 0, 0, 0, 0, 0);
    type(pair[0], "unfinished");
    sleep_ms(50);
    value("not readable", ready(pair[1], 0));
    change(pair[1], (unsigned[]){0, 0, ICANON}, (unsigned[]){0, 0, 0});
    show("readable without lines", pair[1]);
    type(pair[0], "a\nb");
    sleep_ms(50);
    change(pair[1], (unsigned[]){0, 0, 0}, (unsigned[]){0, 0, ICANON});
    show("a line, as it is", pair[1]);
    type(pair[0], "dropped\n");
    sleep_ms(50);
    get(pair[1], &t);
    value("TCSETSF", ioctl(pair[1], TCSETSF, &t));
    value("nothing left", ready(pair[1], 30));
    type(pair[0], "kept\n");
    sleep_ms(50);
    value("TCSETSW", ioctl(pair[1], TCSETSW, &t));
    show("kept", pair[1]);
    type(pair[0], "dropped\n");
    sleep_ms(50);
    value("TCIFLUSH", ioctl(pair[1], TCFLSH, TCIFLUSH));
    value("nothing left", ready(pair[1], 30));
    type(pair[0], "dropped\n");
    sleep_ms(50);
    value("TCOFLUSH", ioctl(pair[1], TCFLSH, TCOFLUSH));
    show("input is kept", pair[1]);
    value("TCFLSH 3", ioctl(pair[1], TCFLSH, 3));
    show("echoes", pair[0]);
    need(write(pair[1], "out", 3) == 3, "write");
    sleep_ms(50);
    value("TCIFLUSH at the master", ioctl(pair[0], TCFLSH, TCIFLUSH));
    value("nothing left", ready(pair[0], 30));
    value("TCSBRK", ioctl(pair[1], TCSBRK, 0));
    value("TCSBRK drain", ioctl(pair[1], TCSBRK, 1));
    value("TCSBRKP", ioctl(pair[1], TCSBRKP, 1));
    value("TIOCSBRK", ioctl(pair[1], TIOCSBRK));
    value("TIOCCBRK", ioctl(pair[1], TIOCCBRK));
}

/* A line that is too long loses all but its end. */
static void full(void)
{
    static char block[6000];
    again(0, 0, 0, 0, ECHO, 0);
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 6; i++) {
        need(write(pair[0], block, 1000) == 1000, "typing");
        sleep_ms(20);
    }
    type(pair[0], "end\n");
    sleep_ms(50);
    value("the line", read(pair[1], block, sizeof block));
    say("ends: %c%c%02x", block[4092], block[4093], block[4094]);
    type(pair[0], "next\n");
    show("next", pair[1]);
}

int main(void)
{
    editing();
    utf8();
    echoes();
    input();
    output();
    modes();
    full();
    return 0;
}
