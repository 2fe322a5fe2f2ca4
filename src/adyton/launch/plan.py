"""The plan: the bytes that the runner carries out.

The only place in Python that knows them; `crates/abi/src/plan.rs` defines them, a test holds the
two together. One memfd, sealed, so that what was measured is what gets mapped: a header of one
page, the segment table, the boot blob, then canonical pages. All integers are little-endian.
"""

from __future__ import annotations

import fcntl
import os
import resource
import struct

from adyton.errors import StartError
from adyton.launch import units
from adyton.launch.layout import PAGE, VCPU_STRIDE, Layout
from adyton.launch.measurement import PAGE_REG, PAGE_TCS, READ, Measurement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from adyton.launch.elf import Image

MAGIC = b"ADYPLAN1"
VERSION = 2
CONFIG_MAGIC = b"ADYCONF1"

HEADER = struct.Struct("<8sIIQQQQQQIIQQQII32s")
SEGMENT = struct.Struct("<QQQII")
CONFIG = struct.Struct("<8sIIQQII32s32s")
ROOT = struct.Struct("<II")
ITEM = struct.Struct("<II")
TCS = struct.Struct("<QQQIIQQQQII4024x")
LIMIT = struct.Struct("<IIQQ")

# plan::flag
NO_RINGS, RINGS_FOR_ALL, NO_INCLUSIVE_DISPATCH = 1, 2, 4
NO_PATCHING, NO_AVX512, SECCOMP = 8, 16, 32
NO_SECCOMP, NO_DISPATCH = 64, 128
NO_POLLER = 256
# plan::config
DEBUG, HOST_FILES, FREE_ARGUMENTS, FREE_ENVIRONMENT = 1, 2, 4, 8
# plan::root
WRITABLE, LAYERED, REVALIDATE, FILE = 1, 2, 4, 8
# plan::tag
ARGUMENT, ENVIRONMENT, DIRECTORY, PROGRAM, ROOT_ITEM, IDENTITY = 1, 2, 3, 4, 5, 6
HOSTNAME, SIGNALS, TRACE, LIMIT_ITEM, NAME = 7, 8, 9, 10, 11
DECODER, DECODER_ENVIRONMENT, CORE = 12, 13, 14

QUICK_FLAGS = DEBUG | HOST_FILES | FREE_ARGUMENTS | FREE_ENVIRONMENT
QUICK_ADDRESS_SPACE = 1 << 46
QUICK_MAX_VCPUS = 64
_EMPTY_SHA256 = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

_UNTRUSTED_BASE = 16 << 20
_UNTRUSTED_PER_VCPU = 8 << 20


class Configuration:
    """What is measured beside the image: `plan::Config`.

    `max_memory` and `address_space` in bytes; `root_hash` is zero while there is no image of files.
    The defaults are quick mode's, the same on every machine.
    """

    __slots__ = (
        "address_space",
        "flags",
        "manifest_len",
        "manifest_sha256",
        "max_memory",
        "max_vcpus",
        "root_hash",
    )

    def __init__(
        self,
        *,
        flags: int = QUICK_FLAGS,
        address_space: int = QUICK_ADDRESS_SPACE,
        max_memory: int | None = None,
        max_vcpus: int = QUICK_MAX_VCPUS,
        manifest_len: int = 0,
        manifest_sha256: bytes = _EMPTY_SHA256,
        root_hash: bytes = bytes(32),
    ) -> None:
        """Take the values; without `max_memory` the range itself is the bound."""
        self.flags = flags
        self.address_space = address_space
        self.max_memory = address_space if max_memory is None else max_memory
        self.max_vcpus = max_vcpus
        self.manifest_len = manifest_len
        self.manifest_sha256 = manifest_sha256
        self.root_hash = root_hash

    def page(self) -> bytes:
        """Its measured page."""
        packed = CONFIG.pack(
            CONFIG_MAGIC,
            VERSION,
            self.flags,
            self.address_space,
            self.max_memory,
            self.max_vcpus,
            self.manifest_len,
            self.manifest_sha256,
            self.root_hash,
        )
        return packed + bytes(PAGE - len(packed))


class Segment:
    """Pages to add at `address`; `permissions` and `page_type` as SGX numbers them."""

    __slots__ = ("address", "page_type", "pages", "permissions")

    def __init__(
        self, address: int, pages: bytes | bytearray, permissions: int, page_type: int = PAGE_REG
    ) -> None:
        """Take whole pages."""
        self.address = address
        self.pages = pages
        self.permissions = permissions
        self.page_type = page_type


class Measured:
    """What goes into MRENCLAVE: segments in the order of their EADDs, and where it is entered."""

    __slots__ = ("configuration", "entry", "layout", "segments")

    def __init__(self, image: Image, configuration: Configuration) -> None:
        """Lay out image, thread slots and configuration."""
        self.configuration = configuration
        self.layout = layout = Layout(configuration.address_space)
        self.entry = layout.image + image.entry
        self.segments = [
            Segment(layout.image + part.address, part.pages, part.permissions)
            for part in image.segments
        ]
        for slot in range(configuration.max_vcpus):
            address = layout.vcpus + slot * VCPU_STRIDE
            self.segments.append(Segment(address, _tcs(address, self.entry), 0, PAGE_TCS))
        self.segments.append(Segment(layout.config, configuration.page(), READ))

    def mrenclave(self) -> bytes:
        """The measurement, 32 bytes. Neither memory limit, vCPUs in use nor arguments change it."""
        measurement = Measurement(size=self.layout.size)
        for segment in self.segments:
            measurement.add(
                segment.address,
                memoryview(segment.pages),
                permissions=segment.permissions,
                page_type=segment.page_type,
            )
        return measurement.digest()


