"""The plan: what is sealed into it, and what changes the measurement."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import resource
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import StartError, UsageError
from adyton.launch import elf, install, plan, request
from adyton.launch.host import Volume
from adyton.launch.layout import PAGE, VCPU_STRIDE, Layout
from tests.unit import samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def measured(**changes: object) -> plan.Measured:
    return plan.Measured(elf.parse(samples.image()), plan.Configuration(**changes))  # type: ignore[arg-type]


@contextlib.contextmanager
def written(boot: bytes = b"", **changes: int) -> Iterator[tuple[int, bytes]]:
    arguments = {"vcpus": 2, "memory": 1 << 30, **changes}
    descriptor = plan.write(measured(), boot, descriptors=plan.Descriptors(stat=7), **arguments)
    try:
        yield descriptor, os.pread(descriptor, 1 << 26, 0)
    finally:
        os.close(descriptor)


def test_header_and_segments() -> None:
    with written(b"x" * 24, exit_cost=8000) as (_, data):
        header = plan.HEADER.unpack_from(data)
        layout = Layout(plan.QUICK_ADDRESS_SPACE)
        assert header[:4] == (plan.MAGIC, plan.VERSION, 2 + 64 + 1, len(data))
        assert header[7:15] == (
            layout.size,
            layout.image + 0x1010,
            2,
            0,
            8000,
            1 << 30,
            plan.untrusted_len(2, 24),
            8,
        )
        assert header[16] == measured().mrenclave()
        assert data[header[5] : header[5] + header[6]] == b"x" * 24
        rows = [
            plan.SEGMENT.unpack_from(data, header[4] + n * plan.SEGMENT.size)
            for n in range(header[2])
        ]
    assert [row[0] for row in rows[:2]] == [layout.image, layout.image + 0x2000]
    slots = rows[2:-1]
    assert [row[0] for row in slots] == [layout.vcpus + n * VCPU_STRIDE for n in range(64)]
    assert all(row[1] == PAGE and row[3:] == (0, 1) for row in slots)
    assert rows[-1][0] == layout.config
    assert rows[-1][3:] == (1, 2)
    spans = sorted((row[2], row[2] + row[1]) for row in rows)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(spans))
    assert spans[-1][1] == len(data)
    assert spans[0][0] % PAGE == 0


def apart(blob: bytes) -> list[tuple[int, bytes]]:
    """Take a boot blob apart, as `crates/kernel/src/start.rs` does."""
    found, at = [], 0
    while at < len(blob):
        tag, length = plan.ITEM.unpack_from(blob, at)
        found.append((tag, blob[at + 8 : at + 8 + length]))
        at += 8 + -(-length // 8) * 8
    assert at == len(blob)
    return found


@given(st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.binary(max_size=100))))
def test_what_goes_into_a_blob_comes_out(given_items: list[tuple[int, bytes]]) -> None:
    boot = plan.Boot()
    for tag, value in given_items:
        boot.add(tag, value)
    assert apart(boot.blob()) == given_items


@given(
    vcpus=st.integers(1, 64),
    memory=st.integers(0, 1 << 46),
    cost=st.integers(0, (1 << 32) - 1),
    boot=st.binary(max_size=10_000),
)
@settings(max_examples=30, deadline=None)
def test_any_plan_holds_what_was_asked_for(vcpus: int, memory: int, cost: int, boot: bytes) -> None:
    with written(boot, vcpus=vcpus, memory=memory, exit_cost=cost) as (_, data):
        header = plan.HEADER.unpack_from(data)
        assert (header[3], header[9], header[11], header[12]) == (len(data), vcpus, cost, memory)
        assert data[header[5] : header[5] + header[6]] == boot
        end = header[5] + len(boot)
        first = min(
            plan.SEGMENT.unpack_from(data, header[4] + n * plan.SEGMENT.size)[2]
            for n in range(header[2])
        )
        assert end <= first < end + PAGE
        assert not any(data[end:first])


def test_a_slot_enters_the_image() -> None:
    content = measured()
    page = content.segments[2 + 5].pages
    _, _, ossa, cssa, nssa, entry, _, _, gs, _, _ = plan.TCS.unpack(page)
    address = content.layout.vcpus + 5 * VCPU_STRIDE
    assert (ossa, cssa, nssa, entry, gs) == (address + PAGE, 0, 2, content.entry, address)


def test_it_is_sealed() -> None:
    with written() as (descriptor, _):
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        assert seals == (
            fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        )
        assert not os.get_inheritable(descriptor)
        with pytest.raises(PermissionError):
            os.pwrite(descriptor, b"x", 0)


@contextlib.contextmanager
def soft_limit(number: int, value: int) -> Iterator[None]:
    before = resource.getrlimit(number)
    resource.setrlimit(number, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(number, before)


def test_a_plan_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message with the next step, and no descriptor left open."""
    before = os.listdir("/proc/self/fd")
    with (
        soft_limit(resource.RLIMIT_FSIZE, 10 << 10),
        pytest.raises(StartError, match=r"ulimit -f\) is 10KiB, .*ulimit -f unlimited"),
        written(),
    ):
        pass

    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", write)
    with pytest.raises(StartError, match="cannot be written: No space left"), written():
        pass
    monkeypatch.setattr(os, "writev", lambda *_: 1)
    with pytest.raises(StartError, match="does not fit into memory"), written():
        pass
    assert os.listdir("/proc/self/fd") == before


