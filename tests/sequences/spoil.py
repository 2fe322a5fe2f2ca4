"""Scripts for the puppet: each argument of each call spoiled, one at a time; random sequences."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.sequences.rows import EDGE_END, READ_ONLY, SLOTS, Argument, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

UNMAPPED = EDGE_END
NON_CANONICAL = 0x8000_0000_0000_0000
KERNEL = 0xFFFF_8000_0000_0000

_BAD_POINTERS = (0, 1, UNMAPPED, READ_ONLY, NON_CANONICAL, KERNEL, (1 << 64) - 1)
_DESCRIPTORS = (-1, 99, 1 << 20, 1 << 31, -100, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18)
_LENGTHS = (
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    4095,
    4096,
    4097,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    -1,
)
_SIZES = (0, 1, 4, 7, 8, 9, 15, 16, 17, 24, 32, 48, 64, 88, 128, 4096, 4097, 1 << 31, -1)
_NUMBERS = (
    -1,
    -2,
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    9,
    15,
    16,
    31,
    32,
    33,
    63,
    64,
    65,
    100,
    255,
    256,
    1000,
    1024,
    4096,
    65535,
    1 << 31,
    (1 << 31) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
)
# Above the highest number that Linux gives out.
_PROCESSES = (0, -1, -2, 5_000_000, (1 << 31) - 1, 1 << 31, 1 << 32)
_PATHS = (
    b"",
    b".",
    b"..",
    b"/",
    b"f",
    b"f/",
    b"g",
    b"d",
    b"d/",
    b"d/e",
    b"d/e/",
    b"d/../f",
    b"l",
    b"l/",
    b"loop",
    b"loop/x",
    b"q",
    b"missing",
    b"missing/x",
    b"f/x",
    b"n" * 255,
    b"n" * 256,
    b"./" * 2047 + b"f",
    b"./" * 2048 + b"f",
    b"\xff\xfe",
    b"d/.",
    b"d/..",
    b"//f",
)
_ADDRESSES = (
    0,
    1,
    SLOTS + 1,
    SLOTS + 4096,
    SLOTS + 15 * 4096,
    SLOTS + 16 * 4096,
    NON_CANONICAL,
    KERNEL,
    (1 << 47) - 4096,
)


def spoiled(argument: Argument) -> Iterator[tuple[int, bytes]]:
    """Other values for an argument, with what memory must hold at its place."""
    match argument.kind:
        case "fd":
            yield from ((value, b"") for value in _DESCRIPTORS)
        case "path":
            yield from ((value, b"") for value in _BAD_POINTERS if value != READ_ONLY)
            yield from ((argument.value, path + b"\0") for path in _PATHS)
        case "into" | "from":
            yield from ((value, b"") for value in _BAD_POINTERS)
            yield argument.value + 1, argument.data
            for left in {1, argument.room // 2, argument.room - 1} - {0}:
                yield EDGE_END - left, b""
        case "length":
            yield from ((value, b"") for value in _LENGTHS)
        case "size":
            yield from ((value, b"") for value in _SIZES)
        case "flags":
            yield from ((1 << bit, b"") for bit in range(32))
            yield from ((argument.value | 1 << bit, b"") for bit in (*range(32), 40, 63))
            yield 0xFFFF_FFFF, b""
        case "number":
            yield from ((value, b"") for value in _NUMBERS)
        case "process":
            yield from ((value, b"") for value in _PROCESSES)
        case "map":
            yield from ((value, b"") for value in _ADDRESSES)


def line(row: Row, values: list[int]) -> str:
    """The line that makes a call."""
    return " ".join(["C", str(row.number), *(str(value) for value in values)])


def prepared(row: Row, room: int = 0) -> list[str]:
    """The lines that give a call's arguments their memory, and zeros behind it up to `room`."""
    return [
        f"D {argument.value:#x} {argument.data.ljust(room, bytes(1)).hex()}"
        for argument in row.arguments
        if argument.data
    ]


def each_argument(row: Row) -> Iterator[list[str]]:
    """Scripts of a few lines: the call as it works, then with one argument spoiled at a time."""
    works = [argument.value for argument in row.arguments]
    yield ["R", *prepared(row), line(row, works)]
    for index, argument in enumerate(row.arguments):
        for value, data in spoiled(argument):
            words = [*works]
            words[index] = value
            memory = [f"D {value:#x} {data.hex()}"] if data else []
            yield ["R", *prepared(row), *memory, line(row, words)]


class Sequences:
    """Random sequences of calls, the same for the same seed."""

    def __init__(self, rows: list[Row], seed: int) -> None:
        self.rows = rows
        self.random = random.Random(seed)

    def one(self, length: int) -> list[str]:
        """A sequence from the beginning, `length` calls long."""
        lines = ["R"]
        for _ in range(length):
            lines += self.call(self.random.choice(self.rows))
        return lines

    def call(self, row: Row) -> list[str]:
        """A call, mostly with arguments that work or that come from earlier calls."""
        # What an earlier call left there, times say, differs from side to side.
        memory = prepared(row, 512)
        values = []
        for argument in row.arguments:
            value, data = argument.value, b""
            chance = self.random.random()
            if argument.kind == "fd":
                value = self.random.choice([*range(3, 19), *range(19, 26)])
            elif argument.kind == "path" and chance < 0.7:
                data = self.random.choice(_PATHS) + b"\0"
            elif argument.kind == "length" and chance < 0.7:
                value = self.random.choice((0, 1, 10, 100, 4000, 4096, 5000, 8192, 9000))
            elif argument.kind == "number" and chance < 0.4:
                value = self.random.choice(_NUMBERS)
            elif argument.kind == "map":
                value = SLOTS + 4096 * self.random.randrange(24)
            elif argument.kind != "fixed" and chance < 0.15:
                value, data = self.random.choice(list(spoiled(argument)))
            values.append(value)
            if data:
                memory.append(f"D {value:#x} {data.hex()}")
        return [*memory, line(row, values)]
