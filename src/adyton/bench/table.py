"""Shows rows as a table, coloured by ratio, with the goals beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adyton.bench.rows import Row

_NONE = "-"


def table(rows: Sequence[Row]) -> Table:
    """Lay rows out, a section for each benchmark."""
    shown = Table(box=None, pad_edge=False)
    for name in ("bench", "case"):
        shown.add_column(name, overflow="fold")
    for name in ("Linux", "Adyton", "unit", "ratio", "spread", "n"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("goal", no_wrap=True)
    before = ""
    for row in rows:
        case = row.case
        if before and case.bench != before:
            shown.add_section()
        shown.add_row(
            case.bench if case.bench != before else "",
            escape(case.name),
            number(row.linux),
            number(row.adyton),
            case.unit,
            _ratio(row),
            _NONE if row.spread is None else f"{row.spread:.0%}",
            str(row.n),
            _goal(row),
        )
        before = case.bench
    return shown


def notes(rows: Sequence[Row]) -> list[str]:
    """Lines for below the table: what failed, and how flat a curve is."""
    found = []
    for bench in dict.fromkeys(row.case.bench for row in rows):
        mine = [row for row in rows if row.case.bench == bench]
        errors = dict.fromkeys(row.error for row in mine if row.error)
        found += [f"{bench}: {error}" for error in errors]
        curve = [row for row in mine if row.case.x > 1 and row.linux and row.adyton]
        if len(curve) > 1:
            first, last = curve[0], curve[-1]
            growth = [
                (last.linux or 0) / (first.linux or 1),
                (last.adyton or 0) / (first.adyton or 1),
            ]
            found.append(
                f"{bench}: from {first.case.x} to {last.case.x} threads Linux's cost changes by a "
                f"factor of {growth[0]:.2f}, Adyton's by {growth[1]:.2f}"
            )
    return found


def number(value: float | None) -> str:
    """Three significant digits, whole thousands with their commas."""
    if value is None:
        return _NONE
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def colour(ratio: float) -> str:
    """Green where Adyton is clearly faster, red where it is clearly slower."""
    if ratio >= 3:
        return "bold green"
    if ratio >= 0.99:
        return "green"
    return "yellow" if ratio >= 0.9 else "red"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return _NONE
    text = f"{row.ratio:.2f}x" if row.ratio < 10 else f"{row.ratio:.1f}x"
    # A start is slower by its nature: its goal is a time, so its ratio gets no colour.
    if row.case.bench == "start":
        return text
    return f"[{colour(row.ratio)}]{text}[/]"


def _goal(row: Row) -> str:
    goal = row.case.goal
    if goal is None:
        return ""
    text = goal.text(row.case.unit)
    if row.met is None:
        return text
    return f"{text} [green]met[/]" if row.met else f"{text} [yellow]not met[/]"
