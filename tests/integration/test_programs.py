"""Whole programs, unmodified, show the same on Linux and inside an enclave."""

from __future__ import annotations

import dataclasses
import random
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.harness import (
    Machine,
    Outcome,
    compile_c,
    compile_go,
    compile_raw,
    compile_rust,
    tool,
)

PROGRAMS = Path(__file__).parent / "programs"

# Two sides of up to 100 seconds.
pytestmark = pytest.mark.timeout(240)


@cache
def numbers(count: int = 200_000) -> bytes:
    """Lines of numbers and words, always the same."""
    source = random.Random(7)
    return b"".join(
        b"%d word%d\n" % (source.randrange(10**9), source.randrange(500)) for _ in range(count)
    )


@cache
def noise(count: int = 3 << 20) -> bytes:
    """Bytes that do not compress well, always the same."""
    return random.Random(11).randbytes(count // 2) + bytes(range(256)) * (count // 512)


def sorted_lines(outcome: Outcome) -> Outcome:
    """For programs that print in the order of a directory, which no standard fixes."""
    return dataclasses.replace(
        outcome, stdout=b"".join(sorted(outcome.stdout.splitlines(keepends=True)))
    )


@dataclasses.dataclass(frozen=True)
class Program:
    """A command; its words begin with the program's name. `files` names inputs of its folder."""

    name: str
    command: tuple[str, ...]
    stdin: bytes = b""
    files: tuple[str, ...] = ()
    status: int = 0
    unordered: bool = False
    diagnostics: bool = False
    timeout: float = 90.0


_AWK = (
    "{ sum[$2] += $1; n++ } END { for (k in sum) c++; "
    'print c, n, sum["word7"]; printf "%.3f %s\\n", sqrt(2), toupper("x") }'
)
_PERL = (
    "my %h; while (<>) { my ($n, $w) = split; $h{$w} += $n; } "
    "print scalar(keys %h), ' ', join(',', map { \"$_=$h{$_}\" } (sort keys %h)[0..3]), qq{\\n}; "
    "my $t = 'x' x 1e6; $t =~ s/x{7}/yz/g; print length $t, qq{\\n}; "
    "printf '%s %.5f', sprintf('%b', 77), atan2(1, 1);"
)

LIST = [
    Program("true", ("true",)),
    Program("false", ("false",), status=1),
    Program("echo", ("/bin/echo", "a", "b  c", "ä")),
    Program("printenv", ("env",), unordered=True),
    Program("cat-stdin", ("cat",), stdin=numbers()),
    Program(
        "cat-files", ("cat", "numbers", "-", "numbers"), stdin=b"between\n", files=("numbers",)
    ),
    Program("cat-missing", ("cat", "missing"), status=1),
    Program("ls", ("ls", "-lR", "/usr/share/doc")),
    Program(
        "ls-proc",
        ("ls", "/proc/self/task/../fd"),
    ),
    Program(
        "find",
        ("find", "/usr/share/doc", "-type", "f", "-size", "+8k", "-printf", "%p %s %m %u\n"),
        unordered=True,
    ),
    Program(
        "sort", ("sort", "--parallel=4", "-S", "2M", "-k2,2", "-k1n", "numbers"), files=("numbers",)
    ),
    Program("sort-unique", ("sort", "--parallel=2", "-u", "-k2,2"), stdin=numbers()),
    Program("wc", ("wc", "numbers", "noise"), files=("numbers", "noise")),
    Program("sha256sum", ("sha256sum", "numbers", "noise"), files=("numbers", "noise")),
    Program("awk", ("awk", _AWK, "numbers"), files=("numbers",)),
    Program("perl", ("perl", "-e", _PERL, "numbers"), files=("numbers",)),
    Program(
        "bc", ("bc", "-l"), stdin=b"scale=300\n4*a(1)\ne(1)\n2^500\nfor(i=0;i<5;i++) i^3\nsqrt(2)\n"
    ),
    Program("sed", ("sed", "-n", "s/word\\([0-9]\\)\\b/<\\1>/p", "numbers"), files=("numbers",)),
    Program("grep", ("grep", "-c", "word4[0-9]$", "numbers"), files=("numbers",)),
    Program("xz", ("xz", "-T2", "-3", "--block-size=1MiB", "-c", "noise"), files=("noise",)),
    Program("gzip", ("gzip", "-nc", "numbers"), files=("numbers",)),
    Program(
        "tar",
        (
            "tar",
            "cf",
            "-",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "-C",
            "/usr/share/doc",
            "bash",
            "dpkg",
            "tar",
        ),
    ),
    Program(
        "dd", ("dd", "if=noise", "bs=1000", "skip=3", "count=2000", "status=none"), files=("noise",)
    ),
    Program(
        "stat", ("stat", "-c", "%n %F %s %a %h", "/etc/passwd", "/bin", "/dev/null", "/proc/self")
    ),
    Program("date", ("date", "-u", "-d", "@1700000000", "+%c %s")),
    Program("seq", ("seq", "-s,", "1", "0.5", "20")),
    Program("openssl-digests", ("openssl", "dgst", "-sha3-512", "noise"), files=("noise",)),
    Program(
        "openssl-cipher",
        ("openssl", "enc", "-aes-256-ctr", "-K", "00" * 32, "-iv", "11" * 16, "-in", "noise"),
        files=("noise",),
    ),
    Program(
        "openssl-verify",
        ("openssl", "x509", "-noout", "-text", "-in", str(PROGRAMS / "python" / "localhost.pem")),
    ),
    Program("sqlite3", ("sqlite3", "items.db", f".read {PROGRAMS / 'load.sql'}")),
    Program("sqlite3-memory", ("sqlite3", ":memory:"), stdin=(PROGRAMS / "load.sql").read_bytes()),
    Program("busybox-sha", ("/bin/busybox", "sha512sum", "noise"), files=("noise",)),
    Program("busybox-sort", ("/bin/busybox", "sort", "-n", "numbers"), files=("numbers",)),
    Program(
        "busybox-awk",
        ("/bin/busybox", "awk", "{ n += NF } END { print n }", "numbers"),
        files=("numbers",),
    ),
    Program(
        "busybox-sh",
        (
            "/bin/busybox",
            "sh",
            "-c",
            "i=0; while [ $i -lt 500 ]; do i=$((i+1)); done; echo $i $((7**5)); cd /; pwd; exit 5",
        ),
        status=5,
    ),
    Program("busybox-find", ("/bin/busybox", "find", "/usr/share/doc/bash"), unordered=True),
    Program("busybox-gzip", ("/bin/busybox", "gzip", "-c"), stdin=noise()),
    Program(
        "sh-builtins",
        (
            "sh",
            "-c",
            "x=1; for i in a b c; do x=$x$i; done; echo $x; echo text >f; read y <f; echo $y; "
            "trap 'echo bye' EXIT; exit 4",
        ),
        status=4,
    ),
    Program(
        "bash-builtins",
        (
            "bash",
            "-c",
            "declare -A m; for i in {1..200}; do m[$((i%7))]+=x; done; "
            "printf '%s\\n' ${#m[@]} ${#m[3]}; echo ${BASH##*/}",
        ),
    ),
    # It asks for a new process, is told that there are none, and goes on.
    Program("openssl-speedless", ("openssl", "version", "-v")),
]


@pytest.mark.parametrize("program", LIST, ids=lambda program: program.name)
def test_program(program: Program, machine: Machine) -> None:
    contents = {"numbers": numbers, "noise": noise}
    outcome = machine.compare(
        [tool(program.command[0]), *program.command[1:]],
        stdin=program.stdin,
        files={name: contents[name]() for name in program.files},
        timeout=program.timeout,
        normalise=sorted_lines if program.unordered else None,
        diagnostics=program.diagnostics,
    )
    assert outcome.status == program.status, outcome.described()


def test_archives(machine: Machine) -> None:
    """What Linux packed, the enclave unpacks to the same bytes."""
    packed = machine.native([tool("xz"), "-c"], cwd=Path("/"), env={}, stdin=noise())
    machine.compare([tool("xz"), "-dc", "-T2"], stdin=packed.stdout)


# --- Python --------------------------------------------------------------------------------------


# Debian's, the one that runs the tests, and one that makes its code at run time.
INTERPRETERS = {
    "debian": lambda: tool("/usr/bin/python3"),
    "own": lambda: str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"),
    "pypy": lambda: tool("pypy3"),
}
SCRIPTS = sorted(
    p.stem for p in (PROGRAMS / "python").glob("*.py") if p.stem not in {"arrays", "crash"}
)


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_python(script: str, interpreter: str, machine: Machine) -> None:
    outcome = machine.compare(
        [INTERPRETERS[interpreter](), "-B", str(PROGRAMS / "python" / f"{script}.py")], timeout=100
    )
    assert outcome.status == 0, outcome.described()


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_python_one_liner(interpreter: str, machine: Machine) -> None:
    machine.compare(
        [INTERPRETERS[interpreter](), "-c", "import sys; print(sys.argv, sys.prefix)", "a b"]
    )
    machine.compare(
        [INTERPRETERS[interpreter](), "-"], stdin=b"print(input.__name__)\nraise SystemExit(7)\n"
    )


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_python_crash(interpreter: str, machine: Machine) -> None:
    """faulthandler reports from a handler on an alternate stack; then the signal ends it all."""

    def without_thread_id(outcome: Outcome) -> Outcome:
        lines = [
            line for line in outcome.stderr.splitlines() if not line.startswith(b"Current thread")
        ]
        return dataclasses.replace(outcome, stderr=b"\n".join(lines))

    outcome = machine.compare(
        [INTERPRETERS[interpreter](), "-B", str(PROGRAMS / "python" / "crash.py")],
        normalise=without_thread_id,
        diagnostics=True,
    )
    assert outcome.status == 139


def test_numpy(machine: Machine) -> None:
    """OpenBLAS makes its own threads; the interpreter is the virtual environment's."""
    outcome = machine.compare(
        [sys.executable, "-B", str(PROGRAMS / "python" / "arrays.py")],
        env={"OPENBLAS_NUM_THREADS": "4"},
        timeout=100,
    )
    assert outcome.status == 0, outcome.described()


# --- Compiled ------------------------------------------------------------------------------------


def test_go(machine: Machine) -> None:
    outcome = machine.compare([str(compile_go(PROGRAMS / "goroutines.go"))])
    assert outcome.status == 0, outcome.described()


def test_rust(machine: Machine) -> None:
    outcome = machine.compare([str(compile_rust(PROGRAMS / "scoped.rs"))])
    assert outcome.status == 3, outcome.described()


@pytest.mark.parametrize("variant", ["static", "dynamic"])
def test_exceptions(variant: str, machine: Machine) -> None:
    binary = compile_c(PROGRAMS / "exceptions.cc", variant, ("-fnon-call-exceptions",))
    outcome = machine.compare([str(binary)])
    assert outcome.status == 6, outcome.described()


def test_raw_system_calls(machine: Machine) -> None:
    outcome = machine.compare([str(compile_raw(PROGRAMS / "raw.S"))])
    assert (outcome.status, outcome.stdout) == (23, b"by hand\n")


# --- Scripts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("#!/bin/cat", 0),
        ("#! /bin/cat", 0),
        ("#!/usr/bin/env cat", 0),
        ("#!/bin/echo one  two ", 0),
        ("#!/no/such", 127),
    ],
)
def test_scripts(line: str, status: int, machine: Machine, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"{line}\nthe rest\n")
    script.chmod(0o755)
    if status:
        inside = machine.run_inside([str(script), "argument"])
        assert inside.status == status, inside.described()
        assert inside.stderr.startswith(b"adyton: ")
    else:
        machine.compare([str(script), "argument"])


def test_programs_are_there() -> None:
    """Each program of the list is installed, so that no test above passes for want of it."""
    missing = [program.name for program in LIST if shutil.which(program.command[0]) is None]
    assert not missing, "run `make setup`"
