// build: static musl
/* mount and umount2: tmpfs with its options, bind, remount, move, and what the flags forbid. */
#include "private.h"
#include <sys/xattr.h>

static long mounted(const char *what, const char *source, const char *target, const char *type,
                    unsigned long flags, const char *data)
{
    return value(what, syscall(SYS_mount, source, target, type, flags, data));
}

static long gone(const char *what, const char *target, int flags)
{
    return value(what, syscall(SYS_umount2, target, flags));
}

static void new_mounts(void)
{
    struct statfs fs;
    struct stat stat;
    mounted("tmpfs", "some", "a", "tmpfs", 0, "size=1m,nr_inodes=8,mode=0710,uid=3,gid=4");
    show_mounts("/a");
    statfs("a", &fs);
    say("%lx %ld blocks %ld free, %ld files %ld free, flags %lx", (long)fs.f_type, (long)fs.f_blocks,
        (long)fs.f_bfree, (long)fs.f_files, (long)fs.f_ffree, (long)fs.f_flags);
    lstat("a", &stat);
    say("%o %d %d, inode %d", stat.st_mode, stat.st_uid, stat.st_gid, (int)stat.st_ino);
    static char bytes[2 << 20];
    int fd = open("a/f", O_RDWR | O_CREAT, 0644);
    value("as much as there is", write(fd, bytes, sizeof bytes));
    value("one more", pwrite(fd, bytes, 1, 2 << 20));
    fstatfs(fd, &fs);
    say("%ld free", (long)fs.f_bfree);
    value("shorter", ftruncate(fd, 5000));
    value("allocate too much", fallocate(fd, 0, 0, 4 << 20));
    statfs("a", &fs);
    say("%ld free", (long)fs.f_bfree);
    value("allocate all", fallocate(fd, 0, 0, 1 << 20));
    value("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 40960));
    statfs("a", &fs);
    say("%ld free", (long)fs.f_bfree);
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "a/%d", i);
        if (mkdir(name, 0755) == -1) {
            say("%d directories, then %s", i, errno_name(errno));
            break;
        }
    }
    value("rmdir", rmdir("a/0"));
    value("mkdir", mkdir("a/0", 0755));
    gone("with an open file", "a", 0);
    mounted("read-only with a writer", NULL, "a", NULL, MS_REMOUNT | MS_RDONLY, NULL);
    mounted("the mount read-only with a writer", NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
    mounted("smaller than used", NULL, "a", NULL, MS_REMOUNT, "size=16k");
    mounted("larger", NULL, "a", NULL, MS_REMOUNT, "size=2m");
    close(fd);
    statfs("a", &fs);
    say("%ld blocks", (long)fs.f_blocks);
    gone("closed", "a", 0);
    gone("once more", "a", 0);
    mounted("bad option", "some", "a", "tmpfs", 0, "nothing=1");
    mounted("bad size", "some", "a", "tmpfs", 0, "size=1x");
    mounted("size without a value", "some", "a", "tmpfs", 0, "size");
    mounted("bad mode", "some", "a", "tmpfs", 0, "mode=9");
    mounted("empty options", "some", "a", "tmpfs", 0, ",,size=4k,");
    gone("and gone", "a", 0);
    mounted("no source", NULL, "a", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_SYNCHRONOUS, "size=4k");
    show_mounts("/a");
    gone("and gone", "a", 0);
    mounted("strict", "x y", "a", "tmpfs", MS_STRICTATIME | MS_NODIRATIME, "size=4k");
    show_mounts("/a");
    gone("and gone", "a", 0);
    mounted("no type", "some", "a", NULL, 0, NULL);
    mounted("unknown type", "some", "a", "nothing", 0, NULL);
    mounted("on a file", "some", "file", "tmpfs", 0, NULL);
    mounted("the kernel's own flag", "some", "a", "tmpfs", 1UL << 31, NULL);
    mounted("old programs' flags", "some", "a", "tmpfs", 0xc0ed0000 | MS_NOSUID, "size=4k");
    show_mounts("/a");
    gone("and gone", "a", 0);
}

