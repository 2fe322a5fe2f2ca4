/* access, faccessat2, chmod, fchmod, fchmodat, chown, umask. */
#include "observe.h"

static void mode(const char *path)
{
    struct stat st;
    lstat(path, &st);
    say("  %s %o", path, st.st_mode);
}

int main(void)
{
    say("umask %o then %o", (umask(027), umask(0)), umask(0) & 0);
    umask(07777);
    say("only permission bits are kept: %o", umask(022));
    put_text("f", "x");
    mode("f");
    value("F_OK", access("f", F_OK));
    value("R_OK W_OK", access("f", R_OK | W_OK));
    value("X_OK without any x, as root", access("f", X_OK));
    value("chmod", chmod("f", 0001));
    value("X_OK with one x, as root", access("f", X_OK));
    value("chmod 7777", chmod("f", 07777));
    mode("f");
    value("chmod keeps no type bits", chmod("f", 0177644));
    mode("f");
    value("access mode 8", access("f", 8));
    value("access nothing", access("none", F_OK));
    symlink("f", "l");
    symlink("none", "n");
    value("access dangling", access("n", F_OK));
    value("faccessat AT_SYMLINK_NOFOLLOW dangling", syscall(SYS_faccessat2, AT_FDCWD, "n", F_OK, AT_SYMLINK_NOFOLLOW));
    value("faccessat2 AT_EACCESS", syscall(SYS_faccessat2, AT_FDCWD, "f", W_OK, AT_EACCESS));
    value("faccessat2 unknown flag", syscall(SYS_faccessat2, AT_FDCWD, "f", W_OK, 0x8000));
    value("chmod follows", chmod("l", 0600));
    mode("f");
    mode("l");
    value("chmod dangling", chmod("n", 0600));
    value("chmod nothing", chmod("none", 0600));
    int fd = open("f", O_RDONLY);
    value("fchmod on read-only", fchmod(fd, 0644));
    mode("f");
    value("fchmod closed", fchmod(-1, 0644));
    value("fchmodat", fchmodat(AT_FDCWD, "f", 0700, 0));
    mode("f");
    struct stat st;
    chmod("f", 06755);
    value("chown", chown("f", 12, 34));
    stat("f", &st);
    say("%d %d mode %o", st.st_uid, st.st_gid, st.st_mode);
    value("chown -1 keeps", chown("f", -1, 56));
    stat("f", &st);
    say("%d %d", st.st_uid, st.st_gid);
    value("lchown", lchown("l", 7, 8));
    lstat("l", &st);
    say("link %d %d", st.st_uid, st.st_gid);
    stat("f", &st);
    say("file %d %d", st.st_uid, st.st_gid);
    value("fchown", fchown(fd, 0, 0));
    value("fchownat unknown flag", fchownat(AT_FDCWD, "f", 0, 0, 0x8000));
    mkdir("d", 0);
    value("root enters a directory without permissions", access("d/x", F_OK));
    value("root reads it", open("d", O_RDONLY) >= 0);
    chmod("f", 0);
    value("root opens a file without permissions", open("f", O_RDWR) >= 0);
    return 0;
}
