"""Each C program of this folder shows the same on Linux and inside an enclave."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.harness import Case, Machine, cases, compile_c

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("case", cases(FOLDER))
def test_security(case: Case, machine: Machine) -> None:
    case.run(machine)


@pytest.mark.parametrize("carrier", ["patched", "trapped"])
@pytest.mark.parametrize("how", ["strict", "process", "thread", "last", "trap", "after", "other"])
def test_ends(machine: Machine, how: str, carrier: str) -> None:
    """Ways in which a restriction ends a thread, or the process."""
    case = Case(FOLDER / "ends" / "ends.c", "static", args=(how,), diagnostics=True)
    options = ("--without", "patching") if carrier == "trapped" else ()
    dataclasses.replace(case, options=options).run(machine)


REFUSED = """\
keyctl: -1 EPERM
add_key: -1 EPERM
request_key: -1 EPERM
landlock_create_ruleset: -1 EOPNOTSUPP
landlock_add_rule: -1 EOPNOTSUPP
landlock_restrict_self: -1 EOPNOTSUPP
seccomp with a listener: -1 EINVAL
lsm_list_modules: 1
100
"""


def test_refused_by_design(machine: Machine) -> None:
    """What differs from a Linux that has them, said in docs/syscalls/security.md."""
    if machine.native_only:
        pytest.skip("about the inside alone")
    binary = compile_c(FOLDER / "refused" / "refused.c")
    outcome = machine.run_inside([str(binary)])
    assert outcome.stdout.decode() == REFUSED
    assert outcome.stderr == b""
    assert outcome.status == 0
