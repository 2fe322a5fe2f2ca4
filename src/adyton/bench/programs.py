"""The C programs of the benchmarks: where their sources are, how they are built, what they print.

In a wheel the sources are package data; in the source tree they are the folder `benches`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from adyton.errors import AdytonError

FLAGS = ("-O2", "-std=gnu11", "-static", "-pthread")
_PACKAGED = Path(__file__).parent / "programs"
_IN_TREE = Path(__file__).resolve().parents[3] / "benches"


@dataclass(frozen=True, slots=True)
class Output:
    """What a program printed: nanoseconds of each case, and ticks of the TSC per microsecond.

    `tsc` is 0 when the program did not say.
    """

    values: dict[str, float]
    tsc: float


def sources() -> Path:
    """Folder of the sources.

    Raises:
        AdytonError: The package is broken.
    """
    for folder in (_PACKAGED, _IN_TREE):
        if (folder / "measure.h").exists():
            return folder
    raise AdytonError(f"bench: its C sources are missing from the package ({_PACKAGED})")


def build(name: str, into: Path) -> Path:
    """Build a program as a static executable, once for each folder, and return its path.

    Raises:
        AdytonError: There is no C compiler, no static libc, or the compiler refuses.
    """
    target = into / name
    if target.exists():
        return target
    compiler = _compiler()
    source = sources() / f"{name}.c"
    words = [compiler, *FLAGS, str(source), "-o", str(target)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-3:]
        raise AdytonError(
            f"bench: {compiler} cannot build {name}.c as a static program; it needs a static libc "
            "(Debian: apt-get install libc6-dev):\n" + "\n".join(last)
        )
    return target


def parse(text: str) -> Output:
    """Read a program's lines: `case value n`, separated by tabs, and `@tsc ticks`.

    Raises:
        ValueError: A line has another form.
    """
    values: dict[str, float] = {}
    tsc = 0.0
    for line in text.splitlines():
        words = line.split("\t")
        if words[0] == "@tsc" and len(words) == 2:
            tsc = float(words[1])
        elif len(words) == 3:
            values[words[0]] = float(words[1])
        else:
            raise ValueError(f"not a result: {line!r}")
    return Output(values, tsc)


def _compiler() -> str:
    for name in (os.environ.get("CC", ""), "gcc", "cc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise AdytonError(
        "bench: no C compiler, which its programs are built with; install one "
        "(Debian: apt-get install gcc libc6-dev) or name it in CC"
    )
