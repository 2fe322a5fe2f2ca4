// build: static
/* The stat family: fields, links, AT_ flags, statx masks, special files. */
#include "observe.h"
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static void show(const char *what, const struct stat *st)
{
    say("%s: mode %o links %ld uid %d gid %d size %ld block %ld", what, st->st_mode,
        S_ISDIR(st->st_mode) ? 0L : (long)st->st_nlink, st->st_uid, st->st_gid,
        S_ISDIR(st->st_mode) ? 0L : (long)st->st_size, (long)st->st_blksize);
}

int main(void)
{
    struct stat st, other;
    struct statx sx;
    umask(022);
    put_text("f", "twelve bytes");
    symlink("f", "l");
    symlink("nothing", "n");
    mkdir("d", 0700);
    value("stat", stat("f", &st));
    show("file", &st);
    value("stat link", stat("l", &other));
    yes("the same inode", other.st_ino == st.st_ino && other.st_dev == st.st_dev);
    value("lstat link", lstat("l", &other));
    show("link", &other);
    value("stat dangling", stat("n", &other));
    value("lstat dangling", lstat("n", &other));
    value("stat directory", stat("d", &other));
    show("directory", &other);
    value("stat nothing", stat("none", &other));
    value("stat empty path", stat("", &other));
    value("stat below a file", stat("f/x", &other));
    value("stat a file with slash", stat("f/", &other));
    value("stat NULL", syscall(SYS_stat, NULL, &other));
    value("stat to NULL", syscall(SYS_stat, "f", NULL));
    value("fstat closed", fstat(-1, &other));

    int fd = open("f", O_RDONLY);
    value("fstatat AT_EMPTY_PATH", fstatat(fd, "", &other, AT_EMPTY_PATH));
    yes("the same inode", other.st_ino == st.st_ino);
    value("fstatat empty without the flag", fstatat(fd, "", &other, 0));
    value("fstatat AT_EMPTY_PATH of the cwd", fstatat(AT_FDCWD, "", &other, AT_EMPTY_PATH));
    value("fstatat unknown flag", fstatat(AT_FDCWD, "f", &other, 0x40000000));
    value("fstatat relative to a file", fstatat(fd, "x", &other, 0));
    value("fstatat relative to a closed one", fstatat(-5, "f", &other, 0));
    char cwd[4000];
    getcwd(cwd, sizeof cwd);
    strcat(cwd, "/f");
    value("fstatat absolute ignores the descriptor", fstatat(-5, cwd, &other, 0));

    memset(&sx, 0xff, sizeof sx);
    value("statx", statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
    yes("basic mask", (sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    yes("agrees with stat", sx.stx_ino == st.st_ino && sx.stx_size == 12 && sx.stx_mode == st.st_mode
        && sx.stx_nlink == 1 && sx.stx_mtime.tv_sec == st.st_mtim.tv_sec
        && sx.stx_mtime.tv_nsec == st.st_mtim.tv_nsec
        && sx.stx_dev_major == major(st.st_dev) && sx.stx_dev_minor == minor(st.st_dev));
    value("statx AT_SYMLINK_NOFOLLOW", statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx));
    yes("link", S_ISLNK(sx.stx_mode));
    value("statx reserved mask", statx(AT_FDCWD, "f", 0, STATX__RESERVED, &sx));
    value("statx sync flags both", statx(AT_FDCWD, "f", AT_STATX_SYNC_TYPE, STATX_TYPE, &sx));
    value("statx AT_EMPTY_PATH", statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
    value("statx NULL buffer", syscall(SYS_statx, AT_FDCWD, "f", 0, STATX_SIZE, NULL));

    stat("/dev/null", &st);
    say("/dev/null %o %u:%u", st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev));
    stat("/dev/zero", &st);
    say("/dev/zero %u:%u", major(st.st_rdev), minor(st.st_rdev));
    stat("/dev/urandom", &st);
    say("/dev/urandom %u:%u", major(st.st_rdev), minor(st.st_rdev));
    int p[2];
    pipe(p);
    fstat(p[0], &st);
    say("pipe %o size %ld", st.st_mode, (long)st.st_size);
    fstat(memfd_create("m", 0), &st);
    say("memfd %o size %ld", st.st_mode, (long)st.st_size);

    int zero = open("z", O_RDWR | O_CREAT, 0600);
    fstat(zero, &st);
    say("blocks of an empty file %ld", (long)st.st_blocks);
    ftruncate(zero, 1 << 20);
    fstat(zero, &st);
    say("blocks of a hole %ld", (long)st.st_blocks);

    struct statfs fs;
    value("statfs", statfs("f", &fs));
    yes("a block size", fs.f_bsize >= 512);
    yes("blocks", fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks && fs.f_bavail <= fs.f_bfree);
    say("name length %ld", (long)fs.f_namelen);
    value("fstatfs", fstatfs(fd, &fs));
    value("statfs nothing", statfs("none", &fs));
    value("statfs /proc", statfs("/proc", &fs));
    say("/proc type %#lx", (long)fs.f_type);
    value("fstatfs pipe", fstatfs(p[0], &fs));
    say("pipe type %#lx", (long)fs.f_type);
    return 0;
}
