"""I/O carried by host calls, by io_uring, by the poller; io_uring denied; waits that end early."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import carriers
from tests.harness import (
    TESTS,
    Outcome,
    adyton_command,
    compile_c,
    environment,
    execute,
    tool,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAMS = Path(__file__).parent / "programs"
ALL = pytest.mark.parametrize("carrier", carriers.CARRIERS)
ERRNOS = pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS], ids=errno.errorcode.get)
DENIED = b"adyton: this host denies io_uring"


def _io_uring(info: Outcome) -> dict[str, str]:
    """What `adyton info --json` says of io_uring."""
    found: list[dict[str, str]] = []

    def look(item: object) -> None:
        if isinstance(item, dict):
            found.extend([item] if item.get("name") == "io_uring" else [])
            item = list(item.values())
        if isinstance(item, list):
            for part in item:
                look(part)

    look(json.loads(info.stdout))
    return found[0]


@pytest.fixture(scope="module")
def has_io_uring() -> bool:
    """Whether this machine lets anybody use it."""
    info = execute([*adyton_command(), "info", "--json"], cwd=TESTS, env=environment())
    return _io_uring(info)["value"] == "yes"


def run_denied(error: int, folder: Path, *words: str) -> tuple[Outcome, dict[str, object]]:
    """Run where io_uring ends with `error`; the outcome, and what the counters say of rings."""
    stat = folder / "stat.json"
    command = [*adyton_command(), "run", "--stat", str(stat), *words]
    outcome = execute(carriers.denied(error, command), cwd=folder, env=environment())
    return outcome, json.loads(stat.read_text())["rings"]


@ERRNOS
@pytest.mark.parametrize(
    ("options", "carrier", "told"),
    [
        ([], "host calls", False),
        (["--exit-cost", "1000"], "poller", False),
        (["--exit-cost", "1000", "--without", "poller"], "host calls", False),
        (["--without", "rings", "--exit-cost", "1000"], "poller", False),
        (["--with", "rings"], "poller", True),
        (["--with", "rings", "--without", "poller"], "host calls", True),
        (["--with", "poller"], "poller", False),
    ],
)
def test_denied(error: int, options: list[str], carrier: str, told: bool, tmp_path: Path) -> None:
    """It runs all the same, says what is used, and warns whoever insisted on io_uring."""
    outcome, rings = run_denied(error, tmp_path, *options, "--vcpus", "2", "cat", "/etc/passwd")
    assert outcome.stdout == Path("/etc/passwd").read_bytes(), outcome.described()
    assert outcome.status == 0
    assert rings["carrier"] == carrier
    assert (rings["submitted"] == 0) == (carrier == "host calls")
    if told:
        assert outcome.stderr.startswith(DENIED), outcome.described()
        assert outcome.stderr.count(b"\n") == 1
    else:
        assert outcome.stderr == b""


@ERRNOS
def test_info_says_that_io_uring_is_denied(error: int, tmp_path: Path) -> None:
    command = carriers.denied(error, [*adyton_command(), "info", "--json"])
    outcome = execute(command, cwd=tmp_path, env=environment())
    assert outcome.status == 0, outcome.described()
    assert _io_uring(outcome)["value"] == f"no ({errno.errorcode[error]})"
    assert "a poller thread" in _io_uring(outcome)["used"]
    assert _io_uring(outcome)["advice"]


@pytest.mark.parametrize(
    ("options", "carrier"),
    [([], "host calls"), (["--with", "rings"], "io_uring"), (["--exit-cost", "9"], "io_uring")],
)
def test_used(options: list[str], carrier: str, has_io_uring: bool, tmp_path: Path) -> None:
    """Where io_uring is to be had, the policy decides."""
    if not has_io_uring and carrier == "io_uring":
        pytest.skip("this machine has no io_uring")
    stat = tmp_path / "stat.json"
    command = [*adyton_command(), "run", "--stat", str(stat), *options, "cat", "/etc/passwd"]
    outcome = execute(command, cwd=tmp_path, env=environment())
    assert (outcome.status, outcome.stderr) == (0, b"")
    rings = json.loads(stat.read_text())["rings"]
    assert rings["carrier"] == carrier
    assert rings["submitted"] == rings["completed"]


def _words() -> list[list[str]]:
    return [
        [tool("sha256sum"), "/usr/bin/python3", "/etc/passwd", "-"],
        [tool("ls"), "-lR", "/usr/share/doc/adduser", "/etc/ssl"],
        [tool("tar"), "-C", "/usr/share/doc/adduser", "-cf", "-", "."],
        [tool("xz"), "-T2", "-c"],
        ["sh", "-c", "read first; echo $first; exec wc"],
        ["/usr/bin/python3", "-c", _DATABASE],
    ]


_DATABASE = """
import os, sqlite3, sys, threading
base = sqlite3.connect("base")
base.execute("create table t(a primary key, b)")
base.executemany("insert into t values (?, ?)", ((n, "x" * (n % 90)) for n in range(2000)))
base.commit()
base.execute("create index i on t(b)")
base.commit()
print(base.execute("pragma integrity_check").fetchone(), os.path.getsize("base") % 4096)
def append(n):
    with open("log", "ab", buffering=0) as log:
        for _ in range(50): log.write(b"%d\\n" % n)
