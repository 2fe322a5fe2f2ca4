/* Filters: what is admitted, what they see, what their answers do. */
#include "observe.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define LOW(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define HIGH(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + 4)
#define IF(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, yes, no)
#define GIVE(k) BPF_STMT(BPF_RET | BPF_K, k)
#define ALLOW GIVE(SECCOMP_RET_ALLOW)
#define LENGTH(a) (sizeof(a) / sizeof *(a))

static long set(unsigned flags, struct sock_filter *code, unsigned short len)
{
    struct sock_fprog program = {len, code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* A call whose number nobody has: what a filter answers to it is about nothing else. */
static void answered(int number, unsigned what, unsigned flags)
{
    struct sock_filter code[] = {LOAD(nr), IF(number, 0, 1), GIVE(what), ALLOW};
    need(set(flags, code, 4) == 0, "a filter");
}

static void status(const char *what)
{
    char text[8192] = {0};
    int fd = open("/proc/thread-self/status", O_RDONLY);
    need(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "status");
    close(fd);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNewPrivs", 10))
            say("  %s: %s", what, line);
}

static void refusals(void)
{
    struct sock_filter good[] = {ALLOW};
    struct sock_filter no_end[] = {LOAD(nr)};
    struct sock_filter odd[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW};
    struct sock_filter beyond[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW};
    struct sock_filter half[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), ALLOW};
    struct sock_filter modulo[] = {BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), ALLOW};
    struct sock_filter zero[] = {BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW};
    struct sock_filter shift[] = {BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW};
    struct sock_filter memory[] = {BPF_STMT(BPF_LD | BPF_MEM, 3), ALLOW};
    struct sock_filter store[] = {BPF_STMT(BPF_ST, 16), ALLOW};
    struct sock_filter jump[] = {BPF_STMT(BPF_JMP | BPF_JA, 1), ALLOW};
    struct sock_filter far[] = {IF(1, 0, 1), ALLOW};
    struct sock_filter msh[] = {BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), ALLOW};
    struct sock_filter return_x[] = {BPF_STMT(BPF_RET | BPF_X, 0)};
    struct { const char *what; struct sock_filter *code; int len; } rows[] = {
        {"nothing", good, 0}, {"no return", no_end, 1}, {"an odd load", odd, 2},
        {"a load beyond", beyond, 2}, {"a load of a half", half, 2}, {"modulo", modulo, 2},
        {"division by zero", zero, 2}, {"a wide shift", shift, 2}, {"unset memory", memory, 2},
        {"a store beyond", store, 2}, {"a jump out", jump, 2}, {"a branch out", far, 2},
        {"an IP header", msh, 2}, {"return x", return_x, 1},
    };
    for (unsigned i = 0; i < LENGTH(rows); i++)
        value(rows[i].what, set(0, rows[i].code, rows[i].len));
    struct sock_fprog program = {1, good};
    value("unknown flag", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1 << 6, &program));
    value("unknown operation", syscall(SYS_seccomp, 4, 0, &program));
    value("strict with flags", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL));
    value("strict with a pointer", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, &program));
    value("a bad pointer", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8));
    value("none", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
    program.filter = (void *)8;
    value("bad instructions", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
    program.len = 4097;
    value("too long", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
    value("prctl mode 3", prctl(PR_SET_SECCOMP, 3, NULL));
    value("prctl mode 0", prctl(PR_SET_SECCOMP, 0, NULL));
    value("prctl without a program", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL));
    value("prctl get", prctl(PR_GET_SECCOMP));
    status("none");
}

static void asks(void)
{
    unsigned actions[] = {
        SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
        SECCOMP_RET_TRACE, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW, 1, 0x00010000, 0x7fff0001,
    };
    for (unsigned i = 0; i < LENGTH(actions); i++)
        value("action", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]));
    value("with flags", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, actions));
    value("bad pointer", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, 8));
    unsigned short sizes[3] = {0};
    value("sizes", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, sizes));
    say("%d %d %d", sizes[0], sizes[1], sizes[2]);
    value("sizes with flags", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 1, sizes));
    value("sizes, bad pointer", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, 8));
}

static volatile int trapped;

static void on_trap(int number, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    greg_t *registers = user->uc_mcontext.gregs;
    trapped++;
    say("SIGSYS %d: code %d, errno %d, call %d, arch ok %d, address ok %d, rax is the call %d", number,
        info->si_code, info->si_errno, info->si_syscall, info->si_arch == AUDIT_ARCH_X86_64,
        info->si_call_addr == (void *)registers[REG_RIP], registers[REG_RAX] == info->si_syscall);
    registers[REG_RAX] = 4242;
}

static void *inherits(void *unused)
{
    (void)unused;
    status("a new thread");
    value("a new thread's call", syscall(1001));
    return NULL;
}

