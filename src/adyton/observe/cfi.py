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

if TYPE_CHECKING:
    from collections.abc import Callable

    from adyton.observe.elf import File

_OMIT = 0xFF
_WALK_MAX = 200_000
_STEPS_MAX = 10_000
RETURN_ADDRESS = 16
STACK_POINTER = 7


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


class _Reader:
    """A cursor over bytes whose first one lies at `address`."""

    def __init__(self, data: bytes, address: int = 0) -> None:
        self.data, self.address, self.at = data, address, 0

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if count < 0 or len(part) != count:
            raise TraceMalformed("call frame information breaks off")
        self.at += count
        return part

    def number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0])

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise TraceMalformed("a number is too long")

    def signed(self) -> int:
        start = self.at
        value = self.unsigned()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def text(self) -> bytes:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise TraceMalformed("a string has no end")
        return self.take(end - self.at + 1)[:-1]

    def pointer(self, encoding: int, table: int = 0) -> int:
        """Read an encoded pointer; `table` is what table-relative ones count from."""
        place = self.address + self.at
        forms = {0: "Q", 2: "H", 3: "I", 4: "Q", 10: "h", 11: "i", 12: "q"}
        low = encoding & 15
        if low == 1:
            value = self.unsigned()
        elif low == 9:
            value = self.signed()
        elif low in forms:
            value = self.number(forms[low])
        else:
            raise TraceMalformed("an unknown encoding of pointers")
        relative = encoding >> 4 & 7
        base = {0: 0, 1: place, 3: table}.get(relative)
        if base is None:
            raise TraceMalformed("an unknown encoding of pointers")
        return (value + base) & (1 << 64) - 1


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
    reader = _Reader(file.bytes_at(base, length), base)
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

    def reader(self) -> _Reader:
        head = self.file.bytes_at(self.address, 4)
        if len(head) < 4:
            raise TraceMalformed("an entry lies outside the file")
        length = int.from_bytes(head, "little")
        return _Reader(self.file.bytes_at(self.address + 4, min(length, 1 << 20)), self.address + 4)

    def common(self, reader: _Reader) -> _Reader:
        back = reader.address + reader.at
        return _Place(self.file, back - reader.number("I")).reader()


def _entry_at(place: _Place, address: int) -> _Entry | None:
    reader = place.reader()
    other = place.common(reader)
    if other.number("I") != 0:
        raise TraceMalformed("an entry has no common part")
    common = _common(other, debug=False)
    return _covering(reader, common, address)


def _covering(reader: _Reader, common: Common, address: int) -> _Entry | None:
    start = reader.pointer(common.pointer)
    length = reader.pointer(common.pointer & 15)
    if not start <= address < start + length:
        return None
    if common.has_augmentation:
        reader.take(reader.unsigned())
    return common, start, reader.data[reader.at :]


def _common(reader: _Reader, *, debug: bool) -> Common:
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
            reader = _Reader(data[at + 4 : at + 4 + length], section.address + at + 4)
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
        reader = _Reader(instructions)
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

    def _advance(self, operation: int, reader: _Reader) -> int | None:
        factor = self.common.code_factor
        if operation >> 6 == 1:
            return self.location + (operation & 63) * factor
        if operation == 1:
            return reader.pointer(self.common.pointer)
        form = {2: "B", 3: "H", 4: "I"}.get(operation)
        return None if form is None else self.location + reader.number(form) * factor

    def _change(self, operation: int, reader: _Reader) -> None:
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


def _block(reader: _Reader) -> bytes:
    return reader.take(reader.unsigned())


_BASE: dict[int, Callable[[Row, _Reader, int], None]] = {
    0x0C: lambda row, r, _: _set_base(row, r.unsigned(), r.unsigned()),
    0x0D: lambda row, r, _: _set_register(row, r.unsigned()),
    0x0E: lambda row, r, _: _set_offset(row, r.unsigned()),
    0x0F: lambda row, r, _: _set_expression(row, _block(r)),
    0x12: lambda row, r, factor: _set_base(row, r.unsigned(), r.signed() * factor),
    0x13: lambda row, r, factor: _set_offset(row, r.signed() * factor),
}
_RULES: dict[int, Callable[[_Reader, int], Rule]] = {
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


def evaluate(
    expression: bytes,
    register: Callable[[int], int | None],
    read: Callable[[int], int | None],
    stack: list[int],
) -> int | None:
    """Evaluate an expression of the kinds that compilers put into call frame information.

    Args:
        expression: Its operations.
        register: A register's value, None when unknown.
        read: The eight bytes at an address, None when unknown.
        stack: What it starts with.

    Returns:
        The value on top, None when an operation or a value is unknown.
    """
    reader = _Reader(expression)
    mask = (1 << 64) - 1
    binary: dict[int, Callable[[int, int], int]] = {
        0x1A: lambda a, b: a & b,
        0x1C: lambda a, b: a - b,
        0x1E: lambda a, b: a * b,
        0x21: lambda a, b: a | b,
        0x22: lambda a, b: a + b,
        0x24: lambda a, b: a << min(b, 64),
        0x25: lambda a, b: a >> min(b, 64),
        0x27: lambda a, b: a ^ b,
        0x29: lambda a, b: int(a == b),
        0x2E: lambda a, b: int(a != b),
        # Comparisons are signed; what is compared here are small numbers.
        0x2A: lambda a, b: int(a >= b),
        0x2B: lambda a, b: int(a > b),
        0x2C: lambda a, b: int(a <= b),
        0x2D: lambda a, b: int(a < b),
    }
    numbers = dict(zip(range(0x08, 0x10), "BbHhIiQq", strict=True))
    try:
        while reader.at < len(expression):
            operation = reader.take(1)[0]
            value: int | None
            if 0x30 <= operation <= 0x4F:
                value = operation - 0x30
            elif 0x70 <= operation <= 0x8F:
                known = register(operation - 0x70)
                offset = reader.signed()
                value = None if known is None else known + offset
            elif operation in numbers:
                value = reader.number(numbers[operation])
            elif operation == 0x10:
                value = reader.unsigned()
            elif operation == 0x11:
                value = reader.signed()
            elif operation == 0x12:
                value = stack[-1]
            elif operation == 0x06:
                value = read(stack.pop())
            elif operation == 0x23:
                value = stack.pop() + reader.unsigned()
            elif operation in binary:
                second, first = stack.pop(), stack.pop()
                value = binary[operation](first, second)
            else:
                return None
            if value is None:
                return None
            stack.append(value & mask)
        return stack[-1]
    except (IndexError, TraceMalformed):
        return None