def _tcs(address: int, entry: int) -> bytes:
    # Two SSA frames follow the slot; GS starts at its vCPU block, FS is never used by the LibOS.
    # Limits matter to 32-bit code alone.
    limit = 0xFFFF_FFFF
    return TCS.pack(0, 0, address + PAGE, 0, 2, entry, 0, 0, address, limit, limit)


class Boot:
    """The boot blob in the making: what the host chooses, item by item."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        """Begin empty."""
        self._parts: list[bytes] = []

    def add(self, tag: int, value: bytes) -> None:
        """Append one item."""
        self._parts.append(ITEM.pack(tag, len(value)) + value + bytes(-len(value) % 8))

    def add_root(self, host: bytes, guest: bytes, flags: int) -> None:
        """Append a file or directory of the host that the program may see."""
        self.add(ROOT_ITEM, ROOT.pack(flags, 0) + host + b"\0" + guest)

    def add_identity(self, uid: int, gid: int, groups: Iterable[int]) -> None:
        """Append the user that the program runs as."""
        words = [uid, gid, *groups]
        self.add(IDENTITY, struct.pack(f"<{len(words)}I", *words))

    def add_limit(self, resource: int, soft: int, hard: int) -> None:
        """Append one resource limit; -1 stands for infinity."""
        mask = (1 << 64) - 1
        self.add(LIMIT_ITEM, LIMIT.pack(resource, 0, soft & mask, hard & mask))

    def blob(self) -> bytes:
        """All items."""
        return b"".join(self._parts)


class Descriptors:
    """File descriptors that the runner keeps; None where there is none."""

    __slots__ = ("control", "stat")

    def __init__(self, *, stat: int | None = None, control: int | None = None) -> None:
        """Take the numbers, as the runner will see them."""
        self.stat = stat
        self.control = control


def write(
    measured: Measured,
    boot: bytes,
    *,
    vcpus: int,
    memory: int,
    flags: int = 0,
    exit_cost: int = 0,
    descriptors: Descriptors,
) -> int:
    """Write a plan into a new, sealed memfd and return its descriptor (close-on-exec).

    Args:
        measured: What is added to the enclave.
        boot: The boot blob.
        vcpus: Host threads to start, 1 to the configuration's bound.
        memory: Bytes that the enclave may use.
        flags: NO_RINGS and its like.
        exit_cost: Cycles charged for each exit and each entry.
        descriptors: What the runner keeps open.
    """
    segments = measured.segments
    boot_offset = PAGE + SEGMENT.size * len(segments)
    offset = pages_offset = -(-(boot_offset + len(boot)) // PAGE) * PAGE
    table = bytearray()
    for segment in segments:
        length = len(segment.pages)
        table += SEGMENT.pack(
            segment.address, length, offset, segment.permissions, segment.page_type
        )
        offset += length
    header = HEADER.pack(
        MAGIC,
        VERSION,
        len(segments),
        offset,
        PAGE,
        boot_offset,
        len(boot),
        measured.layout.size,
        measured.entry,
        vcpus,
        flags,
        exit_cost,
        memory,
        untrusted_len(vcpus, len(boot)),
        _plus_one(descriptors.stat),
        _plus_one(descriptors.control),
        measured.mrenclave(),
    )
    head = header + bytes(PAGE - len(header)) + bytes(table) + boot
    return _sealed([head + bytes(pages_offset - len(head)), *(s.pages for s in segments)])


def above_streams(descriptor: int) -> int:
    """Move a descriptor out of the way of the standard streams, where the caller closed one."""
    if descriptor > 2:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def untrusted_len(vcpus: int, boot_len: int) -> int:
    """Bytes of untrusted memory: rings and bounce buffers for each vCPU, mailbox, boot blob."""
    boot_pages = -(-boot_len // PAGE) * PAGE
    return _UNTRUSTED_BASE + vcpus * _UNTRUSTED_PER_VCPU + boot_pages


def _plus_one(descriptor: int | None) -> int:
    return 0 if descriptor is None else descriptor + 1


def _sealed(parts: list[bytes | bytearray]) -> int:
    try:
        descriptor = above_streams(
            os.memfd_create("adyton-plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        )
    except OSError as error:
        raise StartError(
            f"this host gives no memory files (memfd_create: {error.strerror}); allow the call in "
            "the container's seccomp profile"
        ) from None
    try:
        _fill(descriptor, parts)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _fill(descriptor: int, parts: list[bytes | bytearray]) -> None:
    size = sum(map(len, parts))
    # Beyond it, a write is cut short, or ends in SIGXFSZ where somebody undid Python's ignoring it.
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most != resource.RLIM_INFINITY and most < size:
        raise StartError(
            f"the limit of a file's size (ulimit -f) is {units.show(most)}, an enclave's plan "
            f"needs {units.show(size)}; raise it (ulimit -f unlimited)"
        )
    # A memfd takes whole pages, so that a short write can only be an error; 1,024 is IOV_MAX.
    for start in range(0, len(parts), 1024):
        batch = parts[start : start + 1024]
        try:
            complete = os.writev(descriptor, batch) == sum(map(len, batch))
        except OSError as error:
            raise StartError(f"the plan cannot be written: {error.strerror}") from None
        if not complete:
            raise StartError(
                "the plan does not fit into memory; free some, or raise the cgroup's limit"
            )
