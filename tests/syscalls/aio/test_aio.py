"""Each C program of this folder shows the same on Linux and inside an enclave."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Case, Machine, cases


@pytest.mark.parametrize("case", cases(Path(__file__).parent))
def test_aio(case: Case, machine: Machine) -> None:
    case.run(machine)
