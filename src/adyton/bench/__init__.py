"""Comparisons with Linux, each measured beside it in the same run.

A benchmark is a function that returns rows; `register` names it, `main` runs those that are asked
for and shows, writes or draws what they found.
"""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adyton.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# bench, case, unit, linux, adyton, ratio, spread, n; a ratio above 1 means that Adyton is faster.
Row = dict[str, Any]

_REGISTRY: dict[str, Callable[[bool], list[Row]]] = {}


def register(name: str, benchmark: Callable[[bool], list[Row]]) -> None:
    """Make a benchmark known; it is called with whether to be quick."""
    _REGISTRY[name] = benchmark


def main(
    names: Sequence[str], json: str | None = None, plot: str | None = None, quick: bool = False
) -> int:
    """Run benchmarks.

    Args:
        names: Which; `list` prints what there is.
        json: File that gets the rows; - is stdout.
        plot: File that gets a drawing.
        quick: End within 30 seconds each.

    Raises:
        UsageError: There is no such benchmark, or nothing that could draw.
    """
    if list(names) == ["list"]:
        sys.stdout.write("".join(f"{name}\n" for name in sorted(_REGISTRY)))
        return 0
    for name in names:
        if name not in _REGISTRY:
            known = ", ".join(sorted(_REGISTRY)) or "none in this build"
            raise UsageError(f'bench "{name}" is not there; there are: {known}')
    if plot is not None:
        raise UsageError("--plot: no benchmark of this build draws")
    rows = [row for name in names for row in _REGISTRY[name](quick)]
    text = json_module.dumps(rows, indent=1) + "\n"
    if json is not None and json != "-":
        Path(json).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0
