"""The clock inside goes as the host's does."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import TESTS, Machine, adyton_command, compile_c, environment

PROGRAM = Path(__file__).parent / "programs" / "clock.c"
# Of a time between two moments.
TOLERANCE = 100e-6


@pytest.mark.timeout(60)
@pytest.mark.parametrize("vcpus", [1, 3])
def test_drift(machine: Machine, vcpus: int) -> None:
    """What passes inside lies between the least and the most that can have passed outside."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    binary = compile_c(PROGRAM, "dynamic")
    shown = ["-v", f"{TESTS}:{TESTS}", "--vcpus", str(vcpus)]
    process = subprocess.Popen(
        [*adyton_command(), "run", *shown, *machine.options, str(binary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )

    def look() -> tuple[int, int, int]:
        """Before, inside and after: the closest of a few, ns."""
        found = []
        for _ in range(30):
            assert process.stdin is not None
            assert process.stdout is not None
            before = time.monotonic_ns()
            process.stdin.write(b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            after = time.monotonic_ns()
            assert line.strip().isdigit(), line
            found.append((before, int(line), after))
        return min(found, key=lambda row: row[2] - row[0])

    try:
        first = look()
        time.sleep(4)
        last = look()
    finally:
        process.communicate(timeout=20)
    assert process.returncode == 0
    passed = last[1] - first[1]
    assert passed >= (last[0] - first[2]) * (1 - TOLERANCE)
    assert passed <= (last[2] - first[0]) * (1 + TOLERANCE)
