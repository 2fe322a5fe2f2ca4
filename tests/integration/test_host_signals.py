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
