"""Random sequences of calls come to the same on Linux and inside, and never end the enclave.

A sequence that differs is made as short as it goes and printed, ready to be run again:
`puppet FOLDER < SCRIPT`. `--sequence-seconds N` goes on with new seeds for N seconds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.sequences import differences, puppet, rows, spoil

if TYPE_CHECKING:
    from tests.harness import Machine

# Sequences that one start of the puppet runs, and their length in calls.
BATCH, LENGTH = 20, 30
# Calls that end what the puppet needs, or that wait for nobody.
_LEFT_OUT = {
    *("mlockall", "setrlimit", "prlimit64", "seccomp", "landlock_create_ruleset", "rt_sigsuspend"),
    *("futex_wait", "futex_waitv", "futex_requeue", "pause", "munmap", "mseal", "umask", "chdir"),
    *("fchdir", "close_range", "mremap", "mmap", "mprotect", "pkey_mprotect", "remap_file_pages"),
}


def batch(seed: int) -> list[str]:
    """The script of one batch."""
    usable = [row for name, row in rows.all_rows().items() if name not in _LEFT_OUT]
    sequences = spoil.Sequences(usable, seed)
    return [line for _ in range(BATCH) for line in sequences.one(LENGTH)]


def unknown(machine: Machine, script: list[str]) -> list[puppet.Difference]:
    """What differs and is not listed."""
    return [one for one in puppet.compare(machine, script) if not differences.listed(one)]


def shortened(machine: Machine, script: list[str]) -> list[str]:
    """The sequence of a script that differs, without what it differs without, too."""
    starts = [index for index, line in enumerate(script) if line == "R"]
    parts = [script[a:b] for a, b in zip(starts, [*starts[1:], len(script)], strict=True)]
    short = next((part for part in parts if unknown(machine, part)), script)
    for size in (8, 4, 2, 1):
        at = 1
        while at < len(short) and len(short) > 2:
            tried = short[:at] + short[at + size :]
            if unknown(machine, tried):
                short = tried
            else:
                at += size
    return short


@pytest.mark.parametrize("seed", range(4))
def test_the_enclave_goes_on(seed: int, machine: Machine) -> None:
    """Whatever a program calls, and with whatever: each call comes to an end, on both sides."""
    script = batch(seed)
    calls = sum(line.startswith("C ") for line in script)
    for inside in (False, True):
        lines = puppet.run(machine, script, inside=inside)
        assert lines[calls:] == ["the end", "status 0"], (inside, len(lines), lines[-2:])


@pytest.mark.full
@pytest.mark.timeout(0)
def test_sequences(machine: Machine, request: pytest.FixtureRequest) -> None:
    seconds = request.config.getoption("--sequence-seconds")
    end = time.monotonic() + seconds
    seed = 0 if seconds == 0 else int(time.time())
    while True:
        script = batch(seed)
        if unknown(machine, script):
            short = shortened(machine, script)
            found = "\n".join(map(str, unknown(machine, short)))
            pytest.fail(f"seed {seed}: {found}\n" + "\n".join(short))
        seed += 1
        if time.monotonic() > end and seed >= 3:
            return
