"""The report of a crash: signal, address, mapping, registers, and a backtrace with names.

```
adyton: SIGSEGV (Segmentation fault): SEGV_MAPERR, nothing is mapped at address 0x0
adyton: process 1, thread 1: /home/me/a.out
adyton: instruction 0x401136 in 0x401000-0x402000 r-xp /home/me/a.out
adyton:   rax=0x0 …
adyton: #0 0x401136 write_null+0xa (a.c:3) in /home/me/a.out+0x1136
```

A crashed program's memory says what it likes: names are printed without control characters, and
every walk is bounded.
"""

from __future__ import annotations

import contextlib
import signal
import struct
from typing import TYPE_CHECKING

from adyton.launch import install
from adyton.observe import records, scalars, symbols, unwind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adyton.observe.records import Record

_LIBOS = "[adyton]"
_NAMES = (
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx"),
    *("rdx", "rax", "rcx", "rsp", "rip", "rflags"),
)
_SHOWN = (
    ("rax", "rbx", "rcx", "rdx"),
    ("rsi", "rdi", "rbp", "rsp"),
    ("r8", "r9", "r10", "r11"),
    ("r12", "r13", "r14", "r15"),
    ("rip", "rflags"),
)
_SEGV, _BUS, _ILL, _FPE, _TRAP, _SYS = 11, 7, 4, 8, 5, 31
# Source: sigaction(2), "The si_code field".
_CODES = {
    (_SEGV, 1): "SEGV_MAPERR, nothing is mapped at",
    (_SEGV, 2): "SEGV_ACCERR, the mapping does not allow that at",
    (_BUS, 1): "BUS_ADRALN, misaligned",
    (_BUS, 2): "BUS_ADRERR, beyond the end of the file at",
    (_ILL, 2): "ILL_ILLOPN, illegal instruction at",
    (_FPE, 1): "FPE_INTDIV, integer divided by zero at",
    (_FPE, 2): "FPE_INTOVF, integer overflow at",
    (_FPE, 3): "FPE_FLTDIV, divided by zero at",
    (_FPE, 4): "FPE_FLTOVF, overflow at",
    (_FPE, 5): "FPE_FLTUND, underflow at",
    (_FPE, 6): "FPE_FLTRES, inexact result at",
    (_FPE, 7): "FPE_FLTINV, invalid operation at",
    (_TRAP, 1): "TRAP_BRKPT, breakpoint at",
    (_TRAP, 2): "TRAP_TRACE, single step at",
    (_SYS, 1): "SYS_SECCOMP, a forbidden call at",
}
_SENT = {0: "SI_USER", -1: "SI_QUEUE", -6: "SI_TKILL"}
_SI_KERNEL = 0x80


def report(record: Record, *, volumes: Sequence[tuple[str, str]] = ()) -> Iterator[str]:
    """Write a crash record for a person, line by line, each with its newline.

    Args:
        record: Of the kind CRASH.
        volumes: (host path, path inside) of what is not at the same place.
    """
    try:
        for line in _lines(record, volumes):
            yield f"adyton: {_printable(line)}\n"
    except Exception as error:
        # What a crashed program left behind can be wrong in any way; the lines so far stand.
        yield f"adyton: the rest of this crash report is malformed: {_printable(str(error))}\n"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _lines(record: Record, volumes: Sequence[tuple[str, str]]) -> Iterator[str]:
    parts = {item.argument: item.data for item in record.items}
    yield from (
        item.data.decode(errors="replace")
        for item in record.items
        if item.argument == records.LINE and item.kind == records.STRING
    )
    if records.REGISTERS not in parts:
        return
    values = dict(zip(_NAMES, struct.unpack("<18Q", parts[records.REGISTERS]), strict=True))
    process = _process(record, volumes)
    if record.arguments[0]:
        yield _what(record, process)
        program = parts.get(records.PROGRAM, b"").decode(errors="replace")
        yield f"process {record.pid}, thread {record.tid}: {program}"
        yield f"instruction {_held(process, values['rip'])}"
    for row in _SHOWN:
        yield "  " + " ".join(f"{name}={values[name]:#x}" for name in row)
    registers = {number: values[name] for number, name in zip(unwind.ORDER, _NAMES, strict=False)}
    for index, (address, returned) in enumerate(unwind.backtrace(process, registers)):
        yield f"#{index} {_frame(process, address, returned=returned)}"


def _process(record: Record, volumes: Sequence[tuple[str, str]]) -> unwind.Process:
    maps: list[unwind.Mapping] = []
    memory: list[tuple[int, bytes]] = []
    for item in record.items:
        if item.argument == records.MAPS:
            maps += unwind.parse_maps(item.data.decode(errors="surrogateescape"))
        elif item.argument == records.MEMORY and len(item.data) > 8:
            memory.append((int.from_bytes(item.data[:8], "little"), item.data[8:]))
    return unwind.Process(maps, memory, lambda path: _locate(path, volumes))


def _locate(path: str, volumes: Sequence[tuple[str, str]]) -> str | None:
    """Find the host's file for what the program saw at a path."""
    if path == _LIBOS:
        return install.twin()
    if not path.startswith("/"):
        return None
    # The deepest volume that holds it, as mounts go.
    for host, guest in sorted(volumes, key=lambda volume: -len(volume[1])):
        if path == guest or path.startswith(guest.rstrip("/") + "/"):
            return host + path[len(guest) :] if path != guest else host
    return path


def _what(record: Record, process: unwind.Process) -> str:
    number, code, cause = (
        record.arguments[0],
        scalars.signed(record.arguments[1]),
        record.arguments[2],
    )
    meaning = ""
    with contextlib.suppress(ValueError):
        meaning = signal.strsignal(number) or ""
    name = f"{scalars.signal_name(number)} ({meaning})" if meaning else scalars.signal_name(number)
    if code in _SENT or code < 0:
        pid = cause & 0xFFFF_FFFF
        return f"{name}: {_SENT.get(code, f'si_code {code}')}, sent by process {pid}"
    if code == _SI_KERNEL:
        return f"{name}: SI_KERNEL, no address is known"
    how = _CODES.get((number, code), f"si_code {code},")
    held = process.mapping(cause)
    where = f" in {held.text()}" if held else ""
    return f"{name}: {how} address {cause:#x}{where}"


def _held(process: unwind.Process, address: int) -> str:
    held = process.mapping(address)
    return f"{address:#x} in {held.text()}" if held else f"{address:#x}, where nothing is mapped"


def _frame(process: unwind.Process, address: int, *, returned: bool) -> str:
    mapping = process.mapping(address)
    if mapping is None:
        return f"{address:#x}"
    offset = address - mapping.start + mapping.offset
    text = f"in {mapping.path or 'memory without a file'}"
    if mapping.path:
        text += f"+{offset:#x}"
    # A call may be its function's last instruction; what is meant is the call.
    found = process.place(address - returned)
    if found is None:
        return f"{address:#x} {text}"
    file, place = found
    name = symbols.describe(file, place)
    return f"{address:#x} {name or '?'} {text}"
