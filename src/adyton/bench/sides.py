"""Runs a command on Linux and inside, in turns, on the same cores.

The turns are what makes a ratio worth something on a machine that does other things too: whatever
slows one side down for a while slows down the other.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import adyton
from adyton.errors import AdytonError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adyton.bench.rows import Side

# A run that takes longer than this hangs, in seconds.
_RUN_MAX = 60.0
# Of --quick's 30 seconds, what is left for building and showing.
_QUICK_SECONDS = 26.0


@dataclass(frozen=True, slots=True)
class Cores:
    """What both sides get: both are pinned to as many cores as the enclave has vCPUs."""

    vcpus: int

    @property
    def text(self) -> str:
        """How a case's name says it."""
        return "1 core" if self.vcpus == 1 else f"{self.vcpus} cores"

    def allowed(self) -> set[int]:
        """The cores: the highest ones, since interrupts like the lowest."""
        return set(sorted(os.sched_getaffinity(0))[-self.vcpus :])


class Deadline:
    """How many rounds there is time for."""

    def __init__(self, *, quick: bool, now: Callable[[], float] = time.monotonic) -> None:
        """Start the clock; only --quick has an end."""
        self.quick = quick
        self._now = now
        self._start = now()

    @property
    def rounds(self) -> int:
        """How many there are when time suffices."""
        return 3 if self.quick else 5

    def left(self) -> float:
        """Seconds that a run may take."""
        if not self.quick:
            return _RUN_MAX
        return max(0.0, min(_RUN_MAX, self._start + _QUICK_SECONDS - self._now()))


def command(*, vcpus: int | None = None, options: Sequence[str] = ()) -> list[str]:
    """Return the words of `adyton run` up to the program's name."""
    script = Path(sys.executable).with_name("adyton")
    direct = script.exists() and "PYTHONPATH" not in os.environ
    words = [str(script)] if direct else [sys.executable, "-m", "adyton"]
    words += ["run", "--quick"]
    if vcpus is not None:
        words += ["--vcpus", str(vcpus)]
    return [*words, *options, "--"]


def environment() -> dict[str, str]:
    """Return the environment of both sides; the package is found from any working directory."""
    found = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if "PYTHONPATH" in os.environ:
        found["PYTHONPATH"] = str(Path(adyton.__file__).parents[1])
    return found


def output(
    words: Sequence[str],
    *,
    folder: Path,
    cores: Cores | None = None,
    timeout: float = _RUN_MAX,
) -> str:
    """Run a command on some cores and return what it printed to stdout.

    Raises:
        AdytonError: As `partial_output` says it.
    """
    shown, error = partial_output(words, folder=folder, cores=cores, timeout=timeout)
    if error:
        raise AdytonError(error)
    return shown


def partial_output(
    words: Sequence[str],
    *,
    folder: Path,
    cores: Cores | None = None,
    timeout: float = _RUN_MAX,
) -> tuple[str, str]:
    """Run a command on some cores; return what it printed to stdout, and why it failed, or "".

    It failed when its exit code is not 0, or when it took too long and was killed.
    """
    if timeout <= 0:
        return "", "no time was left"
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, cores.allowed())
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
            env=environment(),
        )
    finally:
        os.sched_setaffinity(0, before)
    with process:
        try:
            shown, said = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            shown, _ = process.communicate()
            return shown, f"took more than {timeout:.0f} s: {shlex.join(words)}"
        except BaseException:
            process.kill()
            raise
    if not process.returncode:
        return shown, ""
    last = said.strip().splitlines()[-1:] or ["no message"]
    return shown, f"exit code {process.returncode}: {last[0]}"


def take_turns(deadline: Deadline, run: Callable[[Side, float], None], *, times: int = 1) -> str:
    """Call `run` for Linux, Adyton, Linux, Adyton, … and return why a side failed, or "".

    `run` gets a side and the seconds that it may take. There are `times` as many rounds as usual,
    for what is over soon and differs much from run to run. A further round begins only when the
    longest one so far would end in time. A side that failed takes no further turn.
    """
    going: list[Side] = ["linux", "adyton"]
    errors = []
    longest = 0.0
    for number in range(deadline.rounds * times):
        if number and deadline.left() < longest:
            break
        start = time.monotonic()
        for side in tuple(going):
            try:
                run(side, deadline.left())
            except AdytonError as error:
                errors.append(f"{side}: {error}")
                going.remove(side)
        longest = max(longest, time.monotonic() - start)
    return "; ".join(errors)
