"""Reads the enclave image: a freestanding static-PIE ELF file for x86-64.

Strict, since the image is ours: what it does not know it refuses. The result is canonical pages,
zero outside the file's bytes, so that the measured contents do not depend on how a linker lets
segments share pages of the file.

Source: elf(5), System V ABI with the AMD64 supplement.
"""

from __future__ import annotations

import struct

from adyton.errors import ImageMalformed
from adyton.launch.layout import IMAGE_BELOW_END, PAGE

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_IDENT = b"\x7fELF\x02\x01\x01"
_ET_DYN, _EM_X86_64 = 3, 62
_PT_LOAD, _PT_INTERP, _PT_TLS = 1, 3, 7
_PF_X, _PF_W, _PF_R = 1, 2, 4
_PROGRAMS_MAX = 64


class ImageSegment:
    """Whole pages of the image with one set of permissions.

    `address` is relative to the image's start, page-aligned; `permissions` are R, W, X as 1, 2, 4.
    """

    __slots__ = ("address", "pages", "permissions")

    def __init__(self, address: int, pages: bytearray, permissions: int) -> None:
        """Take what `parse` found."""
        self.address = address
        self.pages = pages
        self.permissions = permissions


class Image:
    """A parsed image: `segments` in ascending order, `entry` relative to the image's start."""

    __slots__ = ("entry", "segments")

    def __init__(self, entry: int, segments: list[ImageSegment]) -> None:
        """Take what `parse` found."""
        self.entry = entry
        self.segments = segments


def parse(data: bytes | memoryview) -> Image:
    """Read an image and lay its segments out in pages.

    Args:
        data: The whole file.

    Raises:
        ImageMalformed: Not a static-PIE of x86-64, or a field lies outside its bounds.
    """
    view = memoryview(data)
    entry, programs = _headers(view)
    segments: list[ImageSegment] = []
    end = 0
    for kind, flags, offset, vaddr, _, filesz, memsz, _ in programs:
        if kind == _PT_INTERP:
            raise ImageMalformed("it wants an interpreter (PT_INTERP); link it with -static-pie")
        if kind == _PT_TLS:
            raise ImageMalformed("it has thread-local storage (PT_TLS), which the LibOS cannot use")
        if kind != _PT_LOAD or not memsz:
            continue
        if filesz > memsz or offset + filesz > len(view):
            raise ImageMalformed(f"segment at {vaddr:#x} lies outside the file")
        first = vaddr & -PAGE
        last = (vaddr + memsz + PAGE - 1) & -PAGE
        if first < end or last > IMAGE_BELOW_END:
            raise ImageMalformed(
                f"segment at {vaddr:#x} shares a page or lies out of order or range"
            )
        segments.append(
            ImageSegment(
                first, _pages(view, offset, vaddr, filesz, last - first), _permissions(vaddr, flags)
            )
        )
        end = last
    _check_entry(entry, segments)
    return Image(entry, segments)


def _headers(view: memoryview) -> tuple[int, list[tuple[int, ...]]]:
    if len(view) < _HEADER.size:
        raise ImageMalformed(f"{len(view)} bytes are no ELF file")
    ident, kind, machine, _, entry, at, _, _, _, entsize, count, *_ = _HEADER.unpack_from(view)
    if ident[:7] != _IDENT:
        raise ImageMalformed("not a 64-bit little-endian ELF file")
    if kind != _ET_DYN or machine != _EM_X86_64:
        raise ImageMalformed("not a position-independent x86-64 program")
    if entsize != _PROGRAM.size or not 0 < count <= _PROGRAMS_MAX:
        raise ImageMalformed(f"{count} program headers of {entsize} bytes")
    if at + count * entsize > len(view):
        raise ImageMalformed("the program headers lie outside the file")
    return entry, [_PROGRAM.unpack_from(view, at + n * entsize) for n in range(count)]


def _pages(view: memoryview, offset: int, vaddr: int, filesz: int, length: int) -> bytearray:
    pages = bytearray(length)
    start = vaddr % PAGE
    pages[start : start + filesz] = view[offset : offset + filesz]
    return pages


def _permissions(vaddr: int, flags: int) -> int:
    if flags & _PF_W and flags & _PF_X:
        raise ImageMalformed(f"segment at {vaddr:#x} is writable and executable")
    if not flags & _PF_R:
        raise ImageMalformed(f"segment at {vaddr:#x} cannot be read")
    return 1 | (flags & _PF_W) | (4 if flags & _PF_X else 0)


def _check_entry(entry: int, segments: list[ImageSegment]) -> None:
    for segment in segments:
        if segment.address <= entry < segment.address + len(segment.pages):
            if segment.permissions & 4:
                return
            break
    raise ImageMalformed(f"the entry {entry:#x} is not in executable pages")
