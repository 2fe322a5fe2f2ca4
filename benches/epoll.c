// epoll_wait over many descriptors of which one is ready.

#include "measure.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define REGISTRATIONS 10000

static int set;

static void wait_for_one(void *context, long count)
{
    (void)context;
    struct epoll_event found[8];
    while (count-- > 0)
        if (must(epoll_wait(set, found, 8, -1), "epoll_wait") != 1)
            exit(1);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    set = must(epoll_create1(0), "epoll_create1");
    for (int i = 0; i < REGISTRATIONS; i++) {
        int fd = must(eventfd(i == REGISTRATIONS / 2, 0), "eventfd");
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        must(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
    measure("epoll_wait, 10,000 registered, 1 ready", wait_for_one, NULL);
    end();
    return 0;
}
