/* Descriptors of processes and threads: opening, polling, signals, descriptors of others, what they tell. */
#include "observe.h"
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#define NOBODY 0x3ffffe
#define INFO(size) _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, size)

static int tid, go;
static int told, by_thread;

static long send(int fd, int signal, void *info, unsigned flags)
{
    return syscall(SYS_pidfd_send_signal, fd, signal, info, flags);
}

static void *sleeper(void *unused)
{
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&go, __ATOMIC_SEQ_CST))
        sleep_ms(1);
    return unused;
}

static void noted(int number, siginfo_t *info, void *unused)
{
    (void)unused;
    (void)number;
    told = info->si_code;
    by_thread = gettid() == tid;
}

static void info_of(const char *what, int fd)
{
    for (int size = 56; size <= 96; size += 8) {
        uint32_t info[32];
        memset(info, 0xff, sizeof info);
        info[0] = 15;
        info[1] = 0;
        long result = ioctl(fd, INFO(size), info);
        say("%s, info of %d bytes: %ld %s", what, size, result, result ? errno_name(errno) : "");
        if (!result)
            say("mask %x, pid %d, tgid %d, uid %d", info[0], info[4] == (uint32_t)getpid(),
                info[5] == (uint32_t)getpid(), info[7] == getuid());
    }
}

int main(void)
{
    char path[64], text[512];
    int me = getpid();
    value("zero", syscall(SYS_pidfd_open, 0, 0));
    value("negative", syscall(SYS_pidfd_open, -1, 0));
    value("nobody", syscall(SYS_pidfd_open, NOBODY, 0));
    value("unknown flag", syscall(SYS_pidfd_open, me, 1));
    int fd = syscall(SYS_pidfd_open, me, 0), again = syscall(SYS_pidfd_open, me, O_NONBLOCK);
    yes("two descriptors", fd >= 0 && again > fd);
    say("flags %o %o, on exec %d", fcntl(fd, F_GETFL), fcntl(again, F_GETFL), fcntl(fd, F_GETFD));
    struct stat one, other;
    fstat(fd, &one);
    fstat(again, &other);
    say("mode %o, links %d, size %d", one.st_mode, (int)one.st_nlink, (int)one.st_size);
    yes("the same inode", one.st_ino == other.st_ino && one.st_dev == other.st_dev);
    value("read", read(fd, text, 10));
    value("write", write(fd, text, 10));
    value("lseek", lseek(fd, 0, SEEK_CUR));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    text[readlink(path, text, sizeof text - 1)] = 0;
    say("%s", text);
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    value("poll", poll(&p, 1, 0));

    pthread_t thread;
    need(pthread_create(&thread, NULL, sleeper, NULL) == 0, "pthread_create");
    while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST))
        sleep_ms(1);
    value("a thread without the flag", syscall(SYS_pidfd_open, tid, 0));
    int of_thread = syscall(SYS_pidfd_open, tid, O_EXCL);
    say("flags %o", fcntl(of_thread, F_GETFL));
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", of_thread);
    slurp(path, text, sizeof text);
    char want[64];
    snprintf(want, sizeof want, "Pid:\t%d\nNSpid:\t%d\n", tid, tid);
    yes("fdinfo", strstr(text, want) != NULL);
    info_of("process", fd);
    value("no buffer", ioctl(fd, INFO(64), NULL));
    value("bad buffer", ioctl(fd, INFO(64), 8));
    value("no control", ioctl(fd, _IO(0xff, 14)));
    value("FIONREAD", ioctl(fd, FIONREAD, text));

    struct sigaction action = {.sa_sigaction = noted, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    for (unsigned flags = 0; flags < 10; flags++) {
        say("flags %u", flags);
        if (flags != 4)
            value("sent", send(fd, 0, NULL, flags));
    }
    value("no such signal", send(fd, 99, NULL, 0));
    value("no pidfd", send(0, 0, NULL, 0));
    value("closed", send(99, 0, NULL, 0));
    value("bad flags first", send(99, 0, NULL, 8));
    value("this thread", send(-10000, SIGUSR1, NULL, 0));
    yes("told as tkill", told == SI_TKILL && !by_thread);
    value("this process", send(-10001, SIGUSR1, NULL, 0));
    yes("told as kill", told == SI_USER);
    value("to the thread", send(of_thread, SIGUSR1, NULL, 0));
    sleep_ms(50);
    yes("told there", told == SI_TKILL && by_thread);
    siginfo_t info = {0};
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    value("another signal's info", send(fd, SIGUSR2, &info, 0));
    value("with info", send(fd, SIGUSR1, &info, 1));
    yes("told as queued", told == SI_QUEUE);
    info.si_code = SI_TKILL;
    value("to another thread, as tkill", send(of_thread, SIGUSR1, &info, 0));
    value("bad info", send(fd, SIGUSR1, (void *)8, 0));

    int twin = syscall(SYS_pidfd_getfd, fd, 1, 0);
    value("twin", syscall(SYS_kcmp, me, me, 0, twin, 1));
    say("on exec %d", fcntl(twin, F_GETFD));
    value("getfd closed", syscall(SYS_pidfd_getfd, fd, 77, 0));
    value("getfd flags", syscall(SYS_pidfd_getfd, fd, 0, 1));
    value("getfd no pidfd", syscall(SYS_pidfd_getfd, 0, 0, 0));
    value("getfd of self", syscall(SYS_pidfd_getfd, -10000, 0, 0));
    done("getfd of a thread", syscall(SYS_pidfd_getfd, of_thread, 0, 0));

    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    value("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, of_thread, &event));
    value("nothing yet", epoll_wait(epoll, &event, 1, 0));
    __atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
    value("the thread's end", epoll_wait(epoll, &event, 1, 5000));
    say("events %x", event.events);
    pthread_join(thread, NULL);
    p.fd = of_thread;
    value("poll", poll(&p, 1, 0));
    say("events %x", p.revents);
    value("to the dead", send(of_thread, 0, NULL, 0));
    value("getfd of the dead", syscall(SYS_pidfd_getfd, of_thread, 0, 0));
    uint64_t ended[9] = {0};
    value("info of the dead", ioctl(of_thread, INFO(64), ended));
    ended[0] = 8;
    value("its end", ioctl(of_thread, INFO(64), ended));
    say("mask %lx", (long)ended[0]);
    slurp(path, text, sizeof text);
    yes("fdinfo", strstr(text, "Pid:\t-1\nNSpid:\t-1\n") != NULL);
    siginfo_t child;
    value("waitid", waitid(3, fd, &child, WEXITED));
    value("waitid no pidfd", waitid(3, 0, &child, WEXITED));
    value("waitid closed", waitid(3, 99, &child, WEXITED));
    value("waitid of self", waitid(3, -10000, &child, WEXITED));
    return 0;
}
