"""`adyton run --core FILE`: Debian's gdb opens the core and finds threads, registers and memory."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness import TESTS, Machine, adyton_command, compile_c, environment, tool

PROGRAM = Path(__file__).parent / "programs" / "core.c"
# Each with what its answer must hold.
QUESTIONS = (
    ("print global", "text = 0x", '"a string of the program"'),
    ("print $_siginfo.si_signo", "= 11"),
    ("print $_siginfo._sifields._sigfault.si_addr", "0x10"),
    ("print/x $r15", "0x1234567890abcdef"),
    ("print/x $xmm7.v2_int64[0]", "0x1122334455667788"),
    ("print heap[1048575]", "90 'Z'"),
    ("info auxv", "AT_SYSINFO_EHDR", "AT_PHDR"),
    ("info proc mappings", "libc.so.6"),
    ("info proc exe", "core"),
)


def run(machine: Machine, core: Path, *words: str, vcpus: int) -> tuple[int, str]:
    """Run the program with a core wanted; its exit code and stderr."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    options = ["-v", f"{TESTS}:{TESTS}", "--vcpus", str(vcpus), "--core", str(core)]
    binary = str(compile_c(PROGRAM, "dynamic"))
    done = subprocess.run(
        [*adyton_command(), "run", *options, *machine.options, binary, *words],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=50,
        check=False,
    )
    return done.returncode, done.stderr


def debug(core: Path, *commands: str) -> str:
    """What gdb answers."""
    words = [tool("gdb"), "-q", "-batch", "-nx"]
    for command in commands:
        words += ["-ex", command]
    done = subprocess.run(
        [*words, str(compile_c(PROGRAM, "dynamic")), str(core)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize("vcpus", [1, 3])
def test_gdb_finds_threads_registers_and_memory(
    machine: Machine, tmp_path: Path, vcpus: int
) -> None:
    core = tmp_path / "core"
    code, text = run(machine, core, vcpus=vcpus)
    assert code == 128 + 11, text
    assert f"gdb PROGRAM {core}" in text
    assert core.stat().st_mode & 0o777 == 0o600
    for question, *answers in QUESTIONS:
        shown = debug(core, question)
        assert "too small" not in shown, shown
        for answer in answers:
            assert answer in shown, (question, shown)
    assert b"not for the core" not in core.read_bytes()
    threads = debug(core, "thread apply all bt")
    for frame in ("crashes (depth=", "main (", "waits (", "sleeper (", "computes (", "spinner ("):
        assert frame in threads, threads
    assert threads.count("\nThread ") == 3
    assert threads.count("crashes (") >= 4
    assert "(LWP 2)" in threads


@pytest.mark.timeout(60)
def test_who_ends_well_leaves_no_core(machine: Machine, tmp_path: Path) -> None:
    core = tmp_path / "core"
    assert run(machine, core, "well", vcpus=1)[0] == 0
    assert not core.exists()


@pytest.mark.timeout(60)
def test_a_place_where_no_file_can_be_is_told_before_the_start(
    machine: Machine, tmp_path: Path
) -> None:
    code, text = run(machine, tmp_path / "missing" / "core", vcpus=1)
    assert code == 125
    assert "--core" in text
    assert "No such file" in text
