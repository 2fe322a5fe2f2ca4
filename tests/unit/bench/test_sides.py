"""Turns, deadlines, pinning, and what a failing program leaves behind."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from adyton.bench import sides
from adyton.errors import AdytonError

if TYPE_CHECKING:
    from pathlib import Path

    from adyton.bench.rows import Side


def test_sides_take_turns() -> None:
    seen: list[Side] = []
    assert sides.take_turns(sides.Deadline(quick=True), lambda side, _: seen.append(side)) == ""
    assert seen == ["linux", "adyton"] * 3


def test_a_side_that_failed_takes_no_further_turn() -> None:
    seen: list[Side] = []

    def run(side: Side, _: float) -> None:
        seen.append(side)
        if side == "adyton":
            raise AdytonError("no")

    assert sides.take_turns(sides.Deadline(quick=True), run) == "adyton: no"
    assert seen == ["linux", "adyton", "linux", "linux"]


def test_no_round_begins_that_would_end_too_late() -> None:
    times = iter([0.0, *[100.0] * 20])
    deadline = sides.Deadline(quick=True, now=lambda: next(times))
    seen: list[float] = []
    sides.take_turns(deadline, lambda _, seconds: seen.append(seconds))
    assert seen == [0.0, 0.0]


def test_only_quick_has_an_end() -> None:
    times = iter([0.0, 1000.0])
    deadline = sides.Deadline(quick=False, now=lambda: next(times))
    assert (deadline.rounds, deadline.left()) == (5, 60.0)


def test_the_child_alone_is_pinned(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    words = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
    shown = sides.output(words, folder=tmp_path, cores=sides.Cores(1))
    assert shown == f"{ {max(before)} }\n"
    assert os.sched_getaffinity(0) == before


def test_a_failure_has_code_and_last_words(tmp_path: Path) -> None:
    words = ["/bin/sh", "-c", "echo first >&2; echo last words >&2; exit 3"]
    with pytest.raises(AdytonError, match="exit code 3: last words"):
        sides.output(words, folder=tmp_path)


def test_what_came_before_a_failure_is_kept(tmp_path: Path) -> None:
    words = ["/bin/sh", "-c", "echo one; exit 3"]
    shown = sides.partial_output(words, folder=tmp_path)
    assert shown == ("one\n", "exit code 3: no message")
    words = ["/bin/sh", "-c", "echo one; exec sleep 100"]
    text, error = sides.partial_output(words, folder=tmp_path, timeout=0.5)
    assert text == "one\n"
    assert error.startswith("took more than")


def test_a_hang_ends(tmp_path: Path) -> None:
    with pytest.raises(AdytonError, match="took more than"):
        sides.output(["/bin/sleep", "100"], folder=tmp_path, timeout=0.2)


def test_the_command_line() -> None:
    words = sides.command(vcpus=1, options=["--stat", "-"])
    assert words[-6:] == ["--quick", "--vcpus", "1", "--stat", "-", "--"]
