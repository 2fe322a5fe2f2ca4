"""Runs scripts with the puppet on Linux and inside, and compares what each line came to."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness import compile_c, environment
from tests.sequences.rows import numbers

if TYPE_CHECKING:
    from tests.harness import Machine

PUPPET = Path(__file__).parent / "puppet.c"

# What these give when they work is an address, a number of a process, a time: not the same twice.
_VARIES = {
    *("mmap", "mremap", "brk", "getpid", "gettid", "getppid", "getpgid", "getpgrp", "getsid"),
    *("setsid", "times", "time", "sched_getaffinity", "set_tid_address", "add_key"),
}


@dataclasses.dataclass(frozen=True)
class Difference:
    """A line of a script that came to something else inside."""

    call: str
    words: str
    native: str
    inside: str

    def __str__(self) -> str:
        return f"{self.call}({self.words}): {self.native} on Linux, {self.inside} inside"


def run(machine: Machine, script: list[str], *, inside: bool) -> list[str]:
    """What each call of a script came to, on one side; a last line tells how the puppet ended."""
    puppet = compile_c(PUPPET, "static")
    folder = Path(tempfile.mkdtemp(prefix="adyton-puppet-", dir="/dev/shm"))
    work = Path(tempfile.mkdtemp(prefix="adyton-puppet-"))
    try:
        run_it = machine.inside if inside else machine.native
        outcome = run_it(
            [str(puppet), str(folder)],
            cwd=work,
            env=environment(),
            stdin=("\n".join(script) + "\n").encode(),
            timeout=200.0,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.rmdir(work)
    return [*outcome.stdout.decode().splitlines(), f"status {outcome.status}"]


def compare(machine: Machine, script: list[str]) -> list[Difference]:
    """Every call of a script that came to something else inside."""
    names = {number: name for name, number in numbers().items()}
    calls = [line for line in script if line[0] in "CS"]
    sides = [run(machine, script, inside=inside) for inside in (False, True)]
    assert "the puppet cannot go on" not in "".join(sides[0]), sides[0][-2:]
    found = []
    for index, (native, seen) in enumerate(zip(*map(_untimed, sides), strict=False)):
        line = calls[index] if index < len(calls) else "C -1 the end"
        _, number, *words = line.split()
        name = names.get(int(number, 0), "the end") if line[0] == "C" else "memory"
        if native != seen and not (name in _VARIES and _worked(native) and _worked(seen)):
            found.append(Difference(name, " ".join(words), native, seen))
        if not native[:1].isalnum() and not seen[:1].isalnum():
            break
    if len(sides[0]) != len(sides[1]):
        last = min(map(len, sides)) - 1
        line = calls[min(last, len(calls) - 1)]
        found.append(Difference("ended", line, sides[0][-1], sides[1][-1]))
    return found


def _untimed(lines: list[str]) -> list[str]:
    """Without the alarm that ends waits, where it came to a call that did not wait."""
    return [line if line.startswith("EINTR") else line.removesuffix(" signal 14") for line in lines]


def _worked(text: str) -> bool:
    return text.split()[0].isdigit()
