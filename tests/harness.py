"""Run a program on Linux and inside an enclave, and compare what both show.

Key types: `Machine` runs a command on either side, `Outcome` is what was seen, `Case` is
a C program with the ways to build it. Nothing is normalised unless a test asks for it: the two
outcomes have to be equal to the byte.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from _pytest.mark import ParameterSet

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
BUILD = ROOT / "build" / "tests"
OBSERVE = ROOT / "tests" / "syscalls" / "observe.h"
WITNESS = TESTS / "security" / "sealed" / "witness.c"
# The largest range that an enclave may have; the runner lies above.
RANGE_END = 1 << 46

_FROM_SOURCE = (
    "import sys, runpy; sys.path.insert(0, {src!r}); sys.argv[0] = 'adyton'; "
    "runpy.run_module('adyton', run_name='__main__', alter_sys=True)"
)
# Bad arguments and ignored results are what many of the programs are about.
_C_FLAGS = (
    *(
        "-O1",
        "-g",
        "-D_GNU_SOURCE",
        "-pthread",
        "-Wall",
        "-Wextra",
        "-Wno-nonnull",
        "-Wno-unused-result",
    ),
    *("-Wno-stringop-overflow", "-Wno-stringop-overread", "-Wno-format-truncation"),
)
_VARIANTS: dict[str, tuple[str, ...]] = {
    "static": ("gcc", "-static"),
    "dynamic": ("gcc",),
    "static-pie": ("gcc", "-static-pie"),
    "no-pie": ("gcc", "-no-pie"),
    "musl": ("musl-gcc", "-static"),
    "musl-dynamic": ("musl-gcc",),
}


class MissingToolError(RuntimeError):
    """A tool that the tests need is not installed."""


class CompileError(RuntimeError):
    """A test program does not compile."""


class Differs(AssertionError):
    """Inside shows something else than Linux: the one failure that a test may announce."""


def tool(name: str) -> str:
    """Find a program on PATH.

    Raises:
        MissingToolError: It is not there. Tests never skip silently for want of a tool.
    """
    found = shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} is not installed; run `make setup`")
    return found


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command showed.

    `status` is the exit code, or 128+N when signal N ended it, as a shell says it; None when it was
    stopped by the time limit.
    """

    status: int | None
    stdout: bytes
    stderr: bytes

    def described(self) -> str:
        """The outcome as lines of text, for a difference that a person reads."""
        status = "time limit" if self.status is None else str(self.status)
        return (
            f"status: {status}\n"
            f"--- stdout\n{self.stdout.decode(errors='backslashreplace')}\n"
            f"--- stderr\n{self.stderr.decode(errors='backslashreplace')}"
        )


def execute(
    command: list[str],
    *,
    cwd: Path,
    env: dict[str, str],
    stdin: bytes = b"",
    timeout: float = 40.0,
) -> Outcome:
    """Run a command in a process group of its own and collect what it shows.

    On the time limit (seconds) the whole group is killed, so that nothing stays behind.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        return Outcome(None, stdout, stderr)
    code = process.returncode
    return Outcome(128 - code if code < 0 else code, stdout, stderr)


def execute_witnessed(command: list[str], **how: object) -> tuple[Outcome, list[str]]:
    """Run a command as `execute` does under a seccomp filter that writes calls down.

    Returns:
        The outcome, and a line "number address" for each system call that reached the host from an
        instruction where an enclave's range may lie, or on the vsyscall page.
    """
    with tempfile.TemporaryDirectory(prefix="adyton-witness-") as folder:
        log = Path(folder) / "log"
        witness = compile_c(WITNESS, "dynamic")
        outcome = execute([str(witness), str(log), f"{RANGE_END:x}", *command], **how)  # type: ignore[arg-type]
        return outcome, log.read_text().splitlines()


def adyton_command() -> list[str]:
    """The words that start `adyton` from this tree, whether it is installed or not."""
    return [sys.executable, "-c", _FROM_SOURCE.format(src=str(ROOT / "src"))]


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The small, fixed environment that both sides get."""
    base = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }
    # Some machines need OpenBLAS told which kernel to use; both sides must then agree.
    passed = {k: v for k, v in os.environ.items() if k.startswith(("OPENBLAS_", "ADYTON_"))}
    return base | passed | (extra or {})


