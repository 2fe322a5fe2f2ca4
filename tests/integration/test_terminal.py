"""Interactive programs inside, at a real terminal: what is typed, what is shown, what is left."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.harness import adyton_command, environment, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., pexpect.spawn]]:
    """Starts a program inside at a terminal of 24 lines and 80 columns; it may write its folder."""
    started = []

    def run(*command: str) -> pexpect.spawn:
        volume = f"{tmp_path}:{tmp_path}:rw"
        words = [*adyton_command(), "run", "-v", volume, "--", *command]
        child = at_terminal(words, tmp_path)
        started.append(child)
        return child

    yield run
    for child in started:
        child.close(force=True)


def at_terminal(words: list[str], folder: Path) -> pexpect.spawn:
    """Start a command at a terminal of its own."""
    return pexpect.spawn(
        words[0],
        words[1:],
        cwd=str(folder),
        env=environment({"TERM": "xterm"}),
        dimensions=(24, 80),
        timeout=30,
        encoding="utf-8",
        codec_errors="replace",
    )


def ends(child: pexpect.spawn, status: int = 0) -> None:
    """The program ends, with this status."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status, (child.exitstatus, child.signalstatus, child.before)


def test_python(start: Callable[..., pexpect.spawn]) -> None:
    """The REPL: editing, history, Ctrl-C while it waits and while it reads, Ctrl-D, a new size."""
    child = start("/usr/bin/python3", "-q")
    child.expect(">>> ")
    child.send("print(6*8)\x7f\x7f7)\r")
    child.expect("42\r\n>>> ")
    child.sendline("import os, signal, time")
    child.expect(">>> ")
    child.sendline("os.get_terminal_size()")
    child.expect("columns=80, lines=24.*>>> ")
    child.sendline(
        "_ = signal.signal(signal.SIGWINCH, lambda *a: print('now', *os.get_terminal_size()))"
    )
    child.expect(">>> ")
    child.setwinsize(30, 100)
    child.expect("now 100 30")
    child.sendline("")
    child.expect(">>> ")
    child.sendline("print('asleep'); time.sleep(60)")
    child.expect("\r\nasleep")
    child.send("\x03")
    child.expect("KeyboardInterrupt\r\n>>> ")
    child.send("half a line\x03")
    child.expect("KeyboardInterrupt\r\n>>> ")
    child.send("\x1b[A")
    child.expect("time.sleep")
    child.send("\x15os.tcgetpgrp(0) == os.getpgrp(), open('/dev/tty').isatty()\r")
    child.expect(r"\(True, True\)\r\n")
    child.sendline("os.ttyname(0), open('/dev/stdin').isatty()")
    child.expect(r"\('/dev/tty', True\)\r\n")
    child.send("\x04")
    ends(child)


def test_a_signal_and_another_thread_while_it_reads(start: Callable[..., pexpect.spawn]) -> None:
    """On one vCPU, a thread that waits for keys keeps nobody: threads run, handlers too."""
    script = (
        "import signal, sys, threading, time\n"
        "signal.signal(signal.SIGWINCH, lambda *a: print('resized', flush=True))\n"
        "def count():\n"
        "    for i in range(3): time.sleep(0.2); print('tick', i, flush=True)\n"
        "threading.Thread(target=count).start()\n"
        "print('read', repr(sys.stdin.readline()), flush=True)\n"
    )
    child = start("/usr/bin/python3", "-c", script)
    child.expect("tick 2")
    child.setwinsize(40, 90)
    child.expect("resized")
    child.send("a\x7fb\n")
    child.expect(r"read 'b\\n'")
    ends(child)


def test_sqlite(start: Callable[..., pexpect.spawn]) -> None:
    """The shell of SQLite, ended by Ctrl-D."""
    child = start(tool("sqlite3"), "kept.db")
    child.expect("sqlite> ")
    child.sendline("create table t (a); insert into t values (6 * 7);")
    child.expect("sqlite> ")
    child.sendline("select a from t;")
    child.expect("42\r\n")
    child.send("\x04")
    ends(child)


