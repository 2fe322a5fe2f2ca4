"""Each argument of each call spoiled, one at a time: Linux's errno, and the enclave goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sequences import differences, puppet, rows, spoil

if TYPE_CHECKING:
    from tests.harness import Machine


@pytest.mark.parametrize("name", rows.all_rows())
def test_arguments(name: str, machine: Machine) -> None:
    script = [line for part in spoil.each_argument(rows.all_rows()[name]) for line in part]
    found = [one for one in puppet.compare(machine, script) if not differences.listed(one)]
    assert not found, "\n".join(map(str, found[:20]))
