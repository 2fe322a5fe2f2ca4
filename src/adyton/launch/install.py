"""Where the package keeps its native parts: the enclave image, its unstripped twin, the runner."""

from __future__ import annotations

import os

from adyton.errors import NotInstalled

DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "_bin")


def image() -> str:
    """Path of the enclave image."""
    return _there("adyton-enclave")


def runner() -> str:
    """Path of the runner."""
    return _there("adyton-runner")


def calls() -> str:
    """Path of the table of system calls that the image has, written when it was built."""
    return _there("adyton-calls.json")


def twin() -> str | None:
    """Path of the image with its symbols, or None in a package without it."""
    path = os.path.join(DIRECTORY, "adyton-enclave.debug")
    return path if os.path.exists(path) else None


def _there(name: str) -> str:
    path = os.path.join(DIRECTORY, name)
    if not os.path.exists(path):
        raise NotInstalled(
            f"{path} is missing; install the wheel, or build it with `python tools/build_native.py`"
        )
    return path
