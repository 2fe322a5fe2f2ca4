/* Seldom used calls: openat2, fchmodat2, futimesat, getdents, mknodat, chroot. */
#include "observe.h"
#include <linux/openat2.h>
#include <sys/time.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static long open2(const char *path, struct open_how how)
{
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd >= 0)
        close((int)fd);
    return fd >= 0 ? 0 : -1;
}

int main(void)
{
    mkdir("d", 0755);
    put_text("d/f", "text");
    symlink("d", "link");
    symlink("/", "root");
    struct open_how how = {.flags = O_RDONLY};
    value("openat2", open2("d/f", how));
    value("openat2 mode without O_CREAT", open2("d/f", (struct open_how){.mode = 0600}));
    value("openat2 unknown flag", open2("d/f", (struct open_how){.flags = 1UL << 40}));
    value("openat2 unknown resolve", open2("d/f", (struct open_how){.resolve = 1 << 20}));
    value("openat2 NO_SYMLINKS", open2("link/f", (struct open_how){.resolve = RESOLVE_NO_SYMLINKS}));
    value("openat2 BENEATH up", open2("d/../..", (struct open_how){.resolve = RESOLVE_BENEATH}));
    value("openat2 BENEATH absolute", open2("/", (struct open_how){.resolve = RESOLVE_BENEATH}));
    value("openat2 BENEATH inside", open2("d/../d/f", (struct open_how){.resolve = RESOLVE_BENEATH}));
    value("openat2 IN_ROOT", open2("/d/f", (struct open_how){.resolve = RESOLVE_IN_ROOT}));
    value("openat2 too small", syscall(SYS_openat2, AT_FDCWD, "d/f", &how, 8));
    value("openat2 bad", syscall(SYS_openat2, AT_FDCWD, "d/f", 8, sizeof how));
    value("fchmodat2", syscall(SYS_fchmodat2, AT_FDCWD, "d/f", 0640, 0));
    value("fchmodat2 of a link", syscall(SYS_fchmodat2, AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW));
    value("fchmodat2 unknown flag", syscall(SYS_fchmodat2, AT_FDCWD, "d/f", 0640, 1));
    struct timeval t[2] = {{5, 6}, {7, 8}};
    value("futimesat", syscall(SYS_futimesat, AT_FDCWD, "d/f", t));
    struct stat st;
    stat("d/f", &st);
    say("mode %o mtime %ld.%06ld", st.st_mode, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec / 1000);
    char b[512];
    int dir = open("d", O_RDONLY);
    value("getdents", syscall(SYS_getdents, dir, b, sizeof b) > 0);
    value("getdents at the end", syscall(SYS_getdents, dir, b, sizeof b));
    value("getdents of a file", syscall(SYS_getdents, open("d/f", O_RDONLY), b, sizeof b));
    value("mknodat a file", mknodat(AT_FDCWD, "m", S_IFREG | 0600, 0));
    value("mknodat again", mknodat(AT_FDCWD, "m", S_IFREG | 0600, 0));
    value("mknodat a directory", mknodat(AT_FDCWD, "q", S_IFDIR | 0600, 0));
    value("chroot to a file", chroot("d/f"));
    value("chroot to nothing", chroot("none"));
    value("chroot", chroot("d"));
    value("its root", access("/f", F_OK));
    value("no further up", access("/../f", F_OK));
    return 0;
}
