"""Turns trace records into text in strace's look, with the reason behind each error.

```
openat(AT_FDCWD, "/nowhere", O_RDONLY) = -1 ENOENT (No such file or directory)  # no such entry
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adyton.observe import crash, forms, numbers, records, scalars, shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adyton.observe.records import Record


class Lines:
    """Formats records; keeps only whether more than one thread was seen, for the prefix."""

    def __init__(self, *, durations: bool = False, volumes: Sequence[tuple[str, str]] = ()) -> None:
        """Take whether to append durations, and (host path, path inside) of each volume."""
        self._durations = durations
        self._volumes = volumes
        self._first: int | None = None
        self._several = False

    def format(self, record: Record) -> str:
        """Write a record as one line or, for a crash, several, each with its newline."""
        if record.number == records.CRASH:
            return "".join(crash.report(record, volumes=self._volumes))
        if record.number == records.MISSING:
            return _missing(record)
        if record.number == records.LOST:
            return f"--- {record.arguments[0]} records lost: the trace pipe was full ---\n"
        if self._first is None:
            self._first = record.tid
        self._several = self._several or record.tid != self._first
        prefix = f"[pid {record.tid:5}] " if self._several else ""
        return f"{prefix}{self._body(record)}\n"

    def _body(self, record: Record) -> str:
        first, second, third, *_ = record.arguments
        if record.number == records.SIGNAL:
            name = scalars.signal_name(first)
            code = scalars.signed(second)
            where = f"si_addr={third:#x}"
            if code <= 0 or name == "SIGCHLD":
                where = f"si_pid={third & 0xFFFF_FFFF}"
            shown = scalars.signal_code(first, code)
            return f"--- {name} {{si_signo={name}, si_code={shown}, {where}}} ---"
        if record.number == records.GONE:
            how = f"killed by {scalars.signal_name(second)}" if first else f"exited with {second}"
            return f"+++ {how} +++"
        return call(record) + (f" <{record.duration_ns / 1e9:.6f}>" if self._durations else "")


def parts(record: Record) -> tuple[str, list[str], str]:
    """Return a system call's name, its arguments as they are shown, and the form of its result."""
    name = numbers.NAMES.get(record.number, f"syscall_{record.number}")
    known, result_form = shapes.of(name, record.arguments)
    contents = {item.argument: (item.data, item.cut) for item in record.items}
    shown = [
        forms.argument(form, value, contents.get(index))
        for index, (form, value) in enumerate(zip(known, record.arguments, strict=False))
    ]
    return name, shown, result_form


def call(record: Record) -> str:
    """Write a system call with its arguments and result."""
    name, shown, form = parts(record)
    text = f"{name}({', '.join(shown)}) = {forms.result(form, record.result)}"
    return f"{text}  # {record.why}" if record.why else text


def _missing(record: Record) -> str:
    name = numbers.NAMES.get(record.arguments[0], f"syscall {record.arguments[0]}")
    return f"adyton: {record.why or f'{name} is not supported: ENOSYS'}\n"


@dataclass(slots=True)
class Count:
    """What is known of one call: times made, times failed, time spent in ns."""

    calls: int = 0
    errors: int = 0
    total_ns: int = 0


@dataclass(slots=True)
class Counts:
    """Counts calls by name, for `adyton trace -c`."""

    rows: dict[str, Count] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Count a record, unless it is no call."""
        if record.number not in numbers.NAMES:
            return
        row = self.rows.setdefault(numbers.NAMES[record.number], Count())
        row.calls += 1
        row.errors += -4095 <= record.result < 0
        row.total_ns += record.duration_ns

    def ordered(self) -> list[tuple[str, Count]]:
        """Return (name, count), most time first."""
        return sorted(self.rows.items(), key=lambda pair: (-pair[1].total_ns, pair[0]))

    def table(self) -> str:
        """Write the table, most time first."""
        total = sum(row.total_ns for row in self.rows.values())
        lines = [
            "% time     seconds  usecs/call     calls    errors syscall",
            "------ ----------- ----------- --------- --------- ----------------",
        ]
        for name, row in self.ordered():
            share = 100 * row.total_ns / total if total else 0
            each = row.total_ns / row.calls / 1000
            lines.append(
                f"{share:6.2f} {row.total_ns / 1e9:11.6f} {each:11.3f} {row.calls:9} "
                f"{row.errors or '':>9} {name}"
            )
        lines.append(lines[1])
        calls_made = sum(row.calls for row in self.rows.values())
        errors = sum(row.errors for row in self.rows.values())
        lines.append(f"100.00 {total / 1e9:11.6f} {'':11} {calls_made:9} {errors or '':>9} total")
        return "\n".join(lines) + "\n"