def test_every_byte_of_the_configuration_counts() -> None:
    content = measured()
    original = content.mrenclave()
    page = content.segments[-1].pages
    seen = {original}
    for at in (*range(0, plan.CONFIG.size, 5), plan.CONFIG.size, PAGE - 1):
        changed = bytearray(page)
        changed[at] ^= 1
        content.segments[-1].pages = changed
        seen.add(content.mrenclave())
    assert len(seen) == 1 + len(range(0, plan.CONFIG.size, 5)) + 2


def test_what_is_not_measured() -> None:
    with written(memory=1 << 28, vcpus=1, exit_cost=5, flags=plan.NO_RINGS) as (_, data):
        assert plan.HEADER.unpack_from(data)[16] == measured().mrenclave()


@pytest.mark.parametrize(
    "change",
    [
        {"flags": plan.HOST_FILES},
        {"max_vcpus": 63},
        {"max_memory": 1 << 30},
        {"address_space": 1 << 40},
        {"manifest_sha256": bytes(32)},
        {"root_hash": b"\1" * 32},
    ],
)
def test_what_is_measured(change: dict[str, object]) -> None:
    assert measured(**change).mrenclave() != measured().mrenclave()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    samples.install(tmp_path / "_bin")
    monkeypatch.setattr(install, "DIRECTORY", str(tmp_path / "_bin"))
    return tmp_path


def items(descriptor: int) -> list[tuple[int, bytes]]:
    data = os.pread(descriptor, 1 << 26, 0)
    os.close(descriptor)
    header = plan.HEADER.unpack_from(data)
    return apart(data[header[5] : header[5] + header[6]])


def test_boot_blob(installed: Path) -> None:
    volume = Volume(str(installed), "/data", writable=True)
    asked = request.Request(
        ["true", "a b", "ü"],
        environment={"PATH": "/usr/bin", "K": ""},
        directory=str(installed),
        volumes=[volume],
        identity=(1000, 100),
        name="n",
        trace="read,write",
    )
    found = items(request.write_plan(asked, plan.Descriptors()))

    def values(tag: int) -> list[bytes]:
        return [value for tag_, value in found if tag_ == tag]

    assert values(plan.PROGRAM) == [b"true"]
    assert values(plan.ARGUMENT) == [b"true", b"a b", "ü".encode()]
    assert values(plan.ENVIRONMENT) == [b"PATH=/usr/bin", b"K="]
    assert values(plan.DIRECTORY) == [os.fsencode(installed)]
    assert values(plan.IDENTITY) == [struct.pack("<II", 1000, 100)]
    assert values(plan.TRACE) == [b"read,write"]
    assert values(plan.NAME) == [b"n"]
    assert len(values(plan.LIMIT_ITEM)) == 16
    roots = values(plan.ROOT_ITEM)
    assert struct.pack("<II", plan.LAYERED, 0) + b"/usr\0/usr" in roots
    flags = plan.WRITABLE | plan.REVALIDATE
    assert roots[-1] == struct.pack("<II", flags, 0) + os.fsencode(installed) + b"\0/data"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory": 1 << 20}, "too small; the least is 16MiB"),
        ({"vcpus": 0}, "1 to 64"),
        ({"vcpus": 65}, "1 to 64"),
        ({"exit_cost": -1}, "cycles"),
        ({"name": "a\0b"}, "NUL"),
        ({"environment": {"A=B": "x"}}, "no name"),
    ],
)
def test_requests_that_make_no_sense(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"environment": {}, "directory": "/", **change}
    with pytest.raises(UsageError, match=message):
        request.Request(["true"], **arguments)  # type: ignore[arg-type]


def test_more_memory_than_measured(installed: Path) -> None:
    asked = request.Request(["true"], environment={}, directory=str(installed), memory=1 << 50)
    with pytest.raises(UsageError, match="above what is measured"):
        request.write_plan(asked, plan.Descriptors())
