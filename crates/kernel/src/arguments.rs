//! The six arguments of a system call, as types instead of casts.

use platform::user::UserRange;

/// Raw arguments in the order of the system call's signature.
#[derive(Clone, Copy, Debug)]
pub struct Arguments(pub [u64; 6]);

/// A descriptor number as the program gave it; -1 and AT_FDCWD are values like any other.
pub type Fd = i32;

impl Arguments {
    /// The register itself.
    #[inline]
    pub fn raw(&self, index: usize) -> u64 {
        self.0[index]
    }

    /// An address.
    #[inline]
    pub fn address(&self, index: usize) -> u64 {
        self.0[index]
    }

    /// A C `int`: the lower half, signed.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "Linux looks at the lower half only")]
    pub fn int(&self, index: usize) -> i32 {
        self.0[index] as i32
    }

    /// A C `unsigned int`: the lower half.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "Linux looks at the lower half only")]
    pub fn uint(&self, index: usize) -> u32 {
        self.0[index] as u32
    }

    /// A C `long`.
    #[inline]
    pub fn long(&self, index: usize) -> i64 {
        self.0[index].cast_signed()
    }

    /// A descriptor.
    #[inline]
    pub fn fd(&self, index: usize) -> Fd {
        self.int(index)
    }

    /// A `size_t`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits here")]
    pub fn size(&self, index: usize) -> usize {
        self.0[index] as usize
    }

    /// A buffer: the address in one argument, its bytes in another.
    #[inline]
    pub fn buffer(&self, address: usize, len: usize) -> UserRange {
        UserRange { start: self.0[address], len: self.size(len) }
    }
}
