"""Which parts of the host a program sees in quick mode.

System directories, the prefix of the program and of its interpreters, an active virtual environment
with its base, and the working directory: read-only, under a writable layer in memory. The rest of
the home directory is not among them. Paths here are strings as the file system has them, so that a
name in no particular encoding survives (surrogateescape).
"""

from __future__ import annotations

import os

from adyton.errors import ProgramNotExecutable, ProgramNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SYSTEM = ("/usr", "/bin", "/sbin", "/etc", "/opt")
# The LibOS has its own: the host's would tell of the host.
_OURS = ("/proc", "/sys", "/dev")
_BIN_DIRECTORIES = ("bin", "sbin", "shims", "libexec")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Never offered as a whole on account of a program in them.
_WIDE = ("/", "/home", "/mnt", "/root", "/run", "/srv", "/tmp", "/var", "/var/tmp")
_INTERPRETERS_MAX = 5
_LINKS_MAX = 40


class Volume:
    """A host file or directory at a place inside: `-v HOST:GUEST[:ro|rw]`."""

    __slots__ = ("guest", "host", "writable")

    def __init__(self, host: str, guest: str, *, writable: bool = False) -> None:
        """Take absolute paths."""
        self.host = host
        self.guest = guest
        self.writable = writable


def roots(
    program: str | None,
    *,
    directory: str,
    environment: Mapping[str, str],
    home: str,
    guests: Sequence[str] = (),
) -> list[str]:
    """List the host's paths that quick mode offers, none of which lies within another.

    Args:
        program: Path of the program on the host, None when it is only inside.
        directory: Working directory.
        environment: What the program will see.
        home: The caller's home directory, which is never offered but as the working directory.
        guests: Where volumes will be; a working directory in one is not the host's.
    """
    found = [path for path in _SYSTEM if os.path.exists(path)]
    found += sorted("/" + name for name in os.listdir("/") if name.startswith("lib"))
    wanted: list[tuple[str, str]] = []
    if program is not None:
        for path in _chain(program, directory, environment):
            wanted += _prefixes(path)
    virtual = environment.get("VIRTUAL_ENV")
    if virtual:
        wanted += [(folder, folder) for folder in _with_base(virtual)]
    homes = (home, os.path.realpath(home))
    for prefix, path in wanted:
        # Too wide a prefix, say a program that lies in /tmp itself, gives that file alone. Both
        # prefix and home directory may be named through a link.
        names = (prefix, os.path.realpath(prefix))
        wide = any(name in _WIDE for name in names) or any(_within(h, names) for h in homes)
        offered = path if wide else prefix
        named = os.path.isabs(offered) and os.path.lexists(offered)
        if named and not (wide and os.path.isdir(offered)) and not _within(offered, found):
            found.append(offered)
    if directory != "/" and not _within(directory, [*found, *_OURS, *guests]):
        found.append(directory)
    # What lies below another root comes with it.
    return [path for path in found if not _within(path, [p for p in found if p != path])]


def find(program: str, *, directory: str, environment: Mapping[str, str]) -> str:
    """Find a program on the host as execvp(3) would inside.

    Raises:
        ProgramNotFound: No such file, or none in PATH.
        ProgramNotExecutable: A directory, or no execute permission.
    """
    if "/" in program:
        path = os.path.join(directory, program)
        if not os.path.exists(path):
            raise ProgramNotFound(f"{program}: no such program")
        if not _executable(path):
            why = "is a directory" if os.path.isdir(path) else "permission denied"
            raise ProgramNotExecutable(f"{program}: {why}")
        return path
    denied = ""
    for folder in environment.get("PATH", _DEFAULT_PATH).split(":"):
        path = os.path.join(directory, folder, program)
        if _executable(path):
            return path
        if os.path.isfile(path):
            denied = path
    if denied:
        raise ProgramNotExecutable(f"{program}: permission denied ({denied})")
    raise ProgramNotFound(f"{program}: not found in PATH")


def is_inside(directory: str, guests: Iterable[str]) -> bool:
    """Say whether a directory may be there without the host: the LibOS's own, or in a volume."""
    return _within(directory, ["/", *_OURS, "/run", *guests])


def check_interpreter(program: str, *, directory: str) -> None:
    """Say what only the host can tell well: which interpreter a script or an ELF file lacks.

    Raises:
        ProgramNotFound: It names an interpreter that is not on the host.
    """
    words = _shebang(program)
    name = words[0] if words else _elf_interpreter(program)
    if name and not os.path.exists(os.path.join(directory, name)):
        raise ProgramNotFound(
            f"{os.path.normpath(program)}: its interpreter {name} is not there; install it"
        )


def _elf_interpreter(path: str) -> str:
    """Return the PT_INTERP of an ELF file; "" when it has none or is malformed."""
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(4096)
    except OSError:
        return ""
    if head[:6] != b"\x7fELF\2\1" or len(head) < 64:
        return ""
    at = int.from_bytes(head[32:40], "little")
    for _ in range(int.from_bytes(head[56:58], "little")):
        if head[at : at + 4] == b"\3\0\0\0":
            offset, size = (int.from_bytes(head[at + n : at + n + 8], "little") for n in (8, 32))
            return os.fsdecode(head[offset : offset + size].split(b"\0")[0])
        at += 56
    return ""


def _executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _chain(program: str, directory: str, environment: Mapping[str, str]) -> list[str]:
    """List the program, its `#!` interpreter, that one's interpreter, and what env(1) starts."""
    chain = [program]
    while len(chain) <= _INTERPRETERS_MAX:
        words = _shebang(chain[-1])
        if not words:
            break
        chain.append(os.path.join(directory, words[0]))
        name = next((w for w in words[1:] if not w.startswith("-") and "=" not in w), None)
        if os.path.basename(words[0]) == "env" and name:
            try:
                chain.append(find(name, directory=directory, environment=environment))
            except (ProgramNotFound, ProgramNotExecutable):
                break
    return chain


def _shebang(path: str) -> list[str]:
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(256)
    except OSError:
        return []
    if not head.startswith(b"#!"):
        return []
    return os.fsdecode(head[2:].split(b"\n")[0]).split()


def _prefixes(path: str) -> list[tuple[str, str]]:
    """List (installation prefix, file) of an executable: as named, link by link, as resolved."""
    path = os.path.normpath(path)
    result: list[tuple[str, str]] = []
    for _ in range(_LINKS_MAX):
        result += [(prefix, path) for prefix in _with_base(_prefix(path))]
        if not os.path.islink(path):
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    real = os.path.realpath(path)
    if real != path:
        result.append((_prefix(real), real))
    return result


def _prefix(path: str) -> str:
    folder = os.path.dirname(path)
    parent, name = os.path.split(folder)
    return parent if name in _BIN_DIRECTORIES else folder


def _with_base(prefix: str) -> list[str]:
    """Return a prefix, and its base's when it is a virtual environment."""
    try:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError):
        return [prefix]
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home":
            return [prefix, os.path.dirname(value.strip()), *_real_prefix(value.strip())]
    return [prefix]


def _real_prefix(folder: str) -> list[str]:
    real = os.path.realpath(folder)
    return [] if real == folder else [os.path.dirname(real)]


def _within(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)
