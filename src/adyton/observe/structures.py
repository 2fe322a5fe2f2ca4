"""How memory prints that an argument points to: small structures, and lists of them.

Shapes are those of the kernel's interface on x86-64, little-endian.
"""

from __future__ import annotations

import socket
import stat as stat_module
import struct
from typing import TYPE_CHECKING, Protocol

from adyton.observe import constants, scalars

if TYPE_CHECKING:
    from collections.abc import Callable


class ListForm(Protocol):
    """Writes a list from its bytes; `cut`: there was more."""

    def __call__(self, data: bytes, value: int, /, *, cut: bool) -> str:
        """Write it; `value` is the register."""


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
        rest = [
            scalars.signal_name(n).removeprefix("SIG") for n in range(1, 65) if n not in members
        ]
        return f"~[{' '.join(rest)}]"
    return f"[{' '.join(scalars.signal_name(n).removeprefix('SIG') for n in members)}]"


def _stat(data: bytes) -> str:
    # struct stat of x86-64: st_mode at 24, st_size at 48.
    (mode,) = struct.unpack_from("<I", data, 24)
    (size,) = struct.unpack_from("<q", data, 48)
    return f"{{st_mode={_kind(mode)}, st_size={size}, ...}}"


_KINDS = {
    stat_module.S_IFREG: "S_IFREG",
    stat_module.S_IFDIR: "S_IFDIR",
    stat_module.S_IFLNK: "S_IFLNK",
    stat_module.S_IFCHR: "S_IFCHR",
    stat_module.S_IFIFO: "S_IFIFO",
    stat_module.S_IFSOCK: "S_IFSOCK",
    stat_module.S_IFBLK: "S_IFBLK",
}


def _kind(mode: int) -> str:
    kind = _KINDS.get(stat_module.S_IFMT(mode), oct(stat_module.S_IFMT(mode)))
    return f"{kind}|0{mode & 0o7777:o}"


def _statx(data: bytes) -> str:
    (mask,) = struct.unpack_from("<I", data)
    (mode,) = struct.unpack_from("<H", data, 28)
    (size,) = struct.unpack_from("<Q", data, 40)
    shown = scalars.register("statxmask", mask)
    return f"{{stx_mask={shown}, stx_mode={_kind(mode)}, stx_size={size}, ...}}"


def _timespecs(data: bytes) -> str:
    return f"[{_moment(data[:16])}, {_moment(data[16:32])}]"


def _moment(data: bytes) -> str:
    (part,) = struct.unpack_from("<q", data, 8)
    names = {(1 << 30) - 1: "UTIME_NOW", (1 << 30) - 2: "UTIME_OMIT"}
    return names.get(part) or _timespec(data)


def _itimerval(data: bytes) -> str:
    return f"{{it_interval={_timeval(data[:16])}, it_value={_timeval(data[16:32])}}}"


def _itimerspec(data: bytes) -> str:
    return f"{{it_interval={_timespec(data[:16])}, it_value={_timespec(data[16:32])}}}"


def _rusage(data: bytes) -> str:
    return f"{{ru_utime={_timeval(data[:16])}, ru_stime={_timeval(data[16:32])}, ...}}"


def _sigaction(data: bytes) -> str:
    handler, bits, restorer = struct.unpack_from("<QQQ", data)
    name = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler, hex(handler))
    field = "sa_sigaction" if bits & 4 else "sa_handler"
    text = f"{{{field}={name}, sa_mask={_sigset(data[24:32])}, "
    text += f"sa_flags={scalars.flags(bits & 0xFFFF_FFFF, constants.SIGNAL_FLAGS)}"
    return text + (f", sa_restorer={restorer:#x}}}" if bits & 0x4000000 else "}")


def _stack(data: bytes) -> str:
    base, bits, size = struct.unpack_from("<QI4xQ", data)
    shown = scalars.flags(bits, constants.STACK_FLAGS)
    place = scalars.register("ptr", base)
    return f"{{ss_sp={place}, ss_flags={shown}, ss_size={size}}}"


def _flock(data: bytes) -> str:
    kind, whence, start, length = struct.unpack_from("<hh4xqq", data)
    shown = constants.LOCKS.get(kind, str(kind)), constants.WHENCE.get(whence, str(whence))
    return "{{l_type={}, l_whence={}, l_start={}, l_len={}}}".format(*shown, start, length)


def _winsize(data: bytes) -> str:
    return "{{ws_row={}, ws_col={}, ws_xpixel={}, ws_ypixel={}}}".format(
        *struct.unpack_from("<4H", data)
    )


def _integer(data: bytes) -> str:
    return "[{}]".format(*struct.unpack_from("<i", data))


def _utsname(data: bytes) -> str:
    names = ("sysname", "nodename", "release")
    fields = [data[65 * at : 65 * at + 65].split(b"\0")[0] for at in range(3)]
    shown = [f"{n}={scalars.quote(f, cut=False)}" for n, f in zip(names, fields, strict=True)]
    return f"{{{', '.join(shown)}, ...}}"


def _open_how(data: bytes) -> str:
    bits, mode, resolve = struct.unpack_from("<QQQ", data)
    shown = scalars.open_flags(bits)
    return f"{{flags={shown}, mode={scalars.mode(mode)}, resolve={resolve:#x}}}"


