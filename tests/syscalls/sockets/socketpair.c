// build: static musl
/* Stream socket pairs: bytes, ends, shutdown, flags, peek, options, SIGPIPE, vectors, errors. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static int sv[2];
static volatile int sigpipes;
static void on(int signal) { (void)signal; sigpipes++; }

static void *pump(void *unused)
{
    (void)unused;
    static char block[10000];
    long total = 0;
    for (int i = 0; i < 300; i++) {
        memset(block, i, sizeof block);
        long n = 0;
        while (n < (long)sizeof block) {
            long w = write(sv[0], block + n, sizeof block - n);
            if (w <= 0)
                return (void *)-1L;
            n += w;
        }
        total += n;
    }
    shutdown(sv[0], SHUT_WR);
    return (void *)total;
}

int main(void)
{
    char b[64];
    value("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
    say("flags %d, access %d", fcntl(sv[0], F_GETFD), fcntl(sv[0], F_GETFL) & O_ACCMODE);
    value("write", write(sv[0], "hello", 5));
    value("send", send(sv[0], " world", 6, 0));
    int n;
    ioctl(sv[1], FIONREAD, &n);
    say("FIONREAD %d", n);
    value("peek", recv(sv[1], b, 64, MSG_PEEK));
    value("read a part", read(sv[1], b, 3));
    value("the rest, joined", recv(sv[1], b, 64, 0));
    say("%.8s", b);
    value("nothing, DONTWAIT", recv(sv[1], b, 64, MSG_DONTWAIT));
    write(sv[0], "abcdef", 6);
    struct iovec v[2] = {{b, 2}, {b + 10, 2}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    value("recvmsg", recvmsg(sv[1], &m, 0));
    say("%.2s %.2s flags %#x", b, b + 10, m.msg_flags);
    value("recv WAITALL", (write(sv[0], "gh", 2), recv(sv[1], b, 4, MSG_WAITALL)));
    m = (struct msghdr){.msg_iov = v, .msg_iovlen = 2};
    value("sendmsg", sendmsg(sv[0], &m, 0));
    value("readv", readv(sv[1], v, 2));
    value("both ways", (write(sv[1], "back", 4), read(sv[0], b, 64)));
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    value("recvfrom", (write(sv[0], "x", 1), recvfrom(sv[1], b, 1, 0, (void *)&address, &length)));
    say("address length %d", (int)length);
    length = sizeof address;
    value("getsockname", getsockname(sv[0], (void *)&address, &length));
    say("family %d length %d", address.sun_family, (int)length);
    length = sizeof address;
    value("getpeername", getpeername(sv[0], (void *)&address, &length));
    length = 4;
    value("SO_TYPE", getsockopt(sv[0], SOL_SOCKET, SO_TYPE, &n, &length));
    say("%d", n == SOCK_STREAM);
    value("SO_DOMAIN", getsockopt(sv[0], SOL_SOCKET, SO_DOMAIN, &n, &length));
    say("%d", n == AF_UNIX);
    value("SO_ERROR", getsockopt(sv[0], SOL_SOCKET, SO_ERROR, &n, &length));
    say("%d", n);
    value("SO_ACCEPTCONN", getsockopt(sv[0], SOL_SOCKET, SO_ACCEPTCONN, &n, &length));
    say("%d", n);
    struct ucred cred;
    length = sizeof cred;
    value("SO_PEERCRED", getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &cred, &length));
    say("mine %d", cred.pid == getpid() && cred.uid == getuid());
    value("unknown option", getsockopt(sv[0], SOL_SOCKET, 9999, &n, &length));
    value("connect", connect(sv[0], (void *)&address, 2));
    value("listen", listen(sv[0], 1));
    value("accept", accept(sv[0], NULL, NULL));
    value("send out of band", send(sv[0], "x", 1, MSG_OOB) <= 1);
    while (recv(sv[1], b, 64, MSG_DONTWAIT) > 0)
        ;
    value("lseek", lseek(sv[0], 0, SEEK_CUR));
    value("not a socket", recv(0, b, 1, 0));
    value("closed", recv(999, b, 1, 0));
    value("bad buffer", recv(sv[0], (void *)8, 0, MSG_DONTWAIT));

    fcntl(sv[0], F_SETFL, O_NONBLOCK);
    static char block[1 << 16];
    long total = 0, w;
    while ((w = write(sv[0], block, sizeof block)) > 0)
        total += w;
    value("full", w);
    yes("held some", total >= 65536);
    struct pollfd p = {sv[0], POLLOUT, 0};
    value("not writable", poll(&p, 1, 0));
    long drained = 0;
    while ((w = recv(sv[1], block, sizeof block, MSG_DONTWAIT)) > 0)
        drained += w;
    yes("all of it came", drained == total);
    value("writable", poll(&p, 1, 0));
    fcntl(sv[0], F_SETFL, 0);

    signal(SIGPIPE, on);
    value("shutdown write", shutdown(sv[0], SHUT_WR));
    value("the peer reads the end", read(sv[1], b, 1));
    value("writing after it", write(sv[0], "x", 1));
    value("with NOSIGNAL", send(sv[0], "x", 1, MSG_NOSIGNAL));
    say("SIGPIPE %d", sigpipes);
    value("the other way still works", (write(sv[1], "y", 1), read(sv[0], b, 1)));
    value("shutdown read", shutdown(sv[0], SHUT_RD));
    value("the peer cannot write", send(sv[1], "y", 1, MSG_NOSIGNAL));
    value("shutdown how 7", shutdown(sv[0], 7));
    close(sv[0]);
    close(sv[1]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    write(sv[0], "unread", 6);
    write(sv[1], "left", 4);
    close(sv[1]);
    value("what came before close is read", read(sv[0], b, 64));
    value("then the reset", read(sv[0], b, 64));
    value("write to a closed peer", send(sv[0], "x", 1, MSG_NOSIGNAL));
    close(sv[0]);

    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    pthread_t t;
    pthread_create(&t, NULL, pump, NULL);
    long sum = 0, r;
    int order = 1, at = 0;
    static unsigned char in[7777];
    while ((r = read(sv[1], in, sizeof in)) > 0) {
        for (long i = 0; i < r; i++, at++)
            order &= in[i] == (unsigned char)(at / 10000);
        sum += r;
    }
    void *sent;
    pthread_join(t, &sent);
    say("3 MB through: %ld %ld, in order %d", (long)sent, sum, order);
    value("bad family", socketpair(AF_INET, SOCK_STREAM, 0, sv));
    value("bad protocol", socketpair(AF_UNIX, SOCK_STREAM, 77, sv));
    value("bad type", socketpair(AF_UNIX, 77, 0, sv));
    value("bad address", socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)8));
    struct timeval limit = {0, 30000};
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    value("SO_RCVTIMEO", setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    value("recv with a limit", recv(sv[0], b, 1, 0));
    return 0;
}
