/* How a restriction ends a thread or the process, chosen by the first argument: see test_security.py. */
#include "../../observe.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* getppid gets this answer, all else is allowed. */
static void answer(unsigned what)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, what),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

static void *killed(void *unused)
{
    (void)unused;
    answer(SECCOMP_RET_KILL_THREAD);
    say("a thread asks");
    syscall(SYS_getppid);
    say("NOT reached");
    return NULL;
}

static void *whole(void *unused)
{
    (void)unused;
    answer(SECCOMP_RET_KILL_PROCESS);
    syscall(SYS_getppid);
    say("NOT reached");
    return NULL;
}

int main(int argc, char **argv)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    const char *how = argc > 1 ? argv[1] : "";
    pthread_t thread;
    if (!strcmp(how, "strict")) {
        need(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0, "strict");
        if (write(1, "allowed\n", 8) == 8)
            syscall(SYS_getppid);
        write(1, "NOT reached\n", 12);
    } else if (!strcmp(how, "process")) {
        /* Neither a handler nor the mask helps. */
        signal(SIGSYS, SIG_IGN);
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        answer(SECCOMP_RET_KILL_PROCESS);
        say("still allowed");
        syscall(SYS_getppid);
    } else if (!strcmp(how, "thread")) {
        pthread_create(&thread, NULL, killed, NULL);
        sleep_ms(100);
        say("the others go on");
        yes("which may ask", syscall(SYS_getppid) >= 0);
        return 7;
    } else if (!strcmp(how, "last")) {
        answer(SECCOMP_RET_KILL_THREAD);
        syscall(SYS_getppid);
    } else if (!strcmp(how, "trap")) {
        /* Ignored, it ends the process. */
        signal(SIGSYS, SIG_IGN);
        answer(SECCOMP_RET_TRAP);
        syscall(SYS_getppid);
    } else if (!strcmp(how, "after")) {
        /* Unknown actions kill the process. */
        answer(0x00010000);
        syscall(SYS_getppid);
    } else if (!strcmp(how, "other")) {
        pthread_create(&thread, NULL, whole, NULL);
        pthread_join(thread, NULL);
    }
    say("NOT reached");
    return 0;
}
