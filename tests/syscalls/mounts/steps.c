// build: static
/* The calls that mount in steps: fsopen, fsconfig, fsmount, fspick, open_tree, move_mount, mount_setattr. */
#include "private.h"
#include <linux/mount.h>

static void messages(int fd)
{
    char text[256];
    for (;;) {
        long n = read(fd, text, sizeof text - 1);
        if (n < 0) {
            say("  then %s", errno_name(errno));
            return;
        }
        text[n] = 0;
        printf("  %s", text);
        fflush(stdout);
    }
}

static long config(const char *what, int fd, int command, const char *key, const void *text, int extra)
{
    return value(what, syscall(SYS_fsconfig, fd, command, key, text, extra));
}

static void making(void)
{
    value("fsopen of an unknown type", syscall(SYS_fsopen, "nothing", 0));
    value("fsopen NULL", syscall(SYS_fsopen, NULL, 0));
    value("fsopen, unknown flags", syscall(SYS_fsopen, "tmpfs", 2));
    int fd = syscall(SYS_fsopen, "tmpfs", 1);
    done("fsopen", fd);
    value("close on exec", fcntl(fd, F_GETFD));
    messages(fd);
    config("a string", fd, 1, "size", "64k", 0);
    config("a bad one", fd, 1, "size", "x", 0);
    config("an unknown one", fd, 1, "nothing", "x", 0);
    config("an unknown flag", fd, 0, "nothing", NULL, 0);
    config("a flag for a string", fd, 0, "size", NULL, 0);
    config("a flag with a value", fd, 0, "ro", "x", 0);
    config("a string without one", fd, 1, "size", NULL, 0);
    config("a string with a number", fd, 1, "size", "1", 1);
    config("no key", fd, 1, NULL, "1", 0);
    config("a path", fd, 3, "size", "/", AT_FDCWD);
    config("a bad descriptor", fd, 5, "size", NULL, 999);
    config("unknown", fd, 99, NULL, NULL, 0);
    config("the source", fd, 1, "source", "me", 0);
    config("the source again", fd, 1, "source", "me", 0);
    config("no descriptor", -1, 1, "size", "1k", 0);
    config("a closed one", 999, 1, "size", "1k", 0);
    int file = open("/dev/null", O_RDONLY);
    config("no context", file, 1, "size", "1k", 0);
    config("bad pointer", fd, 1, (char *)8, "1k", 0);
    messages(fd);
    config("reconfigure", fd, 7, NULL, NULL, 0);
    value("fsmount too early", syscall(SYS_fsmount, fd, 0, 0));
    config("create", fd, 6, NULL, NULL, 0);
    config("create again", fd, 6, NULL, NULL, 0);
    config("an option too late", fd, 1, "size", "64k", 0);
    value("fsmount, unknown flags", syscall(SYS_fsmount, fd, 2, 0));
    value("fsmount, unknown attributes", syscall(SYS_fsmount, fd, 0, 0x1000));
    value("fsmount, no such access times", syscall(SYS_fsmount, fd, 0, 0x30));
    value("fsmount of no context", syscall(SYS_fsmount, file, 0, 0));
    int tree = syscall(SYS_fsmount, fd, 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
    done("fsmount", tree);
    value("fsmount again", syscall(SYS_fsmount, fd, 0, 0));
    value("a directory in it", mkdirat(tree, "apart", 0755));
    int made = openat(tree, "text", O_WRONLY | O_CREAT, 0644);
    value("a file in it", write(made, "text", 4));
    close(made);
    value("mount_setattr of it", syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH,
                                         &(struct mount_attr){.attr_set = MOUNT_ATTR_NODEV}, 32));
    value("move_mount, unknown flags", syscall(SYS_move_mount, tree, "", AT_FDCWD, "a", 0x1004));
    value("move_mount without a path", syscall(SYS_move_mount, tree, "", AT_FDCWD, "a", 0));
    value("move_mount to nothing", syscall(SYS_move_mount, tree, "", AT_FDCWD, "nothing", 4));
    value("move_mount to a file", syscall(SYS_move_mount, tree, "", AT_FDCWD, "file", 4));
    value("move_mount below", syscall(SYS_move_mount, tree, "apart", AT_FDCWD, "a", 0));
    value("move_mount", syscall(SYS_move_mount, tree, "", AT_FDCWD, "a", 4));
    show_mounts("/a");
    yes("the file", access("a/text", R_OK) == 0);
    value("umount while it is named", umount("a"));
    close(tree);
    close(fd);
    close(file);
}

static void changing(void)
{
    value("fspick of no root", syscall(SYS_fspick, AT_FDCWD, "a/apart", 0));
    value("fspick, unknown flags", syscall(SYS_fspick, AT_FDCWD, "a", 16));
    value("fspick of nothing", syscall(SYS_fspick, AT_FDCWD, "nothing", 0));
    int fd = syscall(SYS_fspick, AT_FDCWD, "a", 1);
    done("fspick", fd);
    config("create", fd, 6, NULL, NULL, 0);
    config("size", fd, 1, "size", "32k", 0);
    config("ro", fd, 0, "ro", NULL, 0);
    config("reconfigure", fd, 7, NULL, NULL, 0);
    show_mounts("/a");
    done("write", open("a/text", O_WRONLY));
    config("rw", fd, 0, "rw", NULL, 0);
    config("reconfigure", fd, 7, NULL, NULL, 0);
    done("write", close(open("a/text", O_WRONLY)));
    value("fsmount", syscall(SYS_fsmount, fd, 0, 0));
    close(fd);
}

