// build: static
/* mkdir, rmdir, unlink, rename, link, symlink, readlink: each errno, and what remains. */
#include "observe.h"
#include <limits.h>

static void kind(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == -1) {
        say("  %s: %s", path, errno_name(errno));
        return;
    }
    say("  %s: %s links %ld", path,
        S_ISDIR(st.st_mode) ? "directory" : S_ISLNK(st.st_mode) ? "link" : "file",
        S_ISDIR(st.st_mode) ? 0L : (long)st.st_nlink);
}

int main(void)
{
    char buffer[64];
    struct stat st;
    umask(0);
    value("mkdir", mkdir("d", 0751));
    stat("d", &st);
    say("mode %o", st.st_mode);
    value("mkdir again", mkdir("d", 0700));
    value("mkdir slash behind", mkdir("e/", 0700));
    value("mkdir below nothing", mkdir("x/y", 0700));
    put_text("f", "text");
    value("mkdir below a file", mkdir("f/y", 0700));
    value("mkdir on a file", mkdir("f", 0700));
    value("mkdir empty", mkdir("", 0700));
    value("mkdir .", mkdir(".", 0700));
    value("mkdir d/.", mkdir("d/.", 0700));
    value("mkdir /", mkdir("/", 0700));
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    value("mkdir 299 characters", mkdir(name, 0700));
    name[255] = 0;
    value("mkdir 255 characters", mkdir(name, 0700));
    value("rmdir 255 characters", rmdir(name));
    static char path[PATH_MAX + 10];
    memset(path, '/', sizeof path - 1);
    path[PATH_MAX] = 0;
    value("a path of PATH_MAX slashes", access(path, F_OK));
    path[PATH_MAX - 1] = 0;
    value("one less", access(path, F_OK));

    value("rmdir not empty", (mkdir("d/s", 0700), rmdir("d")));
    value("rmdir .", rmdir("."));
    value("rmdir d/.", rmdir("d/."));
    value("rmdir d/s/..", rmdir("d/s/.."));
    value("rmdir a file", rmdir("f"));
    value("rmdir nothing", rmdir("none"));
    value("rmdir /", rmdir("/"));
    value("unlink a directory", unlink("d"));
    value("unlink nothing", unlink("none"));
    value("unlink file with slash", unlink("f/"));
    value("unlink empty", unlink(""));
    value("unlinkat unknown flag", unlinkat(AT_FDCWD, "f", 1));
    value("unlinkat AT_REMOVEDIR of a file", unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));

    value("link", link("f", "g"));
    kind("f");
    value("link to what exists", link("f", "g"));
    value("link a directory", link("d", "h"));
    value("link nothing", link("none", "h"));
    value("link below a file", link("f", "g/h"));
    value("symlink", symlink("f", "s"));
    value("symlink again", symlink("f", "s"));
    value("symlink empty target", symlink("", "t"));
    value("symlink to nothing", symlink("void", "t"));
    value("link of a link is a link", link("s", "s2"));
    kind("s2");
    value("linkat follows", linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW));
    kind("s3");
    memset(buffer, '#', sizeof buffer);
    value("readlink", readlink("t", buffer, sizeof buffer));
    say("%.6s", buffer);
    memset(buffer, '#', sizeof buffer);
    value("readlink short", readlink("t", buffer, 2));
    say("%.4s", buffer);
    value("readlink 0", readlink("t", buffer, 0));
    value("readlink of a file", readlink("f", buffer, sizeof buffer));
    value("readlink of nothing", readlink("none", buffer, sizeof buffer));
    symlink("loop2", "loop1");
    symlink("loop1", "loop2");
    value("a loop", access("loop1", F_OK));
    value("open a loop", open("loop1", O_RDONLY));
    value("through a loop", access("loop1/x", F_OK));
    symlink("d", "dl");
    value("through a link", access("dl/s", F_OK));
    value("rmdir a link to a directory", rmdir("dl"));
    value("unlink a link with slash", unlink("dl/"));

    value("rename", rename("f", "r"));
    kind("f");
    kind("r");
    value("rename to itself", rename("r", "r"));
    value("rename between links of one file", rename("r", "g"));
    kind("r");
    kind("g");
    put_text("o", "other");
    value("rename over a file", rename("o", "g"));
    kind("o");
    kind("r");
    value("rename a file over a directory", rename("g", "d"));
    value("rename a directory over a file", rename("d", "g"));
    value("rename into itself", rename("d", "d/s/t"));
    mkdir("empty", 0700);
    value("rename over an empty directory", rename("d", "empty"));
    kind("d");
    kind("empty/s");
    mkdir("full", 0700);
    put_text("full/x", "x");
    value("rename over a full directory", rename("empty", "full"));
    value("rename to its parent", rename("empty/s", "empty"));
    value("rename nothing", rename("none", "x"));
    value("rename .", rename(".", "x"));
    value("rename ..", rename("..", "x"));
    value("rename a link renames the link", rename("t", "t2"));
    kind("t2");
    value("rename file with slash", rename("g", "g2/"));
    value("rename directory with slash", rename("empty", "empty2/"));
    value("NOREPLACE on what exists", renameat2(AT_FDCWD, "g", AT_FDCWD, "r", RENAME_NOREPLACE));
    value("NOREPLACE", renameat2(AT_FDCWD, "g", AT_FDCWD, "fresh", RENAME_NOREPLACE));
    value("EXCHANGE", renameat2(AT_FDCWD, "fresh", AT_FDCWD, "full", RENAME_EXCHANGE));
    kind("fresh");
    kind("full");
    value("EXCHANGE with nothing", renameat2(AT_FDCWD, "fresh", AT_FDCWD, "none", RENAME_EXCHANGE));
    value("both flags", renameat2(AT_FDCWD, "fresh", AT_FDCWD, "full", RENAME_EXCHANGE | RENAME_NOREPLACE));
    value("unknown flag", renameat2(AT_FDCWD, "fresh", AT_FDCWD, "full", 64));

    int fd = open("full", O_RDWR);
    unlink("full");
    value("an open file outlives its name", write(fd, "more", 4));
    fstat(fd, &st);
    say("links %ld size %ld", (long)st.st_nlink, (long)st.st_size);
    int dir = open("empty2", O_RDONLY);
    rmdir("empty2/s");
    value("rmdir an open directory", rmdir("empty2"));
    value("create in it", openat(dir, "x", O_CREAT | O_WRONLY, 0600));
    fstat(dir, &st);
    say("links %ld", (long)st.st_nlink);
    return 0;
}
