"""Where things lie in an enclave's range: the mirror of `crates/abi/src/layout.rs`.

The range is `[0, SIZE)`. From below: the user region, the arena of frames, the vCPU blocks, the
LibOS's heap, the measured configuration, the image. A test compares every figure with the crate's.
"""

from __future__ import annotations

SIZE_MIN = 1 << 36
SIZE_MAX = 1 << 46
USER_START = 0x1_0000
VCPU_STRIDE = 0x10_0000
VCPUS_MAX = 64
PAGE = 4096
CONFIG_BELOW_END = 1 << 30
IMAGE_BELOW_END = (1 << 30) - (16 << 20)


class Layout:
    """The parts of a range of `size` bytes, a power of two between SIZE_MIN and SIZE_MAX."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        """Take a size in bytes; ValueError when it is not an admissible power of two."""
        if size & (size - 1) or not SIZE_MIN <= size <= SIZE_MAX:
            raise ValueError(
                f"address space {size:#x} is not a power of two between 64 GiB and 64 TiB"
            )
        self.size = size

    @property
    def user_end(self) -> int:
        """End of the user region, start of the LibOS's memory."""
        return self.size - self.size // 8

    @property
    def arena(self) -> int:
        """Start of the frame arena."""
        return self.user_end

    @property
    def vcpus(self) -> int:
        """Start of the vCPU blocks."""
        return self.size - self.size // 16

    @property
    def heap(self) -> int:
        """Start of the LibOS's heap."""
        return self.vcpus + self.size // 64

    @property
    def heap_len(self) -> int:
        """Bytes of the LibOS's heap."""
        return self.size // 64

    @property
    def config(self) -> int:
        """Address of the measured configuration."""
        return self.size - CONFIG_BELOW_END

    @property
    def image(self) -> int:
        """Address of the image's first page."""
        return self.size - IMAGE_BELOW_END
