"""`adyton bench`: comparisons with Linux on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(names: Sequence[str], *, json: str | None, plot: str | None, quick: bool) -> int:
    """Run benchmarks by name; return the exit code."""
    from adyton import bench

    return bench.main(names, json=json, plot=plot, quick=quick)
