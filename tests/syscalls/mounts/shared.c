// build: static musl
/* What mounts share, another root, and who may do all this. */
#include "private.h"
#include <grp.h>

static long mounted(const char *what, const char *source, const char *target, unsigned long flags)
{
    return value(what, mount(source, target, NULL, flags, NULL));
}

static long fresh_tmpfs(const char *target)
{
    return value(target, mount("t", target, "tmpfs", 0, "size=64k"));
}

static void sharing(void)
{
    fresh_tmpfs("a");
    mkdir("a/x", 0755);
    mkdir("a/y", 0755);
    mounted("shared", NULL, "a", MS_SHARED);
    mounted("peer", "a", "b", MS_BIND);
    mounted("slave to be", "a", "c", MS_BIND);
    mounted("slave", NULL, "c", MS_SLAVE);
    show_mounts("/a");
    show_mounts("/b");
    show_mounts("/c");
    fresh_tmpfs("a/x");
    show_mounts("/x");
    value("umount from a peer", umount("b/x"));
    show_mounts("/x");
    fresh_tmpfs("c/y");
    show_mounts("/y");
    mounted("move from a shared parent", "b/x", "d", MS_MOVE);
    fresh_tmpfs("b/y");
    show_mounts("/y");
    int fd = open("c/y", O_RDONLY);
    value("umount where a copy is used", umount("a/y"));
    close(fd);
    mounted("unbindable", NULL, "d", MS_UNBINDABLE);
    fresh_tmpfs("d");
    mounted("unbindable", NULL, "d", MS_UNBINDABLE);
    show_mounts("/d");
    mounted("bind it", "d", "e", MS_BIND);
    mounted("two kinds", NULL, "d", MS_SHARED | MS_PRIVATE);
    mounted("of no mount", NULL, "e", MS_SHARED);
    mounted("slave and shared", NULL, "c", MS_SHARED);
    show_mounts("/c");
    mounted("all private", NULL, "/", MS_PRIVATE | MS_REC);
    show_mounts("/c");
    value("umount", umount2("a", MNT_DETACH));
    value("umount", umount2("b", MNT_DETACH));
    value("umount", umount2("c", MNT_DETACH));
    value("umount", umount2("d", MNT_DETACH));
}

static void roots(void)
{
    char path[4096];
    fresh_tmpfs("a");
    mkdir("a/old", 0755);
    mkdir("a/sub", 0755);
    put_text("a/file", "of the new root");
    value("pivot_root to no mount", syscall(SYS_pivot_root, "b", "b"));
    value("pivot_root, old elsewhere", syscall(SYS_pivot_root, "a", "b"));
    value("pivot_root to a file", syscall(SYS_pivot_root, "a/file", "a/old"));
    value("pivot_root to nothing", syscall(SYS_pivot_root, "nothing", "a/old"));
    value("pivot_root NULL", syscall(SYS_pivot_root, NULL, "a/old"));
    chdir("a");
    value("pivot_root", syscall(SYS_pivot_root, ".", "old"));
    yes("the file", access("/file", F_OK) == 0);
    yes("the old root", access("/old/proc/self", F_OK) == 0);
    value("getcwd", syscall(SYS_getcwd, path, sizeof path));
    say("%s", path);
    value("umount of what is busy below", umount("/old"));
    value("the root", umount2("/", MNT_EXPIRE));
    int fd = open("/old", O_RDONLY | O_DIRECTORY);
    value("chroot back", chroot("/old"));
    yes("the file", access("/file", F_OK) == -1);
    getcwd(path, sizeof path);
    say("%s", path);
    value("fchdir", fchdir(fd));
    getcwd(path, sizeof path);
    say("%s", path);
    chdir("..");
    getcwd(path, sizeof path);
    say("%s", path);
    close(fd);
    value("chroot to a file", chroot("/proc/self/status"));
    value("chroot to nothing", chroot("/nothing"));
    value("chroot NULL", syscall(SYS_chroot, NULL));
}

static void nobody(void)
{
    setgroups(0, NULL);
    need(setresgid(65534, 65534, 65534) == 0, "setresgid");
    need(setresuid(65534, 65534, 65534) == 0, "setresuid");
    value("mount", syscall(SYS_mount, "x", "/tmp", "tmpfs", 0L, NULL));
    value("mount on nothing", syscall(SYS_mount, "x", "/nothing", "tmpfs", 0L, NULL));
    value("umount2", syscall(SYS_umount2, "/proc", 0));
    value("umount2 of no mount", syscall(SYS_umount2, "/etc", 0));
    value("pivot_root", syscall(SYS_pivot_root, NULL, NULL));
    value("chroot", chroot("/"));
    value("fsopen", syscall(SYS_fsopen, "tmpfs", 99));
    value("fspick", syscall(SYS_fspick, AT_FDCWD, NULL, 99));
    value("fsmount", syscall(SYS_fsmount, -1, 99, 99));
    value("move_mount", syscall(SYS_move_mount, -1, NULL, -1, NULL, ~0U));
    value("open_tree, a copy", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    done("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", O_CLOEXEC));
    uint64_t attributes[4] = {1};
    value("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attributes, sizeof attributes));
    value("mount_setattr, unknown", syscall(SYS_mount_setattr, AT_FDCWD, "/", 1, attributes, sizeof attributes));
    value("mount_setattr, short", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attributes, 8));
}

int main(void)
{
    for (const char *name = "abcde"; *name; name++)
        mkdir((char[]){*name, 0}, 0755);
    sharing();
    roots();
    nobody();
    return 0;
}
