/* openat2: what each RESOLVE_ flag admits, and each error; then the corners of O_PATH and of other flags. */
#include "observe.h"
#include <linux/openat2.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

static long at(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd >= 0)
        close(fd);
    return fd;
}

static void all_ways(int dir, const char *path)
{
    static const struct {
        const char *name;
        uint64_t bits;
    } ways[] = {
        {"plain", 0}, {"NO_XDEV", RESOLVE_NO_XDEV}, {"NO_MAGICLINKS", RESOLVE_NO_MAGICLINKS},
        {"NO_SYMLINKS", RESOLVE_NO_SYMLINKS}, {"BENEATH", RESOLVE_BENEATH}, {"IN_ROOT", RESOLVE_IN_ROOT},
        {"BENEATH|NO_SYMLINKS", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS},
        {"IN_ROOT|NO_MAGICLINKS|NO_XDEV", RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV},
    };
    char what[128];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        /* What is mounted above the working directory is the machine's affair. */
        if ((strcmp(path, "root") == 0 || strcmp(path, "../..") == 0) && ways[i].bits & RESOLVE_NO_XDEV)
            continue;
        snprintf(what, sizeof what, "%s, %s", path, ways[i].name);
        done(what, at(dir, path, O_RDONLY, 0, ways[i].bits));
        snprintf(what, sizeof what, "%s, %s, O_PATH|O_NOFOLLOW", path, ways[i].name);
        done(what, at(dir, path, O_PATH | O_NOFOLLOW, 0, ways[i].bits));
    }
}

