//! Where things lie in an enclave's range.
//!
//! The range is `[0, SIZE)`, SIZE a power of two between [`SIZE_MIN`] and [`SIZE_MAX`]:
//!
//! ```text
//! 0                 never backed (64 KiB)
//! 64 KiB            user region: programs, their memory, trampolines
//! SIZE - SIZE/8     trusted arena: frames of the page cache and of patched text
//! SIZE - SIZE/16    vCPU blocks and their stacks, 1 MiB each, at most 64
//!   + SIZE/64       LibOS heap (SIZE/64)
//! SIZE - 1 GiB      configuration (measured), then the image
//! ```
//!
//! All from the arena up is LibOS memory: one memfd, shared, whose offset 0 is the arena's start.
//! The vCPU area begins at a multiple of 4 GiB, so that the entry stub can tell from the upper half
//! of GS alone whether GS is ours.

/// Smallest enclave range: 64 GiB.
pub const SIZE_MIN: u64 = 1 << 36;
/// Largest enclave range: 64 TiB; the runner itself lies above.
pub const SIZE_MAX: u64 = 1 << 46;
/// Start of the user region; nothing below is ever backed.
pub const USER_START: u64 = 0x1_0000;
/// Bytes of a vCPU block with its LibOS stack, which grows down from the end.
pub const VCPU_STRIDE: u64 = 0x10_0000;
/// Where between block and stack nothing is ever mapped, counted from the block.
pub const VCPU_GUARD: core::ops::Range<u64> = 0x1000..0x1_1000;
/// The most vCPUs of an enclave.
pub const VCPUS_MAX: u32 = 64;
/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// Distance from the end of the range to the measured configuration.
pub const CONFIG_BELOW_END: u64 = 1 << 30;
/// Distance from the end of the range to the image's first page.
pub const IMAGE_BELOW_END: u64 = (1 << 30) - (16 << 20);

/// The parts of a range of a given size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// SIZE in bytes.
    pub size: u64,
}

impl Layout {
    /// A layout, or `None` when `size` is not an admissible power of two.
    pub const fn new(size: u64) -> Option<Self> {
        if size.is_power_of_two() && size >= SIZE_MIN && size <= SIZE_MAX {
            Some(Self { size })
        } else {
            None
        }
    }

    /// End of the user region, start of the LibOS's memory and of the trusted memfd.
    pub const fn user_end(self) -> u64 {
        self.size - self.size / 8
    }

    /// Start of the frame arena; it ends at [`Self::vcpus`].
    pub const fn arena(self) -> u64 {
        self.user_end()
    }

    /// Start of the vCPU blocks.
    pub const fn vcpus(self) -> u64 {
        self.size - self.size / 16
    }

    /// Start of the LibOS heap.
    pub const fn heap(self) -> u64 {
        self.vcpus() + self.size / 64
    }

    /// Bytes of the LibOS heap.
    pub const fn heap_len(self) -> u64 {
        self.size / 64
    }

    /// Address of the measured configuration.
    pub const fn config(self) -> u64 {
        self.size - CONFIG_BELOW_END
    }

    /// Address at which the image's first segment is placed.
    pub const fn image(self) -> u64 {
        self.size - IMAGE_BELOW_END
    }
}