class Machine:
    """Runs commands on Linux and inside an enclave.

    Args:
        options: Further options of `adyton run`, for the whole session.
        native_only: Run natively twice instead, which finds programs whose output varies.
        witnessed: Watch each enclave from outside, and fail when a program's call reached the host.
    """

    def __init__(
        self, options: list[str], *, native_only: bool = False, witnessed: bool = False
    ) -> None:
        self.options = options
        self.native_only = native_only
        self.witnessed = witnessed

    def native(self, command: list[str], **how: object) -> Outcome:
        """Run on Linux; arguments as `execute`."""
        return execute(command, **how)  # type: ignore[arg-type]

    def inside(
        self, command: list[str], *, options: list[str] | None = None, **how: object
    ) -> Outcome:
        """Run inside an enclave; `options` are further ones of `adyton run`."""
        if self.native_only:
            return execute(command, **how)  # type: ignore[arg-type]
        # The tests' own programs are host files like any other: nothing comes in unasked.
        shown = ["-v", f"{TESTS}:{TESTS}"]
        words = [*adyton_command(), "run", *shown, *self.options, *(options or []), "--", *command]
        if not self.witnessed:
            return execute(words, **how)  # type: ignore[arg-type]
        outcome, calls = execute_witnessed(words, **how)
        assert not calls, f"calls of the program reached the host: {calls}"
        return outcome

    def compare(
        self,
        command: list[str],
        *,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        files: dict[str, bytes] | None = None,
        options: list[str] | None = None,
        timeout: float = 40.0,
        normalise: Callable[[Outcome], Outcome] | None = None,
        diagnostics: bool = False,
    ) -> Outcome:
        """Run a command on both sides in fresh folders and assert that they show the same.

        Args:
            command: Program and arguments.
            stdin: What both read from standard input.
            env: Added to the fixed environment; `{name}` in it is the working folder's name.
            files: Put into both working folders before.
            options: Further options of `adyton run`; `{folder}` in them is the working folder.
            timeout: Seconds for each side.
            normalise: Applied to both outcomes before they are compared.
            diagnostics: Leave lines of stderr that begin with `adyton: ` out of the comparison;
                only for programs that are meant to cause some, a crash report, say.

        Returns:
            The native outcome.
        """
        outcomes = []
        for run in (self.native, self.inside):
            folder = Path(tempfile.mkdtemp(prefix="adyton-test-"))
            try:
                for name, content in (files or {}).items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(content)
                placed = [option.replace("{folder}", str(folder)) for option in options or []]
                # A program that wants a tmpfs makes a folder of this side's name there.
                added = {k: v.replace("{name}", folder.name) for k, v in (env or {}).items()}
                extra = {"options": placed} if run == self.inside else {}
                outcome = run(
                    command,
                    cwd=folder,
                    env=environment(added),
                    stdin=stdin,
                    timeout=timeout,
                    **extra,
                )
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                shutil.rmtree(Path("/dev/shm") / folder.name, ignore_errors=True)
            if diagnostics:
                outcome = without_diagnostics(outcome)
            outcomes.append(normalise(outcome) if normalise else outcome)
        native, inside = outcomes
        assert b"cannot go on" not in native.stdout, f"the test itself fails: {native.described()}"
        assert b": NO\n" not in native.stdout, f"Linux refutes the test: {native.described()}"
        assert native.status is not None, f"too slow even on Linux: {' '.join(command)}"
        shown = [outcome.described().splitlines() for outcome in (native, inside)]
        different = "\n".join(difflib.unified_diff(*shown, "Linux", "inside", lineterm=""))
        if inside != native:
            raise Differs(f"inside differs from Linux: {' '.join(command)}\n{different}")
        return native

    def run_inside(
        self,
        command: list[str],
        *,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        options: list[str] | None = None,
        timeout: float = 40.0,
    ) -> Outcome:
        """Run a command inside only, in a fresh folder, for what has no native counterpart."""
        if self.native_only:
            pytest.skip("asked for with --native-only; this test is about the inside alone")
        folder = Path(tempfile.mkdtemp(prefix="adyton-test-"))
        try:
            return self.inside(
                command,
                options=options,
                cwd=folder,
                env=environment(env),
                stdin=stdin,
                timeout=timeout,
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def without_diagnostics(outcome: Outcome) -> Outcome:
    """The outcome without the lines of stderr that Adyton itself wrote."""
    lines = outcome.stderr.splitlines(keepends=True)
    kept = b"".join(line for line in lines if not line.startswith(b"adyton: "))
    return dataclasses.replace(outcome, stderr=kept)


_INCLUDED = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def with_included(sources: list[Path]) -> list[Path]:
    """The sources, and every file of ours that they or their headers include."""
    found: list[Path] = []
    pending = [source.resolve() for source in sources]
    while pending:
        path = pending.pop(0)
        if path in found:
            continue
        found.append(path)
        for name in _INCLUDED.findall(path.read_bytes()):
            places = [folder / os.fsdecode(name) for folder in (path.parent, OBSERVE.parent)]
            pending += [place.resolve() for place in places if place.is_file()][:1]
    return found


def load_tool(name: str) -> ModuleType:
    """Import a program of `tools/`, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _build(sources: list[Path], words: list[str], env: dict[str, str] | None = None) -> Path:
    """Build once for each content of sources and words; `words` get the output path appended."""
    digest = hashlib.sha256("\0".join(words).encode())
    for source in with_included(sources):
        digest.update(source.read_bytes())
    target = BUILD / f"{sources[0].stem}-{digest.hexdigest()[:16]}"
    if target.exists():
        return target
    BUILD.mkdir(parents=True, exist_ok=True)
    scratch = BUILD / f"{target.name}.{os.getpid()}"
    built = subprocess.run(
        [*words, str(scratch)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | (env or {}),
    )
    if built.returncode != 0:
        raise CompileError(f"{' '.join(words)}\n{built.stdout}{built.stderr}")
    scratch.replace(target)
    return target


def compile_c(source: Path, variant: str = "static", extra: tuple[str, ...] = ()) -> Path:
    """Compile a C or C++ test program.

    Args:
        source: The `.c` or `.cc` file.
        variant: One of static, dynamic, static-pie, no-pie, musl, musl-dynamic.
        extra: Further words for the compiler.

    Raises:
        MissingToolError: No such compiler.
        CompileError: The program does not compile; the message has the compiler's words.
    """
    compiler, *link = _VARIANTS[variant]
    if source.suffix == ".cc":
        compiler = "g++"
    words = [tool(compiler), *_C_FLAGS, *link, "-I", str(OBSERVE.parent), str(source), *extra, "-o"]
    return _build([source], words)


def compile_go(source: Path) -> Path:
    """Compile a Go test program without cgo: static, with Go's own system calls."""
    words = [tool("go"), "build", "-o"]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    target = BUILD / f"{source.stem}-{digest}"
    if not target.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        scratch = BUILD / f"{target.name}.{os.getpid()}"
        env = os.environ | {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=mod",
            "GO111MODULE": "off",
            "GOTOOLCHAIN": "local",
        }
        built = subprocess.run(
            [*words, str(scratch), str(source)],
            capture_output=True,
            text=True,
            check=False,
            env=env,
        )
        if built.returncode != 0:
            raise CompileError(built.stdout + built.stderr)
        scratch.replace(target)
    return target


def compile_raw(source: Path) -> Path:
    """Assemble and link a program without any libc."""
    return _build([source], [tool("gcc"), "-nostdlib", "-static", str(source), "-o"])


def compile_rust(source: Path) -> Path:
    """Compile a Rust test program with the toolchain that the tree pins."""
    return _build([source], [tool("rustc"), "--edition=2024", "-O", str(source), "-o"])


_HEADER = re.compile(
    r"^// (build|args|stdin|timeout|diagnostics|options|differs|differs on \w+): *(.*)$",
    re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A C test program with the way in which it is built and run.

    The source says so in comment lines at its head, all optional:
    `// build: static dynamic musl` (default: static), `// args: …`, `// stdin: …`,
    `// timeout: 60`, `// diagnostics: expected`, `// options: …` (of `adyton run`),
    `// differs: why` where it is known not to be as on Linux yet (`// differs on host: why`: only
    in that place). Some differ only now and then, so a match is no failure.
    """

    source: Path
    variant: str
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    timeout: float = 40.0
    diagnostics: bool = False
    options: tuple[str, ...] = ()
    differs: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The test's name: program and variant."""
        return f"{self.source.stem}-{self.variant}"

    def run(
        self,
        machine: Machine,
        *,
        options: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        place: str = "",
    ) -> Outcome:
        """Build it, run it on both sides, compare; `place` names the file system."""
        binary = compile_c(self.source, self.variant)
        why = self.differs.get("differs") or self.differs.get(f"differs on {place}")
        try:
            outcome = machine.compare(
                [str(binary), *self.args],
                stdin=self.stdin,
                timeout=self.timeout,
                diagnostics=self.diagnostics,
                options=[*self.options, *options],
                env=env,
            )
        except Differs:
            if why:
                pytest.xfail(why)
            raise
        return outcome


def cases(folder: Path) -> list[ParameterSet]:
    """The cases of a family: every `.c` file of its folder, in each variant that it names.

    Each is a parameter for `pytest.mark.parametrize`, with its name and its time limit.
    """
    found = []
    for source in sorted(folder.glob("*.c")):
        head = dict(_HEADER.findall(source.read_text()))
        for variant in head.get("build", "static").split():
            case = Case(
                source,
                variant,
                args=tuple(head.get("args", "").split()),
                stdin=head.get("stdin", "").encode(),
                timeout=float(head.get("timeout", 40)),
                diagnostics="diagnostics" in head,
                options=tuple(head.get("options", "").split()),
                differs={key: why for key, why in head.items() if key.startswith("differs")},
            )
            # Both sides, and the compiler before them.
            limit = pytest.mark.timeout(2 * case.timeout + 30)
            found.append(pytest.param(case, id=case.name, marks=limit))
    return found
