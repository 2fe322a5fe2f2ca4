/* signalfd: reads what is pending, of the thread and of the process; waits; poll and epoll; masks; errors. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/uio.h>

static int fd;
static pid_t first;

static int ready(int f)
{
    struct pollfd p = {f, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static void show(const struct signalfd_siginfo *i)
{
    say("signal %u code %d errno %d, mine %d, uid %d, int %d, ptr %llx", i->ssi_signo, i->ssi_code,
        i->ssi_errno, i->ssi_pid == (uint32_t)first, (int)i->ssi_uid, i->ssi_int, (unsigned long long)i->ssi_ptr);
}

static void *elsewhere(void *unused)
{
    (void)unused;
    struct signalfd_siginfo i;
    say("another thread's poll %#x", ready(fd));
    value("another thread reads", read(fd, &i, sizeof i));
    kill(first, SIGUSR1);
    say("the process's: %#x", ready(fd));
    value("takes it", read(fd, &i, sizeof i));
    syscall(SYS_tgkill, first, syscall(SYS_gettid), SIGUSR1);
    say("its own: %#x", ready(fd));
    value("takes its own", read(fd, &i, sizeof i));
    show(&i);
    return NULL;
}

static void *send_later(void *unused)
{
    (void)unused;
    sleep_ms(30);
    kill(first, SIGUSR1);
    return NULL;
}

static void handler(int signal) { (void)signal; }

static void *interrupt_later(void *thread)
{
    sleep_ms(30);
    pthread_kill(*(pthread_t *)thread, SIGUSR2);
    return NULL;
}

int main(void)
{
    first = getpid();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = done("signalfd", signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    say("flags %d, access %#x", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    struct signalfd_siginfo info[4];
    value("nothing", read(fd, info, sizeof info));
    raise(SIGUSR1);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
    struct pollfd p = {fd, POLLIN, 0};
    value("poll", poll(&p, 1, 0));
    value("too small", read(fd, info, 10));
    value("two", read(fd, info, sizeof info) / (long)sizeof *info);
    say("%d code %d, mine %d; value %d", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_pid == (uint32_t)getpid(), info[1].ssi_int);
    show(&info[1]);
    value("no more", read(fd, info, sizeof info));
    value("write", write(fd, info, sizeof *info));
    value("lseek", lseek(fd, 3, SEEK_SET));
    value("pread", pread(fd, info, sizeof *info, 0));
    int n;
    value("FIONREAD", ioctl(fd, FIONREAD, &n));
    char link[64] = {0}, name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    value("its name", readlink(name, link, sizeof link));
    say("%s", link);
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
    char text[512] = {0};
    read(open(name, O_RDONLY), text, sizeof text - 1);
    char *mask = strstr(text, "sigmask:");
    say("fdinfo %s", mask ? mask : "none");

    say("-- in which order, and how many at once");
    kill(first, SIGUSR1);
    kill(first, SIGUSR1);
    for (int i = 0; i < 3; i++)
        sigqueue(first, SIGRTMIN, (union sigval){.sival_ptr = (void *)(0x100000000 + i)});
    pthread_kill(pthread_self(), SIGALRM);
    value("three and a half", read(fd, info, 3 * sizeof *info + 64) / (long)sizeof *info);
    for (int i = 0; i < 3; i++)
        show(&info[i]);
    struct iovec v[2] = {{info, 100}, {(char *)info + 100, 156}};
    value("into two buffers", readv(fd, v, 2));
    show(&info[0]);
    show(&info[1]);
    char *two = fresh(2 * PAGE);
    mprotect(two + PAGE, PAGE, PROT_NONE);
    kill(first, SIGUSR1);
    value("a bad buffer", read(fd, two + PAGE - 100, 128));
    value("has lost it", read(fd, info, sizeof info));
    kill(first, SIGUSR1);
    kill(first, SIGALRM);
    value("a buffer that ends", read(fd, two + PAGE - 128, 256));
    value("has lost the second", read(fd, info, sizeof info));

    say("-- a timer's");
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value.sival_int = 77}, &timer);
    timer_settime(timer, 0, &(struct itimerspec){.it_value = {0, 1000000}}, NULL);
    p.revents = 0;
    value("poll waits", poll(&p, 1, 2000));
    value("read", read(fd, info, sizeof info));
    say("signal %d code %d tid %d overrun %d int %d", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_tid == (uint32_t)(long)timer, info[0].ssi_overrun, info[0].ssi_int);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 1000}}, NULL);
    value("poll waits", poll(&p, 1, 2000));
    value("read", read(fd, info, sizeof info));
    say("signal %d code %d pid %d", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_pid);

    say("-- threads");
    pthread_t thread;
    pthread_kill(pthread_self(), SIGUSR1);
    say("mine: %#x", ready(fd));
    pthread_create(&thread, NULL, elsewhere, NULL);
    pthread_join(thread, NULL);
    value("mine is still there", read(fd, info, sizeof info));
    show(&info[0]);
    int waiting = signalfd(-1, &set, 0);
    pthread_create(&thread, NULL, send_later, NULL);
    value("a read waits", read(waiting, info, sizeof info));
    pthread_join(thread, NULL);
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR2, &action, NULL);
    pthread_t me = pthread_self();
    pthread_create(&thread, NULL, interrupt_later, &me);
    value("a handler ends it", read(waiting, info, sizeof info));
    pthread_join(thread, NULL);

    say("-- epoll");
    int ep = epoll_create1(0);
    struct epoll_event e = {EPOLLIN | EPOLLET, {.u32 = 9}}, got[2];
    value("add", epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    value("nothing", epoll_wait(ep, got, 2, 0));
    pthread_create(&thread, NULL, send_later, NULL);
    value("waits", epoll_wait(ep, got, 2, 2000));
    pthread_join(thread, NULL);
    value("told once", epoll_wait(ep, got, 2, 0));
    value("read", read(fd, info, sizeof info));

    say("-- ignored, unblocked, taken by others");
    signal(SIGUSR1, SIG_IGN);
    kill(first, SIGUSR1);
    value("ignored but blocked", read(fd, info, sizeof info));
    signal(SIGUSR1, SIG_DFL);
    kill(first, SIGUSR1);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    value("sigwaitinfo takes it", sigwaitinfo(&one, NULL));
    value("gone", read(fd, info, sizeof info));
    value("not blocked and not in the set", signalfd(fd, &one, 0) == fd);
    kill(first, SIGALRM);
    value("not wanted any more", read(fd, info, sizeof info));
    sigaddset(&one, SIGALRM);
    sigaddset(&one, SIGKILL);
    signalfd(fd, &one, SFD_NONBLOCK);
    value("wanted again", read(fd, info, sizeof info));
    value("the flags of a change change nothing", fcntl(waiting, F_GETFL) & O_NONBLOCK);

    say("-- errors");
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    yes("changed", signalfd(fd, &set, 0) == fd);
    value("unknown flag", signalfd(-1, &set, 1));
    value("not a signalfd", signalfd(0, &set, 0));
    value("closed", signalfd(999, &set, 0));
    value("unknown flag of a change", signalfd(fd, &set, 4));
    value("another size", syscall(SYS_signalfd4, -1, &set, 4, 0));
    value("the old call", syscall(SYS_signalfd, -1, &set, 8) >= 0);
    value("the old call, another size", syscall(SYS_signalfd, -1, &set, 128));
    value("NULL", syscall(SYS_signalfd4, -1, NULL, 8, 0));
    return 0;
}
