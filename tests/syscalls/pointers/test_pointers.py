"""Bad pointers in every pointer argument: Linux's errno, never a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Case, Machine, cases


@pytest.mark.parametrize("case", cases(Path(__file__).parent))
def test_pointers(case: Case, machine: Machine) -> None:
    native = case.run(machine)
    assert native.stdout.endswith(b"the end\n")