static void arguments(int dir)
{
    char page[8192] __attribute__((aligned(8))) = {0};
    done("BENEATH and IN_ROOT", at(dir, "f", 0, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
    done("unknown resolve", at(dir, "f", 0, 0, 0x40));
    done("unknown resolve, high", at(dir, "f", 0, 0, 1UL << 40));
    done("unknown flag", at(dir, "f", 1UL << 31, 0, 0));
    done("unknown flag, high", at(dir, "f", 1UL << 32, 0, 0));
    done("O_LARGEFILE", at(dir, "f", 0100000, 0, 0));
    done("O_ACCMODE", at(dir, "f", O_ACCMODE, 0, 0));
    done("mode without O_CREAT", at(dir, "f", 0, 0600, 0));
    done("too much of a mode", at(dir, "new", O_CREAT, 0100600, 0));
    done("mode of O_TMPFILE", at(dir, ".", O_TMPFILE | O_RDWR, 0600, 0));
    done("__O_TMPFILE alone", at(dir, ".", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600, 0));
    done("O_TMPFILE to read", at(dir, ".", O_TMPFILE | O_RDONLY, 0600, 0));
    done("O_TMPFILE|O_CREAT", at(dir, ".", O_TMPFILE | O_RDWR | O_CREAT, 0600, 0));
    done("O_CREAT|O_DIRECTORY", at(dir, "new", O_CREAT | O_DIRECTORY, 0600, 0));
    done("O_PATH|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC", at(dir, ".", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0));
    done("O_PATH|O_RDWR", at(dir, "f", O_PATH | O_RDWR, 0, 0));
    done("O_PATH|O_CREAT", at(dir, "f", O_PATH | O_CREAT, 0600, 0));
    done("O_SYNC", at(dir, "f", O_SYNC, 0, 0));
    done("__O_SYNC alone", at(dir, "f", O_SYNC & ~O_DSYNC, 0, 0));
    done("O_NOATIME|O_NONBLOCK|O_NOCTTY|O_ASYNC", at(dir, "f", O_NOATIME | O_NONBLOCK | O_NOCTTY | O_ASYNC, 0, 0));
    done("bad directory", at(999, "f", 0, 0, 0));
    done("bad directory, absolute", at(999, "/", 0, 0, 0));
    done("bad directory, absolute, IN_ROOT", at(999, "/", 0, 0, RESOLVE_IN_ROOT));
    done("bad directory, absolute, BENEATH", at(999, "/", 0, 0, RESOLVE_BENEATH));
    done("no path", at(dir, NULL, 0, 0, 0));
    done("empty path", at(dir, "", 0, 0, 0));
    done("no struct", syscall(SYS_openat2, dir, "f", NULL, 24));
    done("size 0", syscall(SYS_openat2, dir, "f", page, 0));
    done("size 23", syscall(SYS_openat2, dir, "f", page, 23));
    done("size 4096", syscall(SYS_openat2, dir, "f", page, 4096));
    done("size 4097", syscall(SYS_openat2, dir, "f", page, 4097));
    page[30] = 1;
    done("more than known", syscall(SYS_openat2, dir, "f", page, 32));
    done("bad flags come before a bad path", at(dir, NULL, 1UL << 31, 0, 0));
    done("CACHED with O_CREAT", at(dir, "f", O_CREAT, 0600, RESOLVE_CACHED));
    done("CACHED with O_TRUNC", at(dir, "f", O_RDWR | O_TRUNC, 0, RESOLVE_CACHED));
    done("CACHED with O_TMPFILE", at(dir, ".", O_TMPFILE | O_RDWR, 0600, RESOLVE_CACHED));
    done("new, BENEATH", at(dir, "new", O_CREAT | O_EXCL | O_RDWR, 0600, RESOLVE_BENEATH));
    done("new outside, BENEATH", at(dir, "../new", O_CREAT | O_EXCL | O_RDWR, 0600, RESOLVE_BENEATH));
    done("new above, IN_ROOT", at(dir, "../../new2", O_CREAT | O_EXCL | O_RDWR, 0600, RESOLVE_IN_ROOT));
    value("is inside", access("d/new2", F_OK));
    done("by a dangling link, BENEATH", at(dir, "escaping", O_CREAT | O_RDWR, 0600, RESOLVE_BENEATH));
    done("by a dangling link, IN_ROOT", at(dir, "escaping", O_CREAT | O_RDWR, 0600, RESOLVE_IN_ROOT));
    value("is inside", access("d/escaped", F_OK));
    value("is outside", access("escaped", F_OK));
}

static void paths(int dir)
{
    char byte = 0, text[64];
    struct stat st;
    struct iovec v = {&byte, 1};
    int f = open("d/f", O_PATH), link = open("d/inside", O_PATH | O_NOFOLLOW), sub = open("d/sub", O_PATH | O_RDWR | O_CREAT);
    say("flags of O_PATH|O_RDWR|O_CREAT: %x", fcntl(sub, F_GETFL));
    value("pread", pread(f, &byte, 1, 0));
    value("pwritev", pwritev(f, &v, 1, 0));
    value("ioctl", fcntl(f, F_GETFD) + (long)syscall(SYS_ioctl, f, 0x5451));
    value("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, f, 0) == MAP_FAILED ? -1 : 0);
    value("fsync", fsync(f));
    value("ftruncate", ftruncate(f, 0));
    value("fallocate", fallocate(f, 0, 0, 1));
    value("fadvise", posix_fadvise(f, 0, 0, 0));
    value("readahead", readahead(f, 0, 1));
    value("fchown", fchown(f, -1, -1));
    value("fchown by AT_EMPTY_PATH", fchownat(f, "", -1, -1, AT_EMPTY_PATH));
    value("futimens", futimens(f, NULL));
    value("fgetxattr", fgetxattr(f, "user.x", text, 1));
    value("getdents", syscall(SYS_getdents64, sub, text, sizeof text));
    value("fchdir", fchdir(sub));
    value("back", fchdir(dir) + chdir(".."));
    value("fchdir to a file", fchdir(f));
    value("fstatfs", fstatfs(f, (void *)malloc(256)));
    value("syncfs", syncfs(f));
    value("dup", dup(f) >= 0 ? 0 : -1);
    value("readlinkat of a link", readlinkat(link, "", text, sizeof text));
    value("readlinkat of a file", readlinkat(f, "", text, sizeof text));
    value("fchmod by /proc", (snprintf(text, sizeof text, "/proc/self/fd/%d", f), chmod(text, 0640)));
    value("open by /proc", open(text, O_RDONLY) >= 0 ? 0 : -1);
    value("linkat by /proc", linkat(AT_FDCWD, text, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
    value("linkat by AT_EMPTY_PATH", linkat(f, "", AT_FDCWD, "linked2", AT_EMPTY_PATH));
    value("links", (fstat(f, &st), (long)st.st_nlink));
    value("linkat without", linkat(f, "", AT_FDCWD, "linked3", 0));
    snprintf(text, sizeof text, "/proc/self/fd/%d", link);
    value("open of a link by /proc", open(text, O_RDONLY));
    value("O_PATH of nothing", open("none", O_PATH));
    value("O_PATH|O_EXCL of a file", open("d/f", O_PATH | O_EXCL | O_CREAT) >= 0 ? 0 : -1);
    value("O_PATH|O_DIRECTORY of a file", open("d/f", O_PATH | O_DIRECTORY));
    value("O_PATH|O_TRUNC does not cut", open("d/f", O_PATH | O_TRUNC) >= 0 ? (stat("d/f", &st), (long)st.st_size) : -1);
    value("copy_file_range", copy_file_range(f, NULL, f, NULL, 1, 0));
    unlink("linked"), unlink("linked2");
}

static void others(void)
{
    struct stat st;
    void *aligned = fresh(8192);
    int d = open("d/f", O_RDWR | O_DIRECT), e;
    value("O_DIRECT", d >= 0 ? 0 : -1);
    if (d >= 0)
        value("aligned write", pwrite(d, aligned, 4096, 0));
    if (d >= 0)
        value("aligned read", pread(d, aligned, 4096, 0));
    value("O_DIRECT of a directory", open("d", O_RDONLY | O_DIRECT));
    value("O_DIRECT of a fifo", (mkfifo("fifo", 0600), open("fifo", O_RDWR | O_DIRECT)) >= 0 ? 0 : -1);
    value("O_DIRECT of /dev/null", open("/dev/null", O_RDWR | O_DIRECT));
    value("O_CREAT|O_DIRECTORY", open("new3", O_RDONLY | O_CREAT | O_DIRECTORY, 0600));
    value("is not there", access("new3", F_OK));
    value("O_CREAT|O_DIRECTORY of a directory", open("d", O_RDONLY | O_CREAT | O_DIRECTORY, 0600));
    value("O_NOFOLLOW|O_CREAT of a link", open("d/inside", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    value("O_NOFOLLOW|O_DIRECTORY of a link", open("d/todir", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    value("a link with a slash, O_NOFOLLOW", open("d/todir/", O_RDONLY | O_NOFOLLOW) >= 0 ? 0 : -1);
    e = open("d/f", O_RDWR | O_APPEND | O_TRUNC);
    struct iovec v = {"ab", 2};
    value("write", write(e, "12", 2));
    value("pwrite appends", pwrite(e, "34", 2, 0));
    value("pwritev appends", pwritev(e, &v, 1, 0));
    value("position", lseek(e, 0, SEEK_CUR));
    fcntl(e, F_SETFL, 0);
    value("pwrite does not", pwrite(e, "5", 1, 0));
    value("pwritev2 with RWF_APPEND", syscall(SYS_pwritev2, e, &v, 1L, 0L, 0L, 0x10));
    value("pwritev2 with RWF_APPEND and no offset", syscall(SYS_pwritev2, e, &v, 1L, -1L, -1L, 0x10));
    value("position", lseek(e, 0, SEEK_CUR));
    fstat(e, &st);
    value("size", st.st_size);
    value("a socket's or device's O_TRUNC", open("/dev/null", O_WRONLY | O_TRUNC) >= 0 ? 0 : -1);
    value("O_SYNC", (fcntl(open("d/f", O_RDWR | O_SYNC), F_GETFL) & O_SYNC) == O_SYNC);
    value("__O_SYNC alone", fcntl(open("d/f", O_RDWR | (O_SYNC & ~O_DSYNC)), F_GETFL) & O_SYNC);
}

int main(void)
{
    umask(022);
    mkdir("d", 0755);
    mkdir("d/sub", 0755);
    put_text("d/f", "text");
    put_text("outside", "text");
    symlink("f", "d/inside");
    symlink("../outside", "d/up");
    symlink("/", "d/root");
    symlink(".", "d/todir");
    symlink("../escaped", "d/escaping");
    symlink("loop", "d/loop");
    int dir = open("d", O_PATH);
    const char *names[] = {"f", "inside", "up", "root", "sub/..", "sub/../f", "..", "../d/f", "todir/f", "loop", "none", "none/..",
                           "f/", "f/..", "/", "/dev/null", "../..", "sub/../../d", "."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        all_ways(dir, names[i]);
    all_ways(AT_FDCWD, "/proc/self/fd/0");
    all_ways(AT_FDCWD, "/proc/self/cwd");
    all_ways(AT_FDCWD, "/proc/self");
    arguments(dir);
    paths(dir);
    others();
    return 0;
}
