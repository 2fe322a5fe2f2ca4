"""Trace records and how they print."""

from __future__ import annotations

import contextlib
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adyton.errors import TraceMalformed
from adyton.observe import calls, numbers, records, symbols, trace
from adyton.observe.records import BYTES, STRING, Item, Record

MINUS_100 = (1 << 64) - 100


def record(
    name: str | int,
    *arguments: int,
    result: int = 0,
    why: str = "",
    items: tuple[Item, ...] = (),
    tid: int = 1,
    duration_ns: int = 1000,
) -> Record:
    number = numbers.NUMBERS[name] if isinstance(name, str) else name
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    return Record(1, tid, number, 5, result, padded, duration_ns, why, items)


def text(index: int, data: bytes, *, cut: bool = False) -> Item:
    return Item(index, STRING, data, cut)


def memory(index: int, data: bytes, *, cut: bool = False) -> Item:
    return Item(index, BYTES, data, cut)


@pytest.mark.parametrize(
    ("given_record", "line"),
    [
        (
            record("openat", MINUS_100, 1, 0o2000000, result=3, items=(text(1, b"/etc/x"),)),
            'openat(AT_FDCWD, "/etc/x", O_RDONLY|O_CLOEXEC) = 3',
        ),
        (
            record("openat", 5, 1, 0o1101, 0o644, result=3, items=(text(1, b"x"),)),
            'openat(5, "x", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 3',
        ),
        (
            record("openat", 5, 1, 0, result=-2, why="no such entry", items=(text(1, b"x"),)),
            'openat(5, "x", O_RDONLY) = -1 ENOENT (No such file or directory)  # no such entry',
        ),
        (
            record("read", 3, 0x1000, 64, result=64, items=(memory(1, b'a"\n\x01\xff', cut=True),)),
            'read(3, "a\\"\\n\\1\\377"..., 64) = 64',
        ),
        (
            record("mmap", 0, 8192, 3, 0x22, (1 << 64) - 1, 0, result=0x7F0000000000),
            "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x0) "
            "= 0x7f0000000000",
        ),
        (
            record("futex", 0x1000, 0x80, 2, 0, result=-11),
            "futex(0x1000, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0x0) "
            "= -1 EAGAIN (Resource temporarily unavailable)",
        ),
        (
            record("nanosleep", 9, 0, items=(memory(0, struct.pack("<qq", 1, 5)),)),
            "nanosleep({tv_sec=1, tv_nsec=5}, NULL) = 0",
        ),
        (
            record("pipe2", 9, 0o2000000, items=(memory(0, struct.pack("<ii", 3, 4)),)),
            "pipe2([3, 4], O_RDONLY|O_CLOEXEC) = 0",
        ),
        (
            record(
                "rt_sigprocmask", 2, 9, 0, 8, items=(memory(0, b""), memory(1, b"\x02" + bytes(7)))
            ),
            "rt_sigprocmask(SIG_SETMASK, [INT], NULL, 8) = 0",
        ),
        (
            record("execve", 9, 9, 9, items=(text(0, b"/bin/a"), memory(1, b"a\0b c\0"))),
            'execve("/bin/a", ["a", "b c"], 0x9) = 0',
        ),
        (record("kill", 7, 15), "kill(7, SIGTERM) = 0"),
        (record("lseek", 3, (1 << 64) - 1, 2), "lseek(3, -1, SEEK_END) = 0"),
        (record("getpid", result=7), "getpid() = 7"),
        (record(999, 1, 2), "syscall_999(0x1, 0x2, 0x0, 0x0, 0x0, 0x0) = 0"),
        (
            record(records.SIGNAL, 11, 1, 0x10),
            "--- SIGSEGV {si_signo=SIGSEGV, si_code=1, si_addr=0x10} ---",
        ),
        (record(records.GONE, 0, 3), "+++ exited with 3 +++"),
        (record(records.GONE, 1, 9), "+++ killed by SIGKILL +++"),
    ],
)
def test_lines(given_record: Record, line: str) -> None:
    assert trace.Lines().format(given_record) == line + "\n"


