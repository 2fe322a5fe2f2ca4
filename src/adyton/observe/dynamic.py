"""What an ELF file asks of the dynamic linker: its interpreter, libraries, and symbols of others.

Found by way of the dynamic section, since a stripped file has no other. Nothing in a file is
believed: what leads out of it is as if it were not there, and tables are read up to a limit.
Source: the System V ABI, chapter 5.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adyton.observe.elf import File

_ENTRY = struct.Struct("<qQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_NEEDED, _PLT_SIZE, _STRINGS, _SYMBOLS, _RELA, _RELA_SIZE = 1, 2, 5, 6, 7, 8
_SONAME, _RPATH, _PLT, _RUNPATH = 14, 15, 23, 29
_ENTRIES_MAX = 4096
_RELOCATIONS_MAX = 1 << 20
_NAME_MAX = 4096
# The dynamic linker writes the address of a symbol there.
_SLOTS = (6, 7)


class Dynamic(NamedTuple):
    """What the dynamic section says; `slots` are (address of the word, name of the symbol)."""

    interpreter: str
    needed: tuple[str, ...]
    soname: str
    search: tuple[str, ...]
    search_last: tuple[str, ...]
    imports: frozenset[str]
    slots: tuple[tuple[int, str], ...]


def read(file: File) -> Dynamic:
    """Read it; a file without one gives empty fields."""
    entries = list(_entries(file))
    single = dict(entries)
    strings = single.get(_STRINGS, 0)

    def texts(tag: int) -> tuple[str, ...]:
        found = (_text(file, strings + value) for kind, value in entries if kind == tag)
        return tuple(text for text in found if text)

    def folders(tag: int) -> tuple[str, ...]:
        return tuple(folder for text in texts(tag) for folder in text.split(":") if folder)

    slots = tuple(_slots(file, single, strings))
    return Dynamic(
        interpreter=_interpreter(file),
        needed=texts(_NEEDED),
        soname="".join(texts(_SONAME)[:1]),
        # DT_RPATH counts only without DT_RUNPATH; LD_LIBRARY_PATH stands between the two.
        search=() if _RUNPATH in single else folders(_RPATH),
        search_last=folders(_RUNPATH),
        imports=frozenset(_imports(file, single, strings)) | {name for _, name in slots},
        slots=slots,
    )


def _interpreter(file: File) -> str:
    if file.interpreter is None:
        return ""
    offset, length = file.interpreter
    raw = file.data[offset : offset + min(length, _NAME_MAX)]
    return os.fsdecode(raw.split(b"\0")[0])


def _entries(file: File) -> Iterator[tuple[int, int]]:
    if file.dynamic is None:
        return
    offset, length = file.dynamic
    raw = file.data[offset : offset + min(length, _ENTRIES_MAX * _ENTRY.size)]
    whole = len(raw) - len(raw) % _ENTRY.size
    for tag, value in _ENTRY.iter_unpack(raw[:whole]):
        if tag == 0:
            return
        yield tag, value


def _text(file: File, address: int) -> str:
    return os.fsdecode(file.bytes_at(address, _NAME_MAX).split(b"\0")[0])


def _imports(file: File, tags: dict[int, int], strings: int) -> Iterator[str]:
    """Names of undefined symbols: those at the table's start, up to the string table.

    The table's length is not told but by its hash table; linkers put the strings behind it.
    """
    symbols = tags.get(_SYMBOLS, 0)
    if not symbols < strings:
        return
    raw = file.bytes_at(symbols, min(strings - symbols, _RELOCATIONS_MAX * _SYMBOL.size))
    whole = len(raw) - len(raw) % _SYMBOL.size
    for name, _, _, section, _, _ in _SYMBOL.iter_unpack(raw[:whole]):
        if section == 0 and name and (text := _text(file, strings + name)):
            yield text


def _slots(file: File, tags: dict[int, int], strings: int) -> Iterator[tuple[int, str]]:
    symbols = tags.get(_SYMBOLS, 0)
    for start, size in ((_PLT, _PLT_SIZE), (_RELA, _RELA_SIZE)):
        length = min(tags.get(size, 0), _RELOCATIONS_MAX * _RELOCATION.size)
        raw = file.bytes_at(tags.get(start, 0), length) if start in tags else b""
        whole = len(raw) - len(raw) % _RELOCATION.size
        for address, info, _ in _RELOCATION.iter_unpack(raw[:whole]):
            if info & 0xFFFF_FFFF not in _SLOTS:
                continue
            symbol = file.bytes_at(symbols + (info >> 32) * _SYMBOL.size, 4)
            if len(symbol) == 4:
                yield address, _text(file, strings + int.from_bytes(symbol, "little"))
