"""DWARF's numbers, pointers and expressions, as far as call frame information has them.

Source: DWARF 5, sections 2.5 and 7.6, and the Linux Standard Base, section 10.5.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from adyton.errors import TraceMalformed

if TYPE_CHECKING:
    from collections.abc import Callable

_MASK = (1 << 64) - 1
# Operations that take two values from the stack.
_BINARY: dict[int, Callable[[int, int], int]] = {
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
# Operations that a number of a fixed size follows.
_NUMBERS = dict(zip(range(0x08, 0x10), "BbHhIiQq", strict=True))


class Reader:
    """A cursor over bytes whose first one lies at `address`.

    Raises:
        TraceMalformed: What is read breaks off, or is of no known form.
    """

    def __init__(self, data: bytes, address: int = 0) -> None:
        """Begin at the first byte."""
        self.data, self.address, self.at = data, address, 0

    def take(self, count: int) -> bytes:
        """Read so many bytes."""
        part = self.data[self.at : self.at + count]
        if count < 0 or len(part) != count:
            raise TraceMalformed("call frame information breaks off")
        self.at += count
        return part

    def number(self, form: str) -> int:
        """Read a number that `struct` has a form for."""
        return int(struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0])

    def unsigned(self) -> int:
        """Read a ULEB128 number."""
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
        """Read an SLEB128 number."""
        start = self.at
        value = self.unsigned()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def text(self) -> bytes:
        """Read up to a NUL byte, which is not returned."""
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
        return (value + base) & _MASK


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
    reader = Reader(expression)
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
            elif operation in _NUMBERS:
                value = reader.number(_NUMBERS[operation])
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
            elif operation in _BINARY:
                second, first = stack.pop(), stack.pop()
                value = _BINARY[operation](first, second)
            else:
                return None
            if value is None:
                return None
            stack.append(value & _MASK)
        return stack[-1]
    except (IndexError, TraceMalformed):
        return None
