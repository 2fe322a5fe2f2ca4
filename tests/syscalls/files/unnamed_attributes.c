/* Mode, owner and times of what has no name, and the one attribute of sockets. */
#include "observe.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/xattr.h>

static void all(const char *what, int fd)
{
    struct stat before, after;
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    fstat(fd, &before);
    say("%s: mode %o", what, before.st_mode & 07777);
    value("fchmod", fchmod(fd, 0640));
    value("fchown to nobody in particular", fchown(fd, -1, -1));
    value("fchown to oneself", fchown(fd, getuid(), getgid()));
    value("futimens", futimens(fd, times));
    fstat(fd, &after);
    say("type kept %d, mode %o", (before.st_mode & S_IFMT) == (after.st_mode & S_IFMT), after.st_mode & 07777);
    say("mine %d", after.st_uid == getuid() && after.st_gid == getgid());
    say("times set %d", after.st_atim.tv_sec == 1000 && after.st_mtim.tv_sec == 2000 && after.st_mtim.tv_nsec == 7);
    value("flistxattr", flistxattr(fd, NULL, 0));
}

int main(void)
{
    int ends[2], pair[2];
    char text[64] = "";
    pipe(ends);
    all("pipe", ends[0]);
    struct stat other;
    fstat(ends[1], &other);
    say("the other end has mode %o", other.st_mode & 07777);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    all("socket", pair[0]);
    fstat(pair[1], &other);
    say("the other socket has mode %o", other.st_mode & 07777);
    value("its protocol", fgetxattr(pair[0], "system.sockprotoname", text, sizeof text));
    say("%s", text);
    value("into too little", fgetxattr(pair[0], "system.sockprotoname", text, 3));
    all("eventfd", eventfd(0, 0));
    return 0;
}
