"""Each C program of this folder shows the same on Linux and inside, on each file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Case, Machine, cases

ALL = cases(Path(__file__).parent)


@pytest.mark.parametrize("case", ALL)
def test_overlay(case: Case, machine: Machine) -> None:
    """In the working directory: host files under a layer in memory."""
    case.run(machine, place="overlay")


@pytest.mark.parametrize("case", ALL)
def test_tmpfs(case: Case, machine: Machine) -> None:
    """In a folder that the program makes in /dev/shm, which is a tmpfs on both sides."""
    case.run(machine, env={"PLACE": "/dev/shm/{name}"}, place="tmpfs")


@pytest.mark.parametrize("case", ALL)
def test_host(case: Case, machine: Machine) -> None:
    """In a shared, writable folder of the host."""
    case.run(machine, options=("-v", "{folder}:/mnt:rw", "-w", "/mnt"), place="host")
