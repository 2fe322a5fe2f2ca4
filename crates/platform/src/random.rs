//! Random bytes: the processor's generator, mixed with the host's seed where it has none.

use core::sync::atomic::{AtomicU64, Ordering};

static SEED: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);

/// Mixes the host's seed in; once, at start.
pub fn init(seed: u64) {
    SEED.fetch_xor(seed, Ordering::Relaxed);
}

/// Fills `out` with random bytes.
pub fn fill(out: &mut [u8]) {
    for chunk in out.chunks_mut(8) {
        let word = next().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

/// One random word.
pub fn next() -> u64 {
    hardware().unwrap_or(0) ^ stretched()
}

/// The processor's random word, `None` where RDRAND is missing or keeps failing.
fn hardware() -> Option<u64> {
    if !crate::cpu::features().rdrand {
        return None;
    }
    (0..10).find_map(|_| {
        let word: u64;
        let good: u8;
        // SAFETY: the processor has RDRAND, as checked above.
        unsafe {
            core::arch::asm!("rdrand {0}", "setc {1}", out(reg) word, out(reg_byte) good,
                options(nomem, nostack));
        }
        (good == 1).then_some(word)
    })
}

/// The seed's own sequence (SplitMix64), so that a lack of RDRAND is not a constant.
fn stretched() -> u64 {
    let mut z = SEED.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
