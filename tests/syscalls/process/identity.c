// build: static musl
/* Who a process is: pids, sessions, credentials, groups, names, limits on them. */
#include "observe.h"
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

int main(void)
{
    yes("pid is positive", getpid() > 0);
    yes("the main thread's tid is the pid", syscall(SYS_gettid) == getpid());
    yes("getpgrp is getpgid(0)", getpgrp() == getpgid(0));
    yes("getpgid of oneself", getpgid(getpid()) == getpgrp());
    yes("getsid(0)", getsid(0) == getsid(getpid()));
    yes("uids agree", getuid() == geteuid());
    yes("gids agree", getgid() == getegid());
    uid_t r, e, s;
    value("getresuid", getresuid(&r, &e, &s));
    say("%d %d %d", r, e, s);
    value("getresgid", getresgid(&r, &e, &s));
    say("%d %d %d", r, e, s);
    value("getresuid NULL", syscall(SYS_getresuid, NULL, &e, &s));
    value("getpgid of nobody", getpgid(0x3ffffff));
    value("getsid of nobody", getsid(0x3ffffff));
    value("getpgid negative", getpgid(-1));
    value("getgroups bad size", getgroups(-1, NULL));
    yes("getgroups counts", getgroups(0, NULL) >= 0);
    value("getpriority", getpriority(0, 0));
    value("getpriority unknown", getpriority(9, 0));
    value("wait4 without a child", wait4(-1, NULL, 0, NULL));
    value("waitid without a child", waitid(P_ALL, 0, NULL, WEXITED));
    value("waitid nothing to wait for", waitid(P_ALL, 0, NULL, 0));
    value("wait4 unknown option", wait4(-1, NULL, 0x100000, NULL));
    value("kill 0 to oneself", kill(getpid(), 0));
    value("kill nobody", kill(0x3ffffff, 0));
    value("kill bad signal", kill(getpid(), 65));
    value("tgkill bad pair", syscall(SYS_tgkill, getpid(), 0x3ffffff, 0));
    value("tgkill zero", syscall(SYS_tgkill, 0, getpid(), 0));
    value("tkill negative", syscall(SYS_tkill, -1, 0));
    char name[32] = {0};
    value("PR_GET_NAME", prctl(PR_GET_NAME, name));
    say("%.7s", name); /* the first letters of the binary's name */
    value("PR_SET_NAME", prctl(PR_SET_NAME, "a name of more than fifteen"));
    prctl(PR_GET_NAME, name);
    say("%s", name);
    char comm[32] = {0};
    int fd = open("/proc/self/comm", O_RDWR);
    value("/proc/self/comm", read(fd, comm, 31));
    say("%s", comm);
    value("written", write(fd, "new", 3));
    prctl(PR_GET_NAME, name);
    say("%s", name);
    value("PR_SET_NAME bad pointer", prctl(PR_SET_NAME, 8));
    value("PR_GET_DUMPABLE", prctl(PR_GET_DUMPABLE));
    value("PR_SET_DUMPABLE 0", prctl(PR_SET_DUMPABLE, 0));
    value("PR_GET_DUMPABLE", prctl(PR_GET_DUMPABLE));
    value("PR_SET_DUMPABLE 2", prctl(PR_SET_DUMPABLE, 2));
    value("PR_GET_NO_NEW_PRIVS", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    value("PR_SET_NO_NEW_PRIVS", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    value("PR_GET_NO_NEW_PRIVS", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    value("PR_SET_NO_NEW_PRIVS 0", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int signal = -1;
    value("PR_GET_PDEATHSIG", prctl(PR_GET_PDEATHSIG, &signal));
    say("%d", signal);
    value("PR_GET_TIMERSLACK", prctl(PR_GET_TIMERSLACK));
    value("PR_SET_TIMERSLACK", prctl(PR_SET_TIMERSLACK, 1000));
    value("PR_GET_TIMERSLACK", prctl(PR_GET_TIMERSLACK));
    value("prctl unknown", prctl(123456, 0, 0, 0, 0));
    value("personality", syscall(SYS_personality, 0xffffffff));
    return 0;
}
