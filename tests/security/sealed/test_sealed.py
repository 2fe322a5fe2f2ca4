"""No system call of a program reaches the host: watched from outside, and refused from inside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.harness import (
    TESTS,
    Machine,
    Outcome,
    compile_c,
    compile_go,
    compile_raw,
    compile_rust,
    environment,
    execute_witnessed,
    tool,
)

FOLDER = Path(__file__).parent
PROGRAMS = TESTS / "integration" / "programs"
INTERCEPTION = TESTS / "security" / "interception"
SYSCALLS = TESTS / "syscalls"
VSYSCALL = "ffffffffff600000"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def watched(machine: Machine) -> Machine:
    """Enclaves under the witness."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    return Machine(machine.options, witnessed=True)


def inside(machine: Machine, command: list[str], folder: Path, *options: str) -> Outcome:
    return machine.inside(
        command, cwd=folder, env=environment(), timeout=100.0, options=list(options)
    )


# Sites of every shape, threads, signals, code made at run time; by every libc.
SOURCES = [
    *[("raw", PROGRAMS / "raw.S"), ("go", PROGRAMS / "goroutines.go")],
    *[("rust", PROGRAMS / "scoped.rs"), ("static", PROGRAMS / "exceptions.cc")],
    *[("static", path) for path in sorted(INTERCEPTION.glob("*.c"))],
    *[("musl", INTERCEPTION / "adjacent.c"), ("static", SYSCALLS / "memory" / "jit.c")],
    *[(kind, SYSCALLS / "process" / "threads.c") for kind in ("dynamic", "static-pie", "musl")],
    *[
        ("no-pie", SYSCALLS / "files" / "read_write.c"),
        ("musl-dynamic", SYSCALLS / "files" / "pipe.c"),
    ],
    *[("dynamic", SYSCALLS / "signals" / name) for name in ("context.c", "interrupt.c")],
    *[("static", SYSCALLS / "process" / "clone_threads.c"), ("static", FOLDER / "vsyscall.c")],
]


@pytest.mark.parametrize(
    ("kind", "source"), SOURCES, ids=[f"{path.stem}-{kind}" for kind, path in SOURCES]
)
def test_no_call_reaches_the_host(
    kind: str, source: Path, watched: Machine, tmp_path: Path
) -> None:
    build = {"raw": compile_raw, "go": compile_go, "rust": compile_rust}.get(kind)
    binary = build(source) if build else compile_c(source, kind)
    outcome = inside(watched, [str(binary)], tmp_path)
    assert outcome.status is not None
    assert b"the host's filter" not in outcome.stderr, outcome.described()


@pytest.mark.parametrize(
    "command",
    [
        ["/usr/bin/python3", str(PROGRAMS / "python" / "threads.py")],
        ["node", "-e", "console.log([...Array(9).keys()].map(n => n * n).join())"],
        ["java", "-version"],
        ["sort", "/etc/passwd"],
    ],
    ids=lambda command: Path(command[0]).name,
)
@pytest.mark.parametrize("options", [[], ["--without", "patching"]], ids=["patched", "trapped"])
def test_no_call_of_a_known_program_reaches_the_host(
    command: list[str], options: list[str], watched: Machine, tmp_path: Path
) -> None:
    words = [tool(command[0]), *command[1:]]
    outcome = inside(watched, words, tmp_path, "--vcpus", "2", *options)
    assert outcome.status == 0, outcome.described()


def test_the_witness_sees_calls_on_linux(tmp_path: Path) -> None:
    """Calls and vsyscalls of a program in the watched range are written down: the control."""
    binary = compile_c(FOLDER / "vsyscall.c", "no-pie")
    raw = compile_raw(PROGRAMS / "raw.S")
    _, calls = execute_witnessed([str(raw)], cwd=tmp_path, env=environment())
    assert calls
    assert all(int(line.split()[1], 16) < 1 << 32 for line in calls)
    if has_vsyscalls():
        _, calls = execute_witnessed([str(binary)], cwd=tmp_path, env=environment())
        assert f"96 {VSYSCALL}" in calls


