"""The command line. `main` sends `run` down the short path, everything else to typer."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a command line; return the exit code.

    `adyton run` does not return: the runner takes this process's place.
    """
    words = sys.argv[1:] if words is None else words
    from adyton.errors import AdytonError

    try:
        code = _carry_out(words)
        sys.stdout.flush()
        return code
    except AdytonError as error:
        _say(str(error))
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has enough.
        _give_up_stdout()
        return 141
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _say(f"{place}{error.strerror or error}")
        _give_up_stdout()
        return AdytonError.exit_code
    except KeyboardInterrupt:
        return 130


def _carry_out(words: Sequence[str]) -> int:
    if words and words[0] == "run":
        from adyton.cli import run

        run.main(words[1:])
    if words and words[0] == "trace":
        from adyton.cli import trace

        trace.main(words[1:])
    from adyton.cli import app

    _replace_closed_streams()
    return app.main(words)


def _say(text: str) -> None:
    """Write a line to stderr, if somebody reads it."""
    # Closed by the caller, as `2>&-` does, or on a full disk: the exit code must do.
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"adyton: {text}\n")
        except OSError:
            sys.stderr = None


def _replace_closed_streams() -> None:
    """Drop what is written to a stream that the caller closed; the runner sees them as they are."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process


def _give_up_stdout() -> None:
    """Forget what cannot be written: Python would complain once more when it flushes."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        sys.stdout = None
