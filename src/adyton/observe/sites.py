"""System calls that code makes by number: its `syscall` instructions, and who calls `syscall(3)`.

No disassembly: from a `syscall` backwards to the nearest bytes that load a number into eax, and
from a call of the C library's `syscall` to the nearest that load one into edi. Bytes that only look
like these are possible, so that a number is a strong hint and no proof.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adyton.observe.elf import File

_SYSCALL = re.compile(rb"\x0f\x05")
_CALL = re.compile(rb"\xe8|\xff\x15", re.DOTALL)
_STUB = re.compile(rb"\xff\x25", re.DOTALL)
# What instructions behind a `syscall` begin with: they look at the result, or go back.
_BEHIND = frozenset(b"\x0f\x31\x3d\x41\x44\x45\x48\x49\x4c\x5b\x5d\x83\x85\x89\x8b\xc3\xc9\xeb\xf4")
# How far before its call a number may be loaded.
_BEFORE = 32
# A call's number is below.
_NUMBERS = 1024
_XOR = {"eax": (b"\x31\xc0", b"\x33\xc0"), "edi": (b"\x31\xff", b"\x33\xff")}
_MOVE = {"eax": 0xB8, "edi": 0xBF}
_MOVE_LONG = {"eax": b"\x48\xc7\xc0", "edi": b"\x48\xc7\xc7"}
_PUSH_POP = {"eax": 0x58, "edi": 0x5F}
# Functions that take a call's number first: of the C libraries in rdi, of Go in rax.
_BY_NUMBER = {
    "syscall": "edi",
    "syscall.Syscall": "eax",
    "syscall.Syscall6": "eax",
    "syscall.RawSyscall": "eax",
    "syscall.RawSyscall6": "eax",
    "syscall.rawSyscallNoError": "eax",
    "syscall.rawVforkSyscall": "eax",
    "golang.org/x/sys/unix.Syscall": "eax",
    "golang.org/x/sys/unix.Syscall6": "eax",
    "golang.org/x/sys/unix.RawSyscall": "eax",
    "golang.org/x/sys/unix.RawSyscall6": "eax",
    "internal/runtime/syscall.Syscall6": "eax",
    "internal/runtime/syscall/linux.Syscall6": "eax",
    "runtime/internal/syscall.Syscall6": "eax",
}


class Sites(NamedTuple):
    """Numbers that were found, each with an address that shows it, and how many stay unknown."""

    numbers: dict[int, int]
    unknown: int


def scan(file: File, slots: Sequence[tuple[int, str]]) -> Sites:
    """Look through a file's code; `slots` are words for the addresses of other's symbols."""
    numbers: dict[int, int] = {}
    unknown = 0
    targets = _targets(file)
    imported = {address for address, name in slots if name == "syscall"}
    for offset, length, address in file.code:
        code = file.data[offset : offset + length]
        places = _calls_by_number(code, address, targets, imported)
        for at, register in (*_instructions(code), *places):
            number = _number(code, at, register)
            if number is None:
                unknown += 1
            else:
                numbers.setdefault(number, address + at)
    return Sites(numbers, unknown)


def _targets(file: File) -> dict[int, str]:
    return {start: _BY_NUMBER[name] for start, _, name in file.functions if name in _BY_NUMBER}


def _instructions(code: bytes) -> Iterator[tuple[int, str]]:
    for match in _SYSCALL.finditer(code):
        at, end = match.start(), match.end()
        loaded = code[at - 5 : at - 4] == b"\xb8" if at >= 5 else False
        # The two bytes also occur within other instructions, by chance.
        if loaded or end >= len(code) or code[end] in _BEHIND:
            yield at, "eax"


def _calls_by_number(
    code: bytes, address: int, targets: dict[int, str], slots: set[int]
) -> Iterator[tuple[int, str]]:
    targets = targets | dict.fromkeys(_stubs(code, address, slots), "edi")
    if not targets and not slots:
        return
    for match in _CALL.finditer(code):
        at, end = match.start(), match.end() + 4
        to = address + end + int.from_bytes(code[end - 4 : end], "little", signed=True)
        if match.end() - at == 1:
            if to in targets:
                yield at, targets[to]
        elif to in slots:
            yield at, "edi"


def _stubs(code: bytes, address: int, slots: set[int]) -> Iterator[int]:
    """Addresses by which a linkage table's entry that leads to one of the slots may be called."""
    if not slots:
        return
    for match in _STUB.finditer(code):
        end = match.end() + 4
        to = address + end + int.from_bytes(code[end - 4 : end], "little", signed=True)
        if to in slots:
            # Before the jump there may be a landing pad, and a prefix.
            for before in (0, 1, 4, 5):
                yield address + match.start() - before


def _number(code: bytes, at: int, register: str) -> int | None:
    """The number that the nearest load before `at` puts into a register."""
    for start in range(at - 2, max(at - _BEFORE, 0) - 1, -1):
        if code[start] == _MOVE[register] and start + 5 <= at:
            # With a prefix it is another register, or longer.
            prefixed = start > 0 and code[start - 1] in (0x41, 0x49)
            number = int.from_bytes(code[start + 1 : start + 5], "little")
            if number < _NUMBERS and not prefixed:
                return number
        elif code[start : start + 3] == _MOVE_LONG[register] and start + 7 <= at:
            number = int.from_bytes(code[start + 3 : start + 7], "little")
            if number < _NUMBERS:
                return number
        elif code[start] == 0x6A and code[start + 2] == _PUSH_POP[register] and start + 3 <= at:
            return code[start + 1]
        elif code[start : start + 2] in _XOR[register] and start + 2 == at:
            return 0
    return None
