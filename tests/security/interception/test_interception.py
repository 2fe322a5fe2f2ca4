"""System calls of every shape do inside what they do on Linux, to the last register."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.harness import BUILD, TESTS, Case, Machine, cases, compile_c, environment, tool

FOLDER = Path(__file__).parent
SYSCALLS = TESTS / "syscalls"


@pytest.mark.parametrize("case", cases(FOLDER), ids=lambda case: case.name)
def test_interception(case: Case, machine: Machine) -> None:
    case.run(machine)


# What depends on how control comes in and out, and on registers that are kept; the long ones once.
LONG = ("between", "thread_fair", "thread_spinners", "toggle")
FAMILIES = [
    case
    for folder in (FOLDER, SYSCALLS / "signals", SYSCALLS / "process")
    for case in cases(folder)
    if not str(case.id).startswith(LONG)
]


@pytest.mark.slow
@pytest.mark.parametrize("feature", ["patching", "inclusive-dispatch", "avx512", "seccomp"])
@pytest.mark.parametrize("case", FAMILIES)
def test_without(feature: str, case: Case, machine: Machine) -> None:
    """No feature of the host is needed: with each switched off, all is the same."""
    if machine.options or machine.native_only:
        pytest.skip("the session's options say what is used")
    case.run(machine, options=("--without", feature))


@pytest.mark.parametrize("variant", ["dynamic", "static"])
def test_exceptions_unwind(variant: str, machine: Machine) -> None:
    machine.compare([str(compile_c(FOLDER / "throw.cc", variant))])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_sites_that_are_given_back_and_taken_again_without_end(machine: Machine) -> None:
    """Thousands of patches written and undone under threads that call through them."""
    toggle = compile_c(FOLDER / "toggle.c", "static")
    outcome = machine.compare([str(toggle), "20000"], options=["--vcpus", "2"], timeout=100)
    assert outcome.stdout == b"20000 toggles, 0 refused, 0 calls wrong\n"


def watched(library: str) -> dict[str, Any]:
    """`java -version` with an eye on the text of a library, as arguments of a run."""
    preloaded = compile_c(FOLDER / "preloaded" / "text.c", "dynamic", ("-shared", "-fPIC"))
    env = {"LD_PRELOAD": str(preloaded), "TEXT": library}
    shown = ["-v", f"{BUILD}:{BUILD}"]
    return {"command": [tool("java"), "-version"], "env": env, "options": shown, "timeout": 100}


@pytest.mark.timeout(240)
def test_a_library_that_makes_no_system_call_keeps_its_text(machine: Machine) -> None:
    """libjvm has dozens of byte pairs that look like one: only what trapped is touched."""
    outcome = machine.compare(**watched("libjvm"))
    assert b"libjvm: as in its file" in outcome.stderr


def test_a_library_that_makes_some_does_not(machine: Machine) -> None:
    """The control: loads do see what was rewritten."""
    assert b"libc.so: changed" in machine.run_inside(**watched("libc.so")).stderr


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
