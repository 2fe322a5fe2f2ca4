// build: static musl
/* dup, dup2, dup3 and fcntl: what descriptors share and what they do not. */
#include "observe.h"
#include <sys/resource.h>

int main(void)
{
    int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    write(fd, "0123456789", 10);
    int twin = done("dup", dup(fd));
    say("FD_CLOEXEC of the original %d, of the twin %d", fcntl(fd, F_GETFD), fcntl(twin, F_GETFD));
    lseek(fd, 4, SEEK_SET);
    value("the offset is shared", lseek(twin, 0, SEEK_CUR));
    fcntl(fd, F_SETFL, O_APPEND);
    yes("flags are shared", fcntl(twin, F_GETFL) & O_APPEND);
    int other = open("f", O_RDWR);
    value("another open has its own offset", lseek(other, 0, SEEK_CUR));
    yes("and its own flags", !(fcntl(other, F_GETFL) & O_APPEND));

    value("dup2 to 50", dup2(fd, 50));
    value("dup2 to itself", dup2(fd, fd) == fd);
    yes("dup2 to itself keeps FD_CLOEXEC", fcntl(fd, F_GETFD) == FD_CLOEXEC);
    value("dup2 of a closed to itself", dup2(77, 77));
    value("dup2 of a closed", dup2(77, 50));
    value("50 is still open", fcntl(50, F_GETFD));
    value("dup2 to -1", dup2(fd, -1));
    value("dup2 to 10 million", dup2(fd, 10000000));
    value("dup3 to itself", dup3(fd, fd, 0));
    value("dup3 CLOEXEC", dup3(fd, 51, O_CLOEXEC));
    value("is close-on-exec", fcntl(51, F_GETFD));
    value("dup3 unknown flag", dup3(fd, 52, O_APPEND));
    value("dup bad", dup(-1));
    value("dup closed", dup(77));

    value("F_DUPFD from 60", fcntl(fd, F_DUPFD, 60));
    value("F_DUPFD from 60 again", fcntl(fd, F_DUPFD, 60));
    value("F_DUPFD_CLOEXEC from 60", fcntl(fd, F_DUPFD_CLOEXEC, 60));
    value("its flag", fcntl(62, F_GETFD));
    value("F_DUPFD negative", fcntl(fd, F_DUPFD, -1));
    value("F_SETFD", fcntl(60, F_SETFD, FD_CLOEXEC));
    value("F_GETFD", fcntl(60, F_GETFD));
    value("F_SETFD other bits are ignored", fcntl(60, F_SETFD, 6));
    value("F_GETFD", fcntl(60, F_GETFD));
    value("fcntl unknown", fcntl(fd, 9999, 0));
    value("fcntl closed", fcntl(77, F_GETFL));
    value("F_SETFL cannot change the access mode", fcntl(other, F_SETFL, O_RDONLY | O_NONBLOCK));
    say("flags %#x", fcntl(other, F_GETFL) & ~0100000);
    value("still writes", pwrite(other, "x", 1, 0));

    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
    value("F_SETLK", fcntl(fd, F_SETLK, &lock));
    lock.l_type = F_RDLCK;
    value("F_GETLK sees no lock of its own", fcntl(other, F_GETLK, &lock));
    yes("unlocked", lock.l_type == F_UNLCK);
    int ro = open("f", O_RDONLY);
    lock.l_type = F_WRLCK;
    value("F_WRLCK on a read-only descriptor", fcntl(ro, F_SETLK, &lock));
    lock.l_type = 77;
    value("F_SETLK unknown type", fcntl(fd, F_SETLK, &lock));

    struct rlimit limit = {64, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    value("dup2 at the limit", dup2(fd, 64));
    value("dup2 below the limit", dup2(fd, 63));
    value("F_DUPFD at the limit", fcntl(fd, F_DUPFD, 64));
    int n = 0;
    while (dup(fd) >= 0)
        n++;
    yes("some until the limit", n > 10);
    value("then", dup(fd));
    unlink("f");
    return 0;
}
