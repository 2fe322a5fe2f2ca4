"""What is known to differ from Linux, each with its reason.

A line is a call, a pattern for its arguments (as the puppet's script has them), and why.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sequences.puppet import Difference

_LISTED: tuple[tuple[str, str, str], ...] = ()


def listed(difference: Difference) -> bool:
    """Whether a difference is one of those that are known."""
    return any(
        difference.call == call and fnmatch.fnmatchcase(difference.words, words)
        for call, words, _ in _LISTED
    )
