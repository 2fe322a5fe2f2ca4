"""The core file of a program that a signal ended, for gdb: pieces come, a file grows.

The LibOS lays it out (`crates/kernel/src/trace/core.rs`); what is all zeros becomes a hole.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from adyton.errors import TraceMalformed

if TYPE_CHECKING:
    from adyton.observe.records import Record

# The largest offset that a file can have.
_LONGEST = (1 << 63) - 1


class File:
    """A core file in the making; nothing is made before the first piece.

    A file that takes no more, on a full disk, is said once, and the rest is dropped: what it holds
    so far may still be of use.
    """

    def __init__(self, path: str) -> None:
        """`path` "" is no file: pieces are dropped."""
        self._path = path
        self._descriptor = -1
        self._failed = not path

    def take(self, record: Record) -> None:
        """Write a piece where it belongs; an empty one ends the file there.

        Raises:
            TraceMalformed: The record is no piece.
        """
        if len(record.items) != 1 or record.arguments[0] > _LONGEST:
            raise TraceMalformed("a piece of a core file has no bytes or no place")
        if self._failed:
            return
        try:
            self._write(record.items[0].data, record.arguments[0])
        except OSError as error:
            self._failed = True
            self._say(f"{error.strerror}; the rest of the core is dropped")

    def _write(self, data: bytes, at: int) -> None:
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
        if data:
            view = memoryview(data)
            while view:
                done = os.pwrite(self._descriptor, view, at)
                view, at = view[done:], at + done
            return
        os.ftruncate(self._descriptor, at)
        self._say("a core; look at it with: gdb PROGRAM " + self._path)

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"adyton: {self._path}: {text}\n")
            sys.stderr.flush()
