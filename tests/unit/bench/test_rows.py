"""Medians, spreads, ratios and goals."""

from __future__ import annotations

import pytest

from adyton.bench import rows
from adyton.bench.rows import Case, Goal, Samples


def case(unit: str = "ns", goal: Goal | None = None) -> Case:
    return Case("syscall", "getppid, 1 core", unit, goal)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0.0),
        ([7.0], 0.0),
        ([5.0, 5.0, 5.0], 0.0),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 2 / 3),
        ([5.0, 1.0, 3.0, 2.0, 4.0], 2 / 3),
        ([10.0, 12.0, 14.0], 2 / 12),
        ([0.0, 0.0, 0.0], 0.0),
    ],
)
def test_spread(values: list[float], expected: float) -> None:
    assert rows.spread(values) == pytest.approx(expected)


def test_times_and_rates_have_ratios_of_one_direction() -> None:
    assert rows.ratio(200.0, 20.0, "ns") == 10
    assert rows.ratio(1000.0, 500.0, "MB/s") == 0.5
    assert rows.ratio(None, 20.0, "ns") is None
    assert rows.ratio(200.0, 0.0, "ns") is None


def test_a_row_takes_medians_and_the_wider_spread() -> None:
    samples = Samples(linux=[200.0, 900.0, 210.0], adyton=[20.0, 21.0, 19.0])
    row = rows.summarise(case(), samples)
    assert (row.linux, row.adyton, row.n) == (210.0, 20.0, 3)
    assert row.ratio == pytest.approx(10.5)
    assert row.spread == pytest.approx(rows.spread(samples.linux))


def test_one_side_alone() -> None:
    samples = Samples(linux=[200.0, 210.0], error="adyton: exit code 1: no")
    row = rows.summarise(case(goal=Goal("ratio", 8)), samples)
    assert (row.adyton, row.ratio, row.n, row.met) == (None, None, 0, None)
    assert row.as_dict()["error"] == "adyton: exit code 1: no"


@pytest.mark.parametrize(
    ("goal", "met", "text"),
    [
        (Goal("ratio", 8), True, ">= 8x"),
        (Goal("ratio", 12.5), False, ">= 12.5x"),
        (Goal("value", 25), True, "<= 25 ns"),
        (Goal("value", 10), False, "<= 10 ns"),
    ],
)
def test_goals(goal: Goal, met: bool, text: str) -> None:
    row = rows.summarise(case(goal=goal), Samples(linux=[200.0], adyton=[20.0]))
    assert row.met is met
    assert row.as_dict()["goal"] == text


def test_the_contract_of_the_json() -> None:
    shown = rows.summarise(case(), Samples(linux=[123.456], adyton=[12.3456])).as_dict()
    columns = ["bench", "case", "unit", "linux", "adyton", "ratio", "spread", "n"]
    assert list(shown)[:8] == columns
    assert (shown["linux"], shown["adyton"], shown["ratio"]) == (123.5, 12.35, 10.0)
    assert (shown["goal"], shown["met"]) == (None, None)
