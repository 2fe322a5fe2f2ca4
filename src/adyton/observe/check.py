"""`adyton check`: what a program would miss inside, seen from the outside.

Which calls there are says the table that was made of the image's own source when it was built. What
a program may call is read from its files: its own code's calls by number, and the C library's
functions that it and its libraries import. A run shows what it does miss.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adyton.launch import install
from adyton.observe import closure, numbers, sites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from adyton.observe.closure import Part

# What is missed: its own code asks for it, a run has shown it, or without it nothing starts.
SURE = "sure"
# What a library could call, and perhaps never does.
MAYBE = "maybe"

# The highest number of a signal.
_SIGNALS = 64
# A file that these don't find is missed; other calls may only have asked whether it is there.
_OPENING = frozenset({"open", "openat", "openat2", "execve", "execveat"})

# Functions of the C library whose name is not the call's, by the call that they make.
_FUNCTIONS = {
    "vfork": ("posix_spawn", "posix_spawnp", "system", "popen"),
    "fork": ("daemon", "forkpty"),
    "mq_timedsend": ("mq_send",),
    "mq_timedreceive": ("mq_receive",),
    "umount2": ("umount",),
    "pselect6": ("pselect",),
}
_OF_FUNCTION = {function: call for call, names in _FUNCTIONS.items() for function in names}
# A function with a call's name that is something else: it writes to the log by a socket.
_NOT_CALLS = frozenset({"syslog"})

_WHY = {
    "fork": "it starts other programs or copies of itself; only threads can be started so far",
    "vfork": "it starts other programs; only threads can be started so far",
    "clone": "it starts other programs or copies of itself; only threads can be started so far",
}
_DO = {
    "call": "run `adyton check --run` to see whether it is really called",
    "library": "install it, or name its folder in LD_LIBRARY_PATH",
    "program": "name an executable of x86-64 or a script",
    "file": "offer it with `-v {name}:{name}`",
    "ended": "compare with a run on Linux; `adyton run` prints where it was",
    "seen": "look at the call with `adyton trace -F {call}`",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a program would miss."""

    kind: str  # call, library, file, program, run
    name: str
    certainty: str
    why: str
    advice: str
    errno: str = ""
    where: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As an object of the command's JSON."""
        row = {name: getattr(self, name) for name in self.__slots__}
        return row | {"where": list(self.where)}


