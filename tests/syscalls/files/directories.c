// build: static musl
/* getcwd, chdir, fchdir, and the *at calls relative to a descriptor. */
#include "observe.h"

static const char *tail(const char *base)
{
    static char now[4096];
    if (!getcwd(now, sizeof now))
        return errno_name(errno);
    size_t n = strlen(base);
    return strncmp(now, base, n) ? now : now + n;
}

int main(void)
{
    char base[4096], buffer[4096];
    need(getcwd(base, sizeof base) != NULL, "getcwd");
    long n = syscall(SYS_getcwd, buffer, sizeof buffer);
    yes("getcwd counts its zero byte", n == (long)strlen(buffer) + 1);
    value("too small", syscall(SYS_getcwd, buffer, n - 1));
    yes("just enough", syscall(SYS_getcwd, buffer, n) == n);
    value("no bytes", syscall(SYS_getcwd, buffer, 0));
    value("bad buffer", syscall(SYS_getcwd, 8, 4096));
    mkdir("a", 0700);
    mkdir("a/b", 0700);
    symlink("a/b", "short");
    put_text("file", "x");
    value("chdir", chdir("a"));
    say("[%s]", tail(base));
    value("chdir ..", chdir(".."));
    say("[%s]", tail(base));
    value("chdir through a link", chdir("short"));
    say("[%s]", tail(base));
    value("relative ..", chdir(".."));
    say("[%s]", tail(base));
    value("back", chdir(base));
    value("to a file", chdir("file"));
    value("to nothing", chdir("none"));
    value("to an empty path", chdir(""));
    value("NULL", syscall(SYS_chdir, NULL));
    int dir = open("a", O_RDONLY | O_DIRECTORY), path = open("a/b", O_PATH), file = open("file", O_RDONLY);
    value("fchdir", fchdir(dir));
    say("[%s]", tail(base));
    value("fchdir O_PATH", fchdir(path));
    say("[%s]", tail(base));
    value("fchdir file", fchdir(file));
    value("fchdir closed", fchdir(-1));
    chdir(base);
    value("mkdirat", mkdirat(dir, "c", 0700));
    value("openat", openat(dir, "c/x", O_RDWR | O_CREAT, 0600) >= 0);
    value("openat ..", openat(dir, "../file", O_RDONLY) >= 0);
    value("renameat", renameat(dir, "c/x", path, "y"));
    value("it is there", access("a/b/y", F_OK));
    value("symlinkat", symlinkat("y", path, "l"));
    value("readlinkat", readlinkat(path, "l", buffer, 100));
    value("unlinkat", unlinkat(path, "y", 0));
    value("unlinkat AT_REMOVEDIR", unlinkat(dir, "c", AT_REMOVEDIR));
    value("openat closed descriptor", openat(999, "x", O_RDONLY));
    value("openat a file's descriptor", openat(file, "x", O_RDONLY));
    value("a directory moves, its descriptor stays", (rename("a", "moved"), faccessat(dir, "b", F_OK, 0)));
    chdir("moved/b");
    rename("../../moved", "../../again");
    say("cwd follows [%s]", tail(base));
    mkdir("gone", 0700);
    chdir("gone");
    rmdir("../gone");
    value("getcwd of a removed directory", syscall(SYS_getcwd, buffer, sizeof buffer));
    value("create in it", open("x", O_CREAT | O_WRONLY, 0600));
    value("its ..", access("..", F_OK));
    value("its .", access(".", F_OK));
    value("/..", chdir("/.."));
    yes("is /", getcwd(buffer, sizeof buffer) && !strcmp(buffer, "/"));
    return 0;
}
