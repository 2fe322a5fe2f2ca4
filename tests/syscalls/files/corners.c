/* Corner cases of calls that programs make seldom: creat, mknod, the v2 transfers, flushes, the *at calls. */
#include "observe.h"
#include <sys/file.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <utime.h>

static long at(long number, long a, long b, long c, long d, long e)
{
    return syscall(number, a, b, c, d, e);
}

int main(void)
{
    char b[64] = {0};
    struct stat st;
    int p[2];
    umask(022);
    pipe(p);
    mkdir("d", 0755);
    symlink("f", "l");
    int dir = open("d", O_RDONLY), path;

    say("-- creat");
    int f = creat("f", 0666);
    write(f, "0123456789", 10);
    value("only for writing", read(f, b, 1));
    value("cuts what is there", creat("f", 0) >= 0);
    stat("f", &st);
    say("mode %o size %ld", st.st_mode, (long)st.st_size);
    value("a directory", creat("d", 0600));
    value("below nothing", creat("none/f", 0600));
    value("through a link", creat("l", 0600) >= 0);
    value("an empty path", creat("", 0600));
    write(f, "0123456789", 10);

    say("-- mknod");
    value("a file", mknod("n", 0640, 0));
    stat("n", &st);
    say("mode %o", st.st_mode);
    value("a file by type", mknod("n2", S_IFREG | 0600, 7));
    value("again", mknod("n", S_IFREG | 0600, 0));
    value("a directory", mknod("nd", S_IFDIR | 0700, 0));
    value("a link", mknod("nl", S_IFLNK | 0700, 0));
    value("no type there is", mknod("nx", 0150000 | 0700, 0));
    value("below nothing", mknodat(dir, "x/y", S_IFIFO | 0600, 0));
    value("below a closed one", mknodat(999, "y", S_IFIFO | 0600, 0));
    value("below a descriptor", mknodat(dir, "fifo", S_IFIFO | 0600, 0));
    value("a name of a link", mknod("l", S_IFREG | 0600, 0));

    say("-- preadv2, pwritev2");
    f = open("f", O_RDWR);
    struct iovec v[2] = {{"ab", 2}, {"cde", 3}}, in[2] = {{b, 2}, {b + 10, 20}};
    value("at an offset", pwritev2(f, v, 2, 4, 0));
    value("the position stays", lseek(f, 0, SEEK_CUR));
    value("at the position", pwritev2(f, v, 1, -1, 0));
    value("the position moves", lseek(f, 0, SEEK_CUR));
    value("appended", pwritev2(f, v, 2, 0, RWF_APPEND));
    value("synced", pwritev2(f, v, 1, 0, RWF_SYNC));
    value("data synced", pwritev2(f, v, 1, 0, RWF_DSYNC));
    value("hinted", preadv2(f, in, 2, 0, RWF_HIPRI) > 0 || errno == EOPNOTSUPP);
    value("read", preadv2(f, in, 2, 1, 0));
    say("%.2s %.13s", b, b + 10);
    value("read appended", preadv2(f, in, 2, 0, RWF_APPEND));
    value("unknown flag", pwritev2(f, v, 2, 0, 1 << 30));
    value("a negative offset", pwritev2(f, v, 2, -2, 0));
    value("of a pipe at an offset", pwritev2(p[1], v, 2, 0, 0));
    value("of a pipe", pwritev2(p[1], v, 2, -1, 0));
    value("a pipe, no wait", (read(p[0], b, 64), preadv2(p[0], in, 2, -1, RWF_NOWAIT)));
    value("no vectors", pwritev2(f, NULL, 0, 0, 0));
    value("too many vectors", pwritev2(f, v, 1025, 0, 0));
    value("a negative number of vectors", pwritev2(f, v, -1, 0, 0));
    value("closed", pwritev2(999, v, 2, 0, 0));
    value("pwritev", pwritev(f, v, 2, 20));
    value("preadv, a negative offset", preadv(f, in, 2, -1));

    say("-- flushes");
    sync();
    value("fsync of a directory", fsync(dir));
    value("fdatasync", fdatasync(f));
    value("fdatasync of a pipe", fdatasync(p[0]));
    value("fsync of a pipe", fsync(p[1]));
    path = open("f", O_PATH);
    value("fsync of O_PATH", fsync(path));
    value("fsync closed", fsync(999));
    value("fdatasync for reading", fdatasync(open("f", O_RDONLY)));
    value("syncfs", syncfs(f));
    value("syncfs closed", syncfs(999));
    value("syncfs of O_PATH", syncfs(path));
    value("sync_file_range", sync_file_range(f, 0, 4096, SYNC_FILE_RANGE_WRITE));
    value("unknown flag", sync_file_range(f, 0, 4096, 8));
    value("a negative offset", sync_file_range(f, -1, 4096, 1));
    value("a negative length", sync_file_range(f, 0, -1, 1));
    value("of a pipe", sync_file_range(p[0], 0, 1, 1));
    value("closed", sync_file_range(999, 0, 1, 1));
    value("readahead", readahead(f, 0, 4096));
    value("readahead of a pipe", readahead(p[0], 0, 1));
    value("readahead for writing", readahead(open("f", O_WRONLY), 0, 1));
    value("readahead closed", readahead(999, 0, 1));

    say("-- flock");
    int g = open("f", O_RDONLY);
    value("shared", flock(f, LOCK_SH));
    value("shared too", flock(g, LOCK_SH | LOCK_NB));
    value("exclusive", flock(g, LOCK_EX | LOCK_NB));
    value("unlock", flock(f, LOCK_UN));
    value("upgraded", flock(g, LOCK_EX | LOCK_NB));
    value("refused", flock(f, LOCK_SH | LOCK_NB));
    value("a copy shares it", flock(dup(g), LOCK_EX | LOCK_NB));
    value("nothing", flock(f, 0));
    value("two at once", flock(f, LOCK_SH | LOCK_EX));
    value("unlock twice", (flock(g, LOCK_UN), flock(g, LOCK_UN)));
    value("closed", flock(999, LOCK_SH));
    value("O_PATH", flock(path, LOCK_SH));
    value("a pipe", flock(p[0], LOCK_EX | LOCK_NB));
    value("a directory", flock(dir, LOCK_EX | LOCK_NB));

    say("-- relative to a descriptor");
    value("mkdirat", mkdirat(dir, "sub", 0700));
    value("mkdirat again", mkdirat(dir, "sub", 0700));
    value("mkdirat of dot", mkdirat(dir, ".", 0700));
    value("mkdirat with slashes", mkdirat(dir, "slash//", 0700));
    value("mkdirat below a file", mkdirat(f, "x", 0700));
    value("mkdirat closed", mkdirat(999, "x", 0700));
    value("symlinkat", symlinkat("../f", dir, "link"));
    value("symlinkat of nothing", symlinkat("", dir, "empty"));
    value("symlinkat again", symlinkat("x", dir, "link"));
    value("readlinkat", readlinkat(dir, "link", b, 64));
    value("readlinkat, cut", readlinkat(dir, "link", b, 2));
    value("readlinkat, no room", at(SYS_readlinkat, dir, (long)"link", (long)b, 0, 0));
    value("readlinkat, less than none", at(SYS_readlinkat, dir, (long)"link", (long)b, -1, 0));
    value("readlinkat of a file", readlinkat(AT_FDCWD, "f", b, 64));
    int link_itself = open("d/link", O_PATH | O_NOFOLLOW);
    value("readlinkat of itself", readlinkat(link_itself, "", b, 64));
    value("readlinkat of an empty path", readlinkat(dir, "", b, 64));
    value("linkat", linkat(AT_FDCWD, "f", dir, "hard", 0));
    value("linkat of a link", linkat(dir, "link", dir, "hardlink", 0));
    lstat("d/hardlink", &st);
    say("is a link: %d", S_ISLNK(st.st_mode));
    value("linkat followed", linkat(dir, "link", dir, "followed", AT_SYMLINK_FOLLOW));
    value("linkat unknown flag", linkat(dir, "link", dir, "x", 1));
    value("linkat of a directory", linkat(AT_FDCWD, "d", AT_FDCWD, "dd", 0));
    value("linkat by descriptor", linkat(f, "", dir, "bydescriptor", AT_EMPTY_PATH));
    value("renameat", renameat(dir, "hard", AT_FDCWD, "soft"));
    value("renameat to a directory", renameat(AT_FDCWD, "soft", AT_FDCWD, "d"));
    value("renameat of a directory to a file", renameat(AT_FDCWD, "d", AT_FDCWD, "f"));
    value("renameat of dot", renameat(dir, ".", AT_FDCWD, "e"));
    value("renameat into itself", renameat(AT_FDCWD, "d", dir, "sub/d"));
    value("renameat closed", renameat(999, "a", dir, "b"));
    value("unlinkat a directory as a file", unlinkat(dir, "sub", 0));
    value("unlinkat a file as a directory", unlinkat(dir, "link", AT_REMOVEDIR));
    value("unlinkat unknown flag", unlinkat(dir, "link", 1));
    value("unlinkat dot", unlinkat(dir, ".", AT_REMOVEDIR));
    value("unlinkat", unlinkat(dir, "sub", AT_REMOVEDIR));

    say("-- owners and modes");
    value("fchown", fchown(f, -1, -1));
    value("fchown of O_PATH", fchown(path, 0, 0));
    value("fchown closed", fchown(999, 0, 0));
    value("lchown of a link", lchown("l", 5, 6));
    lstat("l", &st);
    say("%d %d", st.st_uid, st.st_gid);
    value("fchownat by descriptor", fchownat(path, "", 7, -1, AT_EMPTY_PATH));
    fstat(f, &st);
    say("%d %d", st.st_uid, st.st_gid);
    value("fchownat unknown flag", fchownat(dir, "link", 0, 0, 1));
    value("fchownat of the link", fchownat(dir, "link", 3, 4, AT_SYMLINK_NOFOLLOW));
    chown("f", 0, 0);
    value("fchmodat", fchmodat(dir, "../f", 0604, 0));
    value("fchmodat of a dangling link", (symlink("gone", "dangling"), fchmodat(AT_FDCWD, "dangling", 0600, 0)));
    value("fchmod of O_PATH", fchmod(path, 0600));
    value("chmod all bits", chmod("f", 07777));
    stat("f", &st);
    say("mode %o", st.st_mode);
    value("faccessat", at(SYS_faccessat, dir, (long)"../f", R_OK | W_OK | X_OK, 0, 0));
    value("faccessat ignores flags", at(SYS_faccessat, dir, (long)"link", F_OK, -1, 0));
    value("faccessat bad mode", at(SYS_faccessat, dir, (long)"link", 8, 0, 0));

    say("-- times");
    struct timeval t[2] = {{1000000000, 5}, {1100000000, 999999}};
    value("futimesat", futimesat(dir, "../f", t));
    stat("f", &st);
    say("%ld.%09ld %ld.%09ld", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    t[0].tv_usec = 1000000;
    value("too many microseconds", futimesat(dir, "../f", t));
    t[0].tv_usec = -1;
    value("too few", utimes("f", t));
    value("futimesat NULL path", futimesat(dir, NULL, NULL));
    value("utime", utime("f", &(struct utimbuf){-5, 6}));
    stat("f", &st);
    say("%ld %ld", (long)st.st_atime, (long)st.st_mtime);
    value("utime now", utime("f", NULL));
    value("utime of nothing", utime("none", NULL));
    return 0;
}
