"""Each C program of this folder shows the same on Linux and inside, on each file system."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests import carriers
from tests.harness import Case, Machine, cases

SHARED = ("-v", "{folder}:/mnt:rw", "-w", "/mnt")
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
    case.run(machine, options=SHARED, place="host")


@pytest.mark.parametrize("carrier", ["rings", "poller"])
@pytest.mark.parametrize("case", ALL)
def test_host_by(carrier: str, case: Case, machine: Machine) -> None:
    """The same, carried by io_uring and by the poller."""
    if machine.options or machine.native_only:
        pytest.skip("the session's options say how I/O is carried")
    options = (*carriers.CARRIERS[carrier], *SHARED)
    # io_uring may be denied here; what is said then is test_carriers' affair.
    case = dataclasses.replace(case, diagnostics=True)
    case.run(machine, options=options, place="host")
