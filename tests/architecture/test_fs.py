"""Whoever runs with the program's FS lets it be: the LibOS, the runner's handlers and its gate."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_RELOC_TYPE_x64

from tests.harness import ROOT, tool

if TYPE_CHECKING:
    from pathlib import Path

sys.path.insert(0, str(ROOT / "tools"))
try:
    import build_native
finally:
    sys.path.pop(0)

NATIVES = ROOT / "src" / "adyton" / "_bin"
# Where control comes in with the program's FS: by a signal, and by the LibOS's call of the host.
ENTRIES = ("adyton_runner::signals::on_signal", "adyton_runner::host::entry")
# What ends the process, or is done only by a thread that never enters.
NOT_FOLLOWED = re.compile(r"^(core::panicking::|core::(slice|str)::.*_fail|__bsd_signal$)")


@dataclasses.dataclass
class Program:
    """The instructions of each function by its address, and the names."""

    names: dict[int, str]
    code: dict[int, list[str]]
    # Places that hold a function's address, as calls through a table use them.
    pointers: dict[int, int]


@cache
def program(path: Path) -> Program:
    words = [tool("objdump"), "-d", "-C", "--no-show-raw-insn", str(path)]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = Program({}, {}, {})
    lines: list[str] = []
    for line in shown.splitlines():
        head = re.match(r"([0-9a-f]+) <(.*)>:$", line)
        if head:
            found.names[int(head[1], 16)] = head[2]
            lines = found.code.setdefault(int(head[1], 16), [])
        elif line.startswith(" "):
            lines.append(line.partition("\t")[2])
    with path.open("rb") as file:
        for entry in ELFFile(file).get_section_by_name(".rela.dyn").iter_relocations():
            if entry["r_info_type"] == ENUM_RELOC_TYPE_x64["R_X86_64_RELATIVE"]:
                found.pointers[entry["r_offset"]] = entry["r_addend"]
    return found


def unstripped_runner() -> Path:
    profile = json.loads((NATIVES / build_native.RECORD).read_text())["profile"]
    folder = build_native._target_directory(ROOT) / build_native.TARGET / profile
    return folder / build_native.RUNNER


def reached(runner: Program) -> set[int]:
    """The functions that are called, jumped to or named, from the entries on."""
    found: set[int] = set()
    ahead = [address for address, name in runner.names.items() if name in ENTRIES]
    assert len(ahead) == len(ENTRIES)
    while ahead:
        address = ahead.pop()
        if address in found or NOT_FOLLOWED.match(runner.names[address]):
            continue
        found.add(address)
        for line in runner.code[address]:
            for place in re.findall(r"([0-9a-f]+) <", line):
                target = runner.pointers.get(int(place, 16), int(place, 16))
                if target in runner.code:
                    ahead.append(target)
    return found


def test_handlers_and_gate_use_no_thread_local() -> None:
    runner = program(unstripped_runner())
    addresses = reached(runner)
    assert len(addresses) > len(ENTRIES), "what is called from there, as far as it is not inlined"
    used = {
        runner.names[address]: lines
        for address in addresses
        if (lines := [line for line in runner.code[address] if "%fs:" in line])
    }
    assert not used


def test_thread_locals_are_found_where_they_are() -> None:
    """The control: without the exceptions the way leads to those of a panic, which are std's."""
    runner = program(unstripped_runner())
    assert any("%fs:" in line for lines in runner.code.values() for line in lines)
    panics = {name for name in runner.names.values() if NOT_FOLLOWED.match(name)}
    assert panics, "the exceptions' names are no longer theirs"


def test_the_libos_touches_fs_only_for_the_program() -> None:
    """In what comes and goes with the program's registers."""
    image = program(NATIVES / build_native.TWIN)
    assert len(image.code) > 1000
    for address, lines in image.code.items():
        assert not [line for line in lines if re.search(r"%fs:|,%fs\b", line)], image.names[address]
    sources = [path for path in ROOT.glob("crates/*/src/**/*.rs") if "tests" not in path.parts]
    assert [path.name for path in sources if "fsbase " in path.read_text()] == ["context.rs"]
