"""How an argument prints: numbers, sets of flags by name, strings, small structures.

Names come from Python's own modules where they have them, so they are the host's headers' names.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import stat as stat_module
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Contents of an argument: bytes, and whether there was more.
Content = tuple[bytes, bool]

_S64 = 1 << 63
_AT_FDCWD = -100


def signed(value: int, bits: int = 32) -> int:
    """Read a register's low bits as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def quote(data: bytes, *, cut: bool) -> str:
    """Write bytes as a C string, with `...` behind it when there was more."""
    text = "".join(_escape(byte) for byte in data)
    return f'"{text}"' + ("..." if cut else "")


_ESCAPES = {34: '\\"', 92: "\\\\", 9: "\\t", 10: "\\n", 13: "\\r"}


def _escape(byte: int) -> str:
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:o}"


def error(number: int) -> str:
    """Write an errno by name with its meaning."""
    name = errno.errorcode.get(number, f"errno {number}")
    return f"{name} ({os.strerror(number)})"


def signal_name(number: int) -> str:
    """Write a signal by name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        low, high = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
        return f"SIGRT_{number - low}" if low - 2 <= number <= high else str(number)


def flags(value: int, names: dict[int, str], zero: str = "0") -> str:
    """Write a set of flags; bits without a name stay a number."""
    if not value:
        return names.get(0, zero)
    parts: list[str] = []
    # Wide masks first, so that O_SYNC is not shown as its parts.
    for bits in sorted(names, key=lambda b: (-b.bit_count(), b)):
        if bits and value & bits == bits:
            parts.append(names[bits])
            value &= ~bits
    if value:
        parts.append(hex(value))
    return "|".join(parts)


def _prefixed(module: object, prefix: str, *, without: tuple[str, ...] = ()) -> dict[int, str]:
    found: dict[int, str] = {}
    for name in sorted(dir(module), reverse=True):
        if name.startswith(prefix) and name not in without:
            value = getattr(module, name)
            if isinstance(value, int):
                found[int(value)] = name
    return found


_OPEN = _prefixed(
    os, "O_", without=("O_ACCMODE", "O_NDELAY", "O_FSYNC", "O_RSYNC", "O_RDONLY", "O_LARGEFILE")
)
_OPEN_ACCESS = {0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR", 3: "O_ACCMODE"}
_PROT = {0: "PROT_NONE", 1: "PROT_READ", 2: "PROT_WRITE", 4: "PROT_EXEC"}
_MAP = {
    1: "MAP_SHARED",
    2: "MAP_PRIVATE",
    3: "MAP_SHARED_VALIDATE",
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
_AT = {
    0x100: "AT_SYMLINK_NOFOLLOW",
    0x200: "AT_REMOVEDIR",
    0x400: "AT_SYMLINK_FOLLOW",
    0x800: "AT_NO_AUTOMOUNT",
    0x1000: "AT_EMPTY_PATH",
}
_CLONE = {
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
}
_FUTEX = {
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
_CLOCKS = _prefixed(time, "CLOCK_")
_FCNTL = _prefixed(fcntl, "F_", without=("F_RDLCK", "F_WRLCK", "F_UNLCK", "F_EXLCK", "F_SHLCK"))
_FCNTL = {
    value: name
    for value, name in _FCNTL.items()
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
_EPOLL_OPERATIONS = {1: "EPOLL_CTL_ADD", 2: "EPOLL_CTL_DEL", 3: "EPOLL_CTL_MOD"}
_POLL = {1: "POLLIN", 2: "POLLPRI", 4: "POLLOUT", 8: "POLLERR", 16: "POLLHUP", 32: "POLLNVAL"}
_IOCTLS = {
    0x5401: "TCGETS",
    0x5402: "TCSETS",
    0x5403: "TCSETSW",
    0x5404: "TCSETSF",
    0x540F: "TIOCGPGRP",
    0x5410: "TIOCSPGRP",
    0x5413: "TIOCGWINSZ",
    0x5414: "TIOCSWINSZ",
    0x541B: "FIONREAD",
    0x5421: "FIONBIO",
    0x5450: "FIONCLEX",
    0x5451: "FIOCLEX",
}
_PRCTLS = {
    1: "PR_SET_PDEATHSIG",
    3: "PR_GET_DUMPABLE",
    4: "PR_SET_DUMPABLE",
    15: "PR_SET_NAME",
    16: "PR_GET_NAME",
    22: "PR_SET_SECCOMP",
    23: "PR_CAPBSET_READ",
    38: "PR_SET_NO_NEW_PRIVS",
    59: "PR_SET_SYSCALL_USER_DISPATCH",
    0x53564D41: "PR_SET_VMA",
}
_WAIT = {
    1: "WNOHANG",
    2: "WUNTRACED",
    4: "WEXITED",
    8: "WCONTINUED",
    0x1000000: "WNOWAIT",
    0x40000000: "__WALL",
}
_SOCKET_FLAGS: dict[int, str] = {
    int(socket.SOCK_NONBLOCK): "SOCK_NONBLOCK",
    int(socket.SOCK_CLOEXEC): "SOCK_CLOEXEC",
}
_MSYNC = {1: "MS_ASYNC", 2: "MS_INVALIDATE", 4: "MS_SYNC"}
_MREMAP = {1: "MREMAP_MAYMOVE", 2: "MREMAP_FIXED", 4: "MREMAP_DONTUNMAP"}
_MEMFD = {1: "MFD_CLOEXEC", 2: "MFD_ALLOW_SEALING", 4: "MFD_HUGETLB", 8: "MFD_NOEXEC_SEAL"}
_RANDOM = {1: "GRND_NONBLOCK", 2: "GRND_RANDOM", 4: "GRND_INSECURE"}
_CLOEXEC = {0x80000: "O_CLOEXEC", 0x800: "O_NONBLOCK"}
_EVENTFD = {1: "EFD_SEMAPHORE", 0x80000: "EFD_CLOEXEC", 0x800: "EFD_NONBLOCK"}
_MESSAGE = _prefixed(socket, "MSG_")

_FLAG_SETS: dict[str, dict[int, str]] = {
    "prot": _PROT,
    "map": _MAP,
    "at": _AT,
    "msync": _MSYNC,
    "mremap": _MREMAP,
    "memfd": _MEMFD,
    "getrandom": _RANDOM,
    "cloexec": _CLOEXEC,
    "efd": _EVENTFD,
    "wait": _WAIT,
    "msg": _MESSAGE,
    "access": {0: "F_OK", 1: "X_OK", 2: "W_OK", 4: "R_OK"},
}
_CHOICES: dict[str, dict[int, str]] = {
    "whence": {0: "SEEK_SET", 1: "SEEK_CUR", 2: "SEEK_END", 3: "SEEK_DATA", 4: "SEEK_HOLE"},
    "clock": _CLOCKS,
    "fcntl": _FCNTL,
    "epollop": _EPOLL_OPERATIONS,
    "ioctl": _IOCTLS,
    "prctl": _PRCTLS,
    "how": {0: "SIG_BLOCK", 1: "SIG_UNBLOCK", 2: "SIG_SETMASK"},
    "madvise": _prefixed(mmap, "MADV_"),
    "rlimit": _prefixed(resource, "RLIMIT_"),
    "family": _prefixed(socket, "AF_"),
}


def argument(form: str, value: int, content: Content | None) -> str:
    """Write one argument.

    Args:
        form: A word of `calls.CALLS`.
        value: The register.
        content: What the record holds of the memory that it points to.
    """
    form = form.partition("=")[0]
    return _register(form, value) if content is None else _content(form, value, content)


def _register(form: str, value: int) -> str:
    if form in _NUMBERS:
        return _NUMBERS[form](value)
    if form in _FLAG_SETS:
        return flags(value & 0xFFFF_FFFF, _FLAG_SETS[form])
    if form in _CHOICES:
        return _CHOICES[form].get(signed(value), hex(value & 0xFFFF_FFFF))
    return "NULL" if not value else hex(value)


def _content(form: str, value: int, content: Content) -> str:
    data, cut = content
    if form in _STRUCTURES and not cut:
        size, write = _STRUCTURES[form]
        if len(data) >= size:
            return write(data)
    if form == "strings":
        words = [quote(word, cut=False) for word in data.split(b"\0") if word]
        return f"[{', '.join(words)}{', ...' if cut else ''}]"
    if not data and form not in ("path", "string", "buf"):
        return _register(form, value)
    return quote(data, cut=cut)


def _open(value: int) -> str:
    value &= 0xFFFF_FFFF & ~0o100000  # O_LARGEFILE, which libc adds
    rest = value & ~3
    return _OPEN_ACCESS[value & 3] + ("|" + flags(rest, _OPEN) if rest else "")


def _directory(value: int) -> str:
    return "AT_FDCWD" if signed(value) == _AT_FDCWD else str(signed(value))


def _socket_type(value: int) -> str:
    kinds = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 5: "SOCK_SEQPACKET"}
    kind = kinds.get(value & 0xF, str(value & 0xF))
    rest = value & 0xFFFF_FFF0
    return kind + ("|" + flags(rest, _SOCKET_FLAGS) if rest else "")


def _futex(value: int) -> str:
    name = _FUTEX.get(value & 0x7F, str(value & 0x7F))
    private = "_PRIVATE" if value & 0x80 else ""
    return f"{name}{private}" + ("|FUTEX_CLOCK_REALTIME" if value & 0x100 else "")


def _clone(value: int) -> str:
    name = signal_name(value & 0xFF) if value & 0xFF else ""
    text = flags(value & 0xFFFF_FF00, _CLONE, "")
    return "|".join(part for part in (text, name) if part) or "0"


def _mode(value: int) -> str:
    return f"0{value & 0o7777:o}" if value & 0o7777 else "000"


_NUMBERS: dict[str, Callable[[int], str]] = {
    "fd": lambda value: str(signed(value)),
    "int": lambda value: str(signed(value)),
    "uint": lambda value: str(value & 0xFFFF_FFFF),
    "long": lambda value: str(signed(value, 64)),
    "size": str,
    "hex": hex,
    "ptr": lambda value: hex(value) if value else "NULL",
    "dirfd": _directory,
    "open": _open,
    "mode": _mode,
    "sig": lambda value: signal_name(signed(value)),
    "futex": _futex,
    "clone": _clone,
    "socktype": _socket_type,
}


def _timespec(data: bytes) -> str:
    seconds, part = struct.unpack_from("<qq", data)
    return f"{{tv_sec={seconds}, tv_nsec={part}}}"


def _timeval(data: bytes) -> str:
    seconds, part = struct.unpack_from("<qq", data)
    return f"{{tv_sec={seconds}, tv_usec={part}}}"


def _pair(data: bytes) -> str:
    return "[{}, {}]".format(*struct.unpack_from("<ii", data))


def _pair64(data: bytes) -> str:
    soft, hard = struct.unpack_from("<QQ", data)
    return f"{{rlim_cur={_limit(soft)}, rlim_max={_limit(hard)}}}"


def _limit(value: int) -> str:
    return "RLIM64_INFINITY" if value == (1 << 64) - 1 else str(value)


def _sigset(data: bytes) -> str:
    (mask,) = struct.unpack_from("<Q", data)
    members = [n for n in range(1, 65) if mask >> (n - 1) & 1]
    if len(members) > 32:
        rest = [signal_name(n).removeprefix("SIG") for n in range(1, 65) if n not in members]
        return f"~[{' '.join(rest)}]"
    return f"[{' '.join(signal_name(n).removeprefix('SIG') for n in members)}]"


def _stat(data: bytes) -> str:
    # struct stat of x86-64: st_mode at 24, st_size at 48.
    (mode,) = struct.unpack_from("<I", data, 24)
    (size,) = struct.unpack_from("<q", data, 48)
    kinds = {
        stat_module.S_IFREG: "S_IFREG",
        stat_module.S_IFDIR: "S_IFDIR",
        stat_module.S_IFLNK: "S_IFLNK",
        stat_module.S_IFCHR: "S_IFCHR",
        stat_module.S_IFIFO: "S_IFIFO",
        stat_module.S_IFSOCK: "S_IFSOCK",
        stat_module.S_IFBLK: "S_IFBLK",
    }
    kind = kinds.get(stat_module.S_IFMT(mode), oct(stat_module.S_IFMT(mode)))
    return f"{{st_mode={kind}|0{mode & 0o7777:o}, st_size={size}, ...}}"


def _pollfds(data: bytes) -> str:
    shown = []
    for at in range(0, len(data) - 7, 8):
        fd, events, ready = struct.unpack_from("<ihh", data, at)
        text = f"{{fd={fd}, events={flags(events & 0xFFFF, _POLL)}"
        shown.append(text + (f", revents={flags(ready & 0xFFFF, _POLL)}}}" if ready else "}"))
    return f"[{', '.join(shown)}]"


_STRUCTURES = {
    "timespec": (16, _timespec),
    "timeval": (16, _timeval),
    "pair": (8, _pair),
    "pair64": (16, _pair64),
    "sigset": (8, _sigset),
    "stat": (56, _stat),
    "pollfds": (8, _pollfds),
}


def result(form: str, value: int) -> str:
    """Write what a call returned, errors by name."""
    if -4095 <= value < 0:
        return f"-1 {error(-value)}"
    if form == "hex":
        return hex(value)
    if form == "mode":
        return _mode(value)
    return str(value)
