/* kcmp, ptrace and waiting, by a process that has nobody but its own threads. */
#include "observe.h"
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static long compare(int one, int other, int what, unsigned long a, unsigned long b)
{
    return syscall(SYS_kcmp, one, other, what, a, b);
}

int main(void)
{
    int me = getpid(), fds[2];
    int a = open("/dev/null", O_RDONLY), b = dup(a), c = open("/dev/null", O_RDONLY);
    value("a duplicate", compare(me, me, 0, a, b));
    long order = compare(me, me, 0, a, c), reverse = compare(me, me, 0, c, a);
    yes("opened twice", order + reverse == 3 && (order == 1 || order == 2));
    value("closed", compare(me, me, 0, a, 99));
    for (int what = -1; what < 10; what += 1 + (what == -1)) {
        say("%d", what);
        value("compared", compare(me, me, what, a, 0));
    }
    value("zero", compare(0, 0, 1, 0, 0));
    value("nobody", compare(me, 0x3ffffe, 1, 0, 0));
    value("nobody comes first", compare(-1, me, 100, 0, 0));
    struct { uint32_t epoll, target, skipped; } slot;
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    need(pipe(fds) == 0, "pipe");
    epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event);
    slot.epoll = epoll, slot.target = fds[0], slot.skipped = 0;
    value("registered", compare(me, me, 7, fds[0], (long)&slot));
    yes("another", compare(me, me, 7, fds[1], (long)&slot) > 0);
    slot.skipped = 1;
    value("the second", compare(me, me, 7, fds[0], (long)&slot));
    slot.skipped = 0, slot.target = 77;
    value("not registered", compare(me, me, 7, fds[0], (long)&slot));
    slot.epoll = a;
    value("no epoll", compare(me, me, 7, fds[0], (long)&slot));
    slot.epoll = 99;
    value("closed epoll", compare(me, me, 7, fds[0], (long)&slot));

    value("attach", ptrace(PTRACE_ATTACH, me, 0, 0));
    value("seize", ptrace(PTRACE_SEIZE, me, 0, 0));
    value("seize at", ptrace(PTRACE_SEIZE, me, 1, 0));
    value("attach to nobody", ptrace(PTRACE_ATTACH, 0x3ffffe, 0, 0));
    value("continue", ptrace(PTRACE_CONT, me, 0, 0));
    value("read", syscall(SYS_ptrace, PTRACE_PEEKTEXT, me, 0, &order));
    value("unknown", syscall(SYS_ptrace, 9999, me, 0, 0));
    value("of nobody", ptrace(PTRACE_CONT, 0, 0, 0));

    int status;
    siginfo_t info;
    struct { int which, number, options; } waits[] = {
        {P_ALL, 0, WEXITED}, {P_ALL, 0, 0}, {P_ALL, 0, WNOHANG}, {P_ALL, 0, WEXITED | WNOHANG},
        {P_PID, me, WEXITED}, {P_PID, 0, WEXITED}, {P_PID, -1, WEXITED}, {P_PGID, 0, WEXITED},
        {P_PGID, -1, WEXITED}, {9, 1, WEXITED}, {P_ALL, 0, WEXITED | 64}, {P_ALL, 0, WEXITED | __WALL},
        {P_PGID, 1, WSTOPPED | WCONTINUED | WNOWAIT},
    };
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        value("waitid", waitid(waits[i].which, waits[i].number, &info, waits[i].options));
    int pids[] = {-1, 0, 1, me, -5, INT32_MIN};
    for (size_t i = 0; i < sizeof pids / sizeof *pids; i++)
        value("wait4", wait4(pids[i], &status, WNOHANG, NULL));
    value("wait4 unknown option", wait4(-1, &status, 64, NULL));
    value("wait4 bad addresses", wait4(-1, (int *)8, 0, (void *)8));
    return 0;
}
