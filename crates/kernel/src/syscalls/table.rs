//! From a number to its family.

use core::future::Future;

use abi::errno::Result;
use abi::trap::Registers;
use abi::{Errno, nr};

use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::{files, ipc, memory, poll, process, signals, sockets, time};

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Files, names, descriptors.
    Files,
    /// User memory.
    Memory,
    /// Processes, threads, identity, scheduling, futexes.
    Process,
    /// Signals.
    Signals,
    /// Sockets.
    Sockets,
    /// Waiting for several objects.
    Poll,
    /// Clocks and timers.
    Time,
    /// System V and POSIX message passing.
    Ipc,
    /// Nobody's: ENOSYS.
    None,
}

/// Numbers beyond this are nobody's.
const NUMBERS: usize = 480;

/// The family of a call.
pub const fn family(number: usize) -> Family {
    if number < NUMBERS { FAMILIES[number] } else { Family::None }
}

static FAMILIES: [Family; NUMBERS] = families();

const fn families() -> [Family; NUMBERS] {
    let mut table = [Family::None; NUMBERS];
    let groups: [(Family, &[usize]); 8] = [
        (Family::Files, FILES),
        (Family::Memory, MEMORY),
        (Family::Process, PROCESS),
        (Family::Signals, SIGNALS),
        (Family::Sockets, SOCKETS),
        (Family::Poll, POLL),
        (Family::Time, TIME),
        (Family::Ipc, IPC),
    ];
    let mut group = 0;
    while group < groups.len() {
        let (family, numbers) = groups[group];
        let mut index = 0;
        while index < numbers.len() {
            table[numbers[index]] = family;
            index += 1;
        }
        group += 1;
    }
    table
}

/// Carries out what needs no wait; `None`: it must wait, ask [`waiting`].
#[expect(clippy::inline_always, reason = "what it gives would go through memory")]
#[inline(always)]
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    match number {
        // What is asked most often where speed counts, past two tables of jumps.
        nr::FUTEX => process::futex::at_once(cx, args),
        nr::READ | nr::WRITE => files::plain_at_once(cx, number, args),
        _ => of_family_at_once(cx, number, args),
    }
}

/// The same for calls of any family. Apart, so that the calls above need not set aside the registers
/// and the stack that this needs.
#[inline(never)]
fn of_family_at_once(cx: &mut Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    match family(number) {
        Family::Files => files::at_once(cx, number, args),
        Family::Memory => memory::at_once(cx, number, args),
        Family::Process => process::at_once(cx, number, args),
        Family::Signals => signals::at_once(cx, number, args),
        Family::Sockets => sockets::at_once(cx, number, args),
        Family::Poll => poll::at_once(cx, number, args),
        Family::Time => time::at_once(cx, number, args),
        Family::Ipc => ipc::at_once(cx, number, args),
        Family::None => None,
    }
}

/// Whether a call looks something up, of the host perhaps, and changes nothing: when its thread must
/// end, it may be given up in the middle.
#[inline]
pub(crate) fn only_asks_the_host(number: usize, registers: &Registers) -> bool {
    match number {
        nr::OPEN => return !files::open_changes(registers.rsi),
        nr::OPENAT => return !files::open_changes(registers.rdx),
        _ => {}
    }
    matches!(
        number,
        nr::STAT
            | nr::LSTAT
            | nr::NEWFSTATAT
            | nr::STATX
            | nr::ACCESS
            | nr::FACCESSAT
            | nr::FACCESSAT2
            | nr::READLINK
            | nr::READLINKAT
            | nr::GETDENTS
            | nr::GETDENTS64
            | nr::CHDIR
            | nr::STATFS
    )
}

/// Carries out the others. ENOSYS for what nobody has, with one line for the person.
#[expect(clippy::manual_async_fn, reason = "an async fn would move its arguments once more")]
#[inline]
pub(crate) fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> impl Future<Output = Result<u64>> + Send {
    async move {
        match number {
            // What waits most often comes without its family: each level costs something at each
            // resumption.
            nr::FUTEX => process::futex::waiting(cx, args).await,
            nr::READ => files::read(cx, args).await,
            nr::SCHED_YIELD => process::sched_yield().await,
            _ => of_family(cx, number, args).await,
        }
    }
}

