/* utimensat, futimens, utime: special values, links, errors; which calls move which times. */
#include "observe.h"
#include <sys/time.h>
#include <utime.h>

static void times(const char *path, int flags)
{
    struct stat st;
    fstatat(AT_FDCWD, path, &st, flags);
    say("  %s atime %ld.%09ld mtime %ld.%09ld", path, (long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
        (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

int main(void)
{
    put_text("f", "x");
    symlink("f", "l");
    struct timespec t[2] = {{1000, 5}, {2000000000, 999999999}};
    value("set", utimensat(AT_FDCWD, "f", t, 0));
    times("f", 0);
    t[0].tv_nsec = UTIME_OMIT;
    t[1] = (struct timespec){42, 0};
    value("omit", utimensat(AT_FDCWD, "f", t, 0));
    times("f", 0);
    t[0].tv_nsec = 1000000000;
    value("nanoseconds too many", utimensat(AT_FDCWD, "f", t, 0));
    t[0].tv_nsec = -1;
    value("nanoseconds negative", utimensat(AT_FDCWD, "f", t, 0));
    t[0].tv_nsec = t[1].tv_nsec = UTIME_OMIT;
    value("both omitted", utimensat(AT_FDCWD, "f", t, 0));
    value("both omitted, no such file", utimensat(AT_FDCWD, "none", t, 0));
    t[0] = (struct timespec){7, 7};
    t[1] = (struct timespec){8, 8};
    value("the link itself", utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
    times("l", AT_SYMLINK_NOFOLLOW);
    times("f", 0);
    value("unknown flag", utimensat(AT_FDCWD, "f", t, 0x8000));
    int fd = open("f", O_RDWR);
    value("futimens", futimens(fd, t));
    times("f", 0);
    value("utimensat NULL path", syscall(SYS_utimensat, fd, NULL, t, 0));
    value("closed", futimens(-1, t));
    struct utimbuf u = {100, 200};
    value("utime", utime("f", &u));
    times("f", 0);
    struct timeval v[2] = {{1, 2}, {3, 4}};
    value("utimes", utimes("f", v));
    times("f", 0);
    v[0].tv_usec = 1000000;
    value("microseconds too many", utimes("f", v));

    struct stat before, after;
    int64_t start = now_ns(CLOCK_REALTIME_COARSE) / 1000000000;
    value("now", utimensat(AT_FDCWD, "f", NULL, 0));
    stat("f", &after);
    yes("is now", after.st_mtim.tv_sec >= start && after.st_mtim.tv_sec <= start + 5);
    utimes("f", (struct timeval[]){{1, 0}, {1, 0}});
    write(fd, "y", 1);
    stat("f", &after);
    yes("write moves mtime", after.st_mtim.tv_sec > 1);
    yes("and not atime", after.st_atim.tv_sec == 1);
    utimes("f", (struct timeval[]){{1, 0}, {1, 0}});
    stat("f", &before);
    sleep_ms(20);
    chmod("f", 0600);
    stat("f", &after);
    yes("chmod moves ctime only", after.st_mtim.tv_sec == 1
        && (after.st_ctim.tv_sec > before.st_ctim.tv_sec || after.st_ctim.tv_nsec > before.st_ctim.tv_nsec));
    mkdir("d", 0700);
    utimes("d", (struct timeval[]){{1, 0}, {1, 0}});
    put_text("d/x", "");
    stat("d", &after);
    yes("a new name moves the directory's mtime", after.st_mtim.tv_sec > 1);
    utimes("d", (struct timeval[]){{1, 0}, {1, 0}});
    unlink("d/x");
    stat("d", &after);
    yes("so does its removal", after.st_mtim.tv_sec > 1);
    utimes("f", (struct timeval[]){{1, 0}, {1, 0}});
    ftruncate(fd, 1);
    stat("f", &after);
    yes("ftruncate moves mtime", after.st_mtim.tv_sec > 1);
    return 0;
}
