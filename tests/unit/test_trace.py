"""Trace records and how they print."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adyton.errors import TraceMalformed
from adyton.observe import (
    calls,
    decode,
    events,
    forms,
    numbers,
    records,
    structures,
    symbols,
    trace,
)
from adyton.observe.records import BYTES, STRING, Item, Record

MINUS_100 = (1 << 64) - 100
# struct stat: a regular file of 77 bytes.
STAT = bytes(24) + struct.pack("<I", 0o100644) + bytes(20) + struct.pack("<q", 77)
# struct sockaddr_in: port 80 of this host.
INTERNET = struct.pack("<H", 2) + struct.pack(">H", 80) + bytes([127, 0, 0, 1]) + bytes(8)


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
            "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) "
            "= 0x7f0000000000",
        ),
        (
            record("futex", 0x1000, 0x80, 2, 0, result=-11),
            "futex(0x1000, FUTEX_WAIT_PRIVATE, 2, NULL) "
            "= -1 EAGAIN (Resource temporarily unavailable)",
        ),
        (
            record("nanosleep", 9, 0, items=(memory(0, struct.pack("<qq", 1, 5)),)),
            "nanosleep({tv_sec=1, tv_nsec=5}, NULL) = 0",
        ),
        (
            record("pipe2", 9, 0o2000000, items=(memory(0, struct.pack("<ii", 3, 4)),)),
            "pipe2([3, 4], O_CLOEXEC) = 0",
        ),
        (
            record(
                "rt_sigprocmask", 2, 9, 0, 8, items=(memory(0, b""), memory(1, b"\x02" + bytes(7)))
            ),
            "rt_sigprocmask(SIG_SETMASK, [INT], NULL, 8) = 0",
        ),
        (
            record(
                *("execve", 9, 9, 9),
                items=(text(0, b"/bin/a"), memory(1, b"a\0\0b c\0"), memory(2, b"\3\0\0\0")),
            ),
            'execve("/bin/a", ["a", "", "b c"], 0x9 /* 3 vars */) = 0',
        ),
        (
            record("execve", 9, 9, 9, items=(memory(1, b"a\0", cut=True),)),
            'execve(0x9, ["a", ...], 0x9) = 0',
        ),
        (record("exit_group", 3), "exit_group(3) = ?"),
        (
            record("fcntl", 1, 3, 77, result=0o2001),
            "fcntl(1, F_GETFL) = 0x401 (flags O_WRONLY|O_APPEND)",
        ),
        (record("fcntl", 1, 2, 1), "fcntl(1, F_SETFD, FD_CLOEXEC) = 0"),
        (
            record("fcntl", 1, 6, 9, items=(memory(2, struct.pack("<hh4xqq8x", 1, 0, 5, 0)),)),
            "fcntl(1, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=0}) = 0",
        ),
        (
            record("futex", 0x1000, 0x81, 1, 7, 7, 7, result=1),
            "futex(0x1000, FUTEX_WAKE_PRIVATE, 1) = 1",
        ),
        (
            record("futex", 16, 4, 1, 7, 32, 9),
            "futex(0x10, FUTEX_CMP_REQUEUE, 1, 7, 0x20, 9) = 0",
        ),
        (
            record("mremap", 4096, 1, 2, 1, 9, result=4096),
            "mremap(0x1000, 1, 2, MREMAP_MAYMOVE) = 0x1000",
        ),
        (
            record("prctl", 15, 9, items=(text(1, b"name"),)),
            'prctl(PR_SET_NAME, "name") = 0',
        ),
        (
            record("ioctl", 0, 0x5413, 9, items=(memory(2, struct.pack("<4H", 24, 80, 0, 0)),)),
            "ioctl(0, TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0}) = 0",
        ),
        (
            record(
                *("rt_sigaction", 2, 9, 0, 8),
                items=(memory(1, struct.pack("<QQQQ", 0x1234, 0x14000000, 0x99, 2)),),
            ),
            "rt_sigaction(SIGINT, {sa_handler=0x1234, sa_mask=[INT], "
            "sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x99}, NULL, 8) = 0",
        ),
        (
            record("newfstatat", 3, 9, 9, 0x1000, items=(text(1, b""), memory(2, STAT))),
            'newfstatat(3, "", {st_mode=S_IFREG|0644, st_size=77, ...}, AT_EMPTY_PATH) = 0',
        ),
        (
            record("poll", 9, 1, 5, result=1, items=(memory(0, struct.pack("<ihh", 3, 1, 17)),)),
            "poll([{fd=3, events=POLLIN, revents=POLLIN|POLLHUP}], 1, 5) = 1",
        ),
        (
            record("select", 9, 9, 0, 0, 0, items=(memory(1, b"\x09" + bytes(7)),)),
            "select(9, [0 3], NULL, NULL, NULL) = 0",
        ),
        (
            record("connect", 3, 9, 16, items=(memory(1, INTERNET),)),
            'connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, '
            "16) = 0",
        ),
        (
            record("bind", 3, 9, 6, items=(memory(1, b"\1\0\0abc"),)),
            'bind(3, {sa_family=AF_UNIX, sun_path=@"abc"}, 6) = 0',
        ),
        (
            record(
                "writev", 1, 9, 1, result=2, items=(memory(1, struct.pack("<3Q", 5, 2, 2) + b"hi"),)
            ),
            'writev(1, [{iov_base="hi", iov_len=2}], 1) = 2',
        ),
        (
            record("epoll_ctl", 3, 1, 4, 9, items=(memory(3, struct.pack("<IQ", 0x80000001, 7)),)),
            "epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data=0x7}) = 0",
        ),
        (record("kill", 7, 15), "kill(7, SIGTERM) = 0"),
        (record("lseek", 3, (1 << 64) - 1, 2), "lseek(3, -1, SEEK_END) = 0"),
        (record("getpid", result=7), "getpid() = 7"),
        (record(999, 1, 2), "syscall_999(0x1, 0x2, 0, 0, 0, 0) = 0"),
        (
            record(records.SIGNAL, 11, 1, 0x10),
            "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x10} ---",
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


@pytest.mark.parametrize("name", [*structures.STRUCTURES, *structures.LISTS])
@given(data=st.binary(max_size=256), cut=st.booleans())
def test_any_memory_prints(name: str, data: bytes, cut: bool) -> None:
    """In one line, whatever a program has there."""
    shown = forms.argument(name, 0x1000, (data, cut))
    assert shown
    assert shown.isprintable()


def decoded(stream: bytes, output: Path, **how: bool) -> str:
    """What the decoder writes to a file."""
    source, sink = os.pipe()
    os.write(sink, stream)
    os.close(sink)
    if not output.exists():
        output.touch()
    decode.decode(source, decode.Output(str(output)), **how)
    os.close(source)
    return output.read_text() if output.is_file() else ""


def test_decode_and_summary(tmp_path: Path) -> None:
    stream = b"".join(
        records.build(r)
        for r in (
            record("getpid", result=7),
            record("read", 0, result=-4, duration_ns=3000),
            record("getpid", result=7),
        )
    )

    assert decoded(stream, tmp_path / "lines").splitlines()[0] == "getpid() = 7"
    table = decoded(stream, tmp_path / "table", summary=True).splitlines()
    assert table[2].split() == ["60.00", "0.000003", "3.000", "1", "1", "read"]
    assert table[3].split() == ["40.00", "0.000002", "1.000", "2", "getpid"]
    assert table[-1].split() == ["100.00", "0.000005", "3", "1", "total"]


def test_json(tmp_path: Path) -> None:
    stream = b"".join(
        records.build(r)
        for r in (
            record("openat", 5, 1, 0, result=-2, why="no such entry", items=(text(1, b'"x'),)),
            record("exit_group", 3, tid=2),
            record("pause", result=-514),
            record(records.SIGNAL, 10, 0, 1),
            record(records.GONE, 0, 3),
            record(records.GONE, 1, 11),
            record(records.LOST, 4),
        )
    )
    rows = [json.loads(line) for line in decoded(stream, tmp_path / "a", json=True).splitlines()]
    assert rows[0] == {
        "event": "call", "pid": 1, "tid": 1, "time_ns": 5, "duration_ns": 1000, "name": "openat",
        "arguments": ["5", r'"\"x"', "O_RDONLY"], "result": -1, "errno": "ENOENT",
        "why": "no such entry",
    }  # fmt: skip
    assert (rows[1]["tid"], "result" in rows[1]) == (2, False)
    assert rows[2]["errno"] == "ERESTARTNOHAND"
    told = [
        {key: value for key, value in row.items() if key not in ("pid", "tid", "time_ns")}
        for row in rows[3:]
    ]
    assert told == [
        {"event": "signal", "name": "SIGUSR1", "code": "SI_USER"},
        {"event": "gone", "exit_code": 3},
        {"event": "gone", "signal": "SIGSEGV"},
        {"event": "lost", "records": 4},
    ]
    counted = json.loads(decoded(stream, tmp_path / "b", json=True, summary=True))
    assert counted["openat"] == {"calls": 1, "errors": 1, "total_ns": 1000}
    assert set(counted) == {"openat", "exit_group", "pause"}


@pytest.mark.parametrize("summary", [False, True])
def test_a_full_disk_is_told_once(summary: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """What goes to stderr comes all the same."""
    missing = record(records.MISSING, numbers.NUMBERS["bpf"])
    stream = b"".join(map(records.build, (record("getpid"), record("getpid"), missing)))
    decoded(stream, Path("/dev/full"), summary=summary)
    said = capfd.readouterr().err.splitlines()
    full = "adyton: trace: /dev/full: No space left on device; the rest is dropped"
    assert sorted(said) == ["adyton: bpf is not supported: ENOSYS", full]


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
    # A crash without a line to print, which no LibOS sends, prints nothing.
    shown = trace.Lines().format(sample)
    assert shown.endswith("\n") or sample.number == records.CRASH
    assert json.loads(events.line(sample))["tid"] == sample.tid


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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3, "3"),
        (-2, "-1 ENOENT (No such file or directory)"),
        (-512, "? ERESTARTSYS (To be restarted if SA_RESTART is set)"),
        (-4000, "-1 errno 4000 (Unknown error 4000)"),
    ],
)
def test_results(value: int, shown: str) -> None:
    assert forms.result("int", value) == shown