/// The same for calls of any family.
pub(crate) async fn of_family(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Result<u64> {
    let done = match family(number) {
        Family::Files => files::waiting(cx, number, args).await,
        Family::Memory => memory::waiting(cx, number, args).await,
        Family::Process => process::waiting(cx, number, args).await,
        Family::Signals => signals::waiting(cx, number, args).await,
        Family::Sockets => sockets::waiting(cx, number, args).await,
        Family::Poll => poll::waiting(cx, number, args).await,
        Family::Time => time::waiting(cx, number, args).await,
        Family::Ipc => ipc::waiting(cx, number, args).await,
        Family::None => None,
    };
    done.unwrap_or_else(|| {
        cx.kernel.trace.unsupported(cx, number, args);
        Err(Errno::ENOSYS.because("the call is not supported yet"))
    })
}

const FILES: &[usize] = &[
    nr::READ,
    nr::WRITE,
    nr::OPEN,
    nr::CLOSE,
    nr::STAT,
    nr::FSTAT,
    nr::LSTAT,
    nr::LSEEK,
    nr::IOCTL,
    nr::PREAD64,
    nr::PWRITE64,
    nr::READV,
    nr::WRITEV,
    nr::ACCESS,
    nr::PIPE,
    nr::PIPE2,
    nr::DUP,
    nr::DUP2,
    nr::DUP3,
    nr::SENDFILE,
    nr::FCNTL,
    nr::FLOCK,
    nr::FSYNC,
    nr::FDATASYNC,
    nr::TRUNCATE,
    nr::FTRUNCATE,
    nr::GETDENTS,
    nr::GETDENTS64,
    nr::GETCWD,
    nr::CHDIR,
    nr::FCHDIR,
    nr::RENAME,
    nr::MKDIR,
    nr::RMDIR,
    nr::CREAT,
    nr::LINK,
    nr::UNLINK,
    nr::SYMLINK,
    nr::READLINK,
    nr::CHMOD,
    nr::FCHMOD,
    nr::CHOWN,
    nr::FCHOWN,
    nr::LCHOWN,
    nr::UMASK,
    nr::UTIME,
    nr::MKNOD,
    nr::STATFS,
    nr::FSTATFS,
    nr::CHROOT,
    nr::SYNC,
    nr::MOUNT,
    nr::UMOUNT2,
    nr::READAHEAD,
    nr::SETXATTR,
    nr::LSETXATTR,
    nr::FSETXATTR,
    nr::GETXATTR,
    nr::LGETXATTR,
    nr::FGETXATTR,
    nr::LISTXATTR,
    nr::LLISTXATTR,
    nr::FLISTXATTR,
    nr::REMOVEXATTR,
    nr::LREMOVEXATTR,
    nr::FREMOVEXATTR,
    nr::FADVISE64,
    nr::UTIMES,
    nr::INOTIFY_INIT,
    nr::INOTIFY_ADD_WATCH,
    nr::INOTIFY_RM_WATCH,
    nr::INOTIFY_INIT1,
    nr::OPENAT,
    nr::MKDIRAT,
    nr::MKNODAT,
    nr::FCHOWNAT,
    nr::FUTIMESAT,
    nr::NEWFSTATAT,
    nr::UNLINKAT,
    nr::RENAMEAT,
    nr::LINKAT,
    nr::SYMLINKAT,
    nr::READLINKAT,
    nr::FCHMODAT,
    nr::FACCESSAT,
    nr::SPLICE,
    nr::TEE,
    nr::SYNC_FILE_RANGE,
    nr::VMSPLICE,
    nr::UTIMENSAT,
    nr::FALLOCATE,
    nr::EVENTFD,
    nr::EVENTFD2,
    nr::PREADV,
    nr::PWRITEV,
    nr::SYNCFS,
    nr::RENAMEAT2,
    nr::MEMFD_CREATE,
    nr::COPY_FILE_RANGE,
    nr::PREADV2,
    nr::PWRITEV2,
    nr::STATX,
    nr::CLOSE_RANGE,
    nr::OPENAT2,
    nr::FACCESSAT2,
    nr::FCHMODAT2,
    nr::TIMERFD_CREATE,
    nr::TIMERFD_SETTIME,
    nr::TIMERFD_GETTIME,
    nr::SIGNALFD,
    nr::SIGNALFD4,
];

const MEMORY: &[usize] = &[
    nr::MMAP,
    nr::MPROTECT,
    nr::MUNMAP,
    nr::BRK,
    nr::MREMAP,
    nr::MSYNC,
    nr::MINCORE,
    nr::MADVISE,
    nr::MLOCK,
    nr::MUNLOCK,
    nr::MLOCKALL,
    nr::MUNLOCKALL,
    nr::MLOCK2,
    nr::REMAP_FILE_PAGES,
    nr::PKEY_MPROTECT,
    nr::PKEY_ALLOC,
    nr::PKEY_FREE,
    nr::PROCESS_MADVISE,
    nr::MEMFD_SECRET,
    nr::MSEAL,
];

const PROCESS: &[usize] = &[
    nr::GETPID,
    nr::CLONE,
    nr::FORK,
    nr::VFORK,
    nr::EXECVE,
    nr::EXIT,
    nr::WAIT4,
    nr::UNAME,
    nr::GETRLIMIT,
    nr::GETRUSAGE,
    nr::SYSINFO,
    nr::TIMES,
    nr::GETUID,
    nr::GETGID,
    nr::SETUID,
    nr::SETGID,
    nr::GETEUID,
    nr::GETEGID,
    nr::SETPGID,
    nr::GETPPID,
    nr::GETPGRP,
    nr::SETSID,
    nr::SETREUID,
    nr::SETREGID,
    nr::GETGROUPS,
    nr::SETGROUPS,
    nr::SETRESUID,
    nr::GETRESUID,
    nr::SETRESGID,
    nr::GETRESGID,
    nr::GETPGID,
    nr::SETFSUID,
    nr::SETFSGID,
    nr::GETSID,
    nr::CAPGET,
    nr::CAPSET,
    nr::PERSONALITY,
    nr::GETPRIORITY,
    nr::SETPRIORITY,
    nr::SCHED_SETPARAM,
    nr::SCHED_GETPARAM,
    nr::SCHED_SETSCHEDULER,
    nr::SCHED_GETSCHEDULER,
    nr::SCHED_GET_PRIORITY_MAX,
    nr::SCHED_GET_PRIORITY_MIN,
    nr::SCHED_RR_GET_INTERVAL,
    nr::PRCTL,
    nr::ARCH_PRCTL,
    nr::SETRLIMIT,
    nr::SETHOSTNAME,
    nr::GETTID,
    nr::FUTEX,
    nr::SCHED_SETAFFINITY,
    nr::SCHED_GETAFFINITY,
    nr::SET_TID_ADDRESS,
    nr::EXIT_GROUP,
    nr::WAITID,
    nr::SET_ROBUST_LIST,
    nr::GET_ROBUST_LIST,
    nr::GETCPU,
    nr::PRLIMIT64,
    nr::SCHED_SETATTR,
    nr::SCHED_GETATTR,
    nr::GETRANDOM,
    nr::EXECVEAT,
    nr::MEMBARRIER,
    nr::RSEQ,
    nr::CLONE3,
    nr::FUTEX_WAITV,
    nr::SCHED_YIELD,
    nr::IOPRIO_GET,
    nr::IOPRIO_SET,
    nr::SECCOMP,
    nr::UNSHARE,
    nr::SETNS,
    nr::PTRACE,
    nr::SYSLOG,
    nr::KCMP,
    nr::PIDFD_OPEN,
    nr::GET_MEMPOLICY,
    nr::SET_MEMPOLICY,
    nr::MBIND,
];

const SIGNALS: &[usize] = &[
    nr::RT_SIGACTION,
    nr::RT_SIGPROCMASK,
    nr::RT_SIGRETURN,
    nr::PAUSE,
    nr::KILL,
    nr::RT_SIGPENDING,
    nr::RT_SIGTIMEDWAIT,
    nr::RT_SIGQUEUEINFO,
    nr::RT_SIGSUSPEND,
    nr::SIGALTSTACK,
    nr::TKILL,
    nr::TGKILL,
    nr::RT_TGSIGQUEUEINFO,
    nr::RESTART_SYSCALL,
    nr::PIDFD_SEND_SIGNAL,
];

const SOCKETS: &[usize] = &[
    nr::SOCKET,
    nr::CONNECT,
    nr::ACCEPT,
    nr::SENDTO,
    nr::RECVFROM,
    nr::SENDMSG,
    nr::RECVMSG,
    nr::SHUTDOWN,
    nr::BIND,
    nr::LISTEN,
    nr::GETSOCKNAME,
    nr::GETPEERNAME,
    nr::SOCKETPAIR,
    nr::SETSOCKOPT,
    nr::GETSOCKOPT,
    nr::ACCEPT4,
    nr::RECVMMSG,
    nr::SENDMMSG,
];

const POLL: &[usize] = &[
    nr::POLL,
    nr::SELECT,
    nr::PSELECT6,
    nr::PPOLL,
    nr::EPOLL_CREATE,
    nr::EPOLL_CREATE1,
    nr::EPOLL_CTL,
    nr::EPOLL_WAIT,
    nr::EPOLL_PWAIT,
    nr::EPOLL_PWAIT2,
];

const TIME: &[usize] = &[
    nr::NANOSLEEP,
    nr::GETITIMER,
    nr::ALARM,
    nr::SETITIMER,
    nr::GETTIMEOFDAY,
    nr::SETTIMEOFDAY,
    nr::ADJTIMEX,
    nr::TIME,
    nr::TIMER_CREATE,
    nr::TIMER_SETTIME,
    nr::TIMER_GETTIME,
    nr::TIMER_GETOVERRUN,
    nr::TIMER_DELETE,
    nr::CLOCK_SETTIME,
    nr::CLOCK_GETTIME,
    nr::CLOCK_GETRES,
    nr::CLOCK_NANOSLEEP,
    nr::CLOCK_ADJTIME,
];

const IPC: &[usize] = &[
    nr::SHMGET,
    nr::SHMAT,
    nr::SHMCTL,
    nr::SHMDT,
    nr::SEMGET,
    nr::SEMOP,
    nr::SEMCTL,
    nr::SEMTIMEDOP,
    nr::MSGGET,
    nr::MSGSND,
    nr::MSGRCV,
    nr::MSGCTL,
    nr::MQ_OPEN,
    nr::MQ_UNLINK,
    nr::MQ_TIMEDSEND,
    nr::MQ_TIMEDRECEIVE,
    nr::MQ_NOTIFY,
    nr::MQ_GETSETATTR,
];
