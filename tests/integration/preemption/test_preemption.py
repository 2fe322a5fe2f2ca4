"""Preempted threads lose nothing, any number of vCPUs works, an idle enclave uses no processor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import TESTS, Machine, adyton_command, compile_c, environment

FOLDER = Path(__file__).parent
THREADS = TESTS / "syscalls" / "process" / "threads.c"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("vcpus", [1, 2, 5])
def test_registers_survive_preemption(machine: Machine, vcpus: int, tmp_path: Path) -> None:
    binary = compile_c(FOLDER / "all_registers.c", "static")
    stat = tmp_path / "stat.json"
    machine.compare(
        [str(binary)], options=["--vcpus", str(vcpus), "--stat", str(stat)], timeout=50.0
    )
    if not machine.native_only:
        assert json.loads(stat.read_text())["preemptions"] > 64


@pytest.mark.timeout(120)
@pytest.mark.parametrize("vcpus", [1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 63, 64])
def test_any_number_of_vcpus(machine: Machine, vcpus: int) -> None:
    """Also far more than this machine has processors."""
    binary = compile_c(THREADS, "dynamic")
    machine.compare([str(binary)], options=["--vcpus", str(vcpus)], timeout=50.0)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("vcpus", [1, 4, 64])
@pytest.mark.parametrize("how", ["sleep", "read", "futex", "poll", "signal"])
def test_an_idle_enclave_uses_no_processor(machine: Machine, how: str, vcpus: int) -> None:
    """By the time that the host charges, not by the clock: other load does not disturb it."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    binary = compile_c(FOLDER / "idle.c", "static")
    shown = ["-v", f"{TESTS}:{TESTS}", "--vcpus", str(vcpus)]
    process = subprocess.Popen(
        [*adyton_command(), "run", *shown, *machine.options, str(binary), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"idle\n"
        time.sleep(1)  # for spinning that pays to end, and the tick
        before = charged(process.pid)
        time.sleep(2)
        used = charged(process.pid) - before
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert used <= 0.05, f"{used} s of 2"


@pytest.mark.timeout(120)
def test_signals_while_it_starts_harm_nothing(machine: Machine) -> None:
    """The attendant interrupts the first vCPU for a signal, whether it entered yet or not."""
    if machine.native_only:
        pytest.skip("says nothing about Linux")
    for _ in range(20):
        process = subprocess.Popen(
            [*adyton_command(), "run", "--vcpus", "4", *machine.options, "/bin/true"],
            stderr=subprocess.PIPE,
            env=environment(),
        )
        while process.poll() is None:
            process.send_signal(signal.SIGWINCH)
            time.sleep(0.00002)
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, b"")
        process.stderr.close()


def charged(pid: int) -> float:
    """Processor time that a process used so far, user and system, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks: int = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks
