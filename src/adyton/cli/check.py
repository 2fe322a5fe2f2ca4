"""`adyton check`: will a program run inside, and what would it miss?"""

from __future__ import annotations

import json as json_module
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from adyton.errors import UsageError
from adyton.launch import host
from adyton.observe import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adyton.observe.check import Verdict

# Something would be missed.
MISSES = 4


def main(words: Sequence[str], *, run: bool, json: bool, timeout: float = 0) -> int:
    """Print a verdict; return 0, or 4 when something would be missed for sure."""
    directory = os.getcwd()
    program = host.find(words[0], directory=directory, environment=os.environ)
    verdict = check.look(program, check.states(), directory=directory, environment=os.environ)
    if run and not any(row.kind == "program" for row in verdict.findings):
        _run(verdict, words, directory, timeout)
    if json:
        sys.stdout.write(json_module.dumps(verdict.as_dict(), indent=2) + "\n")
    else:
        _show(verdict)
    return 0 if verdict.will_run else MISSES


def _run(verdict: Verdict, words: Sequence[str], directory: str, timeout: float) -> None:
    with tempfile.NamedTemporaryFile(prefix="adyton-check-") as trace:
        command = [sys.executable, "-m", "adyton", "trace", "--quick", "--json", "-o", trace.name]
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
        try:
            # Its output is its own; what is said of it here goes behind.
            ended = subprocess.run(
                [*command, "--", *words],
                check=False,
                stdout=sys.stderr,
                env={**os.environ, "PYTHONPATH": paths},
                timeout=timeout or None,
            )
            check.add_end(verdict, ended.returncode)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"adyton: check: ended after {timeout:g} s, as --timeout says\n")
        except OSError as error:
            raise UsageError(f"check: the run could not be started: {error.strerror}") from None
        with open(trace.name, encoding="utf-8", errors="replace") as lines:
            check.add_run(verdict, lines, directory=directory)


def _show(verdict: Verdict) -> None:
    # Whoever reads it through a pipe wants lines, not a page.
    width = None if sys.stdout.isatty() else 160
    console = Console(highlight=False, markup=False, width=width)
    console.print(" -> ".join(verdict.chain) + f": {len(verdict.files)} files looked at")
    for certainty, title in ((check.SURE, "missed"), (check.MAYBE, "may be missed")):
        rows = [row for row in verdict.findings if row.certainty == certainty]
        if not rows:
            continue
        table = Table(box=None, pad_edge=False)
        for heading in (title, "why", "seen", "what to do"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            name = f"{row.name} ({row.errno})" if row.errno else row.name
            shown = "; ".join(row.where[:3]) + (" …" if len(row.where) > 3 else "")
            table.add_row(name, row.why, shown, row.advice)
        console.print(table)
    if verdict.unknown_sites:
        console.print(f"{verdict.unknown_sites} call sites have a number that only a run shows")
    if verdict.will_run:
        console.print("nothing is missed for sure" if not verdict.ran else "the run missed nothing")
