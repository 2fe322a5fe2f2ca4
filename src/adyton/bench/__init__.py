"""Comparisons with Linux, each measured beside it in the same run.

`BENCHES` names them; `main` runs those that are asked for and shows, writes and draws what they
find. `rows` has the statistics, `sides` runs both sides in turns, `calls`, `starts` and `cpu` know
what is measured.
"""

from __future__ import annotations

import json as json_module
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from adyton.bench import calls, cpu, machine, starts, table
from adyton.bench import plot as drawing
from adyton.bench.rows import Case, Samples, summarise
from adyton.errors import AdytonError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from adyton.bench.rows import Row


class Bench(Protocol):
    """A benchmark: gets a folder for its programs, returns rows; ends in 30 seconds if `quick`."""

    def __call__(self, folder: Path, *, quick: bool) -> list[Row]:
        """Measure."""


BENCHES: dict[str, Bench] = {
    "syscall": calls.syscall,
    "yield": calls.sched_yield,
    "futex": calls.futex,
    "pipe": calls.pipe,
    "thread": calls.thread,
    "signal": calls.signal,
    "epoll": calls.epoll,
    "start": starts.start,
    "cpu": cpu.cpu,
    "tmpfs": calls.tmpfs,
    "memory": calls.memory,
}


def main(
    names: Sequence[str], json: str | None = None, plot: str | None = None, quick: bool = False
) -> int:
    """Run benchmarks; return 1 when something could not be measured, else 0.

    Args:
        names: Which; `list` says what there is, `all` stands for all.
        json: File that gets the rows; - is stdout, which then gets nothing else.
        plot: File that gets a drawing.
        quick: End within 30 seconds each.

    Raises:
        UsageError: There is no such benchmark, or nothing that could draw, or a file can't be
            written; before anything is measured, as far as that can be told.
    """
    if list(names) == ["list"]:
        lines = [f"{name:8} {_about(bench)}\n" for name, bench in BENCHES.items()]
        lines.append("Measure with `adyton bench NAME…`, or `adyton bench all`.\n")
        sys.stdout.write("".join(lines))
        return 0
    chosen = _chosen(names)
    if json not in (None, "-"):
        _check_writable("--json", json)
    if plot is not None:
        drawing.require(plot)
        _check_writable("--plot", plot)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="adyton-bench-") as name:
        folder = Path(name)
        found = machine.facts(folder)
        for number, bench in enumerate(chosen, 1):
            _progress(f"[{number}/{len(chosen)}] {bench} …")
            try:
                rows += BENCHES[bench](folder, quick=quick)
            except AdytonError as error:
                # What the others found is worth as much.
                rows.append(summarise(Case(bench, "all", ""), Samples(error=str(error))))
    _progress("")
    _show(rows, found, json)
    if plot is not None:
        drawing.draw(rows, plot, caption=machine.line(found))
    return 1 if any(row.error for row in rows) else 0


def _about(bench: Bench) -> str:
    return (bench.__doc__ or "").partition("\n")[0]


def _chosen(names: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(BENCHES if list(names) == ["all"] else names))
    for name in wanted:
        if name not in BENCHES:
            raise UsageError(f'bench "{name}" is not there; there are: {", ".join(BENCHES)}, all')
    return wanted


def _check_writable(option: str, path: str) -> None:
    """Refuse a file that could not be written at the end; one that is not there is not made yet."""
    new = not os.path.lexists(path)
    if not new and not os.path.isfile(path):
        return
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from None
    if new:
        os.unlink(path)


def _show(rows: Sequence[Row], found: dict[str, Any], json: str | None) -> None:
    # The machine stands in each row: a list of rows is what scripts may rely on.
    listed = [{**row.as_dict(), "machine": found} for row in rows]
    text = json_module.dumps(listed, indent=1) + "\n"
    if json == "-":
        sys.stdout.write(text)
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table.table(rows))
    for note in [*table.notes(rows), machine.line(found)]:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    if json is not None:
        try:
            Path(json).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--json {json}: {error.strerror}") from None


def _progress(text: str) -> None:
    """Show a line that the next one overwrites, to a person only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
