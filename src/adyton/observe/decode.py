"""The decoder as a process: records on standard input, text on stderr or in a file.

The runner starts it at the first record (`launch.decoder` has its command line), and waits for it
before it ends itself. It outlives a Ctrl-C that is meant for the program, and ends when the records
do. A crash report has a time limit, so that no malformed file can hold the person up.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from adyton.observe import trace

if TYPE_CHECKING:
    from collections.abc import Sequence

_IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP)


def main(words: Sequence[str]) -> None:
    """Decode standard input as the words say; see `launch.decoder.command`."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    mode, output, *volumes = words
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    target = os.open(output, flags) if output else 2
    pairs = list(zip(volumes[::2], volumes[1::2], strict=True))
    try:
        trace.decode(
            0,
            target,
            summary="summary" in mode,
            durations="durations" in mode,
            crashes_only="crashes" in mode,
            volumes=pairs,
        )
    except BrokenPipeError:
        sys.exit(1)
