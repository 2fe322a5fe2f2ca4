/* Extended attributes by path, by link, by descriptor: set, get, list, remove, sizes, errors. */
#include "observe.h"
#include <sys/xattr.h>

int main(void)
{
    char b[64] = {0};
    put_text("f", "x");
    symlink("f", "l");
    int fd = open("f", O_RDWR);
    value("setxattr", setxattr("f", "user.one", "value", 5, 0));
    value("setxattr CREATE again", setxattr("f", "user.one", "v", 1, XATTR_CREATE));
    value("setxattr REPLACE of none", setxattr("f", "user.two", "v", 1, XATTR_REPLACE));
    value("setxattr unknown flag", setxattr("f", "user.two", "v", 1, 64));
    value("fsetxattr", fsetxattr(fd, "user.two", "2", 1, 0));
    value("getxattr", getxattr("f", "user.one", b, 64));
    say("%s", b);
    value("getxattr size", getxattr("f", "user.one", NULL, 0));
    value("getxattr too small", getxattr("f", "user.one", b, 2));
    value("getxattr by link", getxattr("l", "user.two", b, 64));
    value("lgetxattr of a link", lgetxattr("l", "user.two", b, 64));
    value("lsetxattr user on a link", lsetxattr("l", "user.x", "v", 1, 0));
    value("fgetxattr", fgetxattr(fd, "user.two", b, 64));
    int n = (int)listxattr("f", b, 64), one = 0, two = 0;
    for (char *p = b; p < b + n; p += strlen(p) + 1) {
        one |= !strcmp(p, "user.one");
        two |= !strcmp(p, "user.two");
    }
    say("listed %d %d", one, two);
    yes("flistxattr", flistxattr(fd, b, 64) == n);
    value("listxattr too small", listxattr("f", b, 3));
    value("llistxattr", llistxattr("l", b, 64) >= 0);
    value("removexattr", removexattr("f", "user.one"));
    value("removexattr again", removexattr("f", "user.one"));
    value("fremovexattr", fremovexattr(fd, "user.two"));
    value("lremovexattr of a link", lremovexattr("l", "user.two"));
    value("an empty name", setxattr("f", "", "v", 1, 0));
    char name[300] = "user.";
    memset(name + 5, 'n', 290);
    value("a name too long", setxattr("f", name, "v", 1, 0));
    value("a value too long", setxattr("f", "user.big", name, 65537, 0));
    value("of nothing", removexattr("none", "user.x"));
    value("closed", flistxattr(999, b, 64));

    say("-- values");
    static char big[65537];
    value("empty", setxattr("f", "user.empty", NULL, 0, 0));
    value("get", getxattr("f", "user.empty", b, 64));
    value("a bad value", setxattr("f", "user.bad", (char *)8, 3, 0));
    value("both flags, none there", setxattr("f", "user.both", "v", 1, XATTR_CREATE | XATTR_REPLACE));
    value("both flags, one there", setxattr("f", "user.empty", "v", 1, XATTR_CREATE | XATTR_REPLACE));
    value("replace", setxattr("f", "user.empty", "longer", 6, XATTR_REPLACE));
    value("get", getxattr("f", "user.empty", b, 64));
    value("get into a bad buffer", getxattr("f", "user.empty", (char *)8, 64));
    value("get none into a bad buffer", getxattr("f", "user.none", (char *)8, 64));
    value("list into a bad buffer", listxattr("f", (char *)8, 64));
    value("get with a huge buffer", getxattr("f", "user.empty", big, sizeof big));
    value("list with a huge buffer", listxattr("f", big, sizeof big) >= 11);
    struct stat before, after;
    stat("f", &before);
    sleep_ms(20);
    setxattr("f", "user.empty", "", 0, 0);
    stat("f", &after);
    yes("the inode has changed", after.st_ctim.tv_nsec != before.st_ctim.tv_nsec && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
    rename("f", "moved");
    value("moves along", getxattr("moved", "user.empty", b, 64));
    link("moved", "f");
    value("seen by both names", getxattr("f", "user.empty", b, 64));
    value("on a directory", (mkdir("d", 0755), setxattr("d", "user.d", "v", 1, 0)));
    value("get", getxattr("d", "user.d", b, 64));
    put_text("new", "");
    value("a new file has none", listxattr("new", NULL, 0));

    say("-- names");
    value("nothing behind the space", setxattr("f", "user.", "v", 1, 0));
    value("get", getxattr("f", "user.", b, 64));
    value("no space", setxattr("f", "user", "v", 1, 0));
    value("no space", getxattr("f", "plain", b, 64));
    value("unknown space", setxattr("f", "other.x", "v", 1, 0));
    value("remove", removexattr("f", "other.x"));
    memset(name, 0, sizeof name);
    memcpy(name, "user.", 5);
    memset(name + 5, 'n', 250);
    value("the longest name", setxattr("new", name, "v", 1, 0));
    value("its length", listxattr("new", NULL, 0));
    value("one longer", (name[255] = 'n', setxattr("new", name, "v", 1, 0)));
    value("NULL", setxattr("f", NULL, "v", 1, 0));
    value("get NULL", getxattr("f", NULL, b, 1));
    value("a bad path and a bad name", getxattr("none", "", b, 1));
    value("a bad path and a bad flag", setxattr("none", "user.x", "v", 1, 8));
    value("a bad path", listxattr(NULL, b, 1));
    value("a closed one and a bad name", fgetxattr(999, "", b, 1));

    say("-- who may");
    int path = open("f", O_PATH), reading = open("f", O_RDONLY);
    value("O_PATH", fgetxattr(path, "user.empty", b, 64));
    value("by a descriptor for reading", fsetxattr(reading, "user.r", "v", 1, 0));
    removexattr("f", "user.r");
    int p[2];
    pipe(p);
    value("a pipe, set", fsetxattr(p[0], "user.x", "v", 1, 0));
    value("a pipe, get", fgetxattr(p[0], "user.x", b, 64));
    value("a pipe, list", flistxattr(p[0], b, 64));
    value("a pipe, trusted", fsetxattr(p[0], "trusted.x", "v", 1, 0));
    value("/dev/null, set", setxattr("/dev/null", "user.x", "v", 1, 0));
    value("/dev/null, get", getxattr("/dev/null", "user.x", b, 64));
    value("a memfd", fsetxattr(memfd_create("m", 0), "user.x", "v", 1, 0));
    value("/proc", setxattr("/proc/self/comm", "user.x", "v", 1, 0));
    chmod("f", 0444);
    chmod("d", 01777);
    put_text("secret", "");
    setxattr("secret", "user.x", "v", 1, 0);
    chmod("secret", 0);
    chmod(".", 0755);
    if (setresuid(1000, 1000, 1000) == 0) {
        value("another user: get", getxattr("f", "user.empty", b, 64));
        value("another user: set", setxattr("f", "user.empty", "v", 1, 0));
        value("another user: remove", removexattr("f", "user.empty"));
        value("another user: get without permission", getxattr("secret", "user.x", b, 64));
        value("another user: list without permission", listxattr("secret", b, 64));
        value("another user: sticky directory", setxattr("d", "user.d", "v", 1, 0));
    }
    return 0;
}
