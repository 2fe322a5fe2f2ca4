"""Shows counters: the JSON that the LibOS writes when it ends."""

from __future__ import annotations

from typing import Any

from rich.table import Table


def table(counters: dict[str, Any]) -> Table:
    """Lay counters out, groups as the LibOS gave them, largest first within a group."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column("name")
    shown.add_column("value", justify="right")
    for name, value in counters.items():
        if not isinstance(value, dict):
            shown.add_row(name, _number(value))
            continue
        shown.add_row(name, _number(value["total"]) if "total" in value else "")
        rows = [(key, item) for key, item in value.items() if key != "total"]
        for key, item in sorted(rows, key=_by_size):
            shown.add_row(f"  {key}", _number(item))
    return shown


def _by_size(row: tuple[str, Any]) -> tuple[float, str]:
    return (-row[1] if isinstance(row[1], int | float) else 0, row[0])


def _number(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:,.3f}" if isinstance(value, float) else str(value)
