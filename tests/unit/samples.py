"""Made-up enclave images and installations, so that unit tests need no build."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOAD, INTERP, TLS = 1, 3, 7
READ, WRITE, EXECUTE = 4, 2, 1

Program = tuple[int, int, int, int, int, int]  # type, flags, offset, vaddr, filesz, memsz


def elf(
    programs: list[Program],
    *,
    entry: int = 0x1010,
    kind: int = 3,
    machine: int = 62,
    length: int = 0x2000,
) -> bytes:
    """Write an ELF file with these program headers; the rest is a pattern."""
    head = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01" + bytes(9),
        kind,
        machine,
        1,
        entry,
        64,
        length,
        0,
        64,
        56,
        len(programs),
        64,
        5,
        4,
    )
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind_, flags, offset, vaddr, vaddr, filesz, memsz, 4096)
        for kind_, flags, offset, vaddr, filesz, memsz in programs
    )
    body = head + table
    return body + bytes((7 * i + 3) % 251 for i in range(len(body), length))


def image() -> bytes:
    """Return a small, well-formed image: code, then data with a tail of zeros."""
    return elf(
        [
            (LOAD, READ | EXECUTE, 0, 0, 0x1100, 0x1100),
            (LOAD, READ | WRITE, 0x1100, 0x2100, 0x80, 0x1F00),
        ]
    )


def install(folder: Path, runner: str = "import sys; sys.exit(0)") -> None:
    """Fill a folder as the build fills `_bin`, with a runner written in Python.

    The runner's text finds `plan` (its descriptor), `header` (the plan's fields) and `boot` (its
    items).
    """
    folder.mkdir(exist_ok=True)
    (folder / "adyton-enclave").write_bytes(image())
    path = folder / "adyton-runner"
    path.write_text(f"#!/usr/bin/python3 -IS\n{_RUNNER_HEAD}\n{runner}\n", encoding="utf-8")
    path.chmod(0o755)


_RUNNER_HEAD = """
import os, struct, sys, time
plan = int(sys.argv[1])
data = os.pread(plan, 1 << 26, 0)
header = struct.unpack_from("<8sIIQQQQQQIIQQQII32s", data)
boot, at = [], header[5]
while at < header[5] + header[6]:
    tag, length = struct.unpack_from("<II", data, at)
    boot.append((tag, data[at + 8 : at + 8 + length]))
    at += 8 + (length + 7) // 8 * 8
def ended(how, code):
    os.write(header[15] - 1, struct.pack("<IIII", 12, 1, how, code))
"""
