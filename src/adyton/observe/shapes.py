"""Which forms the arguments of one call have, where an operation among them decides.

`calls` has the forms of a call; here stand those of `fcntl`, `futex`, `prctl` and the like, which
take different arguments for each operation, and those that are there only with some flag.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from adyton.observe import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Shape = tuple[tuple[str, ...], str]

_UNKNOWN: Shape = (("hex",) * 6, "int")
_TIMEOUT, _COUNT = "timespec", "uint"


def of(name: str, arguments: Sequence[int]) -> Shape:
    """Return the forms of a call's arguments, none for those that it does not take, and its result.

    Args:
        name: The call.
        arguments: Its registers.
    """
    shape = calls.CALLS.get(name, _UNKNOWN)
    special = _SPECIAL.get(name)
    return special(shape, arguments) if special else shape


def _opens(shape: Shape, arguments: Sequence[int]) -> Shape:
    known, result = shape
    makes = arguments[known.index("open")] & (os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY)
    return (known if makes else known[:-1]), result


def _fcntl(shape: Shape, arguments: Sequence[int]) -> Shape:
    first = ("fd", "fcntl")
    # Command: the form of its argument, the form of the result.
    forms = {
        0: ("int", "int"),
        1: ("", "fdflags"),
        2: ("fdflags", "int"),
        3: ("", "open"),
        4: ("open", "int"),
        5: ("flock", "int"),
        6: ("flock", "int"),
        7: ("flock", "int"),
        8: ("int", "int"),
        9: ("", "int"),
        10: ("int", "int"),
        11: ("", "int"),
        36: ("flock", "int"),
        37: ("flock", "int"),
        38: ("flock", "int"),
        1025: ("", "int"),
        1027: ("int", "int"),
        1028: ("", "int"),
        1030: ("int", "int"),
        1031: ("int", "int"),
        1032: ("", "int"),
        1034: ("", "hex"),
    }
    command = arguments[1] & 0xFFFF_FFFF
    if command not in forms:
        return shape
    form, result = forms[command]
    return ((*first, form) if form else first), result


def _futex(shape: Shape, arguments: Sequence[int]) -> Shape:
    first = ("ptr", "futex", "uint")
    by_operation = {
        0: (_TIMEOUT,),
        1: (),
        3: (_COUNT, "ptr"),
        4: (_COUNT, "ptr", _COUNT),
        5: (_COUNT, "ptr", "hex"),
        6: (_TIMEOUT,),
        7: (),
        8: (),
        9: (_TIMEOUT, "ptr", "hex"),
        10: ("ptr", "ptr", "hex"),
        11: (_TIMEOUT, "ptr"),
        12: (_COUNT, "ptr", _COUNT),
        13: (_TIMEOUT,),
    }
    rest = by_operation.get(arguments[1] & 0x7F)
    return shape if rest is None else ((*first, *rest), shape[1])


def _ioctl(shape: Shape, arguments: Sequence[int]) -> Shape:
    forms = {0x541B: "integer", 0x5421: "integer", 0x5413: "winsize", 0x5450: "", 0x5451: ""}
    form = forms.get(arguments[1] & 0xFFFF_FFFF)
    if form is None:
        return shape
    return (("fd", "ioctl", form) if form else ("fd", "ioctl")), shape[1]


def _prctl(shape: Shape, arguments: Sequence[int]) -> Shape:
    forms = {
        1: ("sig",),
        3: (),
        4: ("int",),
        15: ("string",),
        16: ("ptr",),
        21: (),
        23: ("int",),
        29: ("size",),
        30: (),
        36: ("int",),
        38: ("int", "int", "int", "int"),
        39: ("int", "int", "int", "int"),
    }
    rest = forms.get(arguments[0] & 0xFFFF_FFFF)
    return shape if rest is None else (("prctl", *rest), shape[1])


def _mremap(shape: Shape, arguments: Sequence[int]) -> Shape:
    fixed = arguments[3] & 2
    return shape if fixed else (shape[0][:4], shape[1])


_SPECIAL: dict[str, Callable[[Shape, Sequence[int]], Shape]] = {
    "open": _opens,
    "openat": _opens,
    "fcntl": _fcntl,
    "futex": _futex,
    "ioctl": _ioctl,
    "prctl": _prctl,
    "mremap": _mremap,
}
