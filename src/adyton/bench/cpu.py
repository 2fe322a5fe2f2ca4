"""Programs that only compute: they should run as fast inside as outside."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

from adyton.bench import programs, sides
from adyton.bench.rows import Case, Goal, Row, Samples, summarise
from adyton.errors import AdytonError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from adyton.bench.rows import Side

_GOAL = Goal("ratio", 0.99)
_LOOP = """
import time
start = time.perf_counter_ns()
total = 0
for number in range({count}):
    total += number * number % 7
print("loop", time.perf_counter_ns() - start, {count}, sep="\\t")
"""
_COUNT = 1_500_000
# Where Python's objects happen to lie makes a run faster or slower by some percent: many short runs
# say more than a few long ones.
_LOOP_TIMES = 8
_CIPHERS = ("sha256", "aes-256-gcm")
_BLOCK = 16384


def cpu(folder: Path, *, quick: bool) -> list[Row]:
    """Run a Python loop and, where there is one, `openssl speed`."""
    deadline = sides.Deadline(quick=quick)
    loop = [_python(), "-I", "-S", "-c", _LOOP.format(count=_COUNT)]
    rows = [_row("Python loop", "ms", loop, _duration, folder, deadline, times=_LOOP_TIMES)]
    openssl = shutil.which("openssl")
    for cipher in _CIPHERS if openssl else ():
        # By the clock on the wall: CPU time leaves out what an enclave may take.
        words = [openssl or "", "speed", "-elapsed", "-mr", "-seconds", "1"]
        words += ["-bytes", str(_BLOCK), "-evp", cipher]
        name = f"openssl speed {cipher}"
        times = 1 if quick else 2
        rows.append(_row(name, "MB/s", words, _throughput, folder, deadline, times=times))
    return rows


def _row(
    name: str,
    unit: str,
    words: list[str],
    read: Callable[[str], float],
    folder: Path,
    deadline: sides.Deadline,
    *,
    times: int = 1,
) -> Row:
    samples = Samples()
    cores = sides.Cores(1)

    def run(side: Side, seconds: float) -> None:
        inside = sides.command(vcpus=1) if side == "adyton" else []
        shown = sides.output([*inside, *words], folder=folder, cores=cores, timeout=seconds)
        samples.add(side, read(shown))

    samples.error = sides.take_turns(deadline, run, times=times)
    return summarise(Case("cpu", f"{name}, {cores.text}", unit, _GOAL), samples)


def _duration(text: str) -> float:
    """Milliseconds of the loop."""
    return programs.parse(text).values["loop"] / 1e6


def _throughput(text: str) -> float:
    """Megabytes a second from `openssl speed -mr`, whose line ends with bytes a second."""
    found = re.search(r"^\+F:\d+:[^:]+:([0-9.]+)$", text, re.MULTILINE)
    if found is None:
        raise AdytonError("openssl speed printed no result")
    return float(found[1]) / 1e6


def _python() -> str:
    """Debian's interpreter if there is one, else the one that runs this."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
