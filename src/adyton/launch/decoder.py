"""The command that turns the LibOS's trace records into text.

After the exec no Python is left to decode. The runner starts this command at the first record, so
that a run without a trace and without a crash pays nothing for it but the words in the plan.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# The interpreter's own idea of where modules are may depend on the caller's folder and environment;
# the list that this process uses goes along instead.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1].split('\\n'); "
    "from adyton.observe import decode; decode.main(sys.argv[2:])"
)


def command(
    *,
    summary: bool = False,
    durations: bool = False,
    json: bool = False,
    crashes_only: bool = False,
    output: str | None = None,
    core: str | None = None,
    volumes: Iterable[tuple[str, str]] = (),
) -> list[str]:
    """Return its words; the first is the file to execute.

    Args:
        summary: Count calls and write one table at the end.
        durations: Append how long each call took.
        json: Write objects instead of lines for a person.
        crashes_only: Nobody asked for a trace.
        output: File that the trace is appended to, stderr unless given.
        core: File that the core of a program goes to that a signal ends.
        volumes: (host path, path inside) of what is not at the same place.
    """
    chosen = (
        ("summary", summary),
        ("durations", durations),
        ("json", json),
        ("crashes", crashes_only),
    )
    mode = ",".join(name for name, on in chosen if on)
    paths = [os.path.abspath(path) for path in sys.path if path]
    words = [sys.executable, "-c", _PROGRAM, "\n".join(paths), mode]
    words += (os.path.abspath(path) if path else "" for path in (output, core))
    for host, guest in volumes:
        words += (host, guest)
    return words


def environment() -> list[str]:
    """Return the `KEY=VALUE` of this process that an interpreter needs to start."""
    wanted = ("PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "PYTHONDONTWRITEBYTECODE")
    return [f"{key}={os.environ[key]}" for key in wanted if key in os.environ]