def test_less(start: Callable[..., pexpect.spawn], tmp_path: Path) -> None:
    """Pages forwards, to the end, back, and to what was searched for."""
    (tmp_path / "long").write_text("".join(f"line {i}.\n" for i in range(500)))
    child = start(tool("less"), str(tmp_path / "long"))
    child.expect_exact("line 22.")
    child.send(" ")
    child.expect_exact("line 44.")
    child.send("G")
    child.expect_exact("line 499.")
    child.send("g")
    child.expect_exact("line 0.")
    child.send("/line 250\r")
    child.expect_exact("line 250")
    child.send("q")
    ends(child)


def test_nano(start: Callable[..., pexpect.spawn], tmp_path: Path) -> None:
    """Types a text, saves it, leaves."""
    child = start(tool("nano"), str(tmp_path / "note"))
    child.expect("GNU nano")
    child.expect("Exit")
    child.send("hello world\rsecond\x0f")
    child.expect("Write")
    child.send("\r")
    child.expect("Wrote 2 lines")
    child.send("\x18")
    ends(child)
    assert (tmp_path / "note").read_text() == "hello world\nsecond\n"


def test_top(start: Callable[..., pexpect.spawn]) -> None:
    """Shows the enclave's one process, and waits for a key with a time limit."""
    child = start(tool("top"), "-d", "0.3")
    child.expect("top - ")
    child.expect("top - ")
    child.send("q")
    ends(child)


def test_stty(start: Callable[..., pexpect.spawn]) -> None:
    """Attributes and size are the terminal's own, and are set there."""
    child = start("stty", "-a")
    child.expect("rows 24; columns 80")
    child.expect("icanon")
    ends(child)
    child = start("tput", "cols")
    child.expect("80")
    ends(child)


def test_what_stty_changes_stays(tmp_path: Path) -> None:
    """A program that ends leaves the terminal as it made it, one that dies as it was."""
    run = shlex.join([*adyton_command(), "run", "--"])
    script = (
        f"{run} stty -echo rows 50; stty -a | grep -o -e '-echo ' -e 'rows 50'; stty echo\n"
        f"{run} /usr/bin/python3 -c 'import os,tty; tty.setraw(0); os.kill(os.getpid(), 15)'\n"
        "echo status $?; stty -a | grep -o -e '-*icanon' -e '-*opost'\n"
    )
    child = at_terminal(["sh", "-c", script], tmp_path)
    child.expect("rows 50\r\n")
    child.expect("-echo")
    child.expect("status 143")
    child.expect("\r\nopost")
    child.expect("\r\nicanon")
    ends(child)


def test_job_control_outside(tmp_path: Path) -> None:
    """Ctrl-Z stops the enclave as any program, `fg` lets it go on where it was."""
    child = at_terminal(["bash", "--norc", "-i"], tmp_path)
    child.expect("[#$] ")
    script = "print('ready', flush=True); print('got', input(), flush=True)"
    child.sendline(shlex.join([*adyton_command(), "run", "/usr/bin/python3", "-c", script]))
    child.expect("ready\r\n")
    time.sleep(0.3)
    child.send("\x1a")
    child.expect("Stopped")
    child.sendline("fg")
    child.expect("run")
    time.sleep(0.3)
    child.sendline("words")
    child.expect("got words")
    child.sendline("exit 7")
    ends(child, 7)


def test_times_between_keys(start: Callable[..., pexpect.spawn]) -> None:
    """VMIN and VTIME at the host's terminal mean what they mean on Linux."""
    script = (
        "import os, termios, time, tty\n"
        "tty.setraw(0)\n"
        "def read(least, tenths, size):\n"
        "    a = termios.tcgetattr(0)\n"
        "    a[6][termios.VMIN], a[6][termios.VTIME] = least, tenths\n"
        "    termios.tcsetattr(0, termios.TCSANOW, a)\n"
        "    start = time.monotonic()\n"
        "    print('go', end='\\r\\n', flush=True)\n"
        "    got = os.read(0, size)\n"
        "    print(got, time.monotonic() - start > tenths / 10, end='\\r\\n', flush=True)\n"
        "read(0, 0, 9); read(0, 3, 9); read(3, 0, 9); read(5, 2, 9)\n"
    )
    child = start("/usr/bin/python3", "-c", script)
    child.expect(r"b'' True")
    child.expect(r"b'' True")
    child.expect("go")
    for key in "abc":
        time.sleep(0.1)
        child.send(key)
    child.expect("b'abc' True")
    child.expect("go")
    child.send("xy")
    child.expect("b'xy' True")
    ends(child)
