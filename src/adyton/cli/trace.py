"""`adyton trace`: `run` with a trace of its system calls."""

from __future__ import annotations

from adyton.cli import options, run
from adyton.cli.options import SWITCH, VALUE, Option
from adyton.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_OWN = (
    Option("summary", SWITCH, "Count calls and times instead of printing them.", short="c"),
    Option("output", VALUE, "Write to a file instead of stderr.", short="o", metavar="FILE"),
    Option(
        "filter",
        VALUE,
        "Only these calls, or all but these.",
        short="F",
        metavar="CALL,…|!CALL,…",
    ),
    Option("durations", SWITCH, "Append the time that each call took.", short="T"),
    Option("json", SWITCH, "Write JSON: an object a line, or one with -c."),
)

TABLE = (*_OWN, *(row for row in options.RUN if row.name not in ("trace", "trace_output")))


def main(words: Sequence[str]) -> NoReturn:
    """Run what the words after `trace` say; does not come back."""
    scanned = options.scan(words, TABLE, verb="trace")
    if scanned.flag("help"):
        from adyton.cli import app

        app.show_help("trace")
    scanned.values["trace"] = scanned.text("filter") or ""
    output = scanned.text("output")
    if output is not None:
        scanned.values["trace_output"] = output
    run.start(
        scanned,
        summary=scanned.flag("summary"),
        durations=scanned.flag("durations"),
        json=scanned.flag("json"),
        verb="trace",
    )


def expand_filter(text: str) -> str:
    """Check a filter's names, and turn `!a,b` into all others.

    Raises:
        UsageError: A name is no system call.
    """
    from adyton.observe import numbers

    negated = text.startswith("!")
    names = [name for name in text.removeprefix("!").split(",") if name]
    for name in names:
        if name not in numbers.NUMBERS:
            raise UsageError(f'trace: "{name}" is no system call{_suggest(name)}')
    if negated:
        names = [name for name in numbers.NUMBERS if name not in names]
    return ",".join(names)


def _suggest(name: str) -> str:
    import difflib

    from adyton.observe import numbers

    close = difflib.get_close_matches(name, numbers.NUMBERS, n=1)
    return f"; did you mean {close[0]}?" if close else ""
