"""The control socket's frames.

A frame is `length: u32, kind: u32`, then the payload, little-endian; `length` counts kind and
payload. Kind 1, ENDED, is the runner's last word: `exit kind: u32, code: u32`
(`abi::host::ExitKind`). The end of the stream without it means that the runner was killed.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

ENDED = 1
EXITED, SIGNALED, FAILED = 0, 1, 2
FRAME_MAX = 1 << 20

_HEAD = struct.Struct("<II")
_ENDED = struct.Struct("<II")


def read_frame(connection: socket.socket) -> tuple[int, bytes] | None:
    """Read one frame as (kind, payload); None at the end of the stream, or when it breaks off."""
    head = _read(connection, _HEAD.size)
    if head is None:
        return None
    length, kind = _HEAD.unpack(head)
    if not 4 <= length <= FRAME_MAX:
        return None
    payload = _read(connection, length - 4)
    return None if payload is None else (kind, payload)


def read_end(connection: socket.socket) -> tuple[int, int] | None:
    """Read frames up to the runner's last word: (EXITED, SIGNALED or FAILED, code), or None."""
    while (frame := read_frame(connection)) is not None:
        kind, payload = frame
        if kind == ENDED and len(payload) >= _ENDED.size:
            how, code = _ENDED.unpack_from(payload)
            return how, code
    return None


def _read(connection: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        try:
            part = connection.recv(count - len(data))
        except ConnectionResetError:
            return None
        if not part:
            return None
        data += part
    return data
