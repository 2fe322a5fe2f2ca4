"""Names of flags and choices, by number.

They come from Python's own modules where those have them, so they are the host's headers' names;
the rest from the kernel's user headers for x86-64.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import time


def prefixed(module: object, prefix: str, *, without: tuple[str, ...] = ()) -> dict[int, str]:
    """Collect a module's numbers by prefix; of several names for one, the first in the alphabet."""
    found: dict[int, str] = {}
    for name in sorted(dir(module), reverse=True):
        if name.startswith(prefix) and name not in without:
            value = getattr(module, name)
            if isinstance(value, int):
                found[int(value)] = name
    return found


OPEN = prefixed(
    os, "O_", without=("O_ACCMODE", "O_NDELAY", "O_FSYNC", "O_RSYNC", "O_RDONLY", "O_LARGEFILE")
)
OPEN_ACCESS = {0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR", 3: "O_ACCMODE"}
PROT = {0: "PROT_NONE", 1: "PROT_READ", 2: "PROT_WRITE", 4: "PROT_EXEC"}
MAP = {
    1: "MAP_SHARED",
    2: "MAP_PRIVATE",
    3: "MAP_SHARED_VALIDATE",
    8: "MAP_DROPPABLE",
    0x10: "MAP_FIXED",
    0x20: "MAP_ANONYMOUS",
    0x40: "MAP_32BIT",
    0x100: "MAP_GROWSDOWN",
    0x800: "MAP_DENYWRITE",
    0x1000: "MAP_EXECUTABLE",
    0x2000: "MAP_LOCKED",
    0x4000: "MAP_NORESERVE",
    0x8000: "MAP_POPULATE",
    0x10000: "MAP_NONBLOCK",
    0x20000: "MAP_STACK",
    0x40000: "MAP_HUGETLB",
    0x80000: "MAP_SYNC",
    0x100000: "MAP_FIXED_NOREPLACE",
}
AT = {
    0x100: "AT_SYMLINK_NOFOLLOW",
    0x200: "AT_REMOVEDIR",
    0x400: "AT_SYMLINK_FOLLOW",
    0x800: "AT_NO_AUTOMOUNT",
    0x1000: "AT_EMPTY_PATH",
}
CLONE = {
    0x100: "CLONE_VM",
    0x200: "CLONE_FS",
    0x400: "CLONE_FILES",
    0x800: "CLONE_SIGHAND",
    0x1000: "CLONE_PIDFD",
    0x2000: "CLONE_PTRACE",
    0x4000: "CLONE_VFORK",
    0x8000: "CLONE_PARENT",
    0x10000: "CLONE_THREAD",
    0x20000: "CLONE_NEWNS",
    0x40000: "CLONE_SYSVSEM",
    0x80000: "CLONE_SETTLS",
    0x100000: "CLONE_PARENT_SETTID",
    0x200000: "CLONE_CHILD_CLEARTID",
    0x400000: "CLONE_DETACHED",
    0x800000: "CLONE_UNTRACED",
    0x1000000: "CLONE_CHILD_SETTID",
    0x2000000: "CLONE_NEWCGROUP",
    0x4000000: "CLONE_NEWUTS",
    0x8000000: "CLONE_NEWIPC",
    0x10000000: "CLONE_NEWUSER",
    0x20000000: "CLONE_NEWPID",
    0x40000000: "CLONE_NEWNET",
    0x80000000: "CLONE_IO",
    0x100000000: "CLONE_CLEAR_SIGHAND",
    0x200000000: "CLONE_INTO_CGROUP",
}
FUTEX = {
    0: "FUTEX_WAIT",
    1: "FUTEX_WAKE",
    2: "FUTEX_FD",
    3: "FUTEX_REQUEUE",
    4: "FUTEX_CMP_REQUEUE",
    5: "FUTEX_WAKE_OP",
    6: "FUTEX_LOCK_PI",
    7: "FUTEX_UNLOCK_PI",
    8: "FUTEX_TRYLOCK_PI",
    9: "FUTEX_WAIT_BITSET",
    10: "FUTEX_WAKE_BITSET",
    11: "FUTEX_WAIT_REQUEUE_PI",
    12: "FUTEX_CMP_REQUEUE_PI",
    13: "FUTEX_LOCK_PI2",
}
CLOCKS = prefixed(time, "CLOCK_")
FCNTL = prefixed(fcntl, "F_", without=("F_RDLCK", "F_WRLCK", "F_UNLCK", "F_EXLCK", "F_SHLCK"))
FCNTL = {
    value: name
    for value, name in FCNTL.items()
    if not name.startswith(("F_SEAL_", "F_LOCK", "F_TEST", "F_TLOCK", "F_ULOCK"))
} | {
    0: "F_DUPFD",
    1: "F_GETFD",
    2: "F_SETFD",
    3: "F_GETFL",
    4: "F_SETFL",
    5: "F_GETLK",
    6: "F_SETLK",
    7: "F_SETLKW",
    1030: "F_DUPFD_CLOEXEC",
}
EPOLL_OPERATIONS = {1: "EPOLL_CTL_ADD", 2: "EPOLL_CTL_DEL", 3: "EPOLL_CTL_MOD"}
POLL = {1: "POLLIN", 2: "POLLPRI", 4: "POLLOUT", 8: "POLLERR", 16: "POLLHUP", 32: "POLLNVAL"}
IOCTLS = {
    0x5401: "TCGETS",
    0x5402: "TCSETS",
    0x5403: "TCSETSW",
    0x5404: "TCSETSF",
    0x540F: "TIOCGPGRP",
    0x5410: "TIOCSPGRP",
    0x5413: "TIOCGWINSZ",
    0x5414: "TIOCSWINSZ",
    0x540B: "TCFLSH",
    0x540E: "TIOCSCTTY",
    0x5422: "TIOCNOTTY",
    0x5429: "TIOCGSID",
    0x5405: "TCGETA",
    0x5406: "TCSETA",
    0x5407: "TCSETAW",
    0x5408: "TCSETAF",
    0x5409: "TCSBRK",
    0x540A: "TCXONC",
    0x540C: "TIOCEXCL",
    0x540D: "TIOCNXCL",
    0x5411: "TIOCOUTQ",
    0x5412: "TIOCSTI",
    0x5420: "TIOCPKT",
    0x5425: "TCSBRKP",
    0x5430: "TIOCGPTN",
    0x5431: "TIOCSPTLCK",
    0x5437: "TIOCVHANGUP",
    0x5441: "TIOCGPTPEER",
    0x402C542B: "TCSETS2",
    0x402C542C: "TCSETSW2",
    0x402C542D: "TCSETSF2",
    0x80045432: "TIOCGDEV",
    0x40045436: "TIOCSIG",
    0x80045438: "TIOCGPKT",
    0x80045439: "TIOCGPTLCK",
    0x80045440: "TIOCGEXCL",
    0x5460: "FIOQSIZE",
    0x8910: "SIOCGIFNAME",
    0x8927: "SIOCGIFHWADDR",
    0x40045431: "TIOCSPTLCK",
    0x80045430: "TIOCGPTN",
    0x40049409: "FICLONE",
    0x802C542A: "TCGETS2",
    0x541B: "FIONREAD",
    0x5421: "FIONBIO",
    0x5450: "FIONCLEX",
    0x5451: "FIOCLEX",
}
PRCTLS = {
    1: "PR_SET_PDEATHSIG",
    3: "PR_GET_DUMPABLE",
    4: "PR_SET_DUMPABLE",
    15: "PR_SET_NAME",
    16: "PR_GET_NAME",
    21: "PR_GET_SECCOMP",
    24: "PR_CAPBSET_DROP",
    29: "PR_SET_TIMERSLACK",
    30: "PR_GET_TIMERSLACK",
    36: "PR_SET_CHILD_SUBREAPER",
    39: "PR_GET_NO_NEW_PRIVS",
    41: "PR_SET_THP_DISABLE",
    47: "PR_CAP_AMBIENT",
    22: "PR_SET_SECCOMP",
    23: "PR_CAPBSET_READ",
    38: "PR_SET_NO_NEW_PRIVS",
    59: "PR_SET_SYSCALL_USER_DISPATCH",
    77: "PR_TIMER_CREATE_RESTORE_IDS",
    0x53564D41: "PR_SET_VMA",
}
SECCOMP = {
    0: "SECCOMP_SET_MODE_STRICT",
    1: "SECCOMP_SET_MODE_FILTER",
    2: "SECCOMP_GET_ACTION_AVAIL",
    3: "SECCOMP_GET_NOTIF_SIZES",
}
WAIT = {
    1: "WNOHANG",
    2: "WUNTRACED",
    4: "WEXITED",
    8: "WCONTINUED",
    0x1000000: "WNOWAIT",
    0x40000000: "__WALL",
}
SOCKET_FLAGS: dict[int, str] = {
    int(socket.SOCK_NONBLOCK): "SOCK_NONBLOCK",
    int(socket.SOCK_CLOEXEC): "SOCK_CLOEXEC",
}
MSYNC = {1: "MS_ASYNC", 2: "MS_INVALIDATE", 4: "MS_SYNC"}
MREMAP = {1: "MREMAP_MAYMOVE", 2: "MREMAP_FIXED", 4: "MREMAP_DONTUNMAP"}
MEMFD = {1: "MFD_CLOEXEC", 2: "MFD_ALLOW_SEALING", 4: "MFD_HUGETLB", 8: "MFD_NOEXEC_SEAL"}
RANDOM = {1: "GRND_NONBLOCK", 2: "GRND_RANDOM", 4: "GRND_INSECURE"}
CLOEXEC = {0x80000: "O_CLOEXEC", 0x800: "O_NONBLOCK"}
FD_FLAGS = {1: "FD_CLOEXEC"}
SIGNAL_FLAGS = {
    1: "SA_NOCLDSTOP",
    2: "SA_NOCLDWAIT",
    4: "SA_SIGINFO",
    0x400: "SA_UNSUPPORTED",
    0x800: "SA_EXPOSE_TAGBITS",
    0x4000000: "SA_RESTORER",
    0x8000000: "SA_ONSTACK",
    0x10000000: "SA_RESTART",
    0x40000000: "SA_NODEFER",
    0x80000000: "SA_RESETHAND",
}
STACK_FLAGS = {1: "SS_ONSTACK", 2: "SS_DISABLE", 0x80000000: "SS_AUTODISARM"}
EPOLL = {value: name for value, name in prefixed(select, "EPOLL").items() if value > 0} | {
    0x80000: "EPOLL_CLOEXEC"
}
STATX = {
    0x7FF: "STATX_BASIC_STATS",
    0xFFF: "STATX_ALL",
    1: "STATX_TYPE",
    2: "STATX_MODE",
    4: "STATX_NLINK",
    8: "STATX_UID",
    0x10: "STATX_GID",
    0x20: "STATX_ATIME",
    0x40: "STATX_MTIME",
    0x80: "STATX_CTIME",
    0x100: "STATX_INO",
    0x200: "STATX_SIZE",
    0x400: "STATX_BLOCKS",
    0x800: "STATX_BTIME",
    0x1000: "STATX_MNT_ID",
}
ARCH = {
    0x1001: "ARCH_SET_GS",
    0x1002: "ARCH_SET_FS",
    0x1003: "ARCH_GET_FS",
    0x1004: "ARCH_GET_GS",
    0x1011: "ARCH_GET_CPUID",
    0x1012: "ARCH_SET_CPUID",
    0x3001: "ARCH_CET_STATUS",
    0x5001: "ARCH_SHSTK_ENABLE",
}
RENAME = {1: "RENAME_NOREPLACE", 2: "RENAME_EXCHANGE", 4: "RENAME_WHITEOUT"}
TIMER = {1: "TIMER_ABSTIME", 2: "TFD_TIMER_CANCEL_ON_SET"}
RWF = {1: "RWF_HIPRI", 2: "RWF_DSYNC", 4: "RWF_SYNC", 8: "RWF_NOWAIT", 16: "RWF_APPEND"}
FALLOCATE = {
    1: "FALLOC_FL_KEEP_SIZE",
    2: "FALLOC_FL_PUNCH_HOLE",
    8: "FALLOC_FL_COLLAPSE_RANGE",
    0x10: "FALLOC_FL_ZERO_RANGE",
}
FLOCK = {1: "LOCK_SH", 2: "LOCK_EX", 4: "LOCK_NB", 8: "LOCK_UN"}
LOCKS = {0: "F_RDLCK", 1: "F_WRLCK", 2: "F_UNLCK"}
WHENCE = {0: "SEEK_SET", 1: "SEEK_CUR", 2: "SEEK_END", 3: "SEEK_DATA", 4: "SEEK_HOLE"}
RUSAGE = {0: "RUSAGE_SELF", -1: "RUSAGE_CHILDREN", 1: "RUSAGE_THREAD"}
ITIMER = {0: "ITIMER_REAL", 1: "ITIMER_VIRTUAL", 2: "ITIMER_PROF"}
SHUTDOWN = {0: "SHUT_RD", 1: "SHUT_WR", 2: "SHUT_RDWR"}
INOTIFY = {
    0x1: "IN_ACCESS",
    0x2: "IN_MODIFY",
    0x4: "IN_ATTRIB",
    0x8: "IN_CLOSE_WRITE",
    0x10: "IN_CLOSE_NOWRITE",
    0x20: "IN_OPEN",
    0x40: "IN_MOVED_FROM",
    0x80: "IN_MOVED_TO",
    0x100: "IN_CREATE",
    0x200: "IN_DELETE",
    0x400: "IN_DELETE_SELF",
    0x800: "IN_MOVE_SELF",
    0x1000000: "IN_ONLYDIR",
    0x2000000: "IN_DONT_FOLLOW",
    0x4000000: "IN_EXCL_UNLINK",
    0x10000000: "IN_MASK_CREATE",
    0x20000000: "IN_MASK_ADD",
    0x40000000: "IN_ISDIR",
    0x80000000: "IN_ONESHOT",
}
EVENTFD = {1: "EFD_SEMAPHORE", 0x80000: "EFD_CLOEXEC", 0x800: "EFD_NONBLOCK"}
MESSAGE = prefixed(socket, "MSG_")
SIGNAL_CODES = {
    0: "SI_USER",
    0x80: "SI_KERNEL",
    -1: "SI_QUEUE",
    -2: "SI_TIMER",
    -3: "SI_MESGQ",
    -4: "SI_ASYNCIO",
    -6: "SI_TKILL",
}
# By signal (ILL 4, TRAP 5, BUS 7, FPE 8, SEGV 11) and code.
FAULT_CODES = {
    (4, 2): "ILL_ILLOPN",
    (5, 1): "TRAP_BRKPT",
    (5, 2): "TRAP_TRACE",
    (7, 1): "BUS_ADRALN",
    (7, 2): "BUS_ADRERR",
    (8, 1): "FPE_INTDIV",
    (8, 2): "FPE_INTOVF",
    (8, 3): "FPE_FLTDIV",
    (8, 4): "FPE_FLTOVF",
    (8, 5): "FPE_FLTUND",
    (8, 6): "FPE_FLTRES",
    (8, 7): "FPE_FLTINV",
    (11, 1): "SEGV_MAPERR",
    (11, 2): "SEGV_ACCERR",
}
