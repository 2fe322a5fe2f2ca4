"""`adyton trace`: strace's look, with the reason behind each error; `--stat`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from adyton.observe import numbers
from tests.harness import Machine, adyton_command, compile_c, environment, execute

PROGRAMS = Path(__file__).parent / "programs"

EXPECTED = r"""
rt_sigaction\(SIGUSR1, {sa_handler=0x[0-9a-f]+, sa_mask=.*}, {sa_handler=SIG_DFL, .*}, 8\) = 0
openat\(AT_FDCWD, "/no/such/file", O_RDONLY\|O_CLOEXEC\) = -1 ENOENT \(No such file or directory\)
close\(77\) = -1 EBADF \(Bad file descriptor\)
pipe2\(\[3, 4\], O_CLOEXEC\) = 0
write\(4, "a\\"b\\n", 4\) = 4
read\(3, "a\\"b\\n", 16\) = 4
lseek\(3, 0, SEEK_END\) = -1 ESPIPE \(Illegal seek\)
clock_nanosleep\(CLOCK_MONOTONIC, 0, {tv_sec=0, tv_nsec=1000}, NULL\) = 0
getpid\(\) = 1
kill\(1, SIGUSR1\) = 0
--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=1} ---
write\(1, "handled\\n", 8\) = 8
rt_sigreturn\(\) = 0x0
mq_notify\(0x1, 0x2, 0x3, .*\) = -1 ENOSYS \(Function not implemented\)
mq_notify\(0x1, 0x2, 0x3, .*\) = -1 ENOSYS \(Function not implemented\)
syscall_1000\(0x1, 0x2, .*\) = -1 ENOSYS \(Function not implemented\)
exit_group\(3\) = \?
\+\+\+ exited with 3 \+\+\+
"""


@pytest.fixture
def program() -> str:
    return str(compile_c(PROGRAMS / "traced.c", "static"))


def trace(machine: Machine, cwd: Path, *words: str) -> tuple[int | None, str, str]:
    """Run `adyton trace` and return exit code, output and stderr."""
    if machine.native_only:
        pytest.skip("about the inside alone")
    command = [*adyton_command(), "trace", *words]
    outcome = execute(command, cwd=cwd, env=environment())
    return outcome.status, outcome.stdout.decode(), outcome.stderr.decode()


def test_lines_as_strace_has_them(machine: Machine, tmp_path: Path, program: str) -> None:
    status, stdout, stderr = trace(machine, tmp_path, program)
    assert status == 3
    assert stdout == "handled\n"
    lines = [line.split("  # ")[0] for line in stderr.splitlines()]
    said = [line for line in lines if line.startswith("adyton: ")]
    assert len(said) == 1
    assert said[0].startswith("adyton: mq_notify(0x1, 0x2, 0x3, ")
    assert said[0].endswith("is not supported: ENOSYS (process 1)")
    traced = [line for line in lines if not line.startswith("adyton: ")]
    expected = EXPECTED.strip().splitlines()
    # What comes before main is the libc's affair.
    shown = traced[-len(expected) :]
    for line, pattern in zip(shown, expected, strict=True):
        assert re.fullmatch(pattern, line), f"{line!r} is not {pattern!r}"


def test_reasons_stand_behind_errors(machine: Machine, tmp_path: Path) -> None:
    _, _, stderr = trace(machine, tmp_path, "-F", "mmap", "--", "sh", "-c", "true")
    calls = [line for line in stderr.splitlines() if not line.startswith("+++")]
    assert calls
    assert all(line.startswith("mmap(") for line in calls)


def test_a_summary(machine: Machine, tmp_path: Path, program: str) -> None:
    status, stdout, stderr = trace(machine, tmp_path, "-c", program)
    assert (status, stdout) == (3, "handled\n")
    lines = [line for line in stderr.splitlines() if not line.startswith("adyton: ")]
    assert lines[0].split() == ["%", "time", "seconds", "usecs/call", "calls", "errors", "syscall"]
    rows = {line.split()[-1]: line.split() for line in lines[2:-2]}
    assert rows["write"][3] == "2"
    assert rows["openat"][3:5] == ["1", "1"]
    assert rows["mq_notify"][3:5] == ["2", "2"]
    assert lines[-1].split()[-1] == "total"
    assert set(rows) <= set(numbers.NUMBERS)


def test_a_filter(machine: Machine, tmp_path: Path, program: str) -> None:
    status, _, stderr = trace(machine, tmp_path, "-F", "close,lseek", program)
    assert status == 3, stderr
    calls = {line.split("(")[0] for line in stderr.splitlines() if line[0] not in "-+a"}
    assert calls == {"close", "lseek"}
    status, _, stderr = trace(machine, tmp_path, "-F", "!close,lseek", program)
    assert status == 3, stderr
    calls = {line.split("(")[0] for line in stderr.splitlines() if line[0] not in "-+a"}
    assert "pipe2" in calls
    assert not calls & {"close", "lseek"}


def test_a_file_gets_the_trace_alone(machine: Machine, tmp_path: Path, program: str) -> None:
    status, stdout, stderr = trace(machine, tmp_path, "-T", "-o", "trace.txt", program)
    assert (status, stdout) == (3, "handled\n")
    assert [line[:18] for line in stderr.splitlines()] == ["adyton: mq_notify("]
    lines = (tmp_path / "trace.txt").read_text().splitlines()
    assert lines[-1] == "+++ exited with 3 +++"
    assert re.fullmatch(r"getpid\(\) = 1 <0\.\d{6}>", lines[-10])


def test_json(machine: Machine, tmp_path: Path, program: str) -> None:
    status, stdout, _ = trace(machine, tmp_path, "--json", "-o", "trace.json", program)
    assert (status, stdout) == (3, "handled\n")
    rows = [json.loads(line) for line in (tmp_path / "trace.json").read_text().splitlines()]
    failed = next(row for row in rows if row.get("arguments", [""])[0] == "77")
    assert (failed["name"], failed["result"], failed["errno"]) == ("close", -1, "EBADF")
    assert failed["why"]
    assert rows[-1]["event"] == "gone"
    _, _, _ = trace(machine, tmp_path, "-c", "--json", "-o", "counts.json", program)
    assert json.loads((tmp_path / "counts.json").read_text())["write"]["calls"] == 2


def test_a_full_disk(machine: Machine, tmp_path: Path, program: str) -> None:
    status, stdout, stderr = trace(machine, tmp_path, "-o", "/dev/full", program)
    assert (status, stdout) == (3, "handled\n")
    lines = [line for line in stderr.splitlines() if not line.startswith("adyton: mq_notify(")]
    assert lines == ["adyton: trace: /dev/full: No space left on device; the rest is dropped"]


def test_a_crash_within_a_trace(machine: Machine, tmp_path: Path) -> None:
    binary = str(compile_c(PROGRAMS / "crash.c", "static"))
    status, _, stderr = trace(machine, tmp_path, binary)
    lines = stderr.splitlines()
    assert status == 139
    assert lines[-1] == "+++ killed by SIGSEGV +++"
    assert "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x0} ---" in lines
    assert any(line.startswith("adyton: #0 ") and "write_null" in line for line in lines)


def test_missing_calls_are_named_once(machine: Machine, program: str) -> None:
    """Numbers without a name are probes: nothing is said of them."""
    outcome = machine.run_inside([program])
    lines = outcome.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("adyton: mq_notify(0x1, 0x2, 0x3, ")


def test_counters(machine: Machine, tmp_path: Path, program: str) -> None:
    name = tmp_path / "stat.json"
    machine.run_inside([program], options=["--stat", str(name)])
    stat = json.loads(name.read_text())
    assert {
        *("exits", "syscalls", "context_switches", "preemptions", "interception", "memory"),
        *("rings", "wall_seconds"),
    } <= set(stat)
    assert sum(v for k, v in stat["exits"].items() if k != "total") == stat["exits"]["total"]
    calls = stat["syscalls"]
    assert sum(v for k, v in calls.items() if k != "total") == calls["total"]
    assert (calls["mq_notify"], calls["other"], calls["getpid"]) == (2, 1, 1)
    sites = {"trapped", "patched_sites", "learned_sites", "unpatched_sites"}
    assert sites <= stat["interception"].keys()
    assert {"submitted", "completed", "enters"} <= set(stat["rings"])
    assert 0 < stat["memory"]["peak"] <= stat["memory"]["limit"]
    assert stat["wall_seconds"] > 0
