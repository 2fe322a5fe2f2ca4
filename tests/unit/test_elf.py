"""The reader of the enclave image: canonical pages, and no wild read whatever the file says."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import ImageMalformed
from adyton.launch import elf
from adyton.launch.layout import IMAGE_BELOW_END, PAGE
from tests.unit import samples
from tests.unit.samples import EXECUTE, INTERP, LOAD, READ, TLS, WRITE

CODE = (LOAD, READ | EXECUTE, 0, 0, 0x1100, 0x1100)


def test_pages_are_zero_outside_the_files_bytes() -> None:
    data = samples.image()
    image = elf.parse(data)
    assert image.entry == 0x1010
    code, rest = image.segments
    assert (code.address, code.permissions, len(code.pages)) == (0, 5, 0x2000)
    assert code.pages == data[:0x1100] + bytes(0xF00)
    assert (rest.address, rest.permissions, len(rest.pages)) == (0x2000, 3, 0x2000)
    assert rest.pages == bytes(0x100) + data[0x1100:0x1180] + bytes(0x2000 - 0x180)


REFUSED = [
    pytest.param(b"", "no ELF file", id="empty"),
    pytest.param(b"#!/bin/sh\n".ljust(100), "not a 64-bit", id="script"),
    pytest.param(samples.elf([CODE], kind=2), "position-independent", id="fixed-address"),
    pytest.param(samples.elf([CODE], machine=183), "x86-64", id="other-machine"),
    pytest.param(samples.elf([]), "0 program headers", id="no-program-headers"),
    pytest.param(samples.elf([CODE] * 65), "65 program headers", id="too-many"),
    pytest.param(samples.elf([CODE])[:100], "outside the file", id="cut-off"),
    pytest.param(samples.elf([CODE, (INTERP, READ, 0, 0, 9, 9)]), "PT_INTERP", id="interpreter"),
    pytest.param(samples.elf([CODE, (TLS, READ, 0, 0, 9, 9)]), "PT_TLS", id="tls"),
    pytest.param(
        samples.elf([(LOAD, READ | WRITE | EXECUTE, 0, 0, 0x1100, 0x1100)]),
        "writable and executable",
        id="wx",
    ),
    pytest.param(samples.elf([(LOAD, EXECUTE, 0, 0, 9, 9)]), "cannot be read", id="unreadable"),
    pytest.param(samples.elf([CODE], entry=0x5000), "entry", id="entry-outside"),
    pytest.param(
        samples.elf([CODE, (LOAD, READ, 0, 0x3000, 9, 9)], entry=0x3000),
        "entry",
        id="entry-in-data",
    ),
    pytest.param(
        samples.elf([CODE, (LOAD, READ | WRITE, 0, 0x1800, 9, 9)]),
        "shares a page",
        id="shared-page",
    ),
    pytest.param(
        samples.elf([(LOAD, READ, 0, 0x3000, 9, 9), CODE]), "out of order", id="descending"
    ),
    pytest.param(
        samples.elf([CODE, (LOAD, READ, 0, 0x3000, 9, 8)]), "outside the file", id="filesz>memsz"
    ),
    pytest.param(
        samples.elf([CODE, (LOAD, READ, 0x1FFF, 0x3000, 9, 9)]), "outside the file", id="past-end"
    ),
    pytest.param(
        samples.elf([CODE, (LOAD, READ, (1 << 64) - 4, 0x3000, 9, 9)]),
        "outside the file",
        id="offset-wraps",
    ),
    pytest.param(
        samples.elf([CODE, (LOAD, READ, 0, (1 << 64) - 4096, 9, 4096)]), "range", id="address-wraps"
    ),
    pytest.param(
        samples.elf([CODE, (LOAD, READ, 0, 0x3000, 0, IMAGE_BELOW_END)]), "range", id="huge-bss"
    ),
]


@pytest.mark.parametrize(("data", "message"), REFUSED)
def test_refusals(data: bytes, message: str) -> None:
    with pytest.raises(ImageMalformed, match=message):
        elf.parse(data)


@settings(max_examples=300)
@given(st.data())
def test_damaged_images(data: st.DataObject) -> None:
    """Any change of headers gives whole pages within the range, or ImageMalformed."""
    image = bytearray(samples.image())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 64 + 2 * 56 - 8))
        # Small and huge numbers alike, but no gigabytes of zeros to lay out.
        value = data.draw(st.one_of(st.integers(0, 1 << 22), st.integers((1 << 63), (1 << 64) - 1)))
        width = data.draw(st.sampled_from([1, 2, 4, 8]))
        image[at : at + width] = struct.pack("<Q", value)[:width]
    memsz = struct.unpack_from("<Q", image, 64 + 40)[0], struct.unpack_from("<Q", image, 160)[0]
    if any(1 << 24 < size <= IMAGE_BELOW_END for size in memsz):
        return
    try:
        parsed = elf.parse(bytes(image))
    except ImageMalformed:
        return
    end = 0
    for segment in parsed.segments:
        assert segment.address % PAGE == 0
        assert len(segment.pages) % PAGE == 0
        assert segment.address >= end
        assert segment.permissions in (1, 3, 5)
        end = segment.address + len(segment.pages)
    assert end <= IMAGE_BELOW_END


@given(st.binary(max_size=400))
def test_noise(data: bytes) -> None:
    for candidate in (data, b"\x7fELF\x02\x01\x01" + data):
        with pytest.raises(ImageMalformed):
            elf.parse(candidate)
