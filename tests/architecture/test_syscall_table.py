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
        for constant in sorted(table.implemented() | table.refused().keys())
        if not table.tested_by(names[constant][1])
    ]
    assert untried == []


def test_every_call_has_a_family(table: ModuleType) -> None:
    assert table.implemented() <= table.families().keys()


def test_a_refusal_is_no_row(table: ModuleType) -> None:
    """What is refused by design stands apart, and has a family like all others."""
    refused = table.refused()
    assert refused
    assert refused.keys() <= table.families().keys()
    page = table.page()
    rows, _, rest = page.partition("## Refused by design")
    for constant in refused:
        name = table.names()[constant][1]
        assert f"| `{name}` | [" not in rows
        assert f"| `{name}` | {refused[constant]} |" in rest


def test_states_cover_every_number(table: ModuleType) -> None:
    states = table.states()
    assert len(states) == len(table.names())
    assert states["read"] == {"number": 0, "state": "there", "family": "files"}
    assert states["keyctl"]["errno"] == "EPERM"
    assert states["fork"]["state"] == "missing"


def test_the_page_is_fresh(table: ModuleType) -> None:
    """The generated page is committed; nothing but `make table` writes it."""
    assert table.PAGE.read_text() == table.page(), "run `make table`"
