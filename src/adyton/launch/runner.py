"""Starts the runner: in this process's place, or as a child.

`execute` leaves nothing of Python behind, so that terminal, signals and exit code are the runner's
own. Both give the runner `argv[1]`, the decimal number of the plan's descriptor.
"""

from __future__ import annotations

import _signal
import _thread
import os
import resource
import sys

from adyton.errors import StartError
from adyton.launch import install, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

# A larger soft limit moves the host's mmap area down into the enclave's range.
STACK_LIMIT = 8 << 20
# Beyond the range: the runner itself, untrusted memory, stacks.
_BESIDE_RANGE = 4 << 30
# The program's descriptors are counted inside; files of the host need one each in the runner.
_FILES_MIN = 64


def execute(plan: int, keep: Iterable[int], *, range_size: int) -> NoReturn:
    """Replace this process by the runner.

    Args:
        plan: Descriptor of the sealed plan.
        keep: Other descriptors that the runner is told of in the plan.
        range_size: Bytes of address space that the enclave reserves.

    Raises:
        StartError: A limit is too low, or the runner cannot be executed.
    """
    path = install.runner()
    set_limits(range_size)
    for descriptor in (plan, *keep):
        os.set_inheritable(descriptor, True)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by the caller, as `>&-` does
            stream.flush()
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    try:
        os.execve(path, [path, str(plan)], {})
    except OSError as error:
        raise StartError(f"cannot execute the runner {path}: {error.strerror}") from None


def set_limits(range_size: int) -> list[tuple[int, tuple[int, int]]]:
    """Lower the stack's soft limit, raise the others': for the runner, not the program.

    Returns:
        What to give to `resource.setrlimit` to have the old limits back.

    Raises:
        StartError: The hard limit of the address space (`ulimit -v`) is below the range, or that of
            open files (`ulimit -n`) too low for any program.
    """
    space, files = (resource.getrlimit(n)[1] for n in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE))
    if space != resource.RLIM_INFINITY and space < range_size + _BESIDE_RANGE:
        has, needs = units.show(space), units.show(range_size)
        raise StartError(
            f"the address-space limit (ulimit -v) is {has}, the enclave's range needs {needs}; "
            "raise the hard limit (ulimit -Hv unlimited, as root)"
        )
    if files != resource.RLIM_INFINITY and files < _FILES_MIN:
        raise StartError(
            f"the limit of open files (ulimit -n) is {files}, a program needs {_FILES_MIN}; "
            "raise the hard limit (ulimit -Hn 1024)"
        )
    size = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    stack, most = resource.getrlimit(resource.RLIMIT_STACK)
    if stack == resource.RLIM_INFINITY or stack > STACK_LIMIT:
        stack = STACK_LIMIT
    wanted = (
        (resource.RLIMIT_AS, (space, space)),
        (resource.RLIMIT_NOFILE, (files, files)),
        (resource.RLIMIT_STACK, (stack, most)),
        # The enclave's memory is a file; the program's limit is kept inside.
        (resource.RLIMIT_FSIZE, (size, size)),
    )
    changed: list[tuple[int, tuple[int, int]]] = []
    for number, values in wanted:
        before = resource.getrlimit(number)
        if before != values:
            resource.setrlimit(number, values)
            changed.append((number, before))
    return changed


class Limits:
    """While it is entered, a child inherits the runner's limits.

    The process's own limits change for as long as the child takes to start: no code runs between
    fork and exec, which a threaded parent could not bear. One thread at a time.
    """

    _lock = _thread.allocate_lock()

    def __init__(self, range_size: int) -> None:
        """Take the bytes of address space that the enclave reserves."""
        self._range_size = range_size
        self._before: list[tuple[int, tuple[int, int]]] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._before = set_limits(self._range_size)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        for number, values in self._before:
            resource.setrlimit(number, values)
        self._lock.release()
