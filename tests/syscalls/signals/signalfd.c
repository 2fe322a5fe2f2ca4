// differs: signalfd is not supported yet
/* signalfd: reads what is pending; poll; masks; errors. */
#include "observe.h"
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = done("signalfd", signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo info[4];
    value("nothing", read(fd, info, sizeof info));
    raise(SIGUSR1);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
    struct pollfd p = {fd, POLLIN, 0};
    value("poll", poll(&p, 1, 0));
    value("too small", read(fd, info, 10));
    value("two", read(fd, info, sizeof info) / (long)sizeof *info);
    say("%d code %d, mine %d; value %d", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_pid == (uint32_t)getpid(), info[1].ssi_int);
    value("no more", read(fd, info, sizeof info));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    yes("changed", signalfd(fd, &set, 0) == fd);
    value("unknown flag", signalfd(-1, &set, 1));
    value("not a signalfd", signalfd(0, &set, 0));
    return 0;
}
