"""Puts names to addresses: function, file and line.

Lines need pyelftools; without it, or without debug information, there is the function alone.
"""

from __future__ import annotations

import functools
import os
import re
from typing import IO, TYPE_CHECKING, Any, cast

from adyton.observe import elf

if TYPE_CHECKING:
    from collections.abc import Iterator

# Units of a larger file are not searched for a line: the person waits for the report.
_DEBUG_MAX = 256 << 20
_UNITS_MAX = 20_000


def describe(file: elf.File, address: int) -> str:
    """Return `function+0x12 (file:line)`, as far as known; empty when nothing is.

    Args:
        file: The file that holds the code.
        address: As the file's symbols have it.
    """
    try:
        found = file.function(address)
        lines = _lines_of(file.path)
        line = "" if lines is None else lines.at(address)
    except Exception:
        # A crash report is never lost for want of a symbol: malformed files raise many kinds.
        return ""
    name = f"{demangle(found[0])}+{found[1]:#x}" if found else "?" if line else ""
    return f"{name} ({line})" if line else name


@functools.lru_cache(maxsize=16)
def _lines_of(path: str) -> _Lines | None:
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError:
        return None
    file = elf.opened(path)
    if file is None or len(file.data) > _DEBUG_MAX:
        return None
    # Units are read when they are asked for; a mapping reads and seeks as a file does.
    image = ELFFile(cast("IO[bytes]", file.data))
    section = image.get_section_by_name(".debug_line") or image.get_section_by_name(".zdebug_line")
    if section is None:
        return None
    return _Lines(image.get_dwarf_info())


class _Lines:
    """The line tables of a file, unit by unit."""

    def __init__(self, dwarf: Any) -> None:  # noqa: ANN401 - pyelftools has no types
        self._dwarf = dwarf
        self._aranges = dwarf.get_aranges()
        self._units: list[tuple[Any, list[tuple[int, int]]]] | None = None

    def at(self, address: int) -> str:
        """Return `file:line` of an address, empty when unknown."""
        for unit in self._candidates(address):
            for start, end, file, line in self._rows(unit):
                if start <= address < end:
                    return f"{file}:{line}"
        return ""

    def _candidates(self, address: int) -> Iterator[Any]:
        if self._aranges is not None:
            offset = self._aranges.cu_offset_at_addr(address)
            if offset is not None:
                yield self._dwarf.get_CU_at(offset)
                return
        if self._units is None:
            self._units = list(self._by_ranges())
        for unit, ranges in self._units:
            if any(start <= address < end for start, end in ranges):
                yield unit

    def _by_ranges(self) -> Iterator[tuple[Any, list[tuple[int, int]]]]:
        from elftools.dwarf.ranges import BaseAddressEntry

        lists = self._dwarf.range_lists()
        for count, unit in enumerate(self._dwarf.iter_CUs()):
            if count > _UNITS_MAX:
                return
            top = unit.get_top_DIE()
            low, high = top.attributes.get("DW_AT_low_pc"), top.attributes.get("DW_AT_high_pc")
            base = low.value if low else 0
            found = []
            if low and high:
                end = high.value if high.form == "DW_FORM_addr" else base + high.value
                found.append((base, end))
            elif "DW_AT_ranges" in top.attributes and lists is not None:
                entries = lists.get_range_list_at_offset(top.attributes["DW_AT_ranges"].value, unit)
                for entry in entries:
                    if isinstance(entry, BaseAddressEntry):
                        base = entry.base_address
                        continue
                    shift = 0 if getattr(entry, "is_absolute", False) else base
                    found.append((entry.begin_offset + shift, entry.end_offset + shift))
            yield unit, found

    @functools.cached_property
    def _cache(self) -> dict[int, list[tuple[int, int, str, int]]]:
        return {}

    def _rows(self, unit: Any) -> list[tuple[int, int, str, int]]:  # noqa: ANN401 - as above
        if unit.cu_offset not in self._cache:
            self._cache[unit.cu_offset] = list(self._decoded(unit))
        return self._cache[unit.cu_offset]

    def _decoded(self, unit: Any) -> Iterator[tuple[int, int, str, int]]:  # noqa: ANN401 - as above
        program = self._dwarf.line_program_for_CU(unit)
        if program is None:
            return
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
                    yield previous.address, state.address, name, previous.line
            previous = None if state.end_sequence else state


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
