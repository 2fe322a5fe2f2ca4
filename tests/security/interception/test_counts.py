"""What `--stat` counts: rewritten sites do not trap again, and what is given up is used again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.harness import Machine, compile_c, environment

FOLDER = Path(__file__).parent


def counted(machine: Machine, command: list[str], *options: str) -> tuple[bytes, dict[str, Any]]:
    """Run a command inside; its output, and the counters."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    with tempfile.TemporaryDirectory(prefix="adyton-test-") as folder:
        stat = Path(folder) / "stat.json"
        outcome = machine.inside(
            command,
            cwd=Path(folder),
            env=environment(),
            options=["--stat", str(stat), *options],
            timeout=100,
        )
        assert outcome.status == 0, outcome.described()
        return outcome.stdout, json.loads(stat.read_text())


@pytest.mark.parametrize("vcpus", ["1", "2"])
def test_a_file_that_is_mapped_again_does_not_trap(vcpus: str, machine: Machine) -> None:
    again = str(compile_c(FOLDER / "counted" / "again.c", "dynamic"))
    output, stat = counted(machine, [again, "1000"], "--vcpus", vcpus)
    assert output == b"1000 times, 0 wrong\n"
    assert stat["interception"]["trapped"] < 100
    assert stat["interception"]["learned_sites"] >= 3 * 999


def test_what_is_known_of_other_bytes_is_not_believed(machine: Machine) -> None:
    again = str(compile_c(FOLDER / "counted" / "again.c", "dynamic"))
    output, stat = counted(machine, [again, "300", "changing"])
    assert output == b"300 times, 0 wrong\n"
    assert stat["interception"]["trapped"] >= 3 * 300
    assert stat["interception"]["learned_sites"] == 0


@pytest.mark.parametrize("vcpus", ["1", "2"])
def test_retired_trampolines_are_used_again(vcpus: str, machine: Machine) -> None:
    again = str(compile_c(FOLDER / "counted" / "again.c", "dynamic"))
    memory = [
        counted(machine, [again, count, "changing"], "--vcpus", vcpus)[1]["memory"]
        for count in ("500", "20000")
    ]
    few, many = (part["frames"] + part["libos"] for part in memory)
    assert many <= few + (256 << 10), memory


def test_dead_bytes_carry_what_no_window_does(machine: Machine) -> None:
    pad = str(compile_c(FOLDER / "pad.c", "no-pie"))
    _, stat = counted(machine, [pad, "100000"])
    assert stat["interception"]["trapped"] < 200


def test_a_number_that_is_loaded_earlier(machine: Machine) -> None:
    between = str(compile_c(FOLDER / "between.c", "no-pie"))
    _, stat = counted(machine, [between, "good", "10000"])
    assert stat["interception"]["trapped"] < 200
    _, stat = counted(machine, [between, "bad", "1000"])
    assert stat["interception"]["trapped"] >= 13 * 1000, "they are to be left alone"


@pytest.mark.parametrize("vcpus", ["1", "2"])
def test_threads_of_a_static_program(vcpus: str, machine: Machine) -> None:
    many = str(compile_c(FOLDER / "counted" / "threads.c", "static"))
    output, stat = counted(machine, [many, "1000"], "--vcpus", vcpus)
    assert output == b"1000 threads\n"
    assert stat["interception"]["trapped"] < 300
