// differs: user extended attributes are not kept
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
    return 0;
}
