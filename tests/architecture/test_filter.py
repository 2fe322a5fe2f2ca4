"""The runner's seccomp filter lists every call that code of vCPU threads makes."""

from __future__ import annotations

import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "crates" / "runner" / "src"
# What runs on a vCPU's thread once it has entered.
ON_VCPUS = ("host", "io", "line", "ring", "signals", "sys", "vcpu")
_CALL = re.compile(r"\bSYS_[a-z0-9_]+\b")


def calls(name: str) -> set[str]:
    return set(_CALL.findall((SOURCES / f"{name}.rs").read_text(encoding="utf-8")))


def test_the_filter_knows_every_call() -> None:
    made = set().union(*(calls(name) for name in ON_VCPUS))
    assert len(made) > 30
    # Before the filter is on.
    made -= {"SYS_prctl", "SYS_seccomp"}
    assert made - calls("filter") == set()