static long attributes(const char *what, unsigned flags, uint64_t set, uint64_t clear, uint64_t sharing, size_t size)
{
    struct { struct mount_attr known; uint64_t more; } all = {{set, clear, sharing, 0}, size == 40 ? set : 0};
    return value(what, syscall(SYS_mount_setattr, AT_FDCWD, "a", flags, &all, size));
}

static void attributing(void)
{
    attributes("read-only", 0, MOUNT_ATTR_RDONLY, 0, 0, 32);
    show_mounts("/a");
    attributes("writable, noexec", 0, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY, 0, 32);
    attributes("strict", 0, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, 0, 32);
    show_mounts("/a");
    attributes("times set only", 0, MOUNT_ATTR_NOATIME, 0, 0, 32);
    attributes("times half cleared", 0, 0, MOUNT_ATTR_NOATIME, 0, 32);
    attributes("unknown", 0, 1ULL << 40, 0, 0, 32);
    attributes("unknown sharing", 0, 0, 0, 1, 32);
    attributes("two sharings", 0, 0, 0, MS_SHARED | MS_PRIVATE, 32);
    attributes("shared", 0, 0, 0, MS_SHARED, 32);
    show_mounts("/a");
    attributes("private", 0x8000, 0, 0, MS_PRIVATE, 32);
    attributes("short", 0, 0, 0, 0, 24);
    attributes("longer", 0, 0, 0, 0, 40);
    attributes("longer and unknown", 0, 1, 0, 0, 40);
    attributes("too long", 0, 0, 0, 0, 5000);
    attributes("unknown flags", 0x10, 0, 0, 0, 32);
    value("bad pointer", syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, (void *)8, 32));
    value("of no mount", syscall(SYS_mount_setattr, AT_FDCWD, "b", 0, &(struct mount_attr){.attr_set = 1}, 32));
    int writer = open("a/text", O_WRONLY);
    attributes("read-only with a writer", 0, MOUNT_ATTR_RDONLY, 0, 0, 32);
    close(writer);
}

#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif

static void copies_with_attributes(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV};
    value("open_tree_attr, unknown flags", syscall(SYS_open_tree_attr, AT_FDCWD, "a", 2, &attr, sizeof attr));
    value("open_tree_attr, short", syscall(SYS_open_tree_attr, AT_FDCWD, "a", 1, &attr, 8));
    value("open_tree_attr, no structure", syscall(SYS_open_tree_attr, AT_FDCWD, "a", 1, NULL, sizeof attr));
    int fd = syscall(SYS_open_tree_attr, AT_FDCWD, "a", 1, &attr, sizeof attr);
    done("open_tree_attr", fd);
    done("write to the copy", openat(fd, "text", O_WRONLY));
    done("write to the first", close(open("a/text", O_WRONLY)));
    value("move the copy", syscall(SYS_move_mount, fd, "", AT_FDCWD, "b", 4));
    show_mounts("/b");
    close(fd);
    value("umount", umount("b"));
}

static void copies(void)
{
    value("mount below", mount("t", "a/apart", "tmpfs", 0, "size=4k"));
    value("open_tree, unknown flags", syscall(SYS_open_tree, AT_FDCWD, "a", 2));
    value("open_tree, all of no copy", syscall(SYS_open_tree, AT_FDCWD, "a", 0x8000));
    value("open_tree of nothing", syscall(SYS_open_tree, AT_FDCWD, "nothing", 0));
    int fd = syscall(SYS_open_tree, AT_FDCWD, "a", 0);
    done("open_tree", fd);
    value("its flags", fcntl(fd, F_GETFL));
    close(fd);
    fd = syscall(SYS_open_tree, AT_FDCWD, "a", 1 | O_CLOEXEC);
    done("a copy", fd);
    yes("the file", faccessat(fd, "text", F_OK, 0) == 0);
    value("into itself", syscall(SYS_move_mount, fd, "", fd, "apart", 4));
    value("move the copy", syscall(SYS_move_mount, fd, "", AT_FDCWD, "b", 4));
    value("twice", syscall(SYS_move_mount, fd, "", AT_FDCWD, "b", 4));
    show_mounts("/b");
    show_mounts("/apart");
    close(fd);
    value("umount", umount("b"));
    fd = syscall(SYS_open_tree, AT_FDCWD, "a", 1 | 0x8000);
    value("a copy of all", syscall(SYS_move_mount, fd, "", AT_FDCWD, "b", 4));
    show_mounts("/apart");
    close(fd);
    value("umount", umount2("b", MNT_DETACH));
    fd = syscall(SYS_open_tree, AT_FDCWD, "a/text", 1);
    done("a copy of a file", fd);
    value("on a directory", syscall(SYS_move_mount, fd, "", AT_FDCWD, "b", 4));
    value("on a file", syscall(SYS_move_mount, fd, "", AT_FDCWD, "file", 4));
    close(fd);
    char text[16];
    slurp("file", text, sizeof text);
    say("%s", text);
    value("umount", umount("file"));
    fd = syscall(SYS_open_tree, AT_FDCWD, "a", 1);
    close(fd);
    value("umount below", umount("a/apart"));
    value("umount after a copy went", umount("a"));
}

int main(void)
{
    mkdir("a", 0755);
    mkdir("b", 0755);
    put_text("file", "the file");
    making();
    changing();
    attributing();
    copies_with_attributes();
    copies();
    return 0;
}
