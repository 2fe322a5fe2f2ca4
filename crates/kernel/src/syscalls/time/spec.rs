//! Times as programs pass them: `timespec`, `timeval`.

use abi::Errno;
use abi::errno::Result;
use platform::clock::{self, SECOND};

use crate::context::Context;

/// The longest time, ns: what a signed 64-bit number holds, about 292 years.
pub const LONGEST: u64 = i64::MAX as u64;

/// Seconds and a fraction as ns, at most [`LONGEST`]; `parts` is how many make a second.
///
/// # Errors
/// EINVAL for negative seconds or a fraction outside `0..parts`.
pub fn nanoseconds([seconds, fraction]: [i64; 2], parts: u64) -> Result<u64> {
    match (u64::try_from(seconds), u64::try_from(fraction)) {
        (Ok(seconds), Ok(fraction)) if fraction < parts => {
            let whole = seconds.saturating_mul(SECOND);
            Ok(whole.saturating_add(fraction * (SECOND / parts)).min(LONGEST))
        }
        _ => Err(Errno::EINVAL.because("negative seconds, or a fraction of a second or more")),
    }
}

/// ns as seconds and a fraction of `parts`.
pub fn parts_of(time: u64, parts: u64) -> [i64; 2] {
    [(time / SECOND).cast_signed(), (time % SECOND / (SECOND / parts)).cast_signed()]
}

/// Reads a `timespec`, ns.
///
/// # Errors
/// EFAULT; EINVAL for a malformed one.
pub fn read(cx: &Context<'_>, address: u64) -> Result<u64> {
    nanoseconds(cx.read(address)?, SECOND)
}

/// Reads a `timespec` that may be missing: address 0.
///
/// # Errors
/// As [`read`].
pub fn read_optional(cx: &Context<'_>, address: u64) -> Result<Option<u64>> {
    if address == 0 { Ok(None) } else { read(cx, address).map(Some) }
}

/// Writes ns as a `timespec`.
///
/// # Errors
/// EFAULT.
pub fn write(cx: &Context<'_>, address: u64, time: u64) -> Result<()> {
    cx.write(address, &parts_of(time, SECOND))
}

/// The monotonic instant, ns, at which `time` from now on will have passed.
pub fn after(time: u64) -> u64 {
    clock::now().saturating_add(time).min(LONGEST)
}

/// The monotonic instant of an instant of the real-time clock.
pub fn from_realtime(instant: u64) -> u64 {
    after(instant.saturating_sub(clock::realtime()))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, nanoseconds, parts_of};

    #[test]
    fn malformed_times_are_refused_and_long_ones_end_somewhere() {
        assert_eq!(nanoseconds([1, 5], 1_000_000_000), Ok(1_000_000_005));
        assert_eq!(nanoseconds([1, 5], 1_000_000), Ok(1_000_005_000));
        assert!(nanoseconds([-1, 0], 1_000_000).is_err());
        assert!(nanoseconds([0, -1], 1_000_000).is_err());
        assert!(nanoseconds([0, 1_000_000], 1_000_000).is_err());
        assert_eq!(nanoseconds([i64::MAX, 0], 1_000_000_000), Ok(LONGEST));
        assert_eq!(parts_of(3_000_007_999, 1_000_000), [3, 7]);
    }
}
