// differs on host: only users' attributes are carried to the host
/* The name spaces of extended attributes that the privileged have: trusted and security. */
#include "observe.h"
#include <sys/xattr.h>

int main(void)
{
    char b[256];
    put_text("f", "");
    symlink("f", "l");
    mkfifo("p", 0600);
    chmod("f", 0444);
    chmod(".", 0755);
    setxattr("f", "user.u", "v", 1, 0);
    value("trusted", setxattr("f", "trusted.t", "v", 1, 0));
    value("security", setxattr("f", "security.s", "v", 1, 0));
    value("trusted on a link", lsetxattr("l", "trusted.l", "v", 1, 0));
    value("get", lgetxattr("l", "trusted.l", b, 64));
    value("not on its file", getxattr("f", "trusted.l", b, 64));
    value("trusted on a FIFO", setxattr("p", "trusted.p", "v", 1, 0));
    value("user on a FIFO", setxattr("p", "user.p", "v", 1, 0));
    value("nothing behind the space", setxattr("f", "trusted.", "v", 1, 0));
    value("create again", setxattr("f", "trusted.t", "v", 1, XATTR_CREATE));
    int all = (int)listxattr("f", b, sizeof b);
    if (setresuid(1000, 1000, 1000) == 0) {
        value("another user: trusted", getxattr("f", "trusted.t", b, 64));
        value("another user: set trusted", setxattr("f", "trusted.t", "v", 1, 0));
        value("another user: remove trusted", removexattr("f", "trusted.t"));
        value("another user: security", getxattr("f", "security.s", b, 64));
        value("another user: set security", setxattr("f", "security.s", "v", 1, 0));
        say("another user is shown less: %d", all - (int)listxattr("f", b, sizeof b));
    }
    return 0;
}
