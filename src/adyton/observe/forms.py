"""How an argument and a result print: by the form that `calls` has for them.

A form of a register is in `scalars`, one of what lies in memory in `structures`.
"""

from __future__ import annotations

import errno
import os

from adyton.observe import scalars, structures

# Contents of an argument: bytes, and whether there was more.
Content = tuple[bytes, bool]
_TEXTS = ("path", "string", "buf")
# A signal came before the call had an end; the program never sees these.
_RESTARTS = {
    512: "ERESTARTSYS (To be restarted if SA_RESTART is set)",
    514: "ERESTARTNOHAND (To be restarted if no handler)",
    516: "ERESTART_RESTARTBLOCK (Interrupted by signal)",
}


def errno_name(number: int) -> str:
    """Name an errno, also one that a call begun anew has and no program sees."""
    restart = _RESTARTS.get(number, "").partition(" ")[0]
    return restart or errno.errorcode.get(number, str(number))


def error(number: int) -> str:
    """Write an errno by name with its meaning."""
    name = errno.errorcode.get(number, f"errno {number}")
    return f"{name} ({os.strerror(number)})"


def argument(form: str, value: int, content: Content | None) -> str:
    """Write one argument.

    Args:
        form: A word of `calls.CALLS`.
        value: The register.
        content: What the record holds of the memory that it points to.
    """
    if content is None:
        return scalars.register(form, value)
    data, cut = content
    if form in structures.LISTS:
        return structures.LISTS[form](data, value, cut=cut)
    if form in structures.STRUCTURES and not cut:
        size, write = structures.STRUCTURES[form]
        if len(data) >= size:
            return write(data)
    if form not in _TEXTS and (not data or form in structures.STRUCTURES):
        return scalars.register(form, value)
    return scalars.quote(data, cut=cut)


def result(form: str, value: int) -> str:
    """Write what a call returned, errors by name."""
    if -4095 <= value < 0:
        restart = _RESTARTS.get(-value)
        return f"? {restart}" if restart else f"-1 {error(-value)}"
    if form == "none":
        return "?"
    if form in ("hex", "ptr"):
        return hex(value)
    if form == "mode":
        return scalars.mode(value)
    if form in ("fdflags", "open") and value:
        return f"{value:#x} (flags {scalars.register(form, value)})"
    return str(value)