def _clone_args(data: bytes) -> str:
    bits, _, child, parent, number, stack, size, tls = struct.unpack_from("<8Q", data)
    name = scalars.signal_name(number) if number else "0"
    return (
        f"{{flags={scalars.clone_flags(bits)}, child_tid={child:#x}, parent_tid={parent:#x}, "
        f"exit_signal={name}, stack={stack:#x}, stack_size={size:#x}, tls={tls:#x}}}"
    )


def _sockaddr(data: bytes) -> str:
    (number,) = struct.unpack_from("<H", data)
    family = scalars.register("family", number)
    rest = data[2:]
    if number == socket.AF_UNIX:
        if rest.startswith(b"\0"):
            return f"{{sa_family={family}, sun_path=@{scalars.quote(rest[1:], cut=False)}}}"
        name = scalars.quote(rest.split(b"\0")[0], cut=False)
        return f"{{sa_family={family}, sun_path={name}}}" if rest else f"{{sa_family={family}}}"
    if number == socket.AF_INET and len(rest) >= 6:
        (port,) = struct.unpack_from(">H", rest)
        address = socket.inet_ntop(socket.AF_INET, rest[2:6])
        return f'{{sa_family={family}, sin_port=htons({port}), sin_addr=inet_addr("{address}")}}'
    if number == socket.AF_INET6 and len(rest) >= 22:
        (port,) = struct.unpack_from(">H", rest)
        address = socket.inet_ntop(socket.AF_INET6, rest[6:22])
        return f'{{sa_family={family}, sin6_port=htons({port}), sin6_addr="{address}"}}'
    return f"{{sa_family={family}, ...}}"


# Name of a form: the least bytes it needs, and who writes it.
STRUCTURES: dict[str, tuple[int, Callable[[bytes], str]]] = {
    "timespec": (16, _timespec),
    "timespecs": (32, _timespecs),
    "timeval": (16, _timeval),
    "itimerval": (32, _itimerval),
    "itimerspec": (32, _itimerspec),
    "pair": (8, _pair),
    "pair64": (16, _pair64),
    "sigset": (8, _sigset),
    "sigaction": (32, _sigaction),
    "stack": (24, _stack),
    "stat": (56, _stat),
    "statx": (48, _statx),
    "rusage": (32, _rusage),
    "flock": (32, _flock),
    "winsize": (8, _winsize),
    "integer": (4, _integer),
    "utsname": (195, _utsname),
    "open_how": (24, _open_how),
    "clone_args": (64, _clone_args),
    "sockaddr": (2, _sockaddr),
    "epollevent": (12, lambda data: _epoll_event(data, 0)),
}


def _epoll_event(data: bytes, at: int) -> str:
    bits, value = struct.unpack_from("<IQ", data, at)
    shown = scalars.flags(bits, constants.EPOLL)
    return f"{{events={shown}, data={value:#x}}}"


def _listed(shown: list[str], *, cut: bool) -> str:
    return f"[{', '.join(shown)}{', ...' if cut else ''}]"


def _epoll_events(data: bytes, _: int, *, cut: bool) -> str:
    return _listed([_epoll_event(data, at) for at in range(0, len(data) - 11, 12)], cut=cut)


def _pollfds(data: bytes, _: int, *, cut: bool) -> str:
    shown = []
    for at in range(0, len(data) - 7, 8):
        fd, events, ready = struct.unpack_from("<ihh", data, at)
        text = f"{{fd={fd}, events={scalars.flags(events & 0xFFFF, constants.POLL)}"
        if ready:
            text += f", revents={scalars.flags(ready & 0xFFFF, constants.POLL)}"
        shown.append(text + "}")
    return _listed(shown, cut=cut)


def _strings(data: bytes, _: int, *, cut: bool) -> str:
    return _listed([scalars.quote(word, cut=False) for word in data.split(b"\0")[:-1]], cut=cut)


def _environment(data: bytes, value: int, *, cut: bool) -> str:
    count = int.from_bytes(data[:4], "little")
    return f"{value:#x} /* {count} var{'' if count == 1 else 's'}{', cut' if cut else ''} */"


def _entries(data: bytes, value: int, *, cut: bool) -> str:
    count = at = 0
    while at + 18 <= len(data):
        (length,) = struct.unpack_from("<H", data, at + 16)
        if not length:
            break
        at += length
        count += 1
    more = " or more" if cut else ""
    return f"{value:#x} /* {count}{more} entr{'y' if count == 1 else 'ies'} */"


def _fdset(data: bytes, _: int, *, cut: bool) -> str:
    members = [n for n in range(8 * len(data)) if data[n // 8] >> n % 8 & 1]
    return f"[{' '.join(map(str, members))}{' ...' if cut else ''}]"


def _iovec(data: bytes, _: int, *, cut: bool) -> str:
    shown = []
    at = 0
    while at + 24 <= len(data):
        base, length, there = struct.unpack_from("<QQQ", data, at)
        piece = data[at + 24 : at + 24 + there]
        text = scalars.quote(piece, cut=there < length) if there or not length else hex(base)
        shown.append(f"{{iov_base={text}, iov_len={length}}}")
        at += 24 + there
    return _listed(shown, cut=cut)


LISTS: dict[str, ListForm] = {
    "pollfds": _pollfds,
    "epollevents": _epoll_events,
    "strings": _strings,
    "environment": _environment,
    "entries": _entries,
    "fdset": _fdset,
    "iovec": _iovec,
}
