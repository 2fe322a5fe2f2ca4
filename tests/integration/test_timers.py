"""Timers far away cost nothing, near ones interrupt who computes: told by counters, not time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import TESTS, Machine, adyton_command, compile_c, environment

PROGRAM = Path(__file__).parent / "programs" / "armed.c"
COUNT = 100_000


def run(machine: Machine, tmp_path: Path, *words: str) -> tuple[str, dict[str, Any]]:
    """Run the program on one vCPU; what it prints, and the counters."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    binary = compile_c(PROGRAM, "dynamic")
    stat = tmp_path / "stat.json"
    options = ["-v", f"{TESTS}:{TESTS}", "--vcpus", "1", "--stat", str(stat), *machine.options]
    done = subprocess.run(
        [*adyton_command(), "run", *options, str(binary), *words],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(stat.read_text())


@pytest.mark.timeout(60)
def test_who_computes_meets_no_tick_for_a_timer_an_hour_away(
    machine: Machine, tmp_path: Path
) -> None:
    """A tick each 4 ms would be 500 in two seconds."""
    _, one = run(machine, tmp_path, "far", "1", "2000")
    assert one["preemptions"] < 50, one


@pytest.mark.timeout(60)
def test_idle_timers_wake_nobody(machine: Machine, tmp_path: Path) -> None:
    """With 100,000 of them armed, a second asleep is one sleep, and no more exits than with one."""
    _, one = run(machine, tmp_path, "idle", "1", "1000")
    _, many = run(machine, tmp_path, "idle", str(COUNT), "1000")
    assert many["syscalls"]["timer_create"] == COUNT
    assert many["sleeps"] <= one["sleeps"] + 2
    for cause in ("wait", "wake", "kick", "other"):
        assert many["exits"][cause] <= one["exits"][cause] + 8, cause


@pytest.mark.timeout(60)
def test_a_near_timer_interrupts_who_computes(machine: Machine, tmp_path: Path) -> None:
    """Each signal has an alarm and an interruption of its own; no tick has to come by."""
    text, counters = run(machine, tmp_path, "near", "1000", "200")
    # No signal came before its period was over; on a busy machine some came late.
    assert int(text) >= 198
    assert counters["preemptions"] >= 200
    assert counters["exits"]["other"] >= 200  # an alarm each, as each period begins