static void binds(void)
{
    struct stat one, other;
    mkdir("b", 0755);
    mkdir("b/in", 0755);
    put_text("b/in/text", "text");
    mounted("bind", "b/in", "a", NULL, MS_BIND, NULL);
    lstat("b/in/text", &one);
    lstat("a/text", &other);
    yes("the same file", one.st_ino == other.st_ino && one.st_dev == other.st_dev);
    value("link across", link("b/in/text", "a/other"));
    value("rename across", rename("b/in/text", "a/other"));
    value("remove the place", rmdir("a"));
    value("move the place", rename("a", "c"));
    char path[4096], *cwd = getcwd(NULL, 0);
    chdir("a");
    getcwd(path, sizeof path);
    say("%s", path + strlen(cwd));
    chdir("..");
    yes("back", stat("file", &one) == 0);
    chdir(cwd);
    mounted("bind read-only is not", "b", "b/in", NULL, MS_BIND | MS_RDONLY, NULL);
    value("so", access("b/in/in", W_OK));
    gone("and gone", "b/in", 0);
    mounted("read-only", NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL);
    done("write", open("a/text", O_WRONLY));
    done("create", open("a/new", O_WRONLY | O_CREAT, 0644));
    done("read", close(open("a/text", O_RDONLY)));
    value("mkdir", mkdir("a/d", 0755));
    value("unlink", unlink("a/text"));
    value("chmod", chmod("a/text", 0600));
    value("utimensat", utimensat(AT_FDCWD, "a/text", NULL, 0));
    value("setxattr", setxattr("a/text", "user.x", "1", 1, 0));
    value("truncate", truncate("a/text", 0));
    value("access", access("a/text", W_OK));
    struct statfs fs;
    statfs("a", &fs);
    say("read-only %ld nosuid %ld", (long)fs.f_flags & 1, (long)fs.f_flags & 2);
    done("through the other name", close(open("b/in/text", O_WRONLY)));
    mounted("writable", NULL, "a", NULL, MS_REMOUNT | MS_BIND, NULL);
    done("write", close(open("a/text", O_WRONLY)));
    mounted("of a file", "b/in/text", "file", NULL, MS_BIND, NULL);
    char text[64];
    slurp("file", text, sizeof text);
    say("%s", text);
    value("unlink it", unlink("file"));
    gone("and gone", "file", 0);
    mounted("a directory on a file", "b", "file", NULL, MS_BIND, NULL);
    mounted("a file on a directory", "file", "a", NULL, MS_BIND, NULL);
    mounted("of nothing", "nothing", "a", NULL, MS_BIND, NULL);
    mounted("of no name", "", "a", NULL, MS_BIND, NULL);
    mounted("of NULL", NULL, "a", NULL, MS_BIND, NULL);
    gone("and gone", "a", 0);
}

