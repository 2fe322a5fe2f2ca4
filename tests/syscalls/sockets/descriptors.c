/* SCM_RIGHTS over a socket pair: a descriptor travels. */
#include "observe.h"
#include <sys/socket.h>

int main(void)
{
    int sv[2], p[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    pipe(p);
    char byte = 'x', b[8];
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control = {0};
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &p[0], sizeof(int));
    value("sendmsg", sendmsg(sv[0], &m, 0));
    close(p[0]);
    memset(&control, 0, sizeof control);
    m.msg_controllen = sizeof control;
    value("recvmsg", recvmsg(sv[1], &m, MSG_CMSG_CLOEXEC));
    c = CMSG_FIRSTHDR(&m);
    need(c != NULL, "a control message");
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    say("type %d, cloexec %d", c->cmsg_type == SCM_RIGHTS, fcntl(fd, F_GETFD));
    write(p[1], "through", 7);
    value("it reads", read(fd, b, 8));
    return 0;
}
