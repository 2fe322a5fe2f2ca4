"""Puts names to the addresses of a crash report.

`{0x1234}` is an address in the enclave image, looked up in its unstripped twin; `{/path+0x1234}`
one in a file that the program had mapped, looked up in the host's file of that path. An address
without a name stays as it is.
"""

from __future__ import annotations

import bisect
import functools
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

from adyton.launch import install

_PLACE = re.compile(r"\{(?:(/[^{}]*)\+)?(0x[0-9a-fA-F]+)\}")


def resolve(line: str) -> str:
    """Replace each place in a line of a crash report by its symbol."""
    return _PLACE.sub(_replace, line)


def _replace(match: re.Match[str]) -> str:
    path, address = match.group(1), int(match.group(2), 16)
    if path is None:
        twin = install.twin()
        return f"{address:#x} {_describe(twin, address)}".rstrip() if twin else f"{address:#x}"
    name = _describe(path, address, in_file=True)
    return f"{path}+{address:#x} {name}".rstrip()


def _describe(path: str, address: int, *, in_file: bool = False) -> str:
    try:
        table = _table(path)
        if in_file:
            address = table.from_offset(address)
        return table.describe(address)
    except Exception:
        # A crash report is never lost for want of a symbol: pyelftools raises many kinds.
        return ""


class Table:
    """Symbols and lines of an ELF file."""

    def __init__(self, path: str) -> None:
        """Read the file's symbol tables."""
        from elftools.elf.elffile import ELFFile

        with open(path, "rb") as file:
            elf = ELFFile(file)
            self._loads = [
                (segment["p_offset"], segment["p_filesz"], segment["p_vaddr"])
                for segment in elf.iter_segments("PT_LOAD")
            ]
            self._symbols = sorted(_functions(elf))
            self._starts = [start for start, _, _ in self._symbols]
            self._lines = _lines(elf)
            self._line_starts = [start for start, _, _, _ in self._lines]

    def from_offset(self, offset: int) -> int:
        """Turn an offset in the file into an address as the symbols have it."""
        for start, length, address in self._loads:
            if start <= offset < start + length:
                return int(address + offset - start)
        return offset

    def describe(self, address: int) -> str:
        """Return `function+0x12 (file:line)`, as far as known."""
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0:
            return ""
        start, size, name = self._symbols[at]
        if size and address >= start + size:
            return ""
        return f"{demangle(name)}+{address - start:#x}" + self._line(address)

    def _line(self, address: int) -> str:
        at = bisect.bisect_right(self._line_starts, address) - 1
        if at < 0:
            return ""
        _, end, file, line = self._lines[at]
        return f" ({file}:{line})" if address < end else ""


@functools.lru_cache(maxsize=16)
def _table(path: str) -> Table:
    return Table(path)


def _functions(elf: Any) -> Iterator[tuple[int, int, str]]:  # noqa: ANN401 - pyelftools has no types
    for name in (".symtab", ".dynsym"):
        section = elf.get_section_by_name(name)
        if section is not None:
            for symbol in section.iter_symbols():
                kind = symbol["st_info"]["type"]
                named = kind == "STT_FUNC" or (
                    # Hand-written entries have no type; tables for unwinding have none either.
                    kind == "STT_NOTYPE" and not symbol.name.startswith("GCC_except_table")
                )
                if symbol["st_value"] and named:
                    yield symbol["st_value"], symbol["st_size"], symbol.name
            return


def _lines(elf: Any) -> list[tuple[int, int, str, int]]:  # noqa: ANN401 - pyelftools has no types
    """List (start, end, file, line), by start."""
    if not elf.has_dwarf_info():
        return []
    dwarf = elf.get_dwarf_info()
    rows: list[tuple[int, int, str, int]] = []
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        files = program["file_entry"]
        base = 0 if program["version"] >= 5 else 1
        previous: Any = None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if previous is not None and state.address > previous.address:
                index = previous.file - base
                if 0 <= index < len(files):
                    name = os.path.basename(files[index].name.decode(errors="replace"))
                    rows.append((previous.address, state.address, name, previous.line))
            previous = None if state.end_sequence else state
    return sorted(rows)


_LEGACY = re.compile(r"^_ZN(.*)E(?:\.llvm\.\d+)?$")
_LEGACY_ESCAPES = {
    "$LT$": "<",
    "$GT$": ">",
    "$RF$": "&",
    "$BP$": "*",
    "$LP$": "(",
    "$RP$": ")",
    "$C$": ",",
    "..": "::",
}


def demangle(name: str) -> str:
    """Write a Rust symbol as a path; other symbols stay.

    Both of Rust's schemes are read; of the newer one only the path's names are shown, not the types
    that fill in its generics.
    """
    if name.startswith("_R"):
        return _path_of_v0(name[2:]) or name
    match = _LEGACY.match(name)
    if not match:
        return name
    rest, parts_found = match.group(1), []
    while rest and rest[0].isdigit():
        digits = re.match(r"\d+", rest)
        if digits is None:
            break
        end = digits.end() + int(digits.group())
        parts_found.append(rest[digits.end() : end])
        rest = rest[end:]
    if parts_found and re.fullmatch(r"h[0-9a-f]{16}", parts_found[-1]):
        parts_found.pop()
    text = "::".join(parts_found)
    for escape, character in _LEGACY_ESCAPES.items():
        text = text.replace(escape, character)
    text = re.sub(r"\$u([0-9a-f]{2})\$", lambda match: chr(int(match.group(1), 16)), text)
    return text.replace("::_<", "::<").replace("::_{", "::{").removeprefix("_")


def _path_of_v0(text: str) -> str:
    """Collect the names of a path; source: Rust RFC 2603, symbol-name grammar."""
    names: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character in "sB":  # a disambiguator or a back reference: base 62, up to "_"
            at = text.find("_", at) + 1 or len(text)
        elif character.isdigit():
            digits = re.match(r"\d+", text[at:])
            if digits is None:
                break
            length = int(digits.group())
            at += digits.end()
            if length and text[at : at + 1] == "_":
                at += 1
            if length:
                names.append(text[at : at + length])
            elif names:
                names.append("{closure}")
            at += length
        else:
            at += 1
    return "::".join(names)
