"""CPython's own tests, run on Linux and inside, case by case.

Key types: `Case` is what one case came to, `Comparison` both sides of a module. Debian's
interpreter and the tests of exactly its version are used (`libpython3.11-testsuite`).
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness import adyton_command, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = "/usr/bin/python3"
RUNNER = Path(__file__).parent / "cpython_cases.py"
# Never run on a machine that others use.
LEFT_OUT = {"test.test_time.TimeTestCase.test_monotonic_settime": "it sets the machine's clock"}
# More ends of an interpreter than this in one module, and the rest is not tried.
MOST_ENDS = 40
# A side of a module may take this long, in seconds.
LIMIT = 900.0


@dataclasses.dataclass(frozen=True)
class Case:
    """What a case came to.

    `outcome` is `ok`, `skip`, `fail`, `error`, or `ended` when the interpreter ended in it;
    `beyond` says what it used that one process alone does not have.
    """

    name: str
    outcome: str
    why: str
    beyond: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A module's cases on both sides."""

    module: str
    native: dict[str, Case]
    inside: dict[str, Case]

    def counted(self) -> list[str]:
        """The cases that count: they pass on Linux and need nothing but one process."""
        return [
            name for name, case in self.native.items() if case.outcome == "ok" and not case.beyond
        ]

    def different(self) -> Iterator[Case]:
        """Of those that count, the ones that don't pass inside, as seen there."""
        for name in self.counted():
            seen = self.inside.get(name, Case(name, "missing", "not run", ()))
            if seen.outcome != "ok":
                yield seen


def compare(module: str, options: tuple[str, ...] = ()) -> Comparison:
    """Run a module, `test_os` say, on both sides; `options` are further ones of `adyton run`."""
    inside = [*adyton_command(), "run", *options, "--"]
    return Comparison(module, run(module, []), run(module, inside))


def run(module: str, prefix: list[str]) -> dict[str, Case]:
    """Run all cases of a module; one that ends the interpreter is noted, and the others go on."""
    cases = {name: Case(name, "left out", why, ()) for name, why in LEFT_OUT.items()}
    with tempfile.TemporaryDirectory(prefix="adyton-cpython-") as folder:
        runner = shutil.copy(RUNNER, folder)
        skip = Path(folder) / "skip"
        for _ in range(MOST_ENDS):
            skip.write_text("\n".join(cases))
            command = [*prefix, PYTHON, str(runner), module, "--skip", str(skip)]
            begun, why = once(command, folder, cases)
            if begun is None:
                break
            cases[begun] = Case(begun, "ended", why, ())
    return cases


def once(command: list[str], folder: str, cases: dict[str, Case]) -> tuple[str | None, str]:
    """Run an interpreter to its end; gives the case that was running then, and how it ended."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        errors="backslashreplace",
    )
    late = ""
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        late = "time limit; "
    begun = None
    for line in out.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if not isinstance(said, dict) or "outcome" not in said:
            continue
        if said["outcome"] == "start":
            begun = said["case"]
            continue
        cases[said["case"]] = Case(
            said["case"], said["outcome"], said["why"], tuple(said["beyond"])
        )
        begun = None
    return begun, f"{late}status {process.returncode}: {err[-1500:]}"
