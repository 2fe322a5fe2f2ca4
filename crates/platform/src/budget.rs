//! The one number that limits an enclave's memory, and who has how much of it.

use core::sync::atomic::{AtomicU64, Ordering};

/// Who memory is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Private writable memory of programs.
    User = 0,
    /// Frames: page cache, tmpfs, shared memory, patched text.
    Frames = 1,
    /// The LibOS's heap and stacks.
    Libos = 2,
}

static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
static TOTAL: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);
static USED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// How much a request may take of what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// All but the reserve: what a program can be refused with an error.
    Ordinary,
    /// All: without it a program that asked for nothing could not go on, as with a page of its text.
    Vital,
}

/// Sets the limit in bytes; once, at start.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// The limit in bytes.
pub fn limit() -> u64 {
    LIMIT.load(Ordering::Relaxed)
}

/// The limit without the reserve, which holds more text than a program needs at a time.
fn ordinary_limit() -> u64 {
    const RESERVE_MAX: u64 = 16 << 20;
    let limit = limit();
    limit - (limit / 32).min(RESERVE_MAX)
}

/// Charges `bytes` to a purpose, or returns false when the limit forbids it.
#[must_use]
pub fn charge(purpose: Purpose, bytes: u64, how: Charge) -> bool {
    let limit = match how {
        Charge::Ordinary => ordinary_limit(),
        Charge::Vital => limit(),
    };
    let charged = TOTAL.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |total| {
        total.checked_add(bytes).filter(|sum| *sum <= limit)
    });
    let Ok(before) = charged else { return false };
    USED[purpose as usize].fetch_add(bytes, Ordering::Relaxed);
    PEAK.fetch_max(before + bytes, Ordering::Relaxed);
    true
}

/// Charges `bytes` even beyond the limit: for the LibOS itself, which can't do without.
pub fn charge_always(purpose: Purpose, bytes: u64) {
    let total = TOTAL.fetch_add(bytes, Ordering::Relaxed) + bytes;
    USED[purpose as usize].fetch_add(bytes, Ordering::Relaxed);
    PEAK.fetch_max(total, Ordering::Relaxed);
}

/// Takes a charge back.
pub fn release(purpose: Purpose, bytes: u64) {
    TOTAL.fetch_sub(bytes, Ordering::Relaxed);
    USED[purpose as usize].fetch_sub(bytes, Ordering::Relaxed);
}

/// Bytes charged to a purpose now.
pub fn used(purpose: Purpose) -> u64 {
    USED[purpose as usize].load(Ordering::Relaxed)
}

/// Bytes charged now, all purposes.
pub fn total() -> u64 {
    TOTAL.load(Ordering::Relaxed)
}

/// Bytes that ordinary requests can still have.
pub fn available() -> u64 {
    ordinary_limit().saturating_sub(total())
}

/// The most bytes that were ever charged at once.
pub fn peak() -> u64 {
    PEAK.load(Ordering::Relaxed)
}
