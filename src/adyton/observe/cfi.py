"""Call frame information: how a function's caller is found from any of its instructions.

Reads the one entry that covers an address, by the sorted table of `.eh_frame_hdr` where there is
one, else by a walk over `.eh_frame` or `.debug_frame`. Source: DWARF 5, section 6.4, and the Linux
Standard Base, section 10.6.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adyton.errors import TraceMalformed
from adyton.observe import dwarf

if TYPE_CHECKING:
    from collections.abc import Callable

    from adyton.observe.elf import File

_OMIT = 0xFF
_WALK_MAX = 200_000
_STEPS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Rule:
    """How a value is found: kind, and a number or an expression.

    Kinds: `offset` (at the frame's address plus n), `value` (that sum itself), `register` (in
    register n), `same`, `undefined`, `at` and `is` (an expression's result as address, as value).
    """

    kind: str
    number: int = 0
    expression: bytes = b""


@dataclass(slots=True)
class Row:
    """What holds at one instruction: the frame's address, and the caller's registers."""

    base: Rule = field(default_factory=lambda: Rule("undefined"))
    offset: int = 0
    rules: dict[int, Rule] = field(default_factory=dict)

    def copy(self) -> Row:
        """Return a row that changes apart from this one."""
        return Row(self.base, self.offset, dict(self.rules))


@dataclass(frozen=True, slots=True)
class Common:
    """What the entries of a compilation unit share."""

    code_factor: int
    data_factor: int
    return_register: int
    pointer: int
    has_augmentation: bool
    signal: bool
    instructions: bytes


def row_at(file: File, address: int) -> tuple[Row, bool] | None:
    """Find what holds at an instruction, and whether its function is a signal's trampoline.

    Args:
        file: The file that holds the code.
        address: As the file's symbols have it.

    Returns:
        None when the file has nothing about it.
    """
    try:
        entry = _from_table(file, address) or _from_walk(file, address)
        if entry is None:
            return None
        common, start, instructions = entry
        return _run(common, start, instructions, address), common.signal
    except (TraceMalformed, struct.error):
        return None


_Entry = tuple[Common, int, bytes]


def _from_table(file: File, address: int) -> _Entry | None:
    if file.unwind_table is None:
        return None
    base, length = file.unwind_table
    reader = dwarf.Reader(file.bytes_at(base, length), base)
    version, pointer, counted, encoding = reader.take(4)
    # The one form that linkers write can be searched: pairs of 32-bit offsets.
    if version != 1 or counted == _OMIT or encoding != 0x3B:
        return None
    reader.pointer(pointer, base)
    count = reader.pointer(counted, base)
    rows, offset = reader.data, reader.at
    low, high = 0, min(count, (len(rows) - offset) // 8)
    while low < high:
        middle = (low + high) // 2
        (start,) = struct.unpack_from("<i", rows, offset + 8 * middle)
        if base + start <= address:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return None
    (place,) = struct.unpack_from("<i", rows, offset + 8 * (low - 1) + 4)
    return _entry_at(_Place(file, base + place), address)


class _Place:
    """An entry's bytes: by address, in memory as `.eh_frame` is loaded."""

    def __init__(self, file: File, address: int) -> None:
        self.file, self.address = file, address

    def reader(self) -> dwarf.Reader:
        head = self.file.bytes_at(self.address, 4)
        if len(head) < 4:
            raise TraceMalformed("an entry lies outside the file")
        length = int.from_bytes(head, "little")
        return dwarf.Reader(
            self.file.bytes_at(self.address + 4, min(length, 1 << 20)), self.address + 4
        )

    def common(self, reader: dwarf.Reader) -> dwarf.Reader:
        back = reader.address + reader.at
        return _Place(self.file, back - reader.number("I")).reader()


def _entry_at(place: _Place, address: int) -> _Entry | None:
    reader = place.reader()
    other = place.common(reader)
    if other.number("I") != 0:
        raise TraceMalformed("an entry has no common part")
    common = _common(other, debug=False)
    return _covering(reader, common, address)


def _covering(reader: dwarf.Reader, common: Common, address: int) -> _Entry | None:
    start = reader.pointer(common.pointer)
    length = reader.pointer(common.pointer & 15)
    if not start <= address < start + length:
        return None
    if common.has_augmentation:
        reader.take(reader.unsigned())
    return common, start, reader.data[reader.at :]


def _common(reader: dwarf.Reader, *, debug: bool) -> Common:
    version = reader.take(1)[0]
    augmentation = reader.text()
    if debug and version >= 4:
        reader.take(2)
    code, data = reader.unsigned(), reader.signed()
    register = reader.take(1)[0] if version == 1 else reader.unsigned()
    pointer, signal = 0, False
    if augmentation.startswith(b"z"):
        reader.unsigned()
        for letter in augmentation[1:].decode("latin-1"):
            if letter == "R":
                pointer = reader.take(1)[0]
            elif letter == "L":
                reader.take(1)
            elif letter == "P":
                reader.pointer(reader.take(1)[0] & 0x7F)
            elif letter == "S":
                signal = True
            else:
                raise TraceMalformed("an unknown augmentation")
    elif augmentation:
        raise TraceMalformed("an unknown augmentation")
    instructions = reader.data[reader.at :]
    return Common(
        code, data, register, pointer, augmentation.startswith(b"z"), signal, instructions
    )


def _from_walk(file: File, address: int) -> _Entry | None:
    for name, debug in ((".debug_frame", True), (".eh_frame", False)):
        section = file.section(name)
        if section is None:
            continue
        data = file.data[section.offset : section.offset + section.size]
        commons: dict[int, Common] = {}
        at = 0
        for _ in range(_WALK_MAX):
            if at + 8 > len(data):
                break
            length, identity = struct.unpack_from("<II", data, at)
            if length == 0 or length == 0xFFFF_FFFF:
                break
            reader = dwarf.Reader(data[at + 4 : at + 4 + length], section.address + at + 4)
            reader.take(4)
            if identity == (0xFFFF_FFFF if debug else 0):
                commons[at] = _common(reader, debug=debug)
            else:
                common = commons.get(identity if debug else at + 4 - identity)
                found = common and _covering(reader, common, address)
                if found:
                    return found
            at += 4 + length
    return None


def _run(common: Common, start: int, instructions: bytes, address: int) -> Row:
    first = _Machine(common, Row(), None, 0)
    first.run(common.instructions, None)
    machine = _Machine(common, first.row.copy(), first.row, start)
    machine.run(instructions, address)
    return machine.row


class _Machine:
    """Carries out call frame instructions up to an address."""

    def __init__(self, common: Common, row: Row, initial: Row | None, location: int) -> None:
        self.common, self.row, self.initial, self.location = common, row, initial, location
        self.saved: list[Row] = []

    def run(self, instructions: bytes, until: int | None) -> None:
        reader = dwarf.Reader(instructions)
        for _ in range(_STEPS_MAX):
            if reader.at >= len(instructions):
                return
            operation = reader.take(1)[0]
            advance = self._advance(operation, reader)
            if advance is None:
                self._change(operation, reader)
                continue
            self.location = advance
            if until is not None and self.location > until:
                return

    def _advance(self, operation: int, reader: dwarf.Reader) -> int | None:
        factor = self.common.code_factor
        if operation >> 6 == 1:
            return self.location + (operation & 63) * factor
        if operation == 1:
            return reader.pointer(self.common.pointer)
        form = {2: "B", 3: "H", 4: "I"}.get(operation)
        return None if form is None else self.location + reader.number(form) * factor

    def _change(self, operation: int, reader: dwarf.Reader) -> None:
        rules, factor = self.row.rules, self.common.data_factor
        if operation >> 6 == 2:
            rules[operation & 63] = Rule("offset", reader.unsigned() * factor)
        elif operation >> 6 == 3:
            self._restore(operation & 63)
        elif operation in _BASE:
            _BASE[operation](self.row, reader, factor)
        elif operation in _RULES:
            register = reader.unsigned()
            rules[register] = _RULES[operation](reader, factor)
        elif operation == 0x06:
            self._restore(reader.unsigned())
        elif operation == 0x0A:
            self.saved.append(self.row.copy())
        elif operation == 0x0B:
            if not self.saved:
                raise TraceMalformed("no state was saved")
            self.row = self.saved.pop()
        elif operation == 0x2E:
            reader.unsigned()
        elif operation:
            raise TraceMalformed("an unknown call frame instruction")

    def _restore(self, register: int) -> None:
        rule = self.initial.rules.get(register) if self.initial else None
        if rule is None:
            self.row.rules.pop(register, None)
        else:
            self.row.rules[register] = rule


def _set_base(row: Row, register: int, offset: int) -> None:
    row.base, row.offset = Rule("register", register), offset


def _set_register(row: Row, register: int) -> None:
    row.base = Rule("register", register)


def _set_offset(row: Row, offset: int) -> None:
    row.offset = offset


def _set_expression(row: Row, expression: bytes) -> None:
    row.base, row.offset = Rule("is", expression=expression), 0


def _block(reader: dwarf.Reader) -> bytes:
    return reader.take(reader.unsigned())


_BASE: dict[int, Callable[[Row, dwarf.Reader, int], None]] = {
    0x0C: lambda row, r, _: _set_base(row, r.unsigned(), r.unsigned()),
    0x0D: lambda row, r, _: _set_register(row, r.unsigned()),
    0x0E: lambda row, r, _: _set_offset(row, r.unsigned()),
    0x0F: lambda row, r, _: _set_expression(row, _block(r)),
    0x12: lambda row, r, factor: _set_base(row, r.unsigned(), r.signed() * factor),
    0x13: lambda row, r, factor: _set_offset(row, r.signed() * factor),
}
_RULES: dict[int, Callable[[dwarf.Reader, int], Rule]] = {
    0x05: lambda r, factor: Rule("offset", r.unsigned() * factor),
    0x07: lambda _r, _: Rule("undefined"),
    0x08: lambda _r, _: Rule("same"),
    0x09: lambda r, _: Rule("register", r.unsigned()),
    0x10: lambda r, _: Rule("at", expression=_block(r)),
    0x11: lambda r, factor: Rule("offset", r.signed() * factor),
    0x14: lambda r, factor: Rule("value", r.unsigned() * factor),
    0x15: lambda r, factor: Rule("value", r.signed() * factor),
    0x16: lambda r, _: Rule("is", expression=_block(r)),
}
