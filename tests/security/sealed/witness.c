/*
 * Runs a command and writes down every system call of it and its children whose instruction lies where an
 * enclave's programs do: a seccomp filter hands such calls to this process, which lets them go on.
 *
 *   witness LOG END COMMAND...
 *
 * `LOG` gets a line for each call, "number address"; `END` is the end of the range in hex, which starts at
 * 64 KiB. The calls of the vsyscall page count too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIELD(name) offsetof(struct seccomp_data, name)

_Noreturn static void fail(const char *what)
{
    perror(what);
    _exit(99);
}

/* Above 4 GiB the filter looks at the upper half alone, so END is a multiple of 4 GiB. */
static int filter(uint64_t end)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x10000, 3, 2),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)(end >> 32), 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        fail("no_new_privs");
    int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (fd < 0)
        fail("seccomp");
    return fd;
}

union rights {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

static void pass(int to, int fd)
{
    union rights rights = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec one = {"", 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    memcpy(CMSG_DATA(&rights.head), &fd, sizeof fd);
    if (sendmsg(to, &message, 0) != 1)
        fail("sendmsg");
}

static int take(int from)
{
    union rights rights;
    char byte;
    struct iovec one = {&byte, 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    int fd = -1;
    if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1 && message.msg_controllen >= CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(&rights.head), sizeof fd);
    return fd;
}

/* Writes calls down until nobody is left under the filter. */
static void watch(int listener, FILE *log)
{
    for (;;) {
        struct pollfd ready = {.fd = listener, .events = POLLIN};
        if (poll(&ready, 1, -1) < 0 && errno != EINTR)
            fail("poll");
        if (ready.revents & POLLHUP)
            break;
        struct seccomp_notif call;
        memset(&call, 0, sizeof call);
        if (!(ready.revents & POLLIN) || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
            continue;
        fprintf(log, "%d %llx\n", call.data.nr, (unsigned long long)call.data.instruction_pointer);
        struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    fclose(log);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 99;
    FILE *log = fopen(argv[1], "we");
    int pair[2];
    if (!log || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        fail(argv[1]);
    /* The command takes this process's place, so that it is what it would be without a witness. Who waits for
       the end of its output waits for the witness too. */
    pid_t child = fork();
    if (child == 0) {
        if (fork())
            _exit(0);
        signal(SIGINT, SIG_IGN);
        signal(SIGQUIT, SIG_IGN);
        int listener = take(pair[0]);
        if (listener < 0 || write(pair[0], "", 1) != 1)
            fail("listener");
        close(pair[1]);
        watch(listener, log);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    int listener = filter(strtoull(argv[2], NULL, 16));
    char done;
    pass(pair[1], listener);
    if (read(pair[1], &done, 1) != 1)
        fail("witness");
    close(listener);
    execvp(argv[3], argv + 3);
    fail(argv[3]);
}
