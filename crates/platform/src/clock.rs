//! Time without exits: the TSC, scaled, never backwards; the host's word for the date and the frequency.
//!
//! How many ticks a second has, the runner measured in a moment. The clock measures it again while the
//! enclave runs ([`refine`]), over longer and longer times, and lets itself drift to the host's clock.
//! However often the host is asked, its word changes the rate within narrow bounds only, and never makes
//! a step.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::sync::Mutex;

mod rate;

use rate::{Rate, Sample};

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// Odd while the next three change.
static SEQUENCE: AtomicU32 = AtomicU32::new(0);
/// Nanoseconds per tick as a 32.32 fixed-point number.
static SCALE: AtomicU64 = AtomicU64::new(0);
static ORIGIN: AtomicU64 = AtomicU64::new(0);
/// Monotonic time at the origin, so that the clock need not start at 0.
static BASE: AtomicU64 = AtomicU64::new(0);
/// Realtime minus monotonic, as a wrapping difference.
static REALTIME: AtomicU64 = AtomicU64::new(0);
/// Ticks at which the rate is to be measured again.
static DUE: AtomicU64 = AtomicU64::new(u64::MAX);
static RATE: Mutex<Option<Rate>> = Mutex::new(None);

/// Ticks, about a second of them, until a measurement that failed is tried again.
const LATER: u64 = 1 << 31;

/// Starts the clock: `hz` ticks per second, `monotonic` and `realtime` ns at `ticks` (the host's word).
pub fn init(hz: u64, ticks: u64, monotonic: u64, realtime: u64) {
    let rate = Rate::new(hz, Sample { ticks, host: monotonic });
    SCALE.store(rate.scale(), Ordering::Relaxed);
    BASE.store(monotonic, Ordering::Relaxed);
    REALTIME.store(realtime.wrapping_sub(monotonic), Ordering::Relaxed);
    DUE.store(rate.due(), Ordering::Relaxed);
    *RATE.lock() = Some(rate);
    ORIGIN.store(ticks, Ordering::Release);
}

/// Measures the rate again, if it is time. True when the [`parameters`] changed.
///
/// Costs three exits when it is time, nothing else; for those who made an exit anyway.
#[inline]
pub fn refine() -> bool {
    ticks() >= DUE.load(Ordering::Relaxed) && measure_again()
}

#[cold]
fn measure_again() -> bool {
    let Some(mut guard) = RATE.try_lock() else { return false };
    let Some(rate) = guard.as_mut() else { return false };
    let Some(sample) = sample() else {
        DUE.store(ticks().saturating_add(LATER), Ordering::Relaxed);
        return false;
    };
    let ours = at(sample.ticks, parameters());
    let changed = rate.measure(sample, ours);
    DUE.store(rate.due(), Ordering::Relaxed);
    if changed {
        change(rate.scale());
    }
    changed
}

/// Goes on at another rate, from the time that it is.
fn change(scale: u64) {
    let before = parameters();
    SEQUENCE.fetch_add(1, Ordering::SeqCst);
    let now = ticks();
    BASE.store(at(now, before), Ordering::Relaxed);
    ORIGIN.store(now, Ordering::Relaxed);
    SCALE.store(scale, Ordering::Relaxed);
    SEQUENCE.fetch_add(1, Ordering::Release);
}

/// The host's monotonic clock and the ticks at the same moment; `None` when it took so long that nobody
/// knows which moment.
#[cfg(not(any(test, feature = "hosted")))]
pub(crate) fn sample() -> Option<Sample> {
    use abi::host::HostCall;

    /// What a host call takes at most when nobody else wants the processor.
    const PATIENCE: u64 = 1 << 18;
    let mut bounce = crate::io::Bounce::with_capacity(8)?;
    let (mut best, mut sample) = (PATIENCE, None);
    for _ in 0..3 {
        let before = ticks();
        crate::gate::call(HostCall::Clock, [1, bounce.address(), 0, 0, 0]);
        let took = ticks().wrapping_sub(before);
        if took < best {
            let mut word = [0; 8];
            bounce.read(0, &mut word);
            best = took;
            sample = Some(Sample { ticks: before + took / 2, host: u64::from_le_bytes(word) });
        }
    }
    bounce.write(0, &[0; 8]);
    sample
}

/// Hosted there is no host to ask.
#[cfg(any(test, feature = "hosted"))]
fn sample() -> Option<Sample> {
    None
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
    loop {
        let sequence = SEQUENCE.load(Ordering::Acquire);
        let numbers = unchecked();
        let now = ticks();
        fence(Ordering::Acquire);
        if sequence & 1 == 0 && SEQUENCE.load(Ordering::Relaxed) == sequence {
            return at(now, numbers);
        }
        core::hint::spin_loop();
    }
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
    loop {
        let sequence = SEQUENCE.load(Ordering::Acquire);
        let numbers = unchecked();
        fence(Ordering::Acquire);
        if sequence & 1 == 0 && SEQUENCE.load(Ordering::Relaxed) == sequence {
            return numbers;
        }
        core::hint::spin_loop();
    }
}

/// The parameters, which may be about to change.
#[inline]
fn unchecked() -> (u64, u64, u64, u64) {
    (
        ORIGIN.load(Ordering::Relaxed),
        SCALE.load(Ordering::Relaxed),
        BASE.load(Ordering::Relaxed),
        REALTIME.load(Ordering::Relaxed),
    )
}

/// Monotonic nanoseconds at a number of ticks.
#[inline]
fn at(ticks: u64, (origin, scale, base, _): (u64, u64, u64, u64)) -> u64 {
    let elapsed = ticks.saturating_sub(origin);
    base.wrapping_add(((u128::from(elapsed) * u128::from(scale)) >> 32) as u64)
}
