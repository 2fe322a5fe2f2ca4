"""Trace records as bytes: the reader of `crates/abi/src/trace.rs`."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adyton.errors import TraceMalformed

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = struct.Struct("<IIIIQq6QIHH")
ITEM = struct.Struct("<BBH")
CRASH, SIGNAL, GONE, MISSING, LOST, CORE = (
    0xFFFF_FFFE,
    0xFFFF_FFFD,
    0xFFFF_FFFC,
    0xFFFF_FFFB,
    0xFFFF_FFFA,
    0xFFFF_FFF9,
)
RESULT = 255
STRING, BYTES, CUT = 0, 1, 128
RECORD_MAX = 128 << 10

# What a content of a crash record is: `abi::trace::crash`.
LINE, REGISTERS, MAPS, MEMORY, PROGRAM = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Item:
    """What a record holds of an argument's memory."""

    argument: int
    kind: int
    data: bytes
    cut: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One record; times in ns, `result` with errors negated."""

    pid: int
    tid: int
    number: int
    time_ns: int
    result: int
    arguments: tuple[int, ...]
    duration_ns: int
    why: str
    items: tuple[Item, ...]


def parse(data: bytes) -> Record:
    """Read one whole record.

    Raises:
        TraceMalformed: Its lengths do not add up.
    """
    try:
        total, pid, tid, number, time_ns, result, *rest = HEAD.unpack_from(data)
        arguments, (duration, why_len, count) = tuple(rest[:6]), rest[6:]
        at = HEAD.size + why_len
        why = data[HEAD.size : at].decode(errors="replace")
        items = []
        for _ in range(count):
            argument, kind, length = ITEM.unpack_from(data, at)
            at += ITEM.size
            items.append(Item(argument, kind & ~CUT, data[at : at + length], cut=bool(kind & CUT)))
            at += length
    except struct.error:
        raise TraceMalformed("a trace record is shorter than its contents") from None
    if at != total or total != len(data):
        raise TraceMalformed(f"a trace record of {total} bytes has contents up to {at}")
    return Record(pid, tid, number, time_ns, result, arguments, duration, why, tuple(items))


def read(descriptor: int) -> Iterator[Record]:
    """Read records from a pipe to its end; one that breaks off at the end is dropped."""
    pending = b""
    while chunk := os.read(descriptor, 1 << 16):
        pending += chunk
        at = 0
        while len(pending) - at >= HEAD.size:
            (total,) = struct.unpack_from("<I", pending, at)
            if not HEAD.size <= total <= RECORD_MAX:
                raise TraceMalformed(f"a trace record claims {total} bytes")
            if len(pending) - at < total:
                break
            yield parse(pending[at : at + total])
            at += total
        pending = pending[at:]


def build(record: Record) -> bytes:
    """Write a record, as the LibOS does; for tests."""
    why = record.why.encode()
    body = why + b"".join(
        ITEM.pack(item.argument, item.kind | (CUT if item.cut else 0), len(item.data)) + item.data
        for item in record.items
    )
    head = HEAD.pack(
        HEAD.size + len(body),
        record.pid,
        record.tid,
        record.number,
        record.time_ns,
        record.result,
        *record.arguments,
        record.duration_ns,
        len(why),
        len(record.items),
    )
    return head + body
