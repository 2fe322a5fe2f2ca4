"""From registers and a piece of stack to the frames of a backtrace.

Where a file has call frame information, that is believed; else the frame pointer, if it leads up
the stack; else the walk ends. All of it is a crashed program's: every step is bounded.
"""

from __future__ import annotations

import bisect
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adyton.observe import cfi, dwarf, elf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FRAMES_MAX = 64

# Registers by their DWARF numbers, in the order in which a record has them.
ORDER = (8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16)
_FRAME_POINTER, _STACK_POINTER, _INSTRUCTION = 6, 7, 16
_PRESERVED = (3, 6, 12, 13, 14, 15)
# `mov $15, %rax; syscall` and `mov $15, %eax; syscall`: what a handler returns to.
_SIGNAL_RETURNS = (b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05", b"\xb8\x0f\0\0\0\x0f\x05")
# `uc_mcontext` in a signal frame, counted from where the return address was.
_CONTEXT_AT = 40


@dataclass(frozen=True, slots=True)
class Mapping:
    """A line of maps; `path` is empty, `[heap]` and its like, or a file's, as seen inside."""

    start: int
    end: int
    access: str
    offset: int
    path: str

    def text(self) -> str:
        """Write it for a person."""
        return f"{self.start:#x}-{self.end:#x} {self.access} {self.path}".rstrip()


def parse_maps(text: str) -> list[Mapping]:
    """Read lines as in `/proc/PID/maps`; a malformed one is left out."""
    found = []
    for line in text.split("\n"):
        words = line.split(None, 5)
        try:
            start, end = (int(word, 16) for word in words[0].split("-"))
            path = words[5] if len(words) > 5 else ""
            found.append(Mapping(start, end, words[1], int(words[2], 16), path))
        except (IndexError, ValueError):
            continue
    return sorted(found, key=lambda mapping: mapping.start)


class Process:
    """What is left of a process: its mappings, and the memory that the record holds.

    `locate` gives the host's file for a path that the program saw, None for none.
    """

    def __init__(
        self,
        maps: Sequence[Mapping],
        memory: Sequence[tuple[int, bytes]],
        locate: Callable[[str], str | None],
    ) -> None:
        """Take the parts."""
        self._maps = list(maps)
        self._starts = [mapping.start for mapping in maps]
        self._memory = list(memory)
        self._locate = locate

    def mapping(self, address: int) -> Mapping | None:
        """Find the mapping that holds an address."""
        at = bisect.bisect_right(self._starts, address) - 1
        found = self._maps[at] if at >= 0 else None
        return found if found is not None and address < found.end else None

    def place(self, address: int) -> tuple[elf.File, int] | None:
        """Find the file that holds code, and the address as its symbols have it."""
        mapping = self.mapping(address)
        if mapping is None or not mapping.path:
            return None
        path = self._locate(mapping.path)
        file = elf.opened(path) if path else None
        if file is None:
            return None
        offset = address - mapping.start + mapping.offset
        # The LibOS's image is mapped by address, not by offset.
        return file, offset if mapping.path.startswith("[") else file.from_offset(offset)

    def read(self, address: int, length: int) -> bytes:
        """Read memory: what the record holds, or what a file has there."""
        for start, data in self._memory:
            if start <= address < start + len(data):
                return data[address - start : address - start + length]
        mapping = self.mapping(address)
        found = self.place(address)
        if found is None or mapping is None or "w" in mapping.access:
            return b""
        return found[0].bytes_at(found[1], length)

    def word(self, address: int) -> int | None:
        """Read eight bytes; None when they are not known."""
        data = self.read(address, 8)
        return int(struct.unpack("<Q", data)[0]) if len(data) == 8 else None


Registers = dict[int, int]


def backtrace(process: Process, registers: Registers) -> list[tuple[int, bool]]:
    """Walk the stack.

    Returns:
        For each frame its address, and whether it is a return address, behind its call.
    """
    frames: list[tuple[int, bool]] = []
    returned = False
    current = dict(registers)
    seen: set[tuple[int, int]] = set()
    while len(frames) < FRAMES_MAX:
        address = current.get(_INSTRUCTION, 0)
        key = (address, current.get(_STACK_POINTER, 0))
        if (address == 0 and frames) or key in seen:
            break
        seen.add(key)
        frames.append((address, returned))
        following = _caller(process, current, returned=returned)
        if following is None:
            break
        current, returned = following
    return frames


def _caller(
    process: Process, current: Registers, *, returned: bool
) -> tuple[Registers, bool] | None:
    address = current[_INSTRUCTION]
    if process.read(address, 9).startswith(_SIGNAL_RETURNS):
        interrupted = _signal_frame(process, current)
        return None if interrupted is None else (interrupted, False)
    if process.mapping(address) is None and not returned:
        # A jump to nowhere: the call has just pushed where it came from.
        return _popped(process, current)
    found = process.place(address)
    if found is not None:
        file, place = found
        row = cfi.row_at(file, place - returned)
        if row is not None:
            following = _by_table(process, current, row[0])
            return None if following is None else (following, not row[1])
    return _by_frame_pointer(process, current)


def _popped(process: Process, current: Registers) -> tuple[Registers, bool] | None:
    pointer = current[_STACK_POINTER]
    target = process.word(pointer)
    if target is None or process.mapping(target) is None:
        return None
    return current | {_INSTRUCTION: target, _STACK_POINTER: pointer + 8}, True


def _by_table(process: Process, current: Registers, row: cfi.Row) -> Registers | None:
    if row.base.kind == "register":
        known = current.get(row.base.number)
        base = None if known is None else known + row.offset
    else:
        base = dwarf.evaluate(row.base.expression, current.get, process.word, [])
    if base is None:
        return None
    caller = {number: current[number] for number in _PRESERVED if number in current}
    caller[_STACK_POINTER] = base
    for number, rule in row.rules.items():
        value = _value(process, current, rule, base, current.get(number))
        if value is None:
            caller.pop(number, None)
        else:
            caller[number] = value & (1 << 64) - 1
    return caller if _INSTRUCTION in caller else None


def _value(
    process: Process, current: Registers, rule: cfi.Rule, base: int, same: int | None
) -> int | None:
    if rule.kind == "offset":
        return process.word(base + rule.number)
    if rule.kind == "value":
        return base + rule.number
    if rule.kind == "register":
        return current.get(rule.number)
    if rule.kind == "same":
        return same
    if rule.kind == "undefined":
        return None
    value = dwarf.evaluate(rule.expression, current.get, process.word, [base])
    return process.word(value) if rule.kind == "at" and value is not None else value


def _by_frame_pointer(process: Process, current: Registers) -> tuple[Registers, bool] | None:
    pointer, stack = current.get(_FRAME_POINTER), current.get(_STACK_POINTER, 0)
    if pointer is None or pointer < stack or pointer % 8:
        return None
    outer, target = process.word(pointer), process.word(pointer + 8)
    if outer is None or target is None or process.mapping(target) is None:
        return None
    return {_FRAME_POINTER: outer, _STACK_POINTER: pointer + 16, _INSTRUCTION: target}, True


def _signal_frame(process: Process, current: Registers) -> Registers | None:
    # The return address has been popped: the stack pointer is at the ucontext.
    at = current[_STACK_POINTER] + _CONTEXT_AT
    words = [process.word(at + 8 * index) for index in range(len(ORDER))]
    if any(word is None for word in words):
        return None
    return {number: word for number, word in zip(ORDER, words, strict=True) if word is not None}
