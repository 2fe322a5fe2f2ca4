"""A host that lies: a runner built with the feature `faults`, beside the image as it is.

Key type: `Lie` starts programs under such a host; `assert_survived` says what may come of it.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.harness import BUILD, ROOT, TESTS, Outcome, environment, execute, load_tool, tool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

build_native = load_tool("build_native")
_PACKAGE = ROOT / "src" / "adyton"
_START = (
    "import sys, runpy; sys.path.insert(0, {where!r}); sys.argv[0] = 'adyton'; "
    "runpy.run_module('adyton', run_name='__main__', alter_sys=True)"
)


# Where `Lie.run` lays the package; the file in it that the runner counts its lies in.
HOST, _TOLD = "host", "told"


def told(folder: Path) -> int:
    """How many lies a run told whose package `Lie.install` laid into this folder."""
    return int.from_bytes((folder / _TOLD).read_bytes(), sys.byteorder)


@functools.cache
def runner() -> Path:
    """Build the runner that lies, in a folder of its own: the real one is never replaced."""
    target = BUILD / "faults"
    cargo = tool("cargo")
    words = [cargo, "build", "--locked", "--quiet", "--target", build_native.TARGET]
    words += ["--profile", "fast", "-p", build_native.RUNNER, "--features", "faults"]
    env = build_native.environment(ROOT, cargo) | {"CARGO_TARGET_DIR": str(target)}
    subprocess.run(words, cwd=ROOT, env=env, check=True)
    return target / build_native.TARGET / "fast" / build_native.RUNNER


@dataclasses.dataclass(frozen=True)
class Lie:
    """One way to lie, told once in `one_in` times once `after` occasions have passed.

    `seed` makes others of the same kind.
    """

    kind: str
    one_in: int = 1
    seed: int = 1
    after: int = 0

    def install(self, folder: Path) -> list[str]:
        """Lay a package into a folder whose runner lies; give the words that start it."""
        package = folder / "adyton"
        natives = package / "_bin"
        natives.mkdir(parents=True)
        for part in _PACKAGE.iterdir():
            if part.name not in ("_bin", "__pycache__"):
                (package / part.name).symlink_to(part)
        for part in (_PACKAGE / "_bin").iterdir():
            if part.name != build_native.RUNNER:
                (natives / part.name).symlink_to(part)
        # Nothing of the environment reaches the runner but what this says.
        script = natives / build_native.RUNNER
        lie = f"{self.kind}:{self.one_in}:{self.seed}:{self.after}"
        names = f"ADYTON_FAULTS={lie} ADYTON_FAULTS_TOLD='{folder / _TOLD}'"
        script.write_text(f'#!/bin/sh\n{names} exec {runner()} "$@"\n')
        script.chmod(0o755)
        return [sys.executable, "-c", _START.format(where=str(folder))]

    def run(
        self,
        folder: Path,
        options: Sequence[str],
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 60,
    ) -> Outcome:
        """Run a program under this host, in a folder for this run alone."""
        words = self.install(folder / HOST)
        work = folder / "work"
        work.mkdir()
        shown = ["-v", f"{TESTS}:{TESTS}", "-v", f"{work}:{work}:rw"]
        try:
            return execute(
                # SIGTERM is the program's own end; SIGKILL follows when that is of no use.
                ["timeout", "-k", "10", "15", *words, "run", *shown, *options, "--", *command],
                cwd=work,
                env=environment(),
                stdin=stdin,
                timeout=timeout,
            )
        finally:
            shutil.rmtree(work, ignore_errors=True)


def assert_survived(outcome: Outcome) -> None:
    """Assert an error or a clean stop: no hang, and no end that nobody explains.

    The program may fail, and may crash over contents that are not what it expects; then the report
    says so. The LibOS may stop, with the host's fault as the reason. It never traps nor panics.
    """
    shown = outcome.described()
    text = outcome.stderr.decode(errors="backslashreplace")
    # Told that a file is huge, a program may read it for ever; then SIGTERM ends it (124).
    assert outcome.status not in (None, 137), f"it hangs: {shown}"
    if outcome.status == 124:
        return
    stops = [line for line in text.splitlines() if "the LibOS stopped" in line]
    for line in stops:
        assert "stopped: the host " in line, shown
    assert "the runner stopped" not in text, shown
    if outcome.status != 0:
        assert text, f"nobody explains this end: {shown}"
    if outcome.status == 125 or outcome.status > 128:
        assert "adyton: " in text, f"nobody explains this end: {shown}"
