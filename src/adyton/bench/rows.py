"""What a benchmark finds: samples of both sides, a row of them, and the goal it is held against.

Key types: `Case` names what is measured, `Samples` gathers a value a round and side, `Row` is a
line of the table and of the JSON. A goal is shown as met or not; nothing is ever asserted.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

# Units in which more is better; in all others less is.
RATES = frozenset({"MB/s"})

Side = Literal["linux", "adyton"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach: a ratio of at least `bound`, or a value inside of at most `bound`."""

    kind: Literal["ratio", "value"]
    bound: float

    def met(self, row: Row) -> bool | None:
        """Say whether a row reaches it; None when the row has no such figure."""
        if self.kind == "ratio":
            return None if row.ratio is None else row.ratio >= self.bound
        return None if row.adyton is None else row.adyton <= self.bound

    def text(self, unit: str) -> str:
        """Write it as the table and the JSON have it."""
        return f">= {self.bound:g}x" if self.kind == "ratio" else f"<= {self.bound:g} {unit}"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure, named so that what each side had (cores, vCPUs) can be read off.

    `series` and `x` place it on a curve of the drawing, such as yields over threads.
    """

    bench: str
    name: str
    unit: str
    goal: Goal | None = None
    series: str = ""
    x: int = 0


@dataclass(slots=True)
class Samples:
    """A value a round for each side, in the case's unit, and why there are none."""

    linux: list[float] = field(default_factory=list)
    adyton: list[float] = field(default_factory=list)
    error: str = ""

    def add(self, side: Side, value: float) -> None:
        """Append a round's value."""
        (self.linux if side == "linux" else self.adyton).append(value)


@dataclass(frozen=True, slots=True)
class Row:
    """Both sides of a case: medians in its unit, and how they compare.

    `ratio` above 1 means that Adyton is faster. `spread` is the larger of both sides'. `n` is the
    number of rounds. What could not be measured is None, and `error` says why.
    """

    case: Case
    linux: float | None
    adyton: float | None
    ratio: float | None
    spread: float | None
    n: int
    error: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal or a figure."""
        return self.case.goal.met(self) if self.case.goal else None

    def as_dict(self) -> dict[str, Any]:
        """Return it as the JSON has it, machine aside."""
        goal = self.case.goal
        return {
            "bench": self.case.bench,
            "case": self.case.name,
            "unit": self.case.unit,
            "linux": _rounded(self.linux),
            "adyton": _rounded(self.adyton),
            "ratio": _rounded(self.ratio),
            "spread": _rounded(self.spread),
            "n": self.n,
            "goal": goal.text(self.case.unit) if goal else None,
            "met": self.met,
            "error": self.error or None,
        }


def summarise(case: Case, samples: Samples) -> Row:
    """Make a row of the samples."""
    linux = statistics.median(samples.linux) if samples.linux else None
    adyton = statistics.median(samples.adyton) if samples.adyton else None
    spreads = [spread(values) for values in (samples.linux, samples.adyton) if values]
    return Row(
        case,
        linux,
        adyton,
        ratio(linux, adyton, case.unit),
        max(spreads) if spreads else None,
        min(len(samples.linux), len(samples.adyton)),
        samples.error,
    )


def ratio(linux: float | None, adyton: float | None, unit: str) -> float | None:
    """Compare two values so that more than 1 means that Adyton is faster."""
    if not linux or not adyton:
        return None
    return adyton / linux if unit in RATES else linux / adyton


def spread(values: Sequence[float]) -> float:
    """Return (p75 - p25) / median, quartiles interpolated; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle if middle else 0.0


def _rounded(value: float | None) -> float | None:
    """Four significant digits: what is beyond them is noise."""
    return None if value is None else float(f"{value:.4g}")
