"""What all tests share: the machine that runs programs on both sides, and its options."""

from __future__ import annotations

import shlex

import hypothesis
import pytest

from tests.harness import Machine

hypothesis.settings.register_profile("fuzz", max_examples=5000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the differential tests."""
    group = parser.getgroup("adyton")
    group.addoption(
        "--native-only",
        action="store_true",
        help="run test programs natively twice: checks the programs, not Adyton",
    )
    group.addoption(
        "--witness",
        action="store_true",
        help="watch every enclave by a seccomp filter: no call of a program may reach the host",
    )
    group.addoption(
        "--run-options",
        default="",
        help="further options of `adyton run` for every program, as one string",
    )
    group.addoption(
        "--sequence-seconds",
        type=float,
        default=0.0,
        help="how long test_sequences goes on with new seeds, in seconds",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line(
        "markers", "slow: takes more than ten seconds; `make check` leaves it out"
    )
    config.addinivalue_line(
        "markers", "smoke: the few programs that `make check` runs inside an enclave"
    )
    config.addinivalue_line(
        "markers", "full: takes too long, or needs too much, for each change; `make test-full`"
    )


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest) -> Machine:
    """Both sides: Linux and an enclave."""
    return Machine(
        shlex.split(request.config.getoption("--run-options")),
        native_only=request.config.getoption("--native-only"),
        witnessed=request.config.getoption("--witness"),
    )
