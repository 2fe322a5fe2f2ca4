"""Every way to end gives the same status, and the last output is not lost."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.harness import Machine, compile_c

_SIGNALS = [s for s in signal.Signals if s not in {signal.SIGKILL, signal.SIGSTOP}]
_WAYS = [
    ("return", "0"), ("return", "1"), ("return", "256"), ("return", "-1"),
    ("exit", "3"), ("_exit", "4"), ("abort",), ("null",), ("illegal",), ("divide",),
    ("int3",), ("hlt",),
    ("thread-exit", "11"), ("threads-running", "12"), ("main-leaves", "13"), ("pthread-exit",),
]  # fmt: skip


@pytest.mark.parametrize("way", _WAYS, ids=lambda way: "-".join(way))
@pytest.mark.parametrize("variant", ["static", "dynamic"])
def test_end(way: tuple[str, ...], variant: str, machine: Machine) -> None:
    binary = compile_c(Path(__file__).with_name("end.c"), variant)
    machine.compare([str(binary), *way], diagnostics=True)


# Stopping signals would need somebody to continue the process.
_STOPPING = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


@pytest.mark.parametrize(
    "number", [s for s in _SIGNALS if s not in _STOPPING], ids=lambda s: s.name
)
@pytest.mark.parametrize("call", ["raise", "kill"])
def test_signal(call: str, number: signal.Signals, machine: Machine) -> None:
    binary = compile_c(Path(__file__).with_name("end.c"))
    machine.compare([str(binary), call, str(int(number))], diagnostics=True)


def test_sigkill(machine: Machine) -> None:
    binary = compile_c(Path(__file__).with_name("end.c"))
    machine.compare([str(binary), "kill", "9"], diagnostics=True)