def test_prefix_from_the_second_thread_on() -> None:
    lines = trace.Lines(durations=True)
    shown = [lines.format(record("getpid", tid=tid)) for tid in (1, 2, 1)]
    assert shown == [
        "getpid() = 0 <0.000001>\n",
        "[pid     2] getpid() = 0 <0.000001>\n",
        "[pid     1] getpid() = 0 <0.000001>\n",
    ]


def test_missing_calls_and_crashes_are_diagnostics() -> None:
    missing = trace.Lines().format(record(records.MISSING, numbers.NUMBERS["bpf"]))
    assert missing == "adyton: bpf is not supported: ENOSYS\n"
    crash = record(records.CRASH, 11, items=(text(0, b"one"), text(0, b"t\x1b[2Jwo")))
    assert trace.Lines().format(crash) == "adyton: one\nadyton: t\\x1b[2Jwo\n"


def test_every_table_row_is_a_call() -> None:
    assert set(calls.CALLS) <= set(numbers.NUMBERS)


def test_decode_and_summary() -> None:
    stream = b"".join(
        records.build(r)
        for r in (
            record("getpid", result=7),
            record("read", 0, result=-4, duration_ns=3000),
            record("getpid", result=7),
        )
    )

    def run(*, summary: bool) -> str:
        source, sink = os.pipe()
        output, written = os.pipe()
        os.write(sink, stream)
        os.close(sink)
        trace.decode(source, written, summary=summary)
        os.close(written)
        shown = os.read(output, 1 << 16).decode()
        os.close(output)
        os.close(source)
        return shown

    assert run(summary=False).splitlines()[0] == "getpid() = 7"
    table = run(summary=True).splitlines()
    assert table[2].split() == ["60.00", "0.000003", "3.000", "1", "1", "read"]
    assert table[3].split() == ["40.00", "0.000002", "1.000", "2", "getpid"]
    assert table[-1].split() == ["100.00", "0.000005", "3", "1", "total"]


items_strategy = st.builds(
    Item, st.integers(0, 5), st.sampled_from([STRING, BYTES]), st.binary(max_size=80), st.booleans()
)
records_strategy = st.builds(
    Record,
    st.integers(0, 99),
    st.integers(0, 99),
    st.one_of(st.integers(0, 470), st.integers(0xFFFF_FFF0, 0xFFFF_FFFF)),
    st.integers(0, 1 << 60),
    st.integers(-4096, 1 << 40),
    st.tuples(*[st.integers(0, (1 << 64) - 1)] * 6),
    st.integers(0, 1 << 31),
    st.text(max_size=20),
    st.lists(items_strategy, max_size=6).map(tuple),
)


@given(records_strategy)
def test_any_record_survives_and_prints(sample: Record) -> None:
    assert records.parse(records.build(sample)) == sample
    assert trace.Lines().format(sample).endswith("\n") or not sample.items


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(TraceMalformed):
        records.parse(noise)


@given(records_strategy, st.data())
def test_damaged_records(sample: Record, data: st.DataObject) -> None:
    whole = bytearray(records.build(sample))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(TraceMalformed):
        trace.Lines().format(records.parse(bytes(whole)))


def test_a_stream_that_breaks_off_ends() -> None:
    source, sink = os.pipe()
    os.write(sink, records.build(record("getpid")) + b"\x60\0\0\0abc")
    os.close(sink)
    assert len(list(records.read(source))) == 1
    os.close(source)


@pytest.mark.parametrize(
    ("symbol", "path"),
    [
        ("_ZN4core3fmt5Write9write_str17h0123456789abcdefE", "core::fmt::Write::write_str"),
        ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
        ("_RNvMs_NtCs12_5alloc7raw_vecINtB2_6RawVechE4grow", "alloc::raw_vec::RawVec::grow"),
        ("main", "main"),
    ],
)
def test_demangle(symbol: str, path: str) -> None:
    assert symbols.demangle(symbol) == path
