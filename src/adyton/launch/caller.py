"""What the program inherits from whoever starts it.

Signals that were ignored or blocked are the runner's to see: it is started with them.
"""

from __future__ import annotations

import os
import resource

_LIMITS = 16


def limits() -> list[tuple[int, int, int]]:
    """Return (resource, soft, hard) for each resource limit; -1 is infinity."""
    return [(number, *resource.getrlimit(number)) for number in range(_LIMITS)]


def home() -> str:
    """Return the caller's home directory without a trailing slash, or one that no path equals."""
    return os.environ.get("HOME", "").rstrip("/") or "/nonexistent"
