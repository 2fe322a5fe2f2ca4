"""Every system call has a program that compares it with Linux, and stands in the docs."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tests.harness import ROOT

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "syscall_table", ROOT / "tools" / "syscall_table.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_call_is_tried(table: ModuleType) -> None:
    names = table.names()
    untried = [
        names[constant][1]
        for constant in sorted(table.implemented())
        if not table.tested_by(names[constant][1])
    ]
    assert untried == []


def test_every_call_has_a_family(table: ModuleType) -> None:
    assert table.implemented() <= table.families().keys()


def test_the_page_is_fresh(table: ModuleType) -> None:
    """The generated page is committed; `make docs` writes it."""
    assert table.PAGE.read_text() == table.page(), "run `python tools/syscall_table.py`"
