"""Just enough of ELF for a backtrace: symbols, and the tables for unwinding.

Files are the program's, so nothing in them is believed: a field that leads out of the file raises,
and whoever asked goes on without. Source: the System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import bisect
import functools
import mmap
import os
import stat
import struct
from typing import TYPE_CHECKING

from adyton.errors import TraceMalformed

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_LOAD, _DYNAMIC, _INTERPRETER, _EH_FRAME_HEADER = 1, 2, 3, 0x6474E550
_EXECUTE = 1
_NOBITS, _COMPRESSED = 8, 0x800
_NOTYPE, _FUNCTION, _INDIRECT = 0, 2, 10


class Section:
    """Where a section lies: in memory, and in the file."""

    __slots__ = ("address", "flags", "kind", "link", "offset", "size")

    def __init__(self, fields: tuple[int, ...], file_size: int) -> None:
        """Take a section header's fields behind its name; what leaves the file is empty."""
        self.kind, self.flags, self.address, self.offset, self.size, self.link = fields[:6]
        if self.kind != _NOBITS and self.offset + self.size > file_size:
            self.offset = self.size = 0
        self.offset = min(self.offset, file_size)


class File:
    """An ELF file of x86-64, mapped."""

    def __init__(self, path: str) -> None:
        """Map the file and read its headers.

        Raises:
            OSError: It cannot be read.
            TraceMalformed: It is no such file.
        """
        self.path = path
        self.data = _map(path)
        try:
            self._read_headers()
        except (struct.error, IndexError, ValueError, OverflowError):
            raise TraceMalformed(f"{path} is no ELF file of x86-64") from None

    def _read_headers(self) -> None:
        header = _HEADER.unpack_from(self.data)
        if header[0][:6] != b"\x7fELF\x02\x01" or header[2] != 62:
            raise ValueError
        segments_at, sections_at = header[5], header[6]
        segment_size, segments, section_size, sections, names = header[9:14]
        self.loads: list[tuple[int, int, int, int]] = []
        # (offset, length, address) of what may be executed.
        self.code: list[tuple[int, int, int]] = []
        # (offset, length) of the interpreter's name and of the dynamic section.
        self.interpreter: tuple[int, int] | None = None
        self.dynamic: tuple[int, int] | None = None
        self.unwind_table: tuple[int, int] | None = None
        for index in range(segments):
            kind, flags, offset, address, _, in_file, in_memory, _ = _SEGMENT.unpack_from(
                self.data, segments_at + index * segment_size
            )
            if kind == _LOAD and offset + in_file <= len(self.data):
                self.loads.append((offset, in_file, address, in_memory))
                if flags & _EXECUTE:
                    self.code.append((offset, in_file, address))
            elif kind == _INTERPRETER:
                self.interpreter = (offset, in_file)
            elif kind == _DYNAMIC:
                self.dynamic = (offset, in_file)
            elif kind == _EH_FRAME_HEADER:
                self.unwind_table = (address, in_file)
        raw = [
            _SECTION.unpack_from(self.data, sections_at + index * section_size)
            for index in range(sections if sections_at else 0)
        ]
        self._sections = [Section(fields[1:], len(self.data)) for fields in raw]
        self._names: dict[str, Section] = {}
        if names < len(self._sections):
            start = self._sections[names].offset
            for fields, section in zip(raw, self._sections, strict=True):
                self._names.setdefault(self._text(start + fields[0]), section)

    def _text(self, at: int) -> str:
        end = self.data.find(b"\0", at, at + 4096)
        return self.data[at : end if end >= 0 else at + 4096].decode(errors="replace")

    def section(self, name: str) -> Section | None:
        """Find a section that has bytes and is not compressed."""
        found = self._names.get(name)
        plain = found is not None and found.kind != _NOBITS and not found.flags & _COMPRESSED
        return found if plain else None

    def bytes_at(self, address: int, length: int) -> bytes:
        """Read what the file puts at an address; less where it ends."""
        for offset, in_file, start, _ in self.loads:
            if start <= address < start + in_file:
                at = offset + address - start
                return self.data[at : min(at + length, offset + in_file)]
        return b""

    def from_offset(self, offset: int) -> int:
        """Turn an offset in the file into an address as the symbols have it."""
        for start, length, address, _ in self.loads:
            if start <= offset < start + length:
                return address + offset - start
        return offset

    @functools.cached_property
    def functions(self) -> list[tuple[int, int, str]]:
        """(start, size, name) of the functions, by start."""
        return sorted(self._functions())

    @functools.cached_property
    def _starts(self) -> list[int]:
        return [start for start, _, _ in self.functions]

    def function(self, address: int) -> tuple[str, int] | None:
        """Name the function that holds an address, and how far into it that is."""
        at = bisect.bisect_right(self._starts, address) - 1
        # Names for one place, a local and a global say, lie side by side; the sized one is meant.
        while at >= 0 and self._starts[at] == self._starts[max(at - 1, 0)] and at > 0:
            if self.functions[at][1]:
                break
            at -= 1
        if at < 0:
            return None
        start, size, name = self.functions[at]
        if size and address >= start + size:
            return None
        return name, address - start

    def _functions(self) -> Iterator[tuple[int, int, str]]:
        for name in (".symtab", ".dynsym"):
            table = self.section(name)
            if table is None or table.link >= len(self._sections):
                continue
            names = self._sections[table.link].offset
            end = min(table.offset + table.size, len(self.data))
            for at in range(table.offset, end - _SYMBOL.size + 1, _SYMBOL.size):
                text, info, _, section, value, size = _SYMBOL.unpack_from(self.data, at)
                kind = info & 15
                # Hand-written entries have no type; tables for unwinding have none either.
                if value and section and kind in (_NOTYPE, _FUNCTION, _INDIRECT):
                    symbol = self._text(names + text)
                    if symbol and not symbol.startswith("GCC_except_table"):
                        yield value, size, symbol
            return


def _map(path: str) -> mmap.mmap:
    # A FIFO or a device of that name must not hold the report up.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise TraceMalformed(f"{path} is no regular file")
        return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    except ValueError:
        raise TraceMalformed(f"{path} is empty") from None
    finally:
        os.close(descriptor)


@functools.lru_cache(maxsize=32)
def opened(path: str) -> File | None:
    """Open a file once; None when it cannot be read as ELF."""
    try:
        return File(path)
    except (OSError, TraceMalformed):
        return None
