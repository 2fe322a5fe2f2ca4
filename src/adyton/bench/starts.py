"""What a start costs: the whole command, and the part of it that is runner and LibOS."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from adyton.bench import sides
from adyton.bench.rows import Case, Goal, Row, Samples, summarise
from adyton.errors import AdytonError
from adyton.launch import install, plan, request, runner, units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from adyton.bench.rows import Side

_PROGRAM = "/bin/true"
# A start is short: each turn takes the median of several.
_REPEAT, _QUICK_REPEAT = 7, 5
_MEMORIES = (256 << 20, 64 << 30)


def start(folder: Path, *, quick: bool) -> list[Row]:
    """Start /bin/true: by the command line, and by the runner with a plan that is ready."""
    deadline = sides.Deadline(quick=quick)
    repeat = _QUICK_REPEAT if quick else _REPEAT
    vcpus = len(os.sched_getaffinity(0))
    whole = Case("start", f"{_PROGRAM} by `adyton run`, {_vcpus(vcpus)}", "ms", Goal("value", 60))
    rows = [_row(whole, deadline, repeat, lambda: _command(folder))]
    for memory in _MEMORIES:
        for count in sorted({1, vcpus}):
            name = f"{_PROGRAM} by runner and LibOS, {_vcpus(count)}, {units.show(memory)}"
            case = Case("start", name, "ms", Goal("value", 10))
            inside = _prepared(folder, memory=memory, vcpus=count)
            rows.append(_row(case, deadline, repeat, inside))
    return rows


def _row(case: Case, deadline: sides.Deadline, repeat: int, inside: Callable[[], float]) -> Row:
    samples = Samples()

    def run(side: Side, seconds: float) -> None:
        if seconds <= 0:
            raise AdytonError("no time was left")
        once = inside if side == "adyton" else _native
        values = sorted(once() for _ in range(repeat))
        samples.add(side, values[len(values) // 2])

    samples.error = sides.take_turns(deadline, run)
    return summarise(case, samples)


def _native() -> float:
    return _milliseconds([_PROGRAM])


def _command(folder: Path) -> float:
    return _milliseconds([*sides.command(), _PROGRAM], folder=folder)


def _prepared(folder: Path, *, memory: int, vcpus: int) -> Callable[[], float]:
    """Return what starts the runner with a plan made before the watch runs."""

    def once() -> float:
        asked = request.Request(
            [_PROGRAM],
            environment=sides.environment(),
            directory=str(folder),
            memory=memory,
            vcpus=vcpus,
        )
        memfd = request.write_plan(asked, plan.Descriptors())
        try:
            with runner.Limits(plan.QUICK_ADDRESS_SPACE):
                return _milliseconds([install.runner(), str(memfd)], keep=(memfd,), environ={})
        finally:
            os.close(memfd)

    return once


def _milliseconds(
    words: Sequence[str],
    *,
    folder: Path | None = None,
    keep: Sequence[int] = (),
    environ: dict[str, str] | None = None,
) -> float:
    """Start a command and wait for its end.

    Raises:
        AdytonError: It failed.
    """
    chosen = sides.environment() if environ is None else environ
    begin = time.perf_counter()
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            cwd=folder,
            env=chosen,
            pass_fds=keep,
            timeout=10,
        )
    except subprocess.TimeoutExpired:
        raise AdytonError("took more than 10 s") from None
    taken = (time.perf_counter() - begin) * 1e3
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise AdytonError(f"exit code {done.returncode}: {last[0]}")
    return taken


def _vcpus(count: int) -> str:
    return f"{count} vCPU{'' if count == 1 else 's'}"
