// build: static musl
/* /dev/null, zero, full, random, urandom, and the links to /proc/self/fd. */
#include "observe.h"
#include <sys/random.h>

int main(void)
{
    char buffer[4096];
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
    value("null read", read(null, buffer, 10));
    value("null write", write(null, buffer, 4096));
    memset(buffer, 1, sizeof buffer);
    value("zero read", read(zero, buffer, 4096));
    int clear = 1;
    for (int i = 0; i < 4096; i++)
        clear &= buffer[i] == 0;
    yes("zeroes", clear);
    value("zero write", write(zero, buffer, 4096));
    buffer[0] = 1;
    value("full read", read(full, buffer, 10));
    yes("zeroes", buffer[0] == 0);
    value("full write", write(full, buffer, 10));
    value("full write 0", write(full, buffer, 0));
    char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    yes("zero maps as zeroes", m != MAP_FAILED && m[17] == 0);
    mapped("null does not map", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, null, 0));
    int ur = open("/dev/urandom", O_RDONLY), r = open("/dev/random", O_RDONLY);
    unsigned char a[64] = {0}, b[64] = {0};
    value("urandom", read(ur, a, 64));
    value("random", read(r, b, 64));
    yes("differ", memcmp(a, b, 64));
    value("getrandom", getrandom(a, 64, 0));
    value("getrandom 0", getrandom(a, 0, 0));
    value("getrandom GRND_NONBLOCK | GRND_RANDOM", getrandom(b, 64, GRND_NONBLOCK | GRND_RANDOM));
    yes("differ", memcmp(a, b, 64));
    value("getrandom unknown flag", getrandom(a, 64, 64));
    value("getrandom GRND_INSECURE | GRND_RANDOM", getrandom(a, 64, 4 | GRND_RANDOM));
    value("getrandom NULL", syscall(SYS_getrandom, NULL, 64, 0));
    value("O_TRUNC null", open("/dev/null", O_WRONLY | O_TRUNC | O_CREAT, 0644) >= 0);
    value("null with slash", open("/dev/null/", O_RDONLY));
    value("unlink is not tried", access("/dev/nosuch", F_OK));
    int p[2];
    pipe(p);
    snprintf(buffer, sizeof buffer, "/dev/fd/%d", p[0]);
    int again = done("/dev/fd opens the pipe again", open(buffer, O_RDONLY | O_NONBLOCK));
    write(p[1], "x", 1);
    value("read", read(again, buffer, 1));
    value("/dev/stdout", open("/dev/stdout", O_WRONLY) >= 0);
    return 0;
}
