"""The enclave's one memory limit: who reaches it is told, and programs see it where they look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import Machine, Outcome, compile_c

LIMIT = Path(__file__).parent / "limits" / "limit.c"
LINE = re.compile(
    r"^adyton: out of memory: limit 256MiB, limit-[0-9a-f]+\[\d+\] (asked|was ended, as it needed) "
    r"\d+(B|KiB|MiB), in use user \d+(B|KiB|MiB) cache \d+(B|KiB|MiB) kernel \d+(B|KiB|MiB); "
    r"raise --memory \(peak so far \d+(KiB|MiB)\)$"
)


def _run(machine: Machine, *words: str, memory: str = "256MiB") -> Outcome:
    # Trampolines may lie in the way of a heap that grows that far: then no limit refuses it.
    options = ["--memory", memory, "--without", "patching"]
    return machine.run_inside([str(compile_c(LIMIT)), *words], options=options)


def _lines(outcome: Outcome) -> list[str]:
    lines = outcome.stderr.decode().splitlines()
    return [line for line in lines if line.startswith("adyton: out of memory")]


@pytest.mark.parametrize("how", ["mmap", "shared", "brk", "mprotect", "file"])
def test_what_can_be_refused_is_refused_with_one_line(machine: Machine, how: str) -> None:
    outcome = _run(machine, how)
    wanted = b"No space left on device\n" if how == "file" else b"Cannot allocate memory\n"
    assert (outcome.status, outcome.stdout) == (0, wanted)
    (line,) = _lines(outcome)
    found = LINE.match(line)
    assert found, line
    assert found[1] == "asked"
    if how != "file":
        assert "asked 512MiB" in line


@pytest.mark.parametrize("how", ["touch", "stack"])
def test_what_asks_for_nothing_is_ended_by_name(machine: Machine, how: str) -> None:
    outcome = _run(machine, how)
    assert outcome.status == 128 + 9
    (line,) = _lines(outcome)
    found = LINE.match(line)
    assert found, line
    assert found[1] == "was ended, as it needed"


def test_the_limit_as_a_control_group(machine: Machine) -> None:
    names = ["memory.max", "memory.swap.max", "pids.current", "cgroup.procs", "cpu.max"]
    files = [f"/sys/fs/cgroup/{name}" for name in names]
    outcome = _run(machine, "view", "/proc/self/cgroup", *files)
    text = outcome.stdout.decode()
    assert "/proc/self/cgroup: 0::/\n" in text
    assert f"memory.max: {256 << 20}\n" in text
    assert "memory.swap.max: 0\n" in text
    assert "pids.current: 1\ncgroup" not in text  # each has its path before it
    assert "/sys/fs/cgroup/pids.current: 1\n" in text
    assert re.search(r"cpu\.max: \d+00000 100000\n", text)
    assert "low 0\nhigh 0\nmax 1\noom 1\noom_kill 0\n" in text


def test_programs_find_the_group_among_the_mounts(machine: Machine) -> None:
    read = "import os; print(os.statvfs('/sys/fs/cgroup').f_namemax > 0)"
    look = f"{read}; print(*[l for l in open('/proc/self/mountinfo') if ' cgroup2 ' in l])"
    outcome = machine.run_inside(["python3", "-c", look])
    assert outcome.stdout.startswith(b"True\n"), outcome.described()
    assert (
        b" /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw\n" in outcome.stdout
    )
