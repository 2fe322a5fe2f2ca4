/* Families that the enclave does not have yet: one errno, at once, without a crash. */
#include "observe.h"
#include <sys/socket.h>

int main(void)
{
    int sv[2];
    done("IPv4 stream", socket(AF_INET, SOCK_STREAM, 0));
    done("IPv4 datagram", socket(AF_INET, SOCK_DGRAM, 0));
    done("IPv6 stream", socket(AF_INET6, SOCK_STREAM, 0));
    done("Unix stream", socket(AF_UNIX, SOCK_STREAM, 0));
    done("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    done("a family that nobody has", socket(999, SOCK_STREAM, 0));
    done("a stream pair", socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
    struct sockaddr address = {AF_UNIX, ""};
    value("bind of one of a pair", bind(sv[0], &address, sizeof address));
    return 0;
}
