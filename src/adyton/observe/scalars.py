"""How a register prints: numbers, choices and sets of flags by name."""

from __future__ import annotations

import mmap
import resource
import signal
import socket
from typing import TYPE_CHECKING

from adyton.observe import constants

if TYPE_CHECKING:
    from collections.abc import Callable

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


def signal_name(number: int) -> str:
    """Write a signal by name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        low, high = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
        return f"SIGRT_{number - low}" if low - 2 <= number <= high else str(number)


def signal_code(number: int, code: int) -> str:
    """Write a signal's si_code by name; what it means above 0 depends on the signal."""
    return constants.SIGNAL_CODES.get(code) or constants.FAULT_CODES.get((number, code), str(code))


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


def open_flags(value: int) -> str:
    """Write the flags of open(2), the way of access first."""
    value &= 0xFFFF_FFFF & ~0o100000  # O_LARGEFILE, which libc adds
    rest = value & ~3
    return constants.OPEN_ACCESS[value & 3] + ("|" + flags(rest, constants.OPEN) if rest else "")


def _directory(value: int) -> str:
    return "AT_FDCWD" if signed(value) == _AT_FDCWD else str(signed(value))


def _socket_type(value: int) -> str:
    kinds = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 5: "SOCK_SEQPACKET"}
    kind = kinds.get(value & 0xF, str(value & 0xF))
    rest = value & 0xFFFF_FFF0
    return kind + ("|" + flags(rest, constants.SOCKET_FLAGS) if rest else "")


def _futex(value: int) -> str:
    name = constants.FUTEX.get(value & 0x7F, str(value & 0x7F))
    private = "_PRIVATE" if value & 0x80 else ""
    return f"{name}{private}" + ("|FUTEX_CLOCK_REALTIME" if value & 0x100 else "")


def clone_flags(value: int) -> str:
    """Write the flags of clone(2), with the signal in the lowest byte."""
    name = signal_name(value & 0xFF) if value & 0xFF else ""
    text = flags(value & ~0xFF, constants.CLONE, "")
    return "|".join(part for part in (text, name) if part) or "0"


def mode(value: int) -> str:
    """Write permissions in octal."""
    return f"0{value & 0o7777:o}" if value & 0o7777 else "000"


_NUMBERS: dict[str, Callable[[int], str]] = {
    "fd": lambda value: str(signed(value)),
    "int": lambda value: str(signed(value)),
    "uint": lambda value: str(value & 0xFFFF_FFFF),
    "long": lambda value: str(signed(value, 64)),
    "size": str,
    "hex": lambda value: hex(value) if value else "0",
    "ptr": lambda value: hex(value) if value else "NULL",
    "dirfd": _directory,
    "open": open_flags,
    "mode": mode,
    "sig": lambda value: signal_name(signed(value)),
    "futex": _futex,
    "clone": clone_flags,
    "socktype": _socket_type,
}
_FLAG_SETS: dict[str, dict[int, str]] = {
    "prot": constants.PROT,
    "map": constants.MAP,
    "at": constants.AT,
    "msync": constants.MSYNC,
    "mremap": constants.MREMAP,
    "memfd": constants.MEMFD,
    "getrandom": constants.RANDOM,
    "cloexec": constants.CLOEXEC,
    "efd": constants.EVENTFD,
    "inotify": constants.INOTIFY,
    "wait": constants.WAIT,
    "msg": constants.MESSAGE,
    "fdflags": constants.FD_FLAGS,
    "statxmask": constants.STATX,
    "rename": constants.RENAME,
    "xattr": {1: "XATTR_CREATE", 2: "XATTR_REPLACE"},
    "timerflags": constants.TIMER,
    "rwf": constants.RWF,
    "fallocate": constants.FALLOCATE,
    "flockop": constants.FLOCK,
    "epollflags": constants.EPOLL,
    "access": {0: "F_OK", 1: "X_OK", 2: "W_OK", 4: "R_OK"},
}
_CHOICES: dict[str, dict[int, str]] = {
    "whence": constants.WHENCE,
    "clock": constants.CLOCKS,
    "fcntl": constants.FCNTL,
    "epollop": constants.EPOLL_OPERATIONS,
    "ioctl": constants.IOCTLS,
    "prctl": constants.PRCTLS,
    "seccompop": constants.SECCOMP,
    "how": {0: "SIG_BLOCK", 1: "SIG_UNBLOCK", 2: "SIG_SETMASK"},
    "madvise": constants.prefixed(mmap, "MADV_")
    | {102: "MADV_GUARD_INSTALL", 103: "MADV_GUARD_REMOVE"},
    "rlimit": constants.prefixed(resource, "RLIMIT_"),
    "arch": constants.ARCH,
    "rusage_who": constants.RUSAGE,
    "itimer": constants.ITIMER,
    "shutdown": constants.SHUTDOWN,
    "family": constants.prefixed(socket, "AF_"),
}


def register(form: str, value: int) -> str:
    """Write an argument by the form of its register alone."""
    if form in _NUMBERS:
        return _NUMBERS[form](value)
    if form in _FLAG_SETS:
        return flags(value & 0xFFFF_FFFF, _FLAG_SETS[form])
    if form in _CHOICES:
        return _CHOICES[form].get(signed(value), hex(value & 0xFFFF_FFFF))
    return "NULL" if not value else hex(value)