@dataclass(slots=True)
class Verdict:
    """What was looked at, and what would be missed."""

    program: str
    chain: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unknown_sites: int = 0
    ran: bool = False

    @property
    def will_run(self) -> bool:
        """Nothing is missed for sure."""
        return all(row.certainty != SURE for row in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """As the command's JSON."""
        return {
            "program": self.program,
            "chain": self.chain,
            "files": self.files,
            "will_run": self.will_run,
            "ran": self.ran,
            "unknown_sites": self.unknown_sites,
            "findings": [row.as_dict() for row in self.findings],
        }


RUN = ("seen in a run",)


def states() -> dict[str, dict[str, Any]]:
    """Read the table of calls that lies beside the image.

    Raises:
        NotInstalled: It is not there.
    """
    with open(install.calls(), encoding="utf-8") as file:
        table: dict[str, dict[str, Any]] = json.load(file)
    return table


def look(
    program: str,
    table: Mapping[str, Mapping[str, Any]],
    *,
    directory: str,
    environment: Mapping[str, str],
) -> Verdict:
    """Look at a program's files."""
    found = closure.Closure(program, directory=directory, environment=environment)
    verdict = Verdict(program, found.chain, [part.path for part in found.parts])
    if found.broken:
        verdict.findings.append(Finding("program", program, SURE, found.broken, _DO["program"]))
    for name, wanted_by in found.missing:
        why = f"{wanted_by} needs it and it is not on this host"
        verdict.findings.append(Finding("library", name, SURE, why, _DO["library"]))
    wanted: dict[str, dict[str, list[str]]] = {}
    for index, part in enumerate(found.parts):
        seen = sites.scan(part.file, part.dynamic.slots) if not part.is_c_library else None
        verdict.unknown_sites += seen.unknown if seen and index == 0 else 0
        for call, how in _calls(part, seen):
            certainty = SURE if index == 0 else MAYBE
            wanted.setdefault(call, {}).setdefault(certainty, []).append(how)
    verdict.findings += _missing(wanted, table)
    return verdict


def _calls(part: Part, seen: sites.Sites | None) -> Iterator[tuple[str, str]]:
    name = os.path.basename(part.path)
    if seen is None:
        return
    for number, address in sorted(seen.numbers.items()):
        if number in numbers.NAMES:
            yield numbers.NAMES[number], f"{name} calls it by number at {address:#x}"
    for symbol in sorted(part.dynamic.imports):
        call = call_of(symbol)
        if call:
            yield call, f"{name} imports {symbol}"


def call_of(symbol: str) -> str | None:
    """The system call that a function of the C library makes, by its name."""
    if symbol in _OF_FUNCTION:
        return _OF_FUNCTION[symbol]
    if symbol in _NOT_CALLS:
        return None
    for name in (symbol, symbol.removesuffix("64"), symbol.lstrip("_")):
        if name in numbers.NUMBERS:
            return name
    return None


def _missing(
    wanted: Mapping[str, Mapping[str, Sequence[str]]], table: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    for call, ways in sorted(wanted.items()):
        row = table.get(call, {"state": "missing", "errno": "ENOSYS"})
        if row.get("state") == "there":
            continue
        refused = row.get("state") == "refused"
        # A program is to bear what Linux itself may answer.
        certainty = SURE if SURE in ways and not refused else MAYBE
        why = _WHY.get(call, "")
        if not why:
            why = "refused by design, as by a Linux without it" if refused else "not there yet"
        where = tuple(how for way in ways.values() for how in way)
        errno = str(row.get("errno", "ENOSYS"))
        yield Finding("call", call, certainty, why, _DO["call"], errno, where)


def add_end(verdict: Verdict, status: int) -> None:
    """Add what the exit status of a traced run says; 125 to 127 are not the program's own."""
    if 125 <= status <= 127:
        why = f"the run did not start: exit status {status}, and a line that says why"
        verdict.findings.append(Finding("run", verdict.program, SURE, why, _DO["program"]))
    elif 0 < (number := status - 128 if status >= 128 else -status) <= _SIGNALS:
        why = f"the run was ended by signal {number}; see whether it is so on Linux too"
        verdict.findings.append(Finding("run", verdict.program, MAYBE, why, _DO["ended"]))


def add_run(verdict: Verdict, lines: Iterable[str], *, directory: str) -> None:
    """Add what a traced run missed: `lines` are the JSON of `adyton trace --json`."""
    verdict.ran = True
    # It knows better than what might be called.
    verdict.findings = [
        dataclasses.replace(row, certainty=MAYBE) if row.kind == "call" else row
        for row in verdict.findings
    ]
    seen: set[tuple[str, str]] = set()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # cut off, since the run was ended
        for finding in _seen(event, directory) if event.get("event") == "call" else ():
            if (finding.kind, finding.name) not in seen:
                seen.add((finding.kind, finding.name))
                verdict.findings.append(finding)


def _seen(event: Mapping[str, Any], directory: str) -> Iterator[Finding]:
    name, errno, why = event["name"], event.get("errno", ""), event.get("why", "")
    shown = f"{name}({', '.join(map(str, event['arguments']))})"
    if errno == "ENOSYS":
        reason = _WHY.get(name) or why or "not there yet"
        yield Finding("call", name, SURE, f"{shown}: {reason}", _advice(name), errno, RUN)
    elif (
        errno in ("EINVAL", "EOPNOTSUPP", "EAFNOSUPPORT", "EPROTONOSUPPORT")
        and "not supported" in why
    ):
        yield Finding("call", name, SURE, f"{shown}: {why}", _advice(name), errno, RUN)
    elif errno == "EAFNOSUPPORT":
        reason = why or "no such sockets inside"
        yield Finding("call", name, SURE, f"{shown}: {reason}", _advice(name), errno, RUN)
    elif errno == "ENOENT":
        for path in _paths(event["arguments"]):
            place = os.path.join(directory, path)
            if not os.path.lexists(place) or place.startswith(("/proc/", "/sys/", "/dev/")):
                continue
            advice = _DO["file"].format(name=place)
            why = f"{name} did not find it inside; it is on this host"
            certainty = SURE if name in _OPENING else MAYBE
            yield Finding("file", place, certainty, why, advice, errno, RUN)


def _advice(call: str) -> str:
    return _DO["seen"].format(call=call)


def _paths(arguments: Sequence[str]) -> Iterator[str]:
    for argument in arguments:
        if argument.startswith('"') and argument.endswith('"') and len(argument) > 2:
            yield argument[1:-1]
