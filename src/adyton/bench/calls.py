"""System calls: each benchmark one C program that times itself, run in turns on both sides."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adyton.bench import programs, sides
from adyton.bench.rows import Case, Goal, Row, Samples, summarise
from adyton.errors import AdytonError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from adyton.bench.rows import Side

THREADS = (1, 2, 4, 8, 16, 32, 64)
# A sixth of it for each batch: long against a tick, short enough for five rounds.
_BUDGET_MS, _QUICK_BUDGET_MS = 150, 60
# The two sides' clocks, held against the TSC, may differ by this much before a result is worthless.
_CLOCK_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Program:
    """How a program is called: words for each side, and what its cases should reach.

    `cases` maps what it prints to goals; what it prints beside them is a case without one.
    """

    name: str
    cases: Mapping[str, Goal | None]
    linux: tuple[str, ...] = ()
    adyton: tuple[str, ...] = ()
    vcpus: int = 1


def syscall(folder: Path, *, quick: bool) -> list[Row]:
    """Calls with next to nothing to do."""
    cases = {
        "getppid": Goal("value", 25),
        "clock_gettime (vDSO)": None,
        "read 1 byte of /dev/zero": None,
        "write 1 byte to /dev/null": None,
        "futex wake of nobody": None,
    }
    return _rows(Program("syscall", cases), folder, sides.Deadline(quick=quick))


def sched_yield(folder: Path, *, quick: bool) -> list[Row]:
    """sched_yield over the number of threads: NGO's figure."""
    cases = {_threads(count): Goal("ratio", 12) if count > 1 else None for count in THREADS}
    words = tuple(str(count) for count in THREADS)
    program = Program("yield", cases, linux=words, adyton=words)
    rows = _rows(program, folder, sides.Deadline(quick=quick))
    return [
        replace(row, case=replace(row.case, series="sched_yield", x=count))
        for row, count in zip(rows, THREADS, strict=True)
    ]


def futex(folder: Path, *, quick: bool) -> list[Row]:
    """A word, and mutexes that inherit priorities, handed back and forth between two threads."""
    cases = {"futex round trip": Goal("ratio", 15), "PI mutex round trip": Goal("ratio", 10)}
    return _one_and_two_cores(Program("futex", cases), folder, quick=quick)


def pipe(folder: Path, *, quick: bool) -> list[Row]:
    """Two threads and pipes."""
    cases = {"pipe round trip, 64 B": Goal("ratio", 10), "pipe stream, 4 KiB": None}
    return _one_and_two_cores(Program("pipe", cases), folder, quick=quick)


def thread(folder: Path, *, quick: bool) -> list[Row]:
    """Making a thread and waiting for its end."""
    cases = {"thread create and join": Goal("ratio", 3)}
    return _rows(Program("thread", cases), folder, sides.Deadline(quick=quick))


def signal(folder: Path, *, quick: bool) -> list[Row]:
    """Signals to oneself, faults that a handler repairs, timers that are far away."""
    cases = {
        "signal to self and back": Goal("ratio", 5),
        "SIGSEGV and back": Goal("ratio", 0.7),
        "getppid, 100,000 timers armed": Goal("value", 25),
        "timer_settime, 100,000 timers armed": None,
    }
    return _rows(Program("signal", cases), folder, sides.Deadline(quick=quick))


def epoll(folder: Path, *, quick: bool) -> list[Row]:
    """One ready descriptor among many."""
    cases = {"epoll_wait, 10,000 registered, 1 ready": Goal("ratio", 5)}
    return _rows(Program("epoll", cases), folder, sides.Deadline(quick=quick))


def tmpfs(folder: Path, *, quick: bool) -> list[Row]:
    """Files in memory: the host's tmpfs against the enclave's /tmp."""
    cases = {
        "open, read 512 B, close": Goal("ratio", 3),
        "open, fstat, close": Goal("ratio", 4),
        "pread 4 KiB": Goal("ratio", 2),
        "pread 128 KiB": Goal("ratio", 1),
    }
    program = Program("tmpfs", cases, linux=(_host_tmpfs(),), adyton=("/tmp",))
    return _rows(program, folder, sides.Deadline(quick=quick))


def memory(folder: Path, *, quick: bool) -> list[Row]:
    """Memory that comes and goes: mapped, touched, unmapped."""
    cases = {
        "mmap, touch, munmap 64 KiB": Goal("ratio", 1),
        "mmap, touch, munmap 8 MiB": None,
        "mmap, munmap 64 KiB": None,
        "mprotect 4 KiB, twice": None,
        "MADV_DONTNEED, touch 64 KiB": None,
        "sbrk, touch, sbrk back 64 KiB": None,
    }
    return _rows(Program("memory", cases), folder, sides.Deadline(quick=quick))


def _one_and_two_cores(program: Program, folder: Path, *, quick: bool) -> list[Row]:
    """On one core, which the goals are about, and on two where there are two."""
    deadline = sides.Deadline(quick=quick)
    rows = _rows(program, folder, deadline)
    if len(os.sched_getaffinity(0)) > 1:
        free = replace(program, cases=dict.fromkeys(program.cases), vcpus=2)
        rows += _rows(free, folder, deadline)
    return rows


def _rows(program: Program, folder: Path, deadline: sides.Deadline) -> list[Row]:
    binary = programs.build(program.name, folder)
    cores = sides.Cores(program.vcpus)
    budget = str(_QUICK_BUDGET_MS if deadline.quick else _BUDGET_MS)
    found = {name: Samples() for name in program.cases}
    clocks: dict[Side, list[float]] = {"linux": [], "adyton": []}

    def run(side: Side, seconds: float) -> None:
        words = [str(binary), budget, *getattr(program, side)]
        if side == "adyton":
            words = [*sides.command(vcpus=program.vcpus), *words]
        text, failure = sides.partial_output(words, folder=folder, cores=cores, timeout=seconds)
        # What came before a failure counts; the line that a kill cut short does not.
        shown = programs.parse(text[: text.rfind("\n") + 1])
        if shown.tsc:
            clocks[side].append(shown.tsc)
        for name, samples in found.items():
            if name in shown.values:
                samples.add(side, shown.values[name])
        if failure:
            raise AdytonError(failure)

    error = sides.take_turns(deadline, run) or _clock_error(clocks)
    rows = []
    for name, samples in found.items():
        samples.error = error
        case = Case(program.name, f"{name}, {cores.text}", "ns", program.cases[name])
        rows.append(summarise(case, samples))
    return rows


def _clock_error(clocks: Mapping[Side, Sequence[float]]) -> str:
    """Say so when the enclave's clock runs faster or slower than Linux's."""
    linux, adyton = sorted(clocks["linux"]), sorted(clocks["adyton"])
    if not (linux and adyton):
        return ""
    expected, seen = linux[len(linux) // 2], adyton[len(adyton) // 2]
    if abs(seen / expected - 1) <= _CLOCK_TOLERANCE:
        return ""
    return f"adyton: its clock has {seen:.1f} TSC ticks a microsecond, Linux's {expected:.1f}"


def _threads(count: int) -> str:
    return f"sched_yield, {count} thread{'' if count == 1 else 's'}"


def _host_tmpfs() -> str:
    """A folder of the host on a tmpfs.

    Raises:
        AdytonError: There is none to compare with.
    """
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        found = [line.split()[1] for line in mounts if line.split()[2] == "tmpfs"]
    for place in ("/dev/shm", "/tmp", "/run"):
        if place in found and os.access(place, os.W_OK):
            return place
    raise AdytonError("bench tmpfs: no writable tmpfs on this host, such as /dev/shm")
