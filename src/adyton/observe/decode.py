"""The decoder as a process: records on standard input, text on stderr or in a file.

The runner starts it at the first record (`launch.decoder` has its command line), and waits for it
before it ends itself. It outlives a Ctrl-C that is meant for the program, and ends when the records
do. A crash report has a time limit, so that no malformed file can hold the person up.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from adyton.errors import TraceMalformed
from adyton.observe import corefile, crash, events, records, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adyton.observe.records import Record

_IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP)
_CRASH_SECONDS = 20


def main(words: Sequence[str]) -> None:
    """Decode standard input as the words say; see `launch.decoder.command`."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    mode, output, core, *volumes = words
    pairs = list(zip(volumes[::2], volumes[1::2], strict=True))
    try:
        decode(
            0,
            Output(output),
            summary="summary" in mode,
            durations="durations" in mode,
            json="json" in mode,
            crashes_only="crashes" in mode,
            core=core,
            volumes=pairs,
        )
    except OSError as error:
        # Most likely nobody reads stderr any more.
        with contextlib.suppress(OSError):
            _write(2, f"adyton: trace: {error.strerror}\n")
        sys.exit(1)


def decode(
    source: int,
    output: Output,
    *,
    summary: bool = False,
    durations: bool = False,
    json: bool = False,
    crashes_only: bool = False,
    core: str = "",
    volumes: Sequence[tuple[str, str]] = (),
) -> None:
    """Read records to their end and write text.

    Args:
        source: Descriptor of the pipe's reading end.
        output: Where the trace goes; crash reports go to stderr in any case.
        summary: Count calls and write one table at the end.
        durations: Append how long each call took.
        json: Write objects instead of lines for a person; see `events`.
        crashes_only: Nobody asked for a trace; the pipe is there for a crash report.
        core: File that a core goes to; "" is none.
        volumes: (host path, path inside) of what is not at the same place.
    """
    file = corefile.File(core)
    lines = trace.Lines(durations=durations, volumes=volumes)
    counts = trace.Counts()
    try:
        for record in records.read(source):
            if record.number == records.CRASH:
                _write_crash(record, volumes)
            elif record.number == records.CORE:
                file.take(record)
            elif record.number == records.MISSING:
                _write(2, lines.format(record))
            elif summary:
                counts.add(record)
            elif not crashes_only:
                output.write(events.line(record) if json else lines.format(record))
    except TraceMalformed as error:
        _write(2, f"adyton: trace: {error}; the rest is dropped\n")
    if summary:
        output.write(events.summary(counts) if json else counts.table())


class Output:
    """Where a trace goes: a file, or stderr.

    A file that takes no more, on a full disk, is said once; the rest is dropped, since a crash
    report may still come.

    Raises:
        OSError: stderr itself takes no more.
    """

    def __init__(self, path: str = "") -> None:
        """Open a file to append to; "" is stderr."""
        self._path = path
        self._descriptor = 2
        if path:
            try:
                self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            except OSError as error:
                self._give_up(error)

    def write(self, text: str) -> None:
        """Append text, unless that failed before."""
        if self._descriptor < 0:
            return
        try:
            _write(self._descriptor, text)
        except OSError as error:
            if not self._path:
                raise
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._descriptor = -1
        _write(2, f"adyton: trace: {self._path}: {error.strerror}; the rest is dropped\n")


def _write_crash(record: Record, volumes: Sequence[tuple[str, str]]) -> None:
    # Line by line, so that what is known is there when a malformed file takes too long: the alarm's
    # default action ends the decoder.
    signal.alarm(_CRASH_SECONDS)
    for line in crash.report(record, volumes=volumes):
        _write(2, line)
    signal.alarm(0)


def _write(descriptor: int, text: str) -> None:
    data = memoryview(text.encode(errors="surrogateescape"))
    while data:
        data = data[os.write(descriptor, data) :]
