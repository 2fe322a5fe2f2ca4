"""What each system call's arguments are: one word of `forms` for each, and one for the result.

A call that is not in the table prints its six arguments as numbers. Source: the manual's section 2.
"""

from __future__ import annotations

_TABLE = """
read               fd buf size
write              fd buf size
open               path open mode
close              fd
stat               path stat
fstat              fd stat
lstat              path stat
poll               pollfds uint int
lseek              fd long whence
mmap               ptr size prot map fd hex -> hex
mprotect           ptr size prot
munmap             ptr size
brk                ptr -> hex
rt_sigaction       sig sigaction sigaction size
rt_sigprocmask     how sigset sigset size
rt_sigreturn       -> hex
ioctl              fd ioctl hex
pread64            fd buf size long
pwrite64           fd buf size long
readv              fd iovec int
writev             fd iovec int
access             path access
pipe               pair
select             int fdset fdset fdset timeval
sched_yield
mremap             ptr size size mremap ptr -> hex
msync              ptr size msync
mincore            ptr size ptr
madvise            ptr size madvise
dup                fd
dup2               fd fd
pause
nanosleep          timespec timespec
getitimer          itimer itimerval
alarm              uint
setitimer          itimer itimerval itimerval
getpid
sendfile           fd fd ptr size
socket             family socktype int
connect            fd sockaddr size
accept             fd sockaddr ptr
sendto             fd buf size msg sockaddr size
recvfrom           fd buf size msg sockaddr ptr
sendmsg            fd ptr msg
recvmsg            fd ptr msg
shutdown           fd shutdown
bind               fd sockaddr size
listen             fd int
getsockname        fd sockaddr ptr
getpeername        fd sockaddr ptr
socketpair         family socktype int pair
setsockopt         fd int int bytes size
getsockopt         fd int int bytes ptr
clone              clone ptr ptr ptr hex
fork
vfork
execve             path strings environment
exit               int -> none
wait4              int ptr wait ptr
kill               int sig
uname              utsname
fcntl              fd fcntl hex
flock              fd flockop
fsync              fd
fdatasync          fd
truncate           path long
ftruncate          fd long
getcwd             string size
chdir              path
fchdir             fd
rename             path path
mkdir              path mode
rmdir              path
creat              path mode
link               path path
unlink             path
symlink            string path
readlink           path string size
chmod              path mode
fchmod             fd mode
chown              path int int
fchown             fd int int
lchown             path int int
umask              mode -> mode
gettimeofday       timeval ptr
getrlimit          rlimit pair64
getrusage          rusage_who rusage
sysinfo            ptr
times              ptr
getuid
getgid
setuid             int
setgid             int
geteuid
getegid
setpgid            int int
getppid
getpgrp
setsid
getgroups          int ptr
setgroups          int ptr
getresuid          ptr ptr ptr
getresgid          ptr ptr ptr
getpgid            int
getsid             int
rt_sigpending      sigset size
rt_sigtimedwait    sigset ptr timespec size
rt_sigsuspend      sigset size
sigaltstack        stack stack
mknod              path mode hex
personality        hex -> hex
statfs             path ptr
fstatfs            fd ptr
sched_setparam     int ptr
sched_getparam     int ptr
sched_setscheduler int int ptr
sched_getscheduler int
mlock              ptr size
munlock            ptr size
prctl              prctl hex hex hex hex
arch_prctl         arch ptr
setrlimit          rlimit pair64
chroot             path
sync
gettid
readahead          fd long size
tkill              int sig
time               ptr
futex              ptr futex uint timespec ptr hex
setxattr           path string buf size xattr
lsetxattr          path string buf size xattr
fsetxattr          fd string buf size xattr
getxattr           path string buf size
lgetxattr          path string buf size
fgetxattr          fd string buf size
listxattr          path buf size
llistxattr         path buf size
flistxattr         fd buf size
removexattr        path string
lremovexattr       path string
fremovexattr       fd string
sched_setaffinity  int size bytes
sched_getaffinity  int size bytes
epoll_create       int
getdents64         fd entries size
set_tid_address    ptr
restart_syscall
fadvise64          fd long long int
timer_create       clock ptr ptr
timer_settime      int timerflags itimerspec itimerspec
timer_gettime      int itimerspec
timer_getoverrun   int
timer_delete       int
clock_settime      clock timespec
clock_gettime      clock timespec
clock_getres       clock timespec
clock_nanosleep    clock timerflags timespec timespec
exit_group         int -> none
epoll_wait         fd epollevents int int
epoll_ctl          fd epollop fd epollevent
tgkill             int int sig
waitid             int int ptr wait ptr
inotify_init
inotify_add_watch  fd path inotify
inotify_rm_watch   fd int
openat             dirfd path open mode
mkdirat            dirfd path mode
mknodat            dirfd path mode hex
fchownat           dirfd path int int at
newfstatat         dirfd path stat at
unlinkat           dirfd path at
renameat           dirfd path dirfd path
linkat             dirfd path dirfd path at
symlinkat          string dirfd path
readlinkat         dirfd path string size
fchmodat           dirfd path mode
faccessat          dirfd path access
pselect6           int fdset fdset fdset timespec ptr
ppoll              pollfds uint timespec sigset size
set_robust_list    ptr size
get_robust_list    int ptr ptr
splice             fd ptr fd ptr size hex
tee                fd fd size hex
sync_file_range    fd long long hex
vmsplice           fd ptr int hex
utimensat          dirfd path timespecs at
epoll_pwait        fd epollevents int int sigset size
signalfd           fd sigset size
timerfd_create     clock cloexec
eventfd            uint
fallocate          fd fallocate long long
timerfd_settime    fd timerflags itimerspec itimerspec
timerfd_gettime    fd itimerspec
accept4            fd sockaddr ptr socktype
signalfd4          fd sigset size cloexec
eventfd2           uint efd
epoll_create1      epollflags
dup3               fd fd cloexec
pipe2              pair cloexec
inotify_init1      cloexec
preadv             fd iovec int long hex
pwritev            fd iovec int long hex
recvmmsg           fd ptr int msg timespec
prlimit64          int rlimit pair64 pair64
syncfs             fd
sendmmsg           fd ptr int msg
getcpu             ptr ptr ptr
renameat2          dirfd path dirfd path rename
seccomp            seccompop hex ptr
getrandom          buf size getrandom
memfd_create       string memfd
execveat           dirfd path strings environment at
membarrier         int hex int
mlock2             ptr size hex
copy_file_range    fd ptr fd ptr size hex
preadv2            fd iovec int long hex rwf
pwritev2           fd iovec int long hex rwf
statx              dirfd path at statxmask statx
rseq               ptr size hex hex
pidfd_open         int hex
pidfd_getfd        fd fd hex
pidfd_send_signal  fd sig ptr hex
kcmp               int int int hex hex
ptrace             int int hex hex
futex_waitv        ptr uint hex timespec int
futex_wake         ptr hex int hex
futex_wait         ptr uint hex hex timespec int
futex_requeue      ptr hex int int
sched_setattr      int ptr hex
sched_getattr      int ptr size hex
clone3             clone_args size
close_range        fd fd hex
openat2            dirfd path open_how size
faccessat2         dirfd path access at
process_madvise    fd ptr int madvise hex
process_mrelease   fd hex
memfd_secret       hex
userfaultfd        hex
process_vm_readv   int ptr size ptr size hex
process_vm_writev  int ptr size ptr size hex
mbind              ptr size hex ptr size hex
set_mempolicy      hex ptr size
get_mempolicy      ptr ptr size ptr hex
set_mempolicy_home_node ptr size size hex
migrate_pages      int size ptr ptr
move_pages         int size ptr ptr ptr hex
mseal              ptr size hex
epoll_pwait2       fd epollevents int timespec sigset size
mount              string path string hex ptr
umount2            path hex
pivot_root         path path
fsopen             string cloexec
fsconfig           fd int string string int
fsmount            fd cloexec hex
fspick             dirfd path hex
open_tree          dirfd path hex
open_tree_attr     dirfd path hex ptr size
move_mount         dirfd path dirfd path hex
mount_setattr      dirfd path at ptr size
statmount          ptr ptr size hex
listmount          ptr ptr size hex
sethostname        string int
setdomainname      string int
setns              fd hex
unshare            clone
syslog             int string int
swapon             path hex
swapoff            path
acct               path
reboot             hex hex hex ptr
modify_ldt         int ptr size
iopl               int
ioperm             size size int
init_module        ptr size string
finit_module       fd string hex
delete_module      string hex
bpf                int ptr size
perf_event_open    ptr int int fd hex
quotactl           hex path int ptr
quotactl_fd        fd hex int ptr
ustat              hex ptr
sysfs              int
setxattrat         dirfd path at string ptr size
getxattrat         dirfd path at string ptr size
listxattrat        dirfd path at buf size
removexattrat      dirfd path at string
file_getattr       dirfd path ptr size at
file_setattr       dirfd path ptr size at
cachestat          fd ptr ptr hex
name_to_handle_at  dirfd path ptr ptr hex
open_by_handle_at  fd ptr open
"""


def _read_table() -> dict[str, tuple[tuple[str, ...], str]]:
    table: dict[str, tuple[tuple[str, ...], str]] = {}
    for line in _TABLE.strip().splitlines():
        words, _, result = line.partition("->")
        name, *forms = words.split()
        table[name] = (tuple(forms), result.strip() or "int")
    return table


# Name of a call: the forms of its arguments, the form of its result.
CALLS = _read_table()
