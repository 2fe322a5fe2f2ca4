"""Crash reports from records: backtraces of made-up processes, and records that lie."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.observe import cfi, crash, dwarf, elf, records, symbols, unwind
from adyton.observe.records import BYTES, STRING, Item, Record

SOURCE = """
__attribute__((noinline)) int leaf(volatile int *p) { return *p + 1; }
__attribute__((noinline)) int caller(int n)
{ volatile int room[50]; room[n] = n; return leaf(&room[n]) * 2; }
int main(int count, char **words) { return caller(count) + 3; }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crash")
    (folder / "a.c").write_text(SOURCE)
    words = ["gcc", "-O1", "-g", "-no-pie", "a.c", "-o", "a"]
    subprocess.run(words, cwd=folder, check=True)
    return folder / "a"


def address(file: elf.File, name: str) -> int:
    return next(start for start, _, found in file.functions if found == name)


def made_up(
    *, maps: str = "", registers: dict[str, int] | None = None, memory: bytes = b"", code: int = 1
) -> Record:
    values = {name: 0 for name in crash._NAMES} | (registers or {})
    items = [
        Item(records.PROGRAM, STRING, b"/bin/a", cut=False),
        Item(records.REGISTERS, BYTES, struct.pack("<18Q", *values.values()), cut=False),
        Item(records.MAPS, STRING, maps.encode(errors="surrogateescape"), cut=False),
        Item(records.MEMORY, BYTES, memory, cut=False),
    ]
    arguments = (11, code, 0x10, 0, 0, 0)
    return Record(3, 4, records.CRASH, 0, 0, arguments, 0, "", tuple(items))


def test_a_backtrace_by_call_frame_information(program: Path) -> None:
    file = elf.File(str(program))
    leaf, caller = address(file, "leaf"), address(file, "caller")
    # At leaf's first instruction its return address is on top; caller's frame is as its entry says.
    call_site = next(at for at in range(caller, caller + 200) if file.bytes_at(at, 1) == b"\xe8")
    row = cfi.row_at(file, call_site)
    assert row is not None
    frame = row[0].offset
    stack = bytearray(4096)
    struct.pack_into("<Q", stack, 0, call_site + 5)
    struct.pack_into("<Q", stack, frame, address(file, "main") + 9)
    memory = struct.pack("<Q", 0x7000_0000) + stack
    maps = f"00400000-00410000 r-xp 00000000 00:00 0 {program}\n"
    # The linker puts text at an offset of its own: one mapping for each segment.
    maps = "".join(
        f"{at & ~4095:x}-{(at + size + 4095) & ~4095:x} r-xp {offset & ~4095:x} 00:00 0 {program}\n"
        for offset, _, at, size in file.loads
    )
    record = made_up(maps=maps, registers={"rip": leaf, "rsp": 0x7000_0000}, memory=memory)
    text = "".join(crash.report(record))
    names = [line.split(" ")[3].split("+")[0] for line in text.splitlines() if ": #" in line]
    assert names[:3] == ["leaf", "caller", "main"]
    assert "SEGV_MAPERR, nothing is mapped at address 0x10" in text
    assert "process 3, thread 4: /bin/a" in text
    if symbols._lines_of(str(program)) is not None:
        assert "(a.c:2)" in text


def test_paths_inside_volumes_are_found(program: Path) -> None:
    volumes = [(str(program.parent), "/inside"), ("/elsewhere", "/inside/deeper")]
    assert crash._locate("/inside/a", volumes) == str(program)
    assert crash._locate("/inside/deeper/a", volumes) == "/elsewhere/a"
    assert crash._locate("/insider", volumes) == "/insider"
    assert crash._locate("[heap]", volumes) is None


def test_a_fifo_in_the_maps_holds_nothing_up(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    record = made_up(maps=f"1000-2000 r-xp 0 00:00 0 {tmp_path}/pipe\n", registers={"rip": 0x1000})
    assert "#0 0x1000 in" in "".join(crash.report(record))


@given(
    maps=st.text(st.characters(codec="ascii"), max_size=200),
    registers=st.lists(st.integers(0, (1 << 64) - 1), min_size=18, max_size=18),
    memory=st.binary(max_size=300),
    code=st.integers(0, (1 << 64) - 1),
)
def test_records_that_lie_give_some_report(
    maps: str, registers: list[int], memory: bytes, code: int
) -> None:
    named = dict(zip(crash._NAMES, registers, strict=True))
    lines = list(crash.report(made_up(maps=maps, registers=named, memory=memory, code=code)))
    assert lines
    assert all(line.startswith("adyton: ") and line.count("\n") == 1 for line in lines)


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 4000), junk=st.binary(min_size=1, max_size=60))
def test_malformed_files_raise_nothing_else(
    at: int, junk: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "malformed"
    data = bytearray(Path(sys.executable).resolve().read_bytes()[:20_000])
    data[at : at + len(junk)] = junk
    path.write_bytes(data)
    elf.opened.cache_clear()
    maps = f"1000-6000 r-xp 0 00:00 0 {path}\n"
    record = made_up(maps=maps, registers={"rip": 0x2345, "rsp": 0x10})
    assert "#0 0x2345" in "".join(crash.report(record))


def test_a_loop_of_frame_pointers_ends() -> None:
    memory = struct.pack("<QQQ", 0x5000, 0x5000, 0x1000)
    maps = "1000-2000 r-xp 0 00:00 0\n5000-6000 rw-p 0 00:00 0 [stack]\n"
    record = made_up(
        maps=maps, registers={"rip": 0x1000, "rbp": 0x5000, "rsp": 0x4000}, memory=memory
    )
    frames = [line for line in crash.report(record) if ": #" in line]
    assert 1 <= len(frames) <= unwind.FRAMES_MAX


@pytest.mark.parametrize(
    ("expression", "stack", "value"),
    [
        (b"\x77\x08\x06", [], 0xAA),  # what lies at r7 + 8
        (b"\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22", [], 0x1008),  # a PLT's
        (b"\x1a", [], None),
        (b"\x06", [1], None),
        (b"\xff", [], None),
    ],
)
def test_expressions(expression: bytes, stack: list[int], value: int | None) -> None:
    registers = {7: 0x1000, 16: 0x2000}
    memory = {0x1008: 0xAA}
    assert dwarf.evaluate(expression, registers.get, memory.get, stack) == value
