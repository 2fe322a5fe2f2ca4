// build: static
/* Each pointer argument of each call, one at a time: NULL, kernel, non-canonical, PROT_NONE, a page's end, read-only. */
#include "observe.h"
#include <asm/prctl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#define A(v) ((long)(v))
enum { NO_NULL = 64 }; /* NULL means something that would wait for ever */

struct call {
    const char *name;
    long number;
    int pointers; /* bit i: argument i is a pointer to be spoiled */
    long arguments[6];
};

static char out[65536];
static struct iovec vector[1] = {{out, 8}};
static struct timespec no_time, a_millisecond = {0, 1000000};
static struct pollfd polled;
static struct epoll_event event = {EPOLLIN, {0}};
static struct itimerval timer_value;
static struct itimerspec timer_spec;
static struct msghdr message;
static sigset_t signals;
static uint32_t word, lock;
static int four = 4;
static long six = 6;

int main(void)
{
    int file = open("f", O_RDWR | O_CREAT, 0644), zero = open("/dev/zero", O_RDONLY), dir = open(".", O_RDONLY);
    int other = open("g", O_RDWR | O_CREAT, 0644), p[2], sv[2], ep = epoll_create1(0), tfd = timerfd_create(CLOCK_MONOTONIC, 0);
    need(write(file, out, 4096) == 4096 && pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0, "set up");
    int e = eventfd(1, 0);
    need(epoll_ctl(ep, EPOLL_CTL_ADD, e, &event) == 0, "epoll");
    polled = (struct pollfd){file, POLLIN, 0};
    message = (struct msghdr){.msg_iov = vector, .msg_iovlen = 1};
    int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
    fd_set *set = (fd_set *)out;
    timer_t timer;
    need(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &timer) == 0, "timer");
    symlink("f", "l");
    mkdir("d", 0755);

    struct call calls[] = {
        {"read", SYS_read, 2, {zero, A(out), 64}},
        {"write", SYS_write, 2, {file, A(out), 64}},
        {"open", SYS_open, 1, {A("f"), O_RDONLY}},
        {"openat", SYS_openat, 2, {AT_FDCWD, A("f"), O_RDONLY}},
        {"creat", SYS_creat, 1, {A("c"), 0600}},
        {"stat", SYS_stat, 3, {A("f"), A(out)}},
        {"lstat", SYS_lstat, 3, {A("f"), A(out)}},
        {"fstat", SYS_fstat, 2, {file, A(out)}},
        {"newfstatat", SYS_newfstatat, 6, {AT_FDCWD, A("f"), A(out), 0}},
        {"statx", SYS_statx, 2 | 16, {AT_FDCWD, A("f"), 0, STATX_BASIC_STATS, A(out)}},
        {"process_vm_readv", SYS_process_vm_readv, 2 | 8, {getpid(), A(vector), 1, A(vector), 1, 0}},
        {"process_vm_writev", SYS_process_vm_writev, 2 | 8, {getpid(), A(vector), 1, A(vector), 1, 0}},
        {"set_mempolicy", SYS_set_mempolicy, 2, {0, A(&no_time), 64}},
        {"get_mempolicy", SYS_get_mempolicy, 1 | 2, {A(out), A(out + 256), 64, 0, 0}},
        {"mbind's mask", SYS_mbind, 8, {A(out), 0, 0, A(&no_time), 64, 0}},
        {"migrate_pages", SYS_migrate_pages, 4 | 8, {0, 64, A(&six), A(&six)}},
        {"move_pages", SYS_move_pages, 4 | 16, {0, 1, A(out), 0, A(out + 256), 0}},
        {"poll", SYS_poll, 1, {A(&polled), 1, 0}},
        {"ppoll", SYS_ppoll, 1 | 4 | 8, {A(&polled), 1, A(&no_time), A(&signals), 8}},
        {"select", SYS_select, 2 | 4 | 8, {8, A(set), A(set), A(set), A(&timer_value)}},
        {"select's time", SYS_select, 16 | NO_NULL, {8, A(set), A(set), A(set), A(&timer_value)}},
        {"pselect6", SYS_pselect6, 2 | 4 | 8, {8, A(set), A(set), A(set), A(&no_time), 0}},
        {"lseek is no pointer", SYS_lseek, 0, {file, 0, 0}},
        {"rt_sigaction", SYS_rt_sigaction, 2 | 4, {SIGUSR1, A(out), A(out + 256), 8}},
        {"rt_sigprocmask", SYS_rt_sigprocmask, 2 | 4, {SIG_BLOCK, A(&signals), A(out), 8}},
        {"rt_sigpending", SYS_rt_sigpending, 1, {A(out), 8}},
        {"rt_sigtimedwait", SYS_rt_sigtimedwait, 1 | 2, {A(&signals), A(out), A(&no_time), 8}},
        {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, 4, {getpid(), 0, A(out)}},
        {"sigaltstack", SYS_sigaltstack, 2, {0, A(out)}},
        {"ioctl FIONREAD", SYS_ioctl, 4, {p[0], FIONREAD, A(out)}},
        {"ioctl FIONBIO", SYS_ioctl, 4, {p[0], FIONBIO, A(out)}},
        {"pread64", SYS_pread64, 2, {file, A(out), 64, 0}},
        {"pwrite64", SYS_pwrite64, 2, {file, A(out), 64, 0}},
        {"readv", SYS_readv, 2, {zero, A(vector), 1}},
        {"writev", SYS_writev, 2, {file, A(vector), 1}},
        {"preadv", SYS_preadv, 2, {file, A(vector), 1, 0, 0}},
        {"pwritev2", SYS_pwritev2, 2, {file, A(vector), 1, 0, 0, 0}},
        {"access", SYS_access, 1, {A("f"), 0}},
        {"faccessat2", SYS_faccessat2, 2, {AT_FDCWD, A("f"), 0, 0}},
        {"pipe", SYS_pipe, 1, {A(out)}},
        {"pipe2", SYS_pipe2, 1, {A(out), 0}},
        {"mincore", SYS_mincore, 4, {A(out) & ~4095L, 4096, A(out)}},
        {"nanosleep", SYS_nanosleep, 1, {A(&no_time), A(out)}},
        {"clock_nanosleep", SYS_clock_nanosleep, 4, {CLOCK_MONOTONIC, 0, A(&no_time), A(out)}},
        {"clock_gettime", SYS_clock_gettime, 2, {CLOCK_REALTIME, A(out)}},
        {"clock_getres", SYS_clock_getres, 2, {CLOCK_REALTIME, A(out)}},
        {"gettimeofday", SYS_gettimeofday, 1 | 2, {A(out), A(out)}},
        {"time", SYS_time, 1, {A(out)}},
        {"getitimer", SYS_getitimer, 2, {ITIMER_REAL, A(out)}},
        {"setitimer", SYS_setitimer, 2 | 4, {ITIMER_REAL, A(&timer_value), A(out)}},
        {"timer_create", SYS_timer_create, 2 | 4, {CLOCK_MONOTONIC, 0, A(out)}},
        {"timer_settime", SYS_timer_settime, 4 | 8, {A(timer), 0, A(&timer_spec), A(out)}},
        {"timer_gettime", SYS_timer_gettime, 2, {A(timer), A(out)}},
        {"timerfd_settime", SYS_timerfd_settime, 4 | 8, {tfd, 0, A(&timer_spec), A(out)}},
        {"timerfd_gettime", SYS_timerfd_gettime, 2, {tfd, A(out)}},
        {"sendfile", SYS_sendfile, 4, {other, file, A(out), 1}},
        {"copy_file_range", SYS_copy_file_range, 2 | 8, {file, 0, other, 0, 1, 0}},
        {"uname", SYS_uname, 1, {A(out)}},
        {"sysinfo", SYS_sysinfo, 1, {A(out)}},
        {"getcwd", SYS_getcwd, 1, {A(out), 4096}},
        {"chdir", SYS_chdir, 1, {A(".")}},
        {"rename", SYS_rename, 3, {A("f"), A("f")}},
        {"renameat2", SYS_renameat2, 2 | 8, {AT_FDCWD, A("f"), AT_FDCWD, A("f"), 0}},
        {"mkdir", SYS_mkdir, 1, {A("m"), 0700}},
        {"mkdirat", SYS_mkdirat, 2, {AT_FDCWD, A("m"), 0700}},
        {"rmdir", SYS_rmdir, 1, {A("none")}},
        {"link", SYS_link, 3, {A("f"), A("g")}},
        {"symlink", SYS_symlink, 3, {A("f"), A("g")}},
        {"unlink", SYS_unlink, 1, {A("none")}},
        {"unlinkat", SYS_unlinkat, 2, {AT_FDCWD, A("none"), 0}},
        {"readlink", SYS_readlink, 3, {A("l"), A(out), 64}},
        {"readlinkat", SYS_readlinkat, 6, {AT_FDCWD, A("l"), A(out), 64}},
        {"chmod", SYS_chmod, 1, {A("f"), 0644}},
        {"fchmodat", SYS_fchmodat, 2, {AT_FDCWD, A("f"), 0644}},
        {"chown", SYS_chown, 1, {A("f"), -1, -1}},
        {"lchown", SYS_lchown, 1, {A("f"), -1, -1}},
        {"truncate", SYS_truncate, 1, {A("f"), 4096}},
        {"statfs", SYS_statfs, 3, {A("f"), A(out)}},
        {"fstatfs", SYS_fstatfs, 2, {file, A(out)}},
        {"utimensat", SYS_utimensat, 2 | 4, {AT_FDCWD, A("f"), A(&timer_spec), 0}},
        {"utimes", SYS_utimes, 1 | 2, {A("f"), A(&timer_value)}},
        {"getdents64", SYS_getdents64, 2, {dir, A(out), 4096}},
        {"getrlimit", SYS_getrlimit, 2, {RLIMIT_NOFILE, A(out)}},
        {"prlimit64", SYS_prlimit64, 8, {0, RLIMIT_NOFILE, 0, A(out)}},
        {"getrusage", SYS_getrusage, 2, {RUSAGE_SELF, A(out)}},
        {"times", SYS_times, 1, {A(out)}},
        {"getresuid", SYS_getresuid, 7, {A(out), A(out), A(out)}},
        {"getresgid", SYS_getresgid, 7, {A(out), A(out), A(out)}},
        {"getcpu", SYS_getcpu, 3, {A(out), A(out), 0}},
        {"sched_getparam", SYS_sched_getparam, 2, {0, A(out)}},
        {"sched_getaffinity", SYS_sched_getaffinity, 4, {0, 128, A(out)}},
        {"sched_setaffinity", SYS_sched_setaffinity, 4, {0, 8, A(out)}},
        {"prctl PR_GET_NAME", SYS_prctl, 2, {PR_GET_NAME, A(out)}},
        {"prctl PR_SET_NAME", SYS_prctl, 2, {PR_SET_NAME, A("n")}},
        {"arch_prctl ARCH_GET_FS", SYS_arch_prctl, 2, {ARCH_GET_FS, A(out)}},
        {"futex wait", SYS_futex, 1 | 8 | NO_NULL, {A(&word), FUTEX_WAIT, 0, A(&a_millisecond)}},
        {"futex wait private", SYS_futex, 1 | NO_NULL, {A(&word), FUTEX_WAIT_PRIVATE, 0, A(&a_millisecond)}},
        {"futex wake", SYS_futex, 1, {A(&word), FUTEX_WAKE, 1}},
        {"sched_setattr", SYS_sched_setattr, 2, {0, A(out), 0}},
        {"sched_getattr", SYS_sched_getattr, 2, {0, A(out), 48, 0}},
        {"prctl PR_GET_AUXV", SYS_prctl, 2, {0x41555856, A(out), 64, 0, 0}},
        {"kcmp epoll", SYS_kcmp, 16, {getpid(), getpid(), 7, e, A(((uint32_t[]){ep, e, 0}))}},
        {"pidfd_send_signal", SYS_pidfd_send_signal, 4 | NO_NULL, {pidfd, SIGURG, A(out), 0}},
        {"futex requeue to a lock", SYS_futex, 1 | 16, {A(&word), FUTEX_CMP_REQUEUE_PI, 1, 1, A(&lock), 0}},
        {"futex_wake", 454, 1, {A(&word), 1, 1, 2}},
        {"futex requeue", SYS_futex, 1 | 16, {A(&word), FUTEX_CMP_REQUEUE, 1, 1, A(&word), 0}},
        {"get_robust_list", SYS_get_robust_list, 6, {0, A(out), A(out)}},
        {"epoll_wait", SYS_epoll_wait, 2, {ep, A(out), 4, 0}},
        {"epoll_pwait", SYS_epoll_pwait, 2 | 16, {ep, A(out), 4, 0, A(&signals), 8}},
        {"epoll_ctl", SYS_epoll_ctl, 8, {ep, EPOLL_CTL_MOD, e, A(&event)}},
        {"inotify_add_watch", SYS_inotify_add_watch, 2, {inotify_init(), A("f"), IN_OPEN}},
        {"signalfd4", SYS_signalfd4, 2, {-1, A(&signals), 8, 0}},
        {"memfd_create", SYS_memfd_create, 1, {A("m"), 0}},
        {"getrandom", SYS_getrandom, 1, {A(out), 64, 0}},
        {"execve", SYS_execve, 1, {A("none"), 0, 0}},
        {"wait4", SYS_wait4, 2, {-1, A(out), 0, 0}},
        {"socketpair", SYS_socketpair, 8, {AF_UNIX, SOCK_STREAM, 0, A(out)}},
        {"getsockname", SYS_getsockname, 6, {sv[0], A(out), A(&four)}},
        {"getpeername", SYS_getpeername, 6, {sv[0], A(out), A(&four)}},
        {"getsockopt", SYS_getsockopt, 8 | 16, {sv[0], SOL_SOCKET, SO_TYPE, A(out), A(&four)}},
        {"setsockopt", SYS_setsockopt, 8, {sv[0], SOL_SOCKET, SO_RCVTIMEO, A(&timer_value), 16}},
        {"sendto", SYS_sendto, 2, {sv[0], A(out), 64, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0}},
        {"recvfrom", SYS_recvfrom, 2, {sv[1], A(out), 8, MSG_DONTWAIT | MSG_PEEK, 0, 0}},
        {"sendmsg", SYS_sendmsg, 2, {sv[0], A(&message), MSG_DONTWAIT}},
        {"recvmsg", SYS_recvmsg, 2, {sv[1], A(&message), MSG_DONTWAIT | MSG_PEEK}},
        {"mknod", SYS_mknod, 1, {A("f"), S_IFIFO | 0600, 0}},
        {"sched_rr_get_interval", SYS_sched_rr_get_interval, 2, {0, A(out)}},
        {"sched_getattr", SYS_sched_getattr, 2, {0, A(out), 48, 0}},
    };
    (void)six;

    char *two = fresh(3 * PAGE);
    mprotect(two + PAGE, PAGE, PROT_NONE);
    memset(two, 'x', PAGE);
    char *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct { const char *name; long value; } bad[] = {
        {"NULL", 0}, {"kernel", (long)0xffff888000000000}, {"top", -16}, {"non-canonical", 0x0100000000000000},
        {"PROT_NONE", A(two + PAGE)}, {"page end", A(two + PAGE - 4)}, {"odd page end", A(two + PAGE - 3)},
        {"read-only", A(read_only)}};
    write(sv[0], "some bytes to be read", 21);
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
        for (int i = 0; i < 6; i++) {
            if (!(calls[c].pointers >> i & 1))
                continue;
            printf("%s, argument %d:", calls[c].name, i);
            for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
                if (bad[b].value == 0 && calls[c].pointers & NO_NULL)
                    continue;
                long a[6];
                memcpy(a, calls[c].arguments, sizeof a);
                a[i] = bad[b].value;
                memset(out, 0, 1024);
                memset(two, 'x', PAGE);
                lseek(file, 0, SEEK_SET);
                lseek(dir, 0, SEEK_SET);
                four = 4;
                long r = syscall((int)calls[c].number, a[0], a[1], a[2], a[3], a[4], a[5]);
                printf(" %s %s,", bad[b].name, r == -1 ? errno_name(errno) : "ok");
            }
            say(" ");
        }
    say("the end");
    return 0;
}
