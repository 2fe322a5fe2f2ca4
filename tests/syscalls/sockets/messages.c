/* sendmmsg, recvmmsg; accept4 on what is connected already. */
#include "observe.h"
#include <sys/socket.h>

int main(void)
{
    int sv[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    char a[8] = "abc", b[8] = "defg", c[8] = {0}, d[8] = {0};
    struct iovec v[2] = {{a, 3}, {b, 4}}, w[2] = {{c, 3}, {d, 8}};
    struct mmsghdr out[2] = {{{.msg_iov = &v[0], .msg_iovlen = 1}, 0}, {{.msg_iov = &v[1], .msg_iovlen = 1}, 0}};
    struct mmsghdr in[2] = {{{.msg_iov = &w[0], .msg_iovlen = 1}, 0}, {{.msg_iov = &w[1], .msg_iovlen = 1}, 0}};
    value("sendmmsg", sendmmsg(sv[0], out, 2, 0));
    say("%u %u", out[0].msg_len, out[1].msg_len);
    value("recvmmsg", recvmmsg(sv[1], in, 2, MSG_DONTWAIT, NULL));
    say("%u %u %s %s", in[0].msg_len, in[1].msg_len, c, d);
    value("recvmmsg of nothing", recvmmsg(sv[1], in, 2, MSG_DONTWAIT, NULL));
    value("recvmmsg bad", recvmmsg(sv[1], (void *)8, 2, MSG_DONTWAIT, NULL));
    value("sendmmsg of none", sendmmsg(sv[0], out, 0, 0));
    value("sendmmsg of no socket", sendmmsg(0, out, 1, 0));
    value("accept4 on a pair", accept4(sv[0], NULL, NULL, 0));
    value("accept4 unknown flag", accept4(sv[0], NULL, NULL, 1));
    return 0;
}
