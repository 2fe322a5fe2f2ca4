"""Draws rows: ratios as bars, and a curve's values over its number of threads.

Needs matplotlib, which `pip install 'adyton[plot]'` brings along.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from adyton.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from adyton.bench.rows import Row

_FASTER, _SLOWER, _LINUX = "#2a7f62", "#b5532a", "#5b6472"


def require(path: str) -> None:
    """Raise UsageError when nothing could draw that file; before an hour of measuring."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install 'adyton[plot]'")
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    ending = os.path.splitext(path)[1].removeprefix(".") or "png"
    if ending.lower() not in known:
        raise UsageError(f"--plot {path}: its ending is none of {', '.join(known)}")


def draw(rows: Sequence[Row], path: str, *, caption: str) -> None:
    """Write a drawing; the file's ending says its format.

    Raises:
        UsageError: The format is not known, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    bars = [row for row in rows if row.ratio is not None]
    curve = [row for row in rows if row.case.series and row.ratio is not None]
    if not bars:
        raise UsageError("--plot: nothing was measured on both sides")
    heights = [1.6 + 0.3 * len(bars), *([4.2] if curve else [])]
    figure = Figure(figsize=(9.5, sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    figure.suptitle(f"System calls and programs inside an enclave\n{caption}", fontsize=10)
    _bars(axes[0], bars)
    if curve:
        _curve(axes[1], curve)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise UsageError(f"--plot {path}: {error}") from None


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    ratios = [row.ratio or 1.0 for row in rows]
    places = range(len(rows))
    colours = [_FASTER if ratio >= 1 else _SLOWER for ratio in ratios]
    # From 1 outwards: on a logarithmic axis twice as fast is as long as half as fast.
    axes.barh(places, [ratio - 1 for ratio in ratios], left=1, color=colours, height=0.7)
    axes.set_xscale("log")
    axes.axvline(1, color=_LINUX, linewidth=1)
    axes.set_yticks(places, [row.case.name for row in rows], fontsize=8)
    axes.invert_yaxis()
    for place, row, ratio in zip(places, rows, ratios, strict=True):
        goal = row.case.goal
        if goal is not None and goal.kind == "ratio":
            axes.plot([goal.bound] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.2)
        axes.annotate(
            f"{ratio:.3g}x",
            (ratio, place),
            xytext=(4 if ratio >= 1 else -4, 0),
            textcoords="offset points",
            ha="left" if ratio >= 1 else "right",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )
    axes.set_xlim(min(0.5, *ratios) / 2, max(2.0, *ratios) * 2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_xlabel(
        "speed relative to Linux (log scale; right of 1: Adyton is faster; | is a goal)"
    )
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _curve(axes: Axes, rows: Sequence[Row]) -> None:
    threads = [row.case.x for row in rows]
    linux = [row.linux or 0.0 for row in rows]
    adyton = [row.adyton or 0.0 for row in rows]
    for name, colour, values in (("Linux", _LINUX, linux), ("Adyton", _FASTER, adyton)):
        axes.plot(threads, values, marker="o", color=colour, label=name)
        for x, value in zip(threads, values, strict=True):
            axes.annotate(
                f"{value:,.0f}",
                (x, value),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_minor_formatter("")
    axes.set_xticks(threads, [str(count) for count in threads])
    axes.set_xlabel("threads")
    axes.set_ylabel(f"{rows[0].case.unit} a call")
    axes.set_title(f"{rows[0].case.series} over the number of threads, one core", fontsize=9)
    axes.set_ylim(min(linux + adyton) / 2, max(linux + adyton) * 2)
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