def test_the_witness_sees_what_the_filter_would_stop(machine: Machine, tmp_path: Path) -> None:
    """Without the runner's filter the host answers on the vsyscall page, inside too."""
    if machine.native_only or not has_vsyscalls():
        pytest.skip("nothing to see")
    bare = Machine([*machine.options, "--without", "seccomp"], witnessed=True)
    with pytest.raises(AssertionError, match=VSYSCALL):
        inside(bare, [str(compile_c(FOLDER / "vsyscall.c"))], tmp_path)


def test_the_vsyscall_page_answers_as_on_linux(machine: Machine, tmp_path: Path) -> None:
    binary = compile_c(FOLDER / "vsyscall.c")
    if has_vsyscalls():
        machine.compare([str(binary)])
    else:
        outcome = inside(machine, [str(binary)], tmp_path)
        assert b"time once more: answered, changed nothing\nstored 1\n" in outcome.stdout


@pytest.mark.parametrize("kind", ["static", "dynamic", "musl"])
def test_without_dispatch_the_filter_stops_the_first_call(
    kind: str, machine: Machine, tmp_path: Path
) -> None:
    """What dispatch would let through, the filter does not: the enclave ends."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    binary = compile_c(SYSCALLS / "files" / "pipe.c", kind)
    outcome = inside(machine, [str(binary)], tmp_path, "--without", "dispatch")
    assert outcome.status == 125, outcome.described()
    found = re.search(
        rb"the host's filter refused system call \d+ at 0x([0-9a-f]+),", outcome.stderr
    )
    assert found, outcome.described()
    assert int(found[1], 16) < 1 << 46
    assert outcome.stdout == b""


def test_dispatch_and_filter_are_not_both_left_out(machine: Machine, tmp_path: Path) -> None:
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    outcome = inside(machine, ["/bin/true"], tmp_path, "--without", "dispatch,seccomp")
    assert outcome.status == 125
    assert b"seccomp" in outcome.stderr


def test_the_runners_own_code_is_no_way_out(machine: Machine, tmp_path: Path) -> None:
    if machine.native_only:
        pytest.skip("there is no runner")
    outcome = inside(machine, [str(compile_c(FOLDER / "gadget.c"))], tmp_path)
    assert outcome.stdout == b"found\n", outcome.described()
    assert outcome.status == 125
    assert b"the host's filter refused system call 63 at 0x7" in outcome.stderr


@pytest.mark.parametrize("room", [0, 64, 1000, 3000])
def test_a_full_stack_of_the_libos_is_reported(room: int, machine: Machine, tmp_path: Path) -> None:
    """Its guard is hit, and the crash report is made on another stack."""
    if machine.native_only:
        pytest.skip("there is no LibOS")
    binary = compile_c(FOLDER / "overflow.c")
    outcome = inside(machine, [str(binary), str(room // 16 * 16)], tmp_path, "--vcpus", "2")
    text = outcome.stderr.decode()
    assert outcome.status == 125, outcome.described()
    assert outcome.stdout == b"before\n"
    assert "adyton: the LibOS stopped: trap kind 2 vector 14" in text
    assert "its stack is full" in text
    assert "adyton: #1 " in text, text


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["user", "copy"])
def test_a_host_that_forgets_what_it_mapped_stops_the_enclave(
    how: str, machine: Machine, tmp_path: Path
) -> None:
    """A page that faults again and again is not brought in for ever."""
    if machine.native_only:
        pytest.skip("there is no runner")
    command = [str(compile_c(FOLDER / "forgetful.c")), how]
    outcome = machine.inside(
        command, cwd=tmp_path, env=environment(), timeout=200.0, options=["--vcpus", "2"]
    )
    assert outcome.status == 125, outcome.described()
    assert outcome.stdout == b"before\n"
    assert b"the host does not keep what it maps" in outcome.stderr


def has_vsyscalls() -> bool:
    """Whether this Linux answers on the vsyscall page."""
    return "[vsyscall]" in Path("/proc/self/maps").read_text()