static void noexec(void)
{
    mounted("a place for programs", "p", "a", "tmpfs", 0, "size=8k");
    put_text("a/run", "#!/bin/true\n");
    chmod("a/run", 0755);
    mounted("noexec", NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_NOEXEC | MS_NODEV | 256, NULL);
    char *argv[] = {"run", NULL};
    value("execve", execv("a/run", argv));
    value("access", access("a/run", X_OK));
    int fd = open("a/run", O_RDONLY);
    mapped("mmap, executable", mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
    void *map = mapped("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
    value("mprotect", mprotect(map, 4096, PROT_READ | PROT_EXEC));
    close(fd);
    gone("while mapped", "a", 0);
    munmap(map, 4096);
    symlink("run", "a/link");
    done("a link of a mount that follows none", open("a/link", O_RDONLY));
    done("through it", open("a/link/x", O_RDONLY));
    char target[8];
    value("its text", readlink("a/link", target, sizeof target));
    gone("unmapped", "a", 0);
}

static void trees(void)
{
    mounted("outer", "o", "a", "tmpfs", 0, "size=64k");
    mkdir("a/x", 0755);
    mkdir("a/y", 0755);
    mounted("inner", "i", "a/x", "tmpfs", 0, "size=64k");
    put_text("a/x/deep", "deep");
    gone("outer with inner", "a", 0);
    mounted("bind without", "a", "b", NULL, MS_BIND, NULL);
    value("not there", access("b/x/deep", F_OK));
    gone("gone", "b", 0);
    mounted("bind with", "a", "b", NULL, MS_BIND | MS_REC, NULL);
    value("there", access("b/x/deep", F_OK));
    show_mounts("/x");
    gone("busy", "b", 0);
    gone("detached", "b", MNT_DETACH);
    value("not there", access("b/x/deep", F_OK));
    show_mounts("/x");
    mounted("move", "a/x", "a/y", NULL, MS_MOVE, NULL);
    value("there", access("a/y/deep", F_OK));
    mounted("move what is none", "a/x", "b", NULL, MS_MOVE, NULL);
    mounted("move below itself", "a", "a/y", NULL, MS_MOVE, NULL);
    mounted("move on a file", "a/y", "file", NULL, MS_MOVE, NULL);
    mounted("move nothing", NULL, "b", NULL, MS_MOVE, NULL);
    int fd = open("a/y/deep", O_RDONLY);
    gone("detach in use", "a", MNT_DETACH);
    char text[8] = {0};
    value("still read", read(fd, text, 7));
    close(fd);
    show_mounts("/a");
    mounted("stacked", "1", "a", "tmpfs", 0, "size=4k");
    mounted("stacked", "2", "a", "tmpfs", 0, "size=8k");
    show_mounts("/a");
    gone("one", "a", 0);
    gone("other", "a", UMOUNT_NOFOLLOW);
    symlink("a", "link");
    mounted("through a link", "1", "link", "tmpfs", 0, "size=4k");
    gone("a link is no mount", "link", UMOUNT_NOFOLLOW);
    gone("expire", "a", MNT_EXPIRE);
    gone("expire and detach", "a", MNT_EXPIRE | MNT_DETACH);
    gone("expire again", "a", MNT_EXPIRE);
    mounted("another", "1", "a", "tmpfs", 0, "size=4k");
    chdir("a");
    gone("as working directory", ".", 0);
    gone("detached", ".", MNT_DETACH);
    char path[4096];
    value("getcwd", syscall(SYS_getcwd, path, sizeof path) > 0);
    say("%s", path);
    chdir("/");
}

int main(void)
{
    mkdir("a", 0755);
    put_text("file", "file");
    char *cwd = getcwd(NULL, 0);
    new_mounts();
    binds();
    noexec();
    trees();
    chdir(cwd);
    mounted("remount of no mount", NULL, "b", NULL, MS_REMOUNT, NULL);
    mounted("remount of no mount, bind", NULL, "b", NULL, MS_REMOUNT | MS_BIND, NULL);
    mounted("proc", "proc", "a", "proc", MS_NOSUID, NULL);
    show_mounts("/a");
    yes("one sees oneself", access("a/self/status", F_OK) == 0);
    gone("gone", "a", 0);
    mounted("sysfs", "sys", "a", "sysfs", 0, NULL);
    gone("gone", "a", MNT_FORCE);
    mounted("devtmpfs", "dev", "a", "devtmpfs", 0, NULL);
    yes("null", access("a/null", W_OK) == 0);
    mounted("nodev", NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_NODEV, NULL);
    done("a device", open("a/null", O_RDONLY));
    gone("gone", "a", 0);
    mounted("ramfs", "ram", "a", "ramfs", 0, "mode=700,whatever=1");
    show_mounts("/a");
    gone("gone", "a", 0);
    return 0;
}
