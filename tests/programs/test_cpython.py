"""CPython's own tests give inside what they give on Linux; the docs list what differs."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

import pytest

from tests.harness import ROOT
from tests.programs import cpython

if TYPE_CHECKING:
    from tests.harness import Machine

PAGE = ROOT / "docs" / "syscalls" / "cpython.md"
MODULES = """
os posix time signal threading thread threadsignals threading_local threadedtempfile mmap select
poll epoll selectors tempfile shutil pathlib glob genericpath posixpath stat fcntl io fileio file
bufio memoryio largefile fileinput filecmp ctypes zipfile tarfile hashlib ssl decimal asyncio
resource ioctl pty tty termios queue sched contextlib gc sys tracemalloc import locale getpass pwd
grp zlib bz2 lzma gzip dbm shelve mailbox datetime zoneinfo array memoryview buffer random weakref
context unicode_file unicode_file_functions
""".split()  # noqa: SIM905 - a list of names reads best as text


def listed() -> dict[str, str]:
    """Patterns of cases that are known to differ, and why: the rows of the page's table."""
    rows = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 2:
            rows[cells[0].strip("`")] = cells[1]
    return rows


def check(module: str, machine: Machine) -> None:
    """Each case that passes on Linux passes inside, or is listed."""
    both = cpython.compare(f"test_{module}", tuple(machine.options))
    counted, different = both.counted(), list(both.different())
    100.0 * (1 - len(different) / max(len(counted), 1))
    known = listed()
    unknown = [
        case
        for case in different
        if not any(fnmatch.fnmatchcase(case.name, pattern) for pattern in known)
    ]
    assert not unknown, "\n".join(f"{case.outcome} {case.name}: {case.why}" for case in unknown)


@pytest.mark.full
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("module", MODULES)
def test_module(module: str, machine: Machine) -> None:
    check(module, machine)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", ["posix", "mmap", "fcntl"])
def test_quick_module(module: str, machine: Machine) -> None:
    """Of the modules, some that take seconds."""
    check(module, machine)
