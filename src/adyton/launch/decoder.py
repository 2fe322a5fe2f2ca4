"""A process of its own that turns the LibOS's trace records into text.

After the exec no Python is left to decode, so it is forked before. It leaves when the last holder
of the other end is gone.
"""

from __future__ import annotations

import _signal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_IGNORED = (_signal.SIGINT, _signal.SIGQUIT, _signal.SIGTSTP, _signal.SIGTERM, _signal.SIGHUP)


def wait(source: int) -> bool:
    """Wait until the first record is there; False when the pipe ends without one."""
    import select

    poll = select.poll()
    poll.register(source, select.POLLIN)
    return any(events & select.POLLIN for _, events in poll.poll())


def fork(decode: Callable[[int], None]) -> int:
    """Fork a decoder; return the descriptor into which the LibOS's records go (close-on-exec).

    Args:
        decode: Runs in the new process with the descriptor that records come from, until its end.
    """
    source, sink = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os.close(source)
        return sink
    status = 1
    try:
        os.close(sink)
        # The enclave's streams must not stay open on its account; stderr is where it writes.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        # It outlives a Ctrl-C that is meant for the program, and ends with it.
        for number in _IGNORED:
            _signal.signal(number, _signal.SIG_IGN)
        decode(source)
        status = 0
    except BrokenPipeError:
        pass
    except Exception as error:
        # A last resort: say what, never unwind into the caller's code.
        os.write(2, f"adyton: trace: {error}\n".encode())
    finally:
        os._exit(status)
