"""Each C program of this folder shows the same on Linux and inside an enclave."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Case, Machine, cases, compile_c


@pytest.mark.parametrize("case", cases(Path(__file__).parent))
def test_sockets(case: Case, machine: Machine) -> None:
    case.run(machine)


def test_families_without_a_network(machine: Machine) -> None:
    """Until the network comes, `socket` says EAFNOSUPPORT; Linux does not, so it is stated here."""
    binary = compile_c(Path(__file__).parent / "differs" / "families.c")
    inside = machine.run_inside([str(binary)])
    assert inside.stdout.decode().splitlines() == [
        "IPv4 stream: -1 EAFNOSUPPORT",
        "IPv4 datagram: -1 EAFNOSUPPORT",
        "IPv6 stream: -1 EAFNOSUPPORT",
        "Unix stream: -1 EAFNOSUPPORT",
        "netlink: -1 EAFNOSUPPORT",
        "a family that nobody has: -1 EAFNOSUPPORT",
        "a stream pair: ok",
        "bind of one of a pair: -1 EOPNOTSUPP",
    ]
