"""A program with all that it needs to start: interpreters of scripts, and libraries.

Where libraries lie is searched as ld.so(8) does, with the folders of `/etc/ld.so.conf` in place of
its cache. Files that cannot be read as ELF are told of, never raised for.
"""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING

from adyton.observe import dynamic, elf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adyton.observe.dynamic import Dynamic

_SCRIPTS_MAX = 5
_LIBRARIES_MAX = 512
_STANDARD = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
# The C library's own: what they import or contain, every program has.
_C_LIBRARY = re.compile(
    r"(ld-linux|ld-musl|libc|libm|libpthread|libdl|librt|libresolv|libutil|libanl)[-.].*so.*"
)


class Part:
    """One file of a program: an ELF file with what its headers say."""

    __slots__ = ("dynamic", "file", "path")

    def __init__(self, path: str, file: elf.File, said: Dynamic) -> None:
        """Take what was read."""
        self.path = path
        self.file = file
        self.dynamic = said

    @property
    def is_c_library(self) -> bool:
        """Whether it belongs to the C library, by its name."""
        return _C_LIBRARY.fullmatch(os.path.basename(self.path)) is not None


class Closure:
    """`chain` is the program and its interpreters; `parts` what is mapped, the executable first.

    `missing` are (name, who wants it). `broken` says why there are no parts; "" when there are.
    """

    def __init__(
        self, program: str, *, directory: str = "/", environment: Mapping[str, str] | None = None
    ) -> None:
        """Follow the program's interpreters and libraries."""
        self.chain = [program]
        self.parts: list[Part] = []
        self.missing: list[tuple[str, str]] = []
        self.broken = ""
        self._directory = directory
        self._environment = environment or {}
        executable = self._follow_scripts(program)
        if executable:
            self._collect(executable)

    def _follow_scripts(self, path: str) -> str:
        for _ in range(_SCRIPTS_MAX):
            try:
                words = shebang(path)
            except OSError as error:
                self.broken = f"{path}: {error.strerror}"
                return ""
            if not words:
                return path
            named = os.path.join(self._directory, words[0])
            if not os.path.isfile(named):
                self.missing.append((words[0], path))
                return ""
            self.chain.append(named)
            path = named
            wanted = next((w for w in words[1:] if not w.startswith("-") and "=" not in w), "")
            if os.path.basename(named) == "env" and wanted:
                found = self._in_path(wanted)
                if not found:
                    self.missing.append((wanted, f"{self.chain[-2]} (by way of env)"))
                    return ""
                self.chain.append(found)
                path = found
        self.broken = f"{path}: more than {_SCRIPTS_MAX} interpreters, one of the other"
        return ""

    def _in_path(self, name: str) -> str:
        folders = self._environment.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
        places = (os.path.join(self._directory, folder, name) for folder in folders)
        return next((p for p in places if os.path.isfile(p) and os.access(p, os.X_OK)), "")

    def _collect(self, executable: str) -> None:
        file = elf.opened(executable)
        if file is None:
            self.broken = f"{executable} is neither a script nor an ELF file of x86-64"
            return
        first = Part(executable, file, dynamic.read(file))
        self.parts.append(first)
        interpreter = first.dynamic.interpreter
        if interpreter and not os.path.isfile(os.path.join(self._directory, interpreter)):
            self.missing.append((interpreter, executable))
        seen = {os.path.basename(interpreter)} if interpreter else set()
        queue = [(name, first) for name in first.dynamic.needed]
        while queue and len(self.parts) < _LIBRARIES_MAX:
            name, wanted_by = queue.pop(0)
            if name in seen:
                continue
            seen.add(name)
            part = self._library(name, wanted_by, first)
            if part is None:
                self.missing.append((name, wanted_by.path))
                continue
            self.parts.append(part)
            queue += [(needed, part) for needed in part.dynamic.needed]

    def _library(self, name: str, wanted_by: Part, first: Part) -> Part | None:
        if "/" in name:
            places: list[str] = [os.path.join(self._directory, name)]
        else:
            places = [os.path.join(f, name) for f in self._folders(wanted_by, first)]
        for place in places:
            file = elf.opened(place) if os.path.isfile(place) else None
            if file is not None:  # one of another machine is passed over, as by ld.so
                return Part(place, file, dynamic.read(file))
        return None

    def _folders(self, wanted_by: Part, first: Part) -> Iterator[str]:
        yield from _expanded(wanted_by, wanted_by.dynamic.search)
        yield from _expanded(first, first.dynamic.search)
        for folder in self._environment.get("LD_LIBRARY_PATH", "").split(":"):
            if folder:
                yield os.path.join(self._directory, folder)
        yield from _expanded(wanted_by, wanted_by.dynamic.search_last)
        if "ld-musl" in first.dynamic.interpreter:
            yield from ("/lib", "/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-musl")
            return
        yield from configured("/etc/ld.so.conf")
        yield from _STANDARD


def _expanded(part: Part, folders: Sequence[str]) -> Iterator[str]:
    origin = os.path.dirname(os.path.realpath(part.path))
    for folder in folders:
        for word, value in (("ORIGIN", origin), ("LIB", "lib/x86_64-linux-gnu")):
            folder = folder.replace(f"${{{word}}}", value).replace(f"${word}", value)
        yield folder


def configured(path: str, depth: int = 0) -> list[str]:
    """List the folders that a file in the form of ld.so.conf names."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as text:
            lines = text.read(1 << 16).splitlines()
    except OSError:
        return []
    found: list[str] = []
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < _SCRIPTS_MAX:
            for pattern in words[1:]:
                for name in sorted(glob.glob(os.path.join(os.path.dirname(path), pattern))):
                    found += configured(name, depth + 1)
        elif words and words[0].startswith("/"):
            found.append(words[0])
    return found


def shebang(path: str) -> list[str]:
    """Return the words of a script's first line; none for anything else.

    Raises:
        OSError: It cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        head = os.read(descriptor, 256)
    finally:
        os.close(descriptor)
    if not head.startswith(b"#!"):
        return []
    return os.fsdecode(head[2:].split(b"\n")[0]).split()
