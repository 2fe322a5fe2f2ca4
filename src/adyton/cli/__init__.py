"""The command line. `main` sends `run` down the short path, everything else to typer."""

from __future__ import annotations

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
        if words and words[0] == "run":
            from adyton.cli import run

            run.main(words[1:])
        if words and words[0] == "trace":
            from adyton.cli import trace

            trace.main(words[1:])
        from adyton.cli import app

        return app.main(words)
    except AdytonError as error:
        sys.stderr.write(f"adyton: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it flushes.
        sys.stdout = None
        return 141
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"adyton: {place}{error.strerror or error}\n")
        return AdytonError.exit_code
    except KeyboardInterrupt:
        return 130
