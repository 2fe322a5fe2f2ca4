"""What a person sees when a program crashes: signal, address, mapping, and a backtrace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import adyton
from tests.harness import Machine, compile_c, compile_go, tool, without_diagnostics

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = "/usr/bin/python3"


def frames(stderr: bytes) -> list[str]:
    """The functions of the backtrace, innermost first; `?` for one without a name."""
    lines = [line for line in stderr.decode().splitlines() if line.startswith("adyton: #")]
    return [line.split(" ")[3].split("+")[0] for line in lines]


@pytest.mark.parametrize("variant", ["static", "dynamic", "no-pie", "static-pie"])
def test_a_null_pointer(machine: Machine, variant: str) -> None:
    binary = compile_c(PROGRAMS / "crash.c", variant)
    outcome = machine.run_inside([str(binary), "null"])
    text = outcome.stderr.decode()
    assert outcome.status == 139
    assert outcome.stdout == b""
    assert "adyton: SIGSEGV (Segmentation fault): SEGV_MAPERR" in text
    assert "address 0x0\n" in text
    assert f"thread 1: {binary}\n" in text
    assert f"r-xp {binary}\n" in text
    assert frames(outcome.stderr)[:2] == ["write_null", "main"]
    assert frames(outcome.stderr)[-1] == "_start"
    # Lines need the decoder's interpreter to have pyelftools, which the package depends on.
    assert "(crash.c:10)" in text
    assert f"in {binary}+0x" in text
    assert without_diagnostics(outcome).stderr == b""


@pytest.mark.parametrize(
    ("how", "status", "first", "said"),
    [
        ("readonly", 139, ["write_null", "main"], "SEGV_ACCERR"),
        ("divide", 136, ["divide", "main"], "FPE_INTDIV"),
        ("deep", 139, ["too_deep", "too_deep"], "SEGV_MAPERR"),
        ("stack", 139, ["wild_stack"], "address 0x0"),
    ],
)
def test_other_ends(machine: Machine, how: str, status: int, first: list[str], said: str) -> None:
    binary = compile_c(PROGRAMS / "crash.c", "dynamic")
    outcome = machine.run_inside([str(binary), how])
    assert outcome.status == status
    assert said in outcome.stderr.decode()
    assert frames(outcome.stderr)[: len(first)] == first


@pytest.mark.parametrize("variant", ["static", "dynamic"])
def test_abort_shows_who_called_it(machine: Machine, variant: str) -> None:
    binary = compile_c(PROGRAMS / "crash.c", variant)
    outcome = machine.run_inside([str(binary), "abort"])
    assert outcome.status == 134
    assert "SIGABRT (Aborted): SI_TKILL, sent by process 1" in outcome.stderr.decode()
    found = frames(outcome.stderr)
    assert found.index("abort") < found.index("main")


def test_a_jump_to_nowhere_shows_where_from(machine: Machine) -> None:
    outcome = machine.run_inside([str(compile_c(PROGRAMS / "crash.c", "dynamic")), "nowhere"])
    lines = [line for line in outcome.stderr.decode().splitlines() if line.startswith("adyton: #")]
    assert outcome.status == 139
    assert lines[0] == "adyton: #0 0x1234"
    assert "to_nowhere" in lines[1]


def test_quit_ends_the_runner_as_the_program(machine: Machine) -> None:
    """A shell's loop must see the signal; the report comes all the same."""
    outcome = machine.run_inside([str(compile_c(PROGRAMS / "crash.c", "static")), "sent"])
    assert outcome.status == 131
    assert "SIGQUIT (Quit): SI_USER, sent by process 1" in outcome.stderr.decode()


def test_a_go_program(machine: Machine) -> None:
    outcome = machine.run_inside([str(compile_go(PROGRAMS / "crash.go"))])
    assert outcome.status == 139
    assert frames(outcome.stderr)[:1] == ["main.writeNull"]
    assert "(crash.go:10)" in outcome.stderr.decode()


def test_a_python_program(machine: Machine) -> None:
    """Stripped libraries: the names that a dynamic symbol table has, and through them to main."""
    outcome = machine.run_inside([PYTHON, "-c", "import ctypes; ctypes.string_at(0)"])
    assert outcome.status == 139
    found = frames(outcome.stderr)
    assert "ffi_call" in found
    assert found.index("_PyEval_EvalFrameDefault") < found.index("Py_BytesMain")
    assert "_ctypes" in outcome.stderr.decode()


def test_a_program_in_a_volume(machine: Machine, tmp_path: Path) -> None:
    binary = compile_c(PROGRAMS / "crash.c", "static")
    (tmp_path / "prog").write_bytes(binary.read_bytes())
    (tmp_path / "prog").chmod(0o755)
    options = ["-v", f"{tmp_path}:/volume"]
    outcome = machine.run_inside(["/volume/prog"], options=options)
    assert outcome.status == 139
    assert frames(outcome.stderr)[:2] == ["write_null", "main"]
    assert "in /volume/prog+0x" in outcome.stderr.decode()


def test_from_python(machine: Machine, tmp_path: Path) -> None:
    """The report comes to the stderr that the program has; nothing waits for its end."""
    if machine.native_only:
        pytest.skip("about the inside alone")
    binary = compile_c(PROGRAMS / "crash.c", "static")
    (tmp_path / "prog").write_bytes(binary.read_bytes())
    (tmp_path / "prog").chmod(0o755)
    volumes = {"/volume": tmp_path}
    done = adyton.run(["/volume/prog"], volumes=volumes, capture_output=True, timeout=30)
    assert done.returncode == -11
    assert done.stdout == b""
    assert frames(done.stderr)[:2] == ["write_null", "main"]
    done = adyton.run([str(binary)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    assert frames(done.stdout)[:2] == ["write_null", "main"]


def test_without_a_decoder_there_are_two_lines(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a program that has Python within, no interpreter can be started."""
    if machine.native_only:
        pytest.skip("about the inside alone")
    monkeypatch.setattr(sys, "executable", "")
    binary = compile_c(PROGRAMS / "crash.c", "static")
    done = adyton.Enclave.run([str(binary)], capture_output=True, text=True)
    assert done.returncode == -11
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("adyton: SIGSEGV (si_code 1, address 0x0) ends process 1")
    assert str(binary) in lines[1]


def test_nothing_is_left_running(machine: Machine) -> None:
    """The decoder is waited for: no process of ours outlives the command."""
    binary = compile_c(PROGRAMS / "crash.c", "static")
    machine.run_inside([str(binary)])
    found = subprocess.run(
        [tool("ps"), "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert "adyton.observe import decode" not in found
