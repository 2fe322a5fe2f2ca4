"""Sizes and counts as people write them."""

from __future__ import annotations

import os

from adyton.errors import UsageError

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
MEMORY_MIN = 16 << 20
# Python reads no number of more than some thousand digits, and nobody means one of these.
DIGITS_MAX = 20
# Characters of a wrong text that a message repeats.
_QUOTED_MAX = 40


def size(text: str, what: str = "size") -> int:
    """Read a size with its unit, such as `512MiB` or `1.5GiB`, as bytes.

    Raises:
        UsageError: No number, no unit, or another unit; the message has a right spelling.
    """
    number, unit = text[:-3].strip(), text[-3:]
    if unit in _UNITS:
        whole, dot, fraction = number.partition(".")
        if is_number(whole) and (not dot or is_number(fraction)):
            return int(float(number) * _UNITS[unit]) if dot else int(whole) * _UNITS[unit]
    raise UsageError(f'{what} "{quoted(text)}" is not a size; write "{_suggest(text)}"')


def is_number(text: str) -> bool:
    """Say whether these are digits, and not too many."""
    # `isdigit` alone would take ², which `int` does not.
    return text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX


def quoted(text: str) -> str:
    """Shorten what somebody wrote, for a message."""
    return text if len(text) <= _QUOTED_MAX else text[:_QUOTED_MAX] + "…"


def _suggest(text: str) -> str:
    digits = ""
    for character in text:
        if not character.isascii() or not character.isdigit():
            break
        digits += character
    if len(digits) > DIGITS_MAX:
        return "1GiB"
    rest = text[len(digits) :].strip().lower()
    unit = {"k": "KiB", "m": "MiB", "t": "TiB"}.get(rest[:1], "GiB")
    return f"{digits or '1'}{unit}"


def show(count: int) -> str:
    """Write bytes with the largest unit that keeps one decimal exact enough to read."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count >= _UNITS[unit]:
            value = f"{count / _UNITS[unit]:.1f}"
            return f"{value.removesuffix('.0')}{unit}"
    return f"{count}B"


def default_memory() -> int:
    """Half of the host's memory, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def default_vcpus() -> int:
    """The cores that this process may use, at most what an enclave can have."""
    return min(len(os.sched_getaffinity(0)), 64)
