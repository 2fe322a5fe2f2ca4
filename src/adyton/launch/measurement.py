"""MRENCLAVE: the measurement of an enclave, as SGX's processor computes it.

SHA-256 over 64-byte records: one for ECREATE, one for each EADD, one for each EEXTEND followed by
the 256 bytes that it covers. Page contents are hashed through memoryviews, never copied.

Source: Intel SDM, volume 3D, chapter 37 (ECREATE, EADD, EEXTEND), and 35.7 (SECINFO).
"""

from __future__ import annotations

import hashlib
import struct

from adyton.launch.layout import PAGE

READ, WRITE, EXECUTE = 1, 2, 4
PAGE_TCS, PAGE_REG = 1, 2
EXTEND_BYTES = 256

_CREATE = struct.Struct("<8sIQ44x")
_ADD = struct.Struct("<8sQQ40x")
_EXTEND = struct.Struct("<8sQ48x")


class Measurement:
    """A measurement in the making; pages count in the order in which they are added."""

    __slots__ = ("_hash",)

    def __init__(self, *, size: int, ssa_frame_pages: int = 1) -> None:
        """Begin with ECREATE: the range's size in bytes, the pages of one SSA frame."""
        self._hash = hashlib.sha256(_CREATE.pack(b"ECREATE", ssa_frame_pages, size))

    def add(
        self,
        offset: int,
        pages: bytes | memoryview,
        *,
        permissions: int,
        page_type: int = PAGE_REG,
        extend: bool = True,
    ) -> None:
        """Add whole pages: EADD for each, then EEXTEND of its sixteen parts.

        Args:
            offset: Of the first page in the range, page-aligned.
            pages: Their contents, a multiple of 4,096 bytes.
            permissions: R, W, X as 1, 2, 4. A TCS page's count as 0, as the processor makes them.
            page_type: PAGE_TCS or PAGE_REG.
            extend: False leaves the contents unmeasured.
        """
        view = memoryview(pages).cast("B")
        if offset % PAGE or len(view) % PAGE:
            raise ValueError(f"offset {offset:#x}, {len(view)} bytes: not whole pages")
        update = self._hash.update
        flags = (0 if page_type == PAGE_TCS else permissions) | page_type << 8
        for page in range(0, len(view), PAGE):
            update(_ADD.pack(b"EADD", offset + page, flags))
            if extend:
                for part in range(page, page + PAGE, EXTEND_BYTES):
                    update(_EXTEND.pack(b"EEXTEND", offset + part))
                    update(view[part : part + EXTEND_BYTES])

    def digest(self) -> bytes:
        """MRENCLAVE of what was added so far, 32 bytes."""
        return self._hash.digest()
