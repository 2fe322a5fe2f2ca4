"""What is known to differ from Linux, each with its reason.

A line is a call, a pattern for its arguments (as the puppet's script has them), and why.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sequences.puppet import Difference

_EVERYTHING = "dropping all that lies above ends at [vvar], which Linux places below the stack"

_LISTED: tuple[tuple[str, str, str], ...] = (
    ("madvise", "* 9223372036854775807 4", _EVERYTHING),
    ("ended", "C 28 * 9223372036854775807 4", _EVERYTHING),
)


def listed(difference: Difference) -> bool:
    """Whether a difference is one of those that are known."""
    return any(
        difference.call == call and fnmatch.fnmatchcase(difference.words, words)
        for call, words, _ in _LISTED
    )
