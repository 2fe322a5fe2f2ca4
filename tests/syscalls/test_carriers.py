"""The families' C programs show the same however I/O is carried, and where io_uring is denied."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import pytest

from tests import carriers, harness
from tests.harness import Case, Machine, cases

FOLDER = Path(__file__).parent
# Files have passes of their own, on each file system.
FAMILIES = ("memory", "pointers", "poll", "process", "signals", "sockets", "time")
SHARED = ("-v", "{folder}:/mnt:rw", "-w", "/mnt")


def told(case: Case) -> Case:
    """The same; that io_uring is denied may be said, which an integration test sees to."""
    return dataclasses.replace(case, diagnostics=True)


@pytest.fixture(autouse=True)
def own_carrier(machine: Machine) -> None:
    """Nothing to compare where the session's options say how I/O is carried."""
    if machine.options or machine.native_only:
        pytest.skip("the session's options say how I/O is carried")


@pytest.mark.slow
@pytest.mark.parametrize("carrier", ["rings", "poller"])
@pytest.mark.parametrize("case", [case for name in FAMILIES for case in cases(FOLDER / name)])
def test_by(carrier: str, case: Case, machine: Machine) -> None:
    told(case).run(machine, options=tuple(carriers.CARRIERS[carrier]))


@pytest.mark.slow
@pytest.mark.parametrize("case", [*cases(FOLDER / "files"), *cases(FOLDER / "poll")])
def test_denied(case: Case, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for io_uring where its calls end with an error is served by the poller."""
    command = carriers.denied(errno.EPERM, harness.adyton_command())
    monkeypatch.setattr(harness, "adyton_command", lambda: command)
    told(case).run(machine, options=(*carriers.RINGS, *SHARED), place="host")