threads = [threading.Thread(target=append, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
os.fsync(os.open("log", os.O_RDWR))
print(sorted(open("log").read().split()).count("3"), len(sys.stdin.read()))
"""


@pytest.mark.parametrize("carrier", [*carriers.CARRIERS, "denied"])
@pytest.mark.parametrize("number", range(len(_words())), ids=lambda n: Path(_words()[n][0]).name)
def test_programs(carrier: str, number: int, tmp_path: Path) -> None:
    """Files of the host, read and written, and pipes from the host and to it."""
    command = _words()[number]
    data = b"".join(b"line %d\n" % n for n in range(30_000))
    outcomes = []
    for side in ("native", "inside"):
        folder = tmp_path / side
        folder.mkdir()
        if side == "native":
            words = command
        else:
            options = carriers.CARRIERS.get(carrier, carriers.RINGS)
            shared = ["-v", f"{folder}:/mnt:rw", "-w", "/mnt"]
            words = [*adyton_command(), "run", "--vcpus", "2", *options, *shared, "--", *command]
            if carrier == "denied":
                words = carriers.denied(errno.EPERM, words)
        outcome = execute(words, cwd=folder, env=environment(), stdin=data)
        lines = outcome.stderr.splitlines(keepends=True)
        rest = b"".join(line for line in lines if not line.startswith(DENIED))
        outcomes.append(dataclasses.replace(outcome, stderr=rest))
    assert outcomes[1].described() == outcomes[0].described()
    written = [
        sorted((path.name, path.read_bytes()) for path in (tmp_path / side).iterdir())
        for side in ("native", "inside")
    ]
    # Which thread wrote first is chance.
    named = [
        [(name, b"" if name == "log" else content) for name, content in side] for side in written
    ]
    assert named[1] == named[0]


class Talk:
    """A program whose standard input the test holds open, and writes to when it is asked."""

    def __init__(self, command: Sequence[str], stdin: int) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )

    def lines(self, give: Callable[[bytes], object]) -> list[bytes]:
        """All lines that it shows; `give …` gets what it asks for, `late` after a while."""
        shown = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            shown.append(line)
            if line.startswith(b"give "):
                word, _, late = line[5:].strip().partition(b", ")
                time.sleep(0.3 if late else 0)
                give(word + b"\n")
        return shown


def _ends(kind: str) -> tuple[int, int]:
    """The program's end of a stream, and ours."""
    if kind == "pipe":
        return os.pipe()
    if kind == "socket":
        theirs, ours = socket.socketpair()
        return theirs.detach(), ours.detach()
    ours_fd, theirs_fd = pty.openpty()
    return theirs_fd, ours_fd


def talk(command: Sequence[str], kind: str) -> tuple[list[bytes], int, float, bytes]:
    """Run a program; what it showed, its end, how long the end took after `over`, its stderr."""
    theirs, ours = _ends(kind)
    try:
        one = Talk(command, theirs)
        os.close(theirs)
        with one.process, _Killer(one.process):
            shown = one.lines(lambda word: os.write(ours, word))
            since = time.monotonic()
            one.process.wait(timeout=20)
            took = time.monotonic() - since
            assert one.process.stderr is not None
            errors = one.process.stderr.read()
        return shown, one.process.returncode, took, errors
    finally:
        os.close(ours)


def interrupted(end: str) -> list[str]:
    return [str(compile_c(PROGRAMS / "interrupted.c", "dynamic")), end]


@functools.cache
def natively(kind: str, end: str) -> tuple[list[bytes], int]:
    """What Linux shows, once for all carriers."""
    shown, code, _, _ = talk(interrupted(end), kind)
    return shown, code


class _Killer:
    """Ends a program that shows nothing for long, so that reading its lines ends too."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, lambda *_: self.process.kill())
        signal.alarm(40)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


@ALL
@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
@pytest.mark.parametrize("end", ["exits", "killed"])
@pytest.mark.timeout(120)
def test_interrupted(carrier: str, kind: str, end: str) -> None:
    """A signal ends or restarts a read under way, exit ends it; nothing is lost or overwritten."""
    program = interrupted(end)
    options = carriers.CARRIERS[carrier]
    shown = ["-v", f"{TESTS}:{TESTS}", "--vcpus", "2"]
    native, code = natively(kind, end)
    inside, code_inside, took, errors = talk(
        [*adyton_command(), "run", *shown, *options, "--", *program], kind
    )
    assert (inside, errors) == (native, b"")
    codes = {7} if end == "exits" else {-15, 143}
    assert code in codes
    assert code_inside in codes
    assert took < 5


_BOTH_WAYS = """
import os, sys, threading
def read():
    os.write(1, b"got " + os.read(0, 100))
reader = threading.Thread(target=read)
reader.start()
os.write(1, b"writing\\n")
# More than the terminal takes while nobody reads there.
data = b"x" * 200_000
while data:
    data = data[os.write(0, data):]
os.write(1, b"written\\n")
reader.join()
"""


@ALL
@pytest.mark.timeout(120)
def test_both_ways_of_one_terminal(carrier: str) -> None:
    """Who waits to write does not take the place of who waits to read from the same descriptor."""
    ours, theirs = pty.openpty()
    # No echo, which would fill the terminal up.
    subprocess.run(["stty", "raw", "-echo"], stdin=theirs, check=True)
    options = carriers.CARRIERS[carrier]
    words = [*adyton_command(), "run", "--vcpus", "2", *options, "--", "/usr/bin/python3", "-c"]
    process = subprocess.Popen(
        [*words, _BOTH_WAYS], stdin=theirs, stdout=subprocess.PIPE, env=environment()
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        time.sleep(1)
        os.write(ours, b"a line\n")
        assert select.select([process.stdout], [], [], 20)[0], "the reader is not woken"
        assert process.stdout.readline() == b"got a line\n"
        drained = 0
        while drained < 200_000 and select.select([ours], [], [], 20)[0]:
            drained += len(os.read(ours, 65536))
        assert drained == 200_000
        assert process.stdout.read() == b"written\n"
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


_OPENS = """
import os, sys, threading
def work(part):
    for n in range(part, 40, 4):
        with open(f"/mnt/{n}", "rb") as file: file.read()
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
keep = open("/mnt/0", "rb"); keep.read()
print("closed", flush=True)
sys.stdin.read()
"""


@ALL
@pytest.mark.timeout(120)
def test_closed_files_are_closed_on_the_host(carrier: str, tmp_path: Path) -> None:
    """No ring keeps a file open that the program has closed: once removed, its bytes are free."""
    shared = tmp_path / "shared"
    shared.mkdir()
    for n in range(40):
        (shared / str(n)).write_bytes(b"%d" % n * 100)
    options = [*carriers.CARRIERS[carrier], "--vcpus", "2", "-v", f"{shared}:/mnt:rw"]
    words = [*adyton_command(), "run", *options, "--", "/usr/bin/python3", "-c", _OPENS]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"closed\n"
        end = time.monotonic() + 20
        while (held := _held(process.pid, shared)) - {"0"} and time.monotonic() < end:
            time.sleep(0.1)
        assert held <= {"0"}
    finally:
        process.communicate(timeout=20)


def _held(pid: int, folder: Path) -> set[str]:
    """The names of a folder's files that a process, or a ring of it, holds open."""
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = Path(os.readlink(descriptor))
            if target.parent == folder:
                held.add(target.name)
            if "io_uring" in target.name:
                # Its registered files stand here, one a line: `number: path`.
                text = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
                held |= {
                    line.rpartition("/")[2] for line in text.splitlines() if str(folder) in line
                }
    return held


LIVING = ["munmap", "fixed", "mremap", "sync", "syncfs", "msync"]


@ALL
@pytest.mark.parametrize("way", [*LIVING, "exit", "thread", "signal", "exec"])
def test_what_mappings_change_reaches_the_host(carrier: str, way: str, tmp_path: Path) -> None:
    """When they go, at the latest; while the program runs where somebody asked for it."""
    program = compile_c(PROGRAMS / "mapped.c", extra=("-pthread",))
    volume = tmp_path / "volume"
    volume.mkdir()
    before = b"x" * 10000
    (volume / "file").write_bytes(before)
    words = ["run", *carriers.CARRIERS[carrier], "-v", f"{volume}:/volume:rw", str(program), way]
    process = subprocess.Popen(
        [*adyton_command(), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        cwd=tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == (b"done\n" if way in LIVING else b"")
    if way not in LIVING:
        process.wait(timeout=30)
    after = before[:4090] + b"changed by mapping" + before[4108:]
    assert (volume / "file").read_bytes() == after
    process.communicate(timeout=30)
    assert process.returncode == (143 if way == "signal" else 0)
