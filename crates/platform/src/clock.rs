//! Time without exits: the TSC, scaled, never backwards; the host's word only for the date.

use core::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// Nanoseconds per tick as a 32.32 fixed-point number.
static SCALE: AtomicU64 = AtomicU64::new(0);
static ORIGIN: AtomicU64 = AtomicU64::new(0);
/// Monotonic time at the origin, so that the clock need not start at 0.
static BASE: AtomicU64 = AtomicU64::new(0);
/// Realtime minus monotonic, as a wrapping difference.
static REALTIME: AtomicU64 = AtomicU64::new(0);

/// Starts the clock: `hz` ticks per second, `monotonic` and `realtime` ns now (the host's word).
pub fn init(hz: u64, monotonic: u64, realtime: u64) {
    let scale = (u128::from(SECOND) << 32) / u128::from(hz.max(1));
    SCALE.store(u64::try_from(scale).unwrap_or(u64::MAX), Ordering::Relaxed);
    BASE.store(monotonic, Ordering::Relaxed);
    REALTIME.store(realtime.wrapping_sub(monotonic), Ordering::Relaxed);
    ORIGIN.store(ticks(), Ordering::Release);
}

/// Ticks of the processor's time-stamp counter.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC exists on every x86-64 processor.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Monotonic nanoseconds.
#[inline]
#[cfg(not(any(test, feature = "hosted")))]
pub fn now() -> u64 {
    let elapsed = ticks().saturating_sub(ORIGIN.load(Ordering::Acquire));
    let scaled = (u128::from(elapsed) * u128::from(SCALE.load(Ordering::Relaxed))) >> 32;
    BASE.load(Ordering::Relaxed) + scaled as u64
}

/// Monotonic nanoseconds.
#[cfg(any(test, feature = "hosted"))]
pub fn now() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let elapsed = START.get_or_init(std::time::Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970, as the host said at start plus what passed since.
pub fn realtime() -> u64 {
    now().wrapping_add(REALTIME.load(Ordering::Relaxed))
}

/// What the vDSO needs to compute the same clocks: `(origin, scale, base, realtime - monotonic)`.
pub fn parameters() -> (u64, u64, u64, u64) {
    (
        ORIGIN.load(Ordering::Relaxed),
        SCALE.load(Ordering::Relaxed),
        BASE.load(Ordering::Relaxed),
        REALTIME.load(Ordering::Relaxed),
    )
}
