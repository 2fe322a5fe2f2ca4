"""System calls of every shape do inside what they do on Linux, to the last register."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from tests.harness import Case, Machine, cases, compile_c, environment

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("case", cases(FOLDER), ids=lambda case: case.name)
def test_interception(case: Case, machine: Machine) -> None:
    case.run(machine)


@pytest.mark.parametrize("variant", ["dynamic", "static"])
def test_exceptions_unwind(variant: str, machine: Machine) -> None:
    machine.compare([str(compile_c(FOLDER / "throw.cc", variant))])


@pytest.mark.parametrize(
    "door",
    [
        "int80",
        "sysenter",
        "cs32",
    ],
)
def test_doors_that_linux_opens_are_closed(door: str, machine: Machine) -> None:
    """What Linux may answer here never reaches the host: a signal in the program, or its end."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    binary = compile_c(FOLDER / "doors.c", "static")
    with tempfile.TemporaryDirectory(prefix="adyton-test-") as folder:
        outcome = machine.inside([str(binary), door], cwd=Path(folder), env=environment())
    if door == "int80":
        assert outcome.stdout == b"int80: Segmentation fault\n", outcome.described()
    assert b"returned 1" not in outcome.stdout, outcome.described()
    assert outcome.status is not None, outcome.described()
