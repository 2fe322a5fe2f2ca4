//! The hash of the table.

use core::hash::Hasher;

/// A multiplicative hash: keys are addresses and counters, and nobody's secret.
pub(super) struct Mixer(u64);

impl Mixer {
    /// Nothing hashed yet.
    pub(super) const fn new() -> Self {
        Self(0)
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.cast_unsigned() as u64);
    }
}
