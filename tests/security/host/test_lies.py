"""Whatever the host answers: an error, or a clean stop of the enclave that says why."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from tests.harness import environment, tool
from tests.security.host.lying import HOST, Lie, assert_survived, told

if TYPE_CHECKING:
    from pathlib import Path

RINGS, POLLER, CALLS = ["--with", "rings"], ["--with", "poller"], ["--without", "rings,poller"]

# How often: seldom enough that a program gets somewhere, often enough that it meets the lie.
ANSWERS = [
    Lie("more", 7),
    Lie("far-more", 15),
    Lie("negative", 15),
    Lie("errno", 15),
    Lie("again", 5),
    Lie("zero", 9),
    Lie("handle", 5),
    Lie("stat", 9),
    Lie("list", 2),
    Lie("link", 2),
    Lie("data", 15),
]
COMPLETIONS = [
    Lie("ring-user-data", 9),
    Lie("ring-result", 9),
    Lie("ring-flags", 9),
    Lie("ring-twice", 9),
    Lie("ring-torn", 9),
    Lie("ring-tail", 9),
    Lie("ring-tail-back", 9),
    Lie("ring-head", 9),
    Lie("ring-head-back", 9),
    Lie("ring-words", 2),
    Lie("ring-inside"),
]
MAILBOX = [Lie("token"), Lie("token-twice"), Lie("mailbox-tail"), Lie("mailbox-words")]

# After how many occasions a program runs, where they are few; 0: all are before.
LATER = {"list": 8, "ring-inside": 0}

# Lists, links, many small reads, threads, a database in a host folder, a pipe from the host.
PYTHON = """
import os, sqlite3, sys, threading
def walk():
    for folder in ("/etc/ssl", "/usr/share/doc/adduser", "/etc/alternatives"):
        for place, _, names in os.walk(folder):
            for name in names:
                try:
                    path = os.path.join(place, name)
                    os.stat(path)
                    open(path, "rb").read()
                except OSError as error:
                    print(error, file=sys.stderr)
threads = [threading.Thread(target=walk) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
base = sqlite3.connect("base.sqlite")
base.execute("create table if not exists t(a, b)")
base.executemany("insert into t values (?, ?)", [(n, str(n) * 50) for n in range(500)])
base.commit()
print(base.execute("pragma integrity_check").fetchone(), len(sys.stdin.read()))
"""


def programs() -> list[list[str]]:
    return [[tool("cat"), "/etc/passwd", "-"], ["/usr/bin/python3", "-c", PYTHON]]


def try_all(lie: Lie, options: list[str], folder: Path) -> None:
    """Lie to programs while they start, and, more often, when they have."""
    cat, python = programs()
    after = LATER.get(lie.kind, 400)
    later = dataclasses.replace(lie, after=after, one_in=max(1, lie.one_in // 3))
    runs = [(lie, cat), (lie, python), *([(later, python)] if after else [])]
    for number, (how, command) in enumerate(runs):
        place = folder / str(number)
        outcome = how.run(place, options, command, stdin=b"line\n" * 2000)
        assert_survived(outcome)
        # `cat` lists no folder.
        assert told(place / HOST) > 0 or command == cat, f"{how} was never told: nothing was tried"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("options", [CALLS, POLLER], ids=["calls", "poller"])
@pytest.mark.parametrize("lie", ANSWERS, ids=lambda lie: lie.kind)
def test_answers(lie: Lie, options: list[str], tmp_path: Path) -> None:
    """Results, and what stands in buffers."""
    try_all(lie, options, tmp_path)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("options", [RINGS, POLLER], ids=["rings", "poller"])
@pytest.mark.parametrize("lie", COMPLETIONS, ids=lambda lie: lie.kind)
def test_completions(lie: Lie, options: list[str], tmp_path: Path) -> None:
    """Entries and words of the rings; what breaks a rule ends the enclave, and it says which."""
    try_all(lie, options, tmp_path)
    if lie.kind in ("ring-inside", "ring-tail", "ring-tail-back", "ring-head", "ring-head-back"):
        outcome = lie.run(tmp_path / "again", options, [tool("cat"), "/etc/passwd"])
        assert outcome.status == 125, outcome.described()
        assert b"the LibOS stopped: the host " in outcome.stderr, outcome.described()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("lie", MAILBOX, ids=lambda lie: lie.kind)
def test_mailbox(lie: Lie, tmp_path: Path) -> None:
    """Tokens, and the words on which vCPUs sleep: `cat` waits for a pipe meanwhile."""
    words = [*lie.install(tmp_path), "run", "--vcpus", "2", "--", tool("cat")]
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    theirs.close()
    with ours, process:
        for _ in range(4):
            time.sleep(0.3)
            with contextlib.suppress(BrokenPipeError):
                ours.send(b"line\n")
        ours.close()
        try:
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    assert told(tmp_path) > 0
    if lie.kind == "mailbox-tail":
        assert b"the LibOS stopped: the host " in stderr, stderr
    else:
        assert (stdout, stderr, process.returncode) == (b"line\n" * 4, b"", 0)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [RINGS, POLLER], ids=["rings", "poller"])
@pytest.mark.parametrize("one_in", [1, 60], ids=["before the program", "under the program"])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_answers_that_never_come(
    options: list[str], one_in: int, ending: signal.Signals, tmp_path: Path
) -> None:
    """A host may deny its service, and then it is waited for; but not against one's will."""
    words = Lie("ring-drop", one_in).install(tmp_path)
    words += ["run", *options, "--", "/usr/bin/python3", "-c", PYTHON]
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=tmp_path,
        start_new_session=True,
    ) as process:
        try:
            wait_until_idle(process)
            process.send_signal(ending)
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert told(tmp_path) > 0
    how = 128 - process.returncode if process.returncode < 0 else process.returncode
    assert how == 128 + ending


def wait_until_idle(process: subprocess.Popen[bytes]) -> None:
    """Wait until the runner used no processor time for a while: it waits for the host."""
    used, since = "", time.monotonic()
    while time.monotonic() - since < 0.5:
        assert process.poll() is None, "it ended by itself"
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        with open(f"/proc/{process.pid}/comm", encoding="ascii") as file:
            started = file.read().startswith("adyton-runner")
        if fields[11:13] != used or not started:
            used, since = fields[11:13], time.monotonic()
        os.sched_yield()
        time.sleep(0.05)
