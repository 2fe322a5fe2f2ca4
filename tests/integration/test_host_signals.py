"""Signals from the host reach the program: Ctrl-C, SIGTERM and its kin; a terminal works."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import adyton_command, environment

_HANDLER = """
import os, signal, sys, time
def on(number, frame):
    # Not print: the signal may come in the middle of the other one.
    os.write(1, b"got %s\\n" % signal.Signals(number).name.encode())
    os._exit(9)
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
    signal.signal(s, on)
print("ready", flush=True)
while True:
    time.sleep(0.05) if len(sys.argv) > 1 else None
"""


def start(*words: str) -> subprocess.Popen[bytes]:
    """Start a program inside; its stdout is a pipe."""
    return subprocess.Popen(
        [*adyton_command(), "run", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT]
)
@pytest.mark.parametrize("how", ["computing", "sleeping"])
def test_handled(number: signal.Signals, how: str) -> None:
    words = ["sleeping"] if how == "sleeping" else []
    process = start("/usr/bin/python3", "-c", _HANDLER, *words)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert out == f"got {number.name}\n".encode(), err
    assert process.returncode == 9


@pytest.mark.parametrize(
    ("number", "codes"),
    [(signal.SIGTERM, {143, -15}), (signal.SIGINT, {-2}), (signal.SIGHUP, {129, -1})],
)
def test_default(number: signal.Signals, codes: set[int]) -> None:
    """128+N; SIGINT is raised again, so that a shell's loop ends."""
    process = start("sleep", "30")
    time.sleep(1)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode in codes


_ALL = """
import os, signal, time
def on(number, frame):
    os.write(1, b"%d\\n" % number)
for s in set(range(1, 65)) - {9, 17, 19, 23, 32, 33}:
    signal.signal(s, on)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
# Not the host's job control of terminals, and not what interrupts vCPUs or tells of children.
_SENT = sorted(set(range(1, 65)) - {9, 17, 19, 21, 22, 23, 32, 33})


def test_every_signal_that_somebody_sends_arrives() -> None:
    """Those too that look like faults, and those that nobody sends usually."""
    process = start("/usr/bin/python3", "-c", _ALL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for number in _SENT:
        process.send_signal(number)
        assert process.stdout.readline() == b"%d\n" % number
    process.kill()
    process.communicate(timeout=20)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTRAP, signal.SIGABRT, signal.SIGALRM])
def test_a_sent_fault_is_no_fault(number: signal.Signals) -> None:
    process = start("sleep", "30")
    time.sleep(1)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode in {128 + number, -number}, err
    assert b"LibOS" not in err


def state(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_state(process: subprocess.Popen[bytes], wanted: str) -> None:
    deadline = time.monotonic() + 10
    while state(process) not in wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert state(process) in wanted


_STOPS = """
import signal, sys, time
signal.signal(signal.SIGTSTP, getattr(signal, sys.argv[1]))
print("ready", flush=True)
begun = time.monotonic()
while time.monotonic() < begun + 1.5:
    time.sleep(0.05)
print("went on", flush=True)
"""


def test_who_stops_is_seen_stopped() -> None:
    process = start("/usr/bin/python3", "-c", _STOPS, "SIG_DFL")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTSTP)
    wait_for_state(process, "T")
    process.send_signal(signal.SIGCONT)
    wait_for_state(process, "SR")
    assert process.communicate(timeout=20)[0] == b"went on\n"
    assert process.returncode == 0


def test_who_ignores_the_terminals_stop_is_not_stopped() -> None:
    process = start("/usr/bin/python3", "-c", _STOPS, "SIG_IGN")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTSTP)
    assert process.stdout.readline() == b"went on\n"
    process.communicate(timeout=20)
    assert process.returncode == 0


def living(group: int) -> list[int]:
    """Processes of a group that are not zombies."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(folder.name))
    return found


def test_nothing_stays_behind() -> None:
    """SIGKILL of the runner ends the whole enclave."""
    process = start("/usr/bin/python3", "-c", _HANDLER, "sleeping")
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and living(process.pid):
        time.sleep(0.05)
    assert living(process.pid) == []


def test_terminal(tmp_path: Path) -> None:
    """Inside, the terminal is one: isatty, its size, line input, Ctrl-C by its character."""
    script = (
        "import os, sys, time\n"
        "print(os.isatty(0), os.isatty(1), tuple(os.get_terminal_size()), flush=True)\n"
        "print(repr(input('name? ')), flush=True)\n"
        "try: time.sleep(30)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(environment())
        os.chdir(tmp_path)
        command = [
            "sh",
            "-c",
            'stty rows 33 cols 77; exec "$@"',
            "sh",
            *adyton_command(),
            "run",
            "/usr/bin/python3",
            "-c",
            script,
        ]
        os.execvp("sh", command)
    seen = b""

    def wait_for(text: bytes) -> None:
        nonlocal seen
        end = time.monotonic() + 20
        while text not in seen and time.monotonic() < end:
            if select.select([fd], [], [], 0.2)[0]:
                try:
                    seen += os.read(fd, 4096)
                except OSError:
                    break
        assert text in seen, seen

    try:
        wait_for(b"True True (77, 33)")
        wait_for(b"name? ")
        os.write(fd, b"Ada\n")
        wait_for(b"'Ada'")
        time.sleep(0.3)
        os.write(fd, b"\x03")
        wait_for(b"interrupted")
    finally:
        os.close(fd)
        os.waitpid(pid, 0)


def typed(command: list[str], folder: Path) -> bytes:
    """What a command writes to a terminal, its standard error included."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(environment())
        os.chdir(folder)
        os.execvp(command[0], command)
    seen = b""
    with contextlib.suppress(OSError):
        while piece := os.read(fd, 4096):
            seen += piece
    os.close(fd)
    os.waitpid(pid, 0)
    return seen


def test_a_person_is_told_what_is_lost(tmp_path: Path) -> None:
    """Of files that were in memory only; nobody is told of /tmp, or of what went to a volume."""
    script = "echo a > one; echo b >> old; : > empty; echo c > /run/x; echo d > /kept/y"
    (tmp_path / "old").write_text("before\n")
    kept = tmp_path / "kept"
    kept.mkdir()
    command = [*adyton_command(), "run", "-v", f"{kept}:/kept:rw", "sh", "-c", script]
    seen = typed(command, tmp_path)
    assert b"adyton: 2 files were written in memory and are gone" in seen, seen
    assert b":rw keeps what is written" in seen
    assert (kept / "y").read_text() == "d\n"
    quiet = subprocess.run(
        command, cwd=tmp_path, capture_output=True, env=environment(), timeout=60
    )
    assert (quiet.returncode, quiet.stderr) == (0, b"")
    assert b"adyton" not in typed([*adyton_command(), "run", "cat", "old"], tmp_path)


def test_counters_that_cannot_be_written_are_told_of(tmp_path: Path) -> None:
    words = [*adyton_command(), "run", "--stat", "/dev/full", "true"]
    done = subprocess.run(words, capture_output=True, env=environment(), timeout=60, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.startswith(b"adyton: the counters can't be written"), done.stderr
