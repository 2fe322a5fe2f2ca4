"""What is known to differ from Linux, each with its reason.

A line is a call, a pattern for its arguments (as the puppet's script has them), and why.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sequences.puppet import Difference

# Calls that are refused as a whole, by decision or because they are not there yet.
_REFUSED = {
    "keyrings are refused by design (EPERM)": ("add_key", "request_key", "keyctl"),
    "landlock is refused by design (EOPNOTSUPP)": ("landlock_create_ruleset",),
    "the older interface of asynchronous I/O is not there (ENOSYS)": (
        *("io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents"),
    ),
    "neither userfaultfd nor fanotify is there (ENOSYS)": ("userfaultfd", "fanotify_init"),
    "no file system has handles (EOPNOTSUPP)": ("name_to_handle_at",),
    "the machine's kernel takes no programs from an enclave (EPERM)": ("bpf",),
    "the table of segments is empty and stays so": ("modify_ldt",),
    # Inside they are refused as by a kernel that has them.
    "the tests' kernel may be built without modules": (
        *("init_module", "finit_module", "delete_module"),
    ),
    "the tests' kernel may be built without ports": ("iopl", "ioperm"),
}

_OPTIONS = "options that mean something for the network only, which is not there yet"
_URGENT = "sockets carry no urgent data yet (MSG_OOB)"
_ROOM = (
    "Linux counts its bookkeeping too against a socket's buffer: the last message goes beyond it"
)

_EVERYTHING = "dropping all that lies above ends at [vvar], which Linux places below the stack"

_LISTED: tuple[tuple[str, str, str], ...] = (
    *((call, "*", why) for why, calls in _REFUSED.items() for call in calls),
    *(
        (call, f"13 1 {option} *", _OPTIONS)
        for call in ("getsockopt", "setsockopt")
        for option in (1, 2, 5, 8, 9, 15, 32, 33, 63, 64, 65)
    ),
    ("sendto", "13 * 16 1 0 0", _URGENT),
    ("sendto", "13 * 16 4294967295 0 0", _URGENT),
    *(
        ("sendto", f"13 * {length} 0 0 0", _ROOM)
        for length in (1 << 20, (1 << 31) - 1, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, -1)
    ),
    ("clock_nanosleep", "2 0 *", "a call's own time counts: the thread need not use more of it"),
    ("memfd_create", "* 4", "there are no huge pages to be asked for"),
    ("renameat2", "* 4", "no whiteouts are left behind (RENAME_WHITEOUT)"),
    ("madvise", "* 9223372036854775807 4", _EVERYTHING),
    ("ended", "C 28 * 9223372036854775807 4", _EVERYTHING),
)


def listed(difference: Difference) -> bool:
    """Whether a difference is one of those that are known."""
    return any(
        difference.call == call and fnmatch.fnmatchcase(difference.words, words)
        for call, words, _ in _LISTED
    )
