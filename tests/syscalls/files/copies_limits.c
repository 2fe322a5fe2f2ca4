/* sendfile, copy_file_range: limits of file sizes, broken and full pipes, old contents, O_SYNC. */
#include "observe.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/sendfile.h>

static volatile sig_atomic_t last;

static void on(int number)
{
    last = number;
}

static void came(void)
{
    say("signal %d", (int)last);
    last = 0;
}

static void show(const char *path)
{
    char text[128];
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, text, sizeof text);
    say("%s holds %.*s", path, (int)len, text);
    close(fd);
}

int main(void)
{
    signal(SIGXFSZ, on);
    signal(SIGPIPE, on);
    put_text("src", "0123456789abcdefghijklmnopqrstuvwxyz");
    put_text("dst", "................................");
    int src = open("src", O_RDONLY), dst = open("dst", O_RDWR);

    /* Into the middle of what is there. */
    lseek(dst, 3, SEEK_SET);
    value("sendfile into the middle", sendfile(dst, src, NULL, 5));
    show("dst");
    loff_t from = 1, to = 11;
    value("copy into the middle", copy_file_range(src, &from, dst, &to, 4, 0));
    show("dst");

    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 20;
    setrlimit(RLIMIT_FSIZE, &limit);
    int small = open("small", O_RDWR | O_CREAT, 0600);
    off_t at = 0;
    value("sendfile up to the limit", sendfile(small, src, &at, 36));
    came();
    value("sendfile at the limit", sendfile(small, src, &at, 36));
    came();
    value("sendfile of nothing at the limit", sendfile(small, src, &at, 0));
    came();
    from = 0, to = 12;
    value("copy up to the limit", copy_file_range(src, &from, small, &to, 36, 0));
    came();
    value("copy at the limit", copy_file_range(src, &from, small, &to, 36, 0));
    came();
    to = 30;
    value("copy beyond the limit", copy_file_range(src, &from, small, &to, 3, 0));
    came();
    setrlimit(RLIMIT_FSIZE, &old);
    show("small");

    int p[2];
    pipe(p);
    close(p[0]);
    at = 0;
    value("sendfile to a broken pipe", sendfile(p[1], src, &at, 4));
    came();
    say("offset %ld", (long)at);

    pipe2(p, O_NONBLOCK);
    fcntl(p[1], F_SETPIPE_SZ, 4096);
    int big = open("big", O_RDWR | O_CREAT, 0600);
    ftruncate(big, 100000);
    at = 0;
    value("sendfile to a pipe that fills up", sendfile(p[1], big, &at, 100000));
    say("offset %ld", (long)at);
    value("sendfile to a full pipe", sendfile(p[1], big, &at, 100000));
    came();

    int synced = open("synced", O_RDWR | O_CREAT | O_SYNC, 0600);
    at = 0;
    value("sendfile to O_SYNC", sendfile(synced, src, &at, 36));
    show("synced");
    unlink("src"), unlink("dst"), unlink("small"), unlink("big"), unlink("synced");
    return 0;
}
