"""The ways in which I/O is carried, and a host that denies io_uring."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CALLS = ("--without", "rings,poller")
RINGS = ("--with", "rings")
POLLER = ("--with", "poller")

# By name: what `adyton run` is told.
CARRIERS: Mapping[str, Sequence[str]] = {"calls": CALLS, "rings": RINGS, "poller": POLLER}

_FILTER = """
import ctypes, os, struct, sys
# BPF: load the call's number; io_uring_setup, _enter and _register get the errno, others pass.
def step(code, true, false, value): return struct.pack("<HBBI", code, true, false, value)
program = (
    step(0x20, 0, 0, 0) + step(0x35, 0, 2, 425) + step(0x25, 1, 0, 427)
    + step(0x06, 0, 0, 0x00050000 | int(sys.argv[1])) + step(0x06, 0, 0, 0x7FFF0000)
)
buffer = ctypes.create_string_buffer(program)
filter = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter, 0, 0):
    sys.exit("can't install the filter: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
"""


def denied(error: int, command: Sequence[str]) -> list[str]:
    """The words that run a command on a host where io_uring's calls end with an errno."""
    return [sys.executable, "-c", _FILTER, str(error), *command]