static void answers(void)
{
    answered(1001, SECCOMP_RET_ERRNO | 7, 0);
    value("errno 7", syscall(1001));
    answered(1002, SECCOMP_RET_ERRNO, 0);
    value("errno 0", syscall(1002));
    answered(1003, SECCOMP_RET_ERRNO | 0xffff, SECCOMP_FILTER_FLAG_LOG);
    value("errno beyond", syscall(1003));
    answered(1004, SECCOMP_RET_ERRNO | 512, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    say("errno 512: %ld %d", syscall(1004), errno);
    answered(SYS_getppid, SECCOMP_RET_TRACE | 3, 0);
    value("asked of a tracer", syscall(SYS_getppid));
    answered(SYS_getuid, SECCOMP_RET_LOG, 0);
    yes("logged and allowed", syscall(SYS_getuid) >= 0);
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    answered(1005, SECCOMP_RET_TRAP | 99, 0);
    value("trapped", syscall(1005));
    answered(1001, SECCOMP_RET_ERRNO | 8, 0);
    value("a newer one of alike", syscall(1001));
    answered(1001, SECCOMP_RET_TRACE, 0);
    value("a milder one", syscall(1001));
    for (int i = 0; i < 3; i++)
        syscall(1005);
    say("trapped %d times", trapped);
    status("many");
    pthread_t thread;
    pthread_create(&thread, NULL, inherits, NULL);
    pthread_join(thread, NULL);
}

static void sees(void)
{
    struct sock_filter code[] = {
        LOAD(nr), IF(1010, 0, 12),
        LOAD(arch), IF(AUDIT_ARCH_X86_64, 0, 9),
        LOW(0), IF(0x55667788, 0, 7),
        HIGH(0), IF(0x11223344, 0, 5),
        LOW(5), IF(6, 0, 3),
        HIGH(5), IF(0x80000000, 0, 1),
        GIVE(SECCOMP_RET_ERRNO | 1),
        GIVE(SECCOMP_RET_ERRNO | 2),
        ALLOW,
    };
    need(set(0, code, LENGTH(code)) == 0, "a filter");
    value("all arguments", syscall(1010, 0x1122334455667788, 2, 3, 4, 5, 0x8000000000000006));
    value("another high half", syscall(1010, 0x1122334555667788, 2, 3, 4, 5, 0x8000000000000006));
    value("another last", syscall(1010, 0x1122334455667788, 2, 3, 4, 5, 6));
    struct sock_filter divide[] = {
        LOAD(nr), IF(1011, 0, 2), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), ALLOW, ALLOW};
    value("a division by x", set(0, divide, LENGTH(divide)));
    struct sock_filter rest[] = {
        LOAD(nr), IF(1012, 1, 0), ALLOW,
        BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_IMM, 3),
        BPF_STMT(BPF_ST, 1), BPF_STMT(BPF_STX, 2), BPF_STMT(BPF_LDX | BPF_MEM, 1),
        BPF_STMT(BPF_LD | BPF_MEM, 2), BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
        BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0)};
    need(set(0, rest, LENGTH(rest)) == 0, "arithmetic");
    say("computed: %ld %d", syscall(1012), errno);
}

static volatile int stage;

static void *synchronised(void *other)
{
    if (other)
        answered(1020, SECCOMP_RET_ERRNO | 20, 0);
    stage = 1;
    while (stage == 1)
        sleep_ms(2);
    value(other ? "a thread of its own" : "a thread that followed", syscall(1021));
    return NULL;
}

static void all_threads(int other)
{
    struct sock_filter code[] = {LOAD(nr), IF(1021, 0, 1), GIVE(SECCOMP_RET_ERRNO | 21), ALLOW};
    pthread_t thread;
    stage = 0;
    pthread_create(&thread, NULL, synchronised, other ? &stage : NULL);
    while (stage == 0)
        sleep_ms(2);
    long result = set(SECCOMP_FILTER_FLAG_TSYNC, code, LENGTH(code));
    say("tsync: %s", result == 0 ? "0" : result > 0 ? "a thread's number" : errno_name(errno));
    if (other)
        value("tsync, as an error", set(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
                                        code, LENGTH(code)));
    stage = 2;
    pthread_join(thread, NULL);
}

int main(void)
{
    struct sock_filter allow[] = {ALLOW};
    refusals();
    asks();
    all_threads(1);
    all_threads(0);
    answers();
    sees();
    value("strict, with filters", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL));
    value("prctl get", prctl(PR_GET_SECCOMP));
    /* Without the right. */
    need(syscall(SYS_setresuid, 1000, 1000, 1000) == 0, "setresuid");
    value("unprivileged", set(0, allow, 1));
    value("unprivileged, empty", set(0, allow, 0));
    value("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    value("unprivileged, with it", set(0, allow, 1));
    status("at the end");
    return 0;
}
