/* What the differential test programs share: say what was observed, never where or when.
 *
 * A program prints relations and errno names, so that its output is the same on Linux and inside the
 * enclave. Addresses, process ids and times never reach the output themselves. */
#ifndef OBSERVE_H
#define OBSERVE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define UNUSED __attribute__((unused))

/* The symbolic name of an errno; musl has no strerrorname_np. */
UNUSED static const char *errno_name(int error)
{
    static char other[32];
    switch (error) {
#define NAME(e) case e: return #e;
        NAME(EPERM) NAME(ENOENT) NAME(ESRCH) NAME(EINTR) NAME(EIO) NAME(ENXIO) NAME(E2BIG)
        NAME(ENOEXEC) NAME(EBADF) NAME(ECHILD) NAME(EAGAIN) NAME(ENOMEM) NAME(EACCES) NAME(EFAULT)
        NAME(ENOTBLK) NAME(EBUSY) NAME(EEXIST) NAME(EXDEV) NAME(ENODEV) NAME(ENOTDIR) NAME(EISDIR)
        NAME(EINVAL) NAME(ENFILE) NAME(EMFILE) NAME(ENOTTY) NAME(ETXTBSY) NAME(EFBIG) NAME(ENOSPC)
        NAME(ESPIPE) NAME(EROFS) NAME(EMLINK) NAME(EPIPE) NAME(EDOM) NAME(ERANGE) NAME(EDEADLK)
        NAME(ENAMETOOLONG) NAME(ENOLCK) NAME(ENOSYS) NAME(ENOTEMPTY) NAME(ELOOP) NAME(ENODATA)
        NAME(ETIME) NAME(EPROTO) NAME(EOVERFLOW) NAME(EILSEQ) NAME(ENOTSOCK) NAME(EDESTADDRREQ)
        NAME(EMSGSIZE) NAME(EPROTOTYPE) NAME(ENOPROTOOPT) NAME(EPROTONOSUPPORT)
        NAME(ESOCKTNOSUPPORT) NAME(EOPNOTSUPP) NAME(EAFNOSUPPORT) NAME(EADDRINUSE)
        NAME(EADDRNOTAVAIL) NAME(ECONNRESET) NAME(EISCONN) NAME(ENOTCONN) NAME(ETIMEDOUT)
        NAME(ECONNREFUSED) NAME(EALREADY) NAME(EINPROGRESS) NAME(ECANCELED) NAME(EOWNERDEAD)
        NAME(ENOTRECOVERABLE) NAME(ELIBBAD)
#undef NAME
        case 0: return "0";
    }
    snprintf(other, sizeof other, "errno %d", error);
    return other;
}

/* One line of output, at once: a later crash must not lose it. */
UNUSED __attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* A call's value, or its errno's name. */
UNUSED static long value(const char *what, long result)
{
    if (result == -1)
        say("%s: -1 %s", what, errno_name(errno));
    else
        say("%s: %ld", what, result);
    return result;
}

/* Whether a call succeeded: for results that may differ (descriptors, addresses, pids). */
UNUSED static long done(const char *what, long result)
{
    if (result == -1)
        say("%s: -1 %s", what, errno_name(errno));
    else
        say("%s: ok", what);
    return result;
}

/* The same for what mmap and mremap return. */
UNUSED static void *mapped(const char *what, void *result)
{
    done(what, (long)result);
    return result;
}

/* For pthread functions, which return the errno. */
UNUSED static int code(const char *what, int error)
{
    say("%s: %s", what, errno_name(error));
    return error;
}

UNUSED static int yes(const char *what, int condition)
{
    say("%s: %s", what, condition ? "yes" : "NO");
    return condition;
}

/* Preconditions that are not what the program examines. */
UNUSED static void need(int condition, const char *what)
{
    if (!condition) {
        say("cannot go on: %s: %s", what, errno_name(errno));
        exit(99);
    }
}

/* A working directory on another file system, if the test asks for one: see test_files.py. */
__attribute__((constructor)) UNUSED static void go_to_place(void)
{
    const char *place = getenv("PLACE");
    if (place) {
        mkdir(place, 0700);
        need(chdir(place) == 0, place);
    }
}

UNUSED static void *fresh(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(p != MAP_FAILED, "mmap");
    return p;
}

UNUSED static int64_t now_ns(clockid_t clock)
{
    struct timespec t;
    need(clock_gettime(clock, &t) == 0, "clock_gettime");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

UNUSED static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) == -1 && errno == EINTR)
        ;
}

UNUSED static void put_file(const char *path, const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    need(fd >= 0, path);
    need(write(fd, bytes, count) == (ssize_t)count, path);
    close(fd);
}

UNUSED static void put_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

/* Reads a file from front to end into a string; its length, or -1, which is told. */
UNUSED static long slurp(const char *path, char *text, size_t size)
{
    long total = 0, n;
    int fd = open(path, O_RDONLY);
    text[0] = 0;
    if (fd < 0) {
        say("%s: %s", path, errno_name(errno));
        return -1;
    }
    while ((n = read(fd, text + total, size - 1 - total)) > 0)
        total += n;
    text[total] = 0;
    close(fd);
    return total;
}

#endif
