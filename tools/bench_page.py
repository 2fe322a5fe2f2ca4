"""Writes docs/benchmarks/measured.md: a table and a plot of what `adyton bench` found on a machine.

    python tools/bench_page.py                 measures all, then writes table, plot and JSON
    python tools/bench_page.py --quick         the same, at most 30 seconds for each benchmark
    python tools/bench_page.py --from-json     writes the table of the JSON that is there

It waits until the machine has little else to do, at most five minutes: a busy one's figures say
nothing.

Figures are committed as they were measured. Nothing is rounded up, and no row is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "benchmarks"
ROWS, PLOT, PAGE = (FOLDER / f"measured.{ending}" for ending in ("json", "png", "md"))

_HEAD = """# Measured

<!-- Written by tools/bench_page.py; don't edit. -->

{machine}.

Linux and Adyton in turns in one run, on the same cores; backend `{backend}`, one vCPU unless a case
says otherwise. A ratio above 1 means that Adyton is faster. [How it is measured](index.md#how).

![Ratios to Linux as bars, and sched_yield over the number of threads](measured.png)

"""
_COLUMNS = ("case", "Linux", "Adyton", "unit", "ratio", "spread", "goal")


def measure(*, quick: bool) -> None:
    """Run all benchmarks.

    Raises:
        subprocess.CalledProcessError: One could not be measured; what could be is written.
    """
    wait_for_quiet()
    command = [sys.executable, "-m", "adyton", "bench", "all"]
    command += ["--json", str(ROWS), "--plot", str(PLOT), *(["--quick"] if quick else [])]
    subprocess.run(command, check=True)


def wait_for_quiet() -> None:
    """Wait until less than half a core was busy in the last minute.

    Raises:
        SystemExit: It does not come to that.
    """
    deadline = time.monotonic() + 300
    while (load := os.getloadavg()[0]) > 0.5:
        if time.monotonic() > deadline:
            sys.exit(f"bench_page: this machine is busy (load {load:.1f}); measure when it is not")
        time.sleep(5)


def page(rows: list[dict[str, Any]]) -> str:
    """Lay rows out as a page, a table for each benchmark."""
    machine = rows[0]["machine"]
    line = "{cpu}, {cores} cores, {kernel}, {libc}, load {load} before, {date}".format(**machine)
    text = _HEAD.format(machine=line, backend=machine["backend"])
    for bench in dict.fromkeys(row["bench"] for row in rows):
        text += f"## {bench}\n\n| {' | '.join(_COLUMNS)} |\n|---|--:|--:|---|--:|--:|---|\n"
        for row in rows:
            if row["bench"] == bench:
                text += f"| {' | '.join(_cells(row))} |\n"
        text += "\n"
    errors = dict.fromkeys(f"{row['bench']}: {row['error']}" for row in rows if row["error"])
    if errors:
        text += "## Not measured\n\n" + "".join(f"- {error}\n" for error in errors) + "\n"
    return text.rstrip() + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    goal = row["goal"] or ""
    if row["met"] is not None:
        goal += ": met" if row["met"] else ": not met"
    ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}x"
    spread = "-" if row["spread"] is None else f"{row['spread']:.0%}"
    values = [_number(row[side]) for side in ("linux", "adyton")]
    return [row["case"].replace("|", "\\|"), *values, row["unit"], ratio, spread, goal]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> int:
    """Measure unless told not to, and write the page."""
    parser = argparse.ArgumentParser(description="Write the benchmarks' page.")
    parser.add_argument("--quick", action="store_true", help="at most 30 seconds each")
    parser.add_argument("--from-json", action="store_true", help="don't measure")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if not arguments.from_json:
        measure(quick=arguments.quick)
    PAGE.write_text(page(json.loads(ROWS.read_text())))
    sys.stderr.write(f"bench page: {PAGE.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
