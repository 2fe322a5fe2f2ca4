"""MRENCLAVE against figures made independently, from the manual's text."""

from __future__ import annotations

import struct

import pytest

from adyton.launch.measurement import PAGE_REG, PAGE_TCS, Measurement

R, W, X = 1, 2, 4
TCS, REG = PAGE_TCS, PAGE_REG


def pattern(a: int, b: int) -> bytes:
    return bytes((a * i + b) % 256 for i in range(4096))


def tcs(ossa: int, nssa: int, oentry: int) -> bytes:
    # The limits of FS and GS are all ones, as a 64-bit enclave has them.
    return struct.pack("<QQQIIQ24xII4024x", 0, 0, ossa, 0, nssa, oentry, 0xFFFF_FFFF, 0xFFFF_FFFF)


def code(text: str) -> bytes:
    return bytes.fromhex(text).ljust(4096, b"\0")


ZERO = bytes(4096)
Page = tuple[int, int, int, bytes, bool]  # offset, type, permissions, contents, measured

THREE: list[Page] = [
    (0, TCS, 0, tcs(8192, 2, 4096), True),
    (4096, REG, R | X, pattern(7, 3), True),
    (8192, REG, R | W, ZERO, True),
]
HEAP: list[Page] = [
    (0, TCS, 0, tcs(12288, 1, 4112), True),
    (4096, REG, R | X, code("0f01d7c3"), True),
    (8192, REG, R, pattern(1, 0), True),
    (12288, REG, R | W, ZERO, True),
    (16384, REG, R | W, ZERO, True),
    (32768, REG, R | W, ZERO, False),
]
CASES = [
    pytest.param(
        65536,
        1,
        THREE,
        "c9d5e52cd3708504c1baca2e4c179290e234bb8d2cd0beb41eec5f9babc06819",
        id="three-pages",
    ),
    pytest.param(
        131072,
        2,
        HEAP,
        "277063805fc1d70673ed705b31aeaa527b47b0db03bcbfac91fbb3fccac4e3e2",
        id="unmeasured-heap",
    ),
    pytest.param(
        8192,
        1,
        [],
        "9e197c8837c6d65632dbdd59cd7df4f1a25b68d8e4e5eb6ca3b20b05311fecb8",
        id="empty",
    ),
    pytest.param(
        65536,
        1,
        [THREE[1], THREE[0], THREE[2]],
        "f15308a27c3fe0736fb8567d1c5e2455af376c2dab46d090d3975095f52e7600",
        id="order-matters",
    ),
]


@pytest.mark.parametrize(("size", "frame", "pages", "expected"), CASES)
def test_vector(size: int, frame: int, pages: list[Page], expected: str) -> None:
    measurement = Measurement(size=size, ssa_frame_pages=frame)
    for offset, page_type, permissions, contents, extend in pages:
        measurement.add(
            offset, contents, permissions=permissions, page_type=page_type, extend=extend
        )
    assert measurement.digest().hex() == expected


def test_running_value_after_each_page() -> None:
    measurement = Measurement(size=65536)
    running = []
    for offset, page_type, permissions, contents, _ in THREE:
        measurement.add(offset, contents, permissions=permissions, page_type=page_type)
        running.append(measurement.digest().hex())
    assert running == [
        "8c09f197691de05083fc371c0391567c3bace329b8f8f88dd6f83dc0876d7a4d",
        "96d94e2f6523e6c9ee6b59d657c1a75876aafbe9bd1ad0fc07372d32c27f7280",
        "c9d5e52cd3708504c1baca2e4c179290e234bb8d2cd0beb41eec5f9babc06819",
    ]


def test_tcs_permissions_count_as_none() -> None:
    """The processor forces them to 0 in the measured SECINFO."""
    plain, with_permissions = Measurement(size=8192), Measurement(size=8192)
    plain.add(0, ZERO, permissions=0, page_type=TCS)
    with_permissions.add(0, ZERO, permissions=R | W, page_type=TCS)
    assert plain.digest() == with_permissions.digest()


def test_several_pages_at_once_measure_as_one_by_one() -> None:
    together, single = Measurement(size=65536), Measurement(size=65536)
    together.add(4096, pattern(7, 3) + ZERO, permissions=R)
    single.add(4096, pattern(7, 3), permissions=R)
    single.add(8192, ZERO, permissions=R)
    assert together.digest() == single.digest()


@pytest.mark.parametrize(("offset", "length"), [(1, 4096), (0, 100), (4096, 4097)])
def test_half_pages_are_refused(offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="not whole pages"):
        Measurement(size=65536).add(offset, bytes(length), permissions=R)
