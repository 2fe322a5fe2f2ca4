"""Every system call has a program that compares it with Linux, and stands in the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness import load_tool

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def table() -> ModuleType:
    return load_tool("syscall_table")


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
    """The generated page is committed; nothing but `make table` writes it."""
    assert table.PAGE.read_text() == table.page(), "run `make table`"
