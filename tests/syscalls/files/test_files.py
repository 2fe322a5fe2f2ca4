"""Each C program of this folder shows the same on Linux and inside, on each file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Case, Machine, cases

# Where the program's working directory lies inside.
PLACES = {
    "overlay": (),
    "tmpfs": ("-w", "/tmp"),
    "host": ("-v", "{folder}:/mnt:rw", "-w", "/mnt"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", cases(Path(__file__).parent))
def test_files(case: Case, place: str, machine: Machine) -> None:
    case.run(machine, options=PLACES[place])
