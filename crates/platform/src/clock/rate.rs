//! How fast the clock goes: measured against the host's, within bounds.

use super::SECOND;

/// The first measurement comes so long after the start, in ns; each next one after twice as long.
const FIRST: u64 = SECOND / 20;
/// The longest time between two measurements, in ns.
const LONGEST: u64 = 64 * SECOND;
/// The host's word moves the rate by at most so many millionths from the first one: what NTP may slew,
/// and what a first measurement may be wrong by.
const RANGE: u64 = 1000;
/// To get where the host's clock is, the clock goes faster or slower by at most so many millionths.
const SLEW: u64 = 50;
const MILLION: u64 = 1_000_000;

/// Ticks and the host's monotonic nanoseconds at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) ticks: u64,
    pub(crate) host: u64,
}

/// The rate, and what it was measured from.
#[derive(Debug)]
pub(super) struct Rate {
    /// Nanoseconds per tick, 32.32: as measured first, and now.
    first: u64,
    scale: u64,
    last: Sample,
    interval: u64,
}

impl Rate {
    /// A rate of `hz` ticks per second.
    pub(super) fn new(hz: u64, start: Sample) -> Self {
        let scale = (u128::from(SECOND) << 32) / u128::from(hz.max(1));
        let scale = u64::try_from(scale).unwrap_or(u64::MAX).max(1);
        Self { first: scale, scale, last: start, interval: FIRST }
    }

    /// Nanoseconds per tick, 32.32.
    pub(super) fn scale(&self) -> u64 {
        self.scale
    }

    /// Ticks at which it is to be measured again.
    pub(super) fn due(&self) -> u64 {
        let ticks = (u128::from(self.interval) << 32) / u128::from(self.scale);
        self.last.ticks.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    /// Takes a sample in, at which the clock said `ours`; true when the rate changed.
    pub(super) fn measure(&mut self, now: Sample, ours: u64) -> bool {
        let ticks = now.ticks.saturating_sub(self.last.ticks);
        let passed = now.host.saturating_sub(self.last.host);
        self.last = now;
        self.interval = (self.interval * 2).min(LONGEST);
        if ticks == 0 || passed == 0 {
            return false;
        }
        let measured = (u128::from(passed) << 32) / u128::from(ticks);
        let measured = u64::try_from(measured).unwrap_or(u64::MAX);
        let range = self.first / MILLION * RANGE;
        let measured = measured.clamp(self.first - range, self.first.saturating_add(range));
        // Half of the way by the time of the next measurement, which may come late.
        let most = u128::from(measured / MILLION * SLEW);
        let apart = now.host.abs_diff(ours);
        let slew = u128::from(measured) * u128::from(apart) / u128::from(2 * self.interval);
        let slew = u64::try_from(slew.min(most)).unwrap_or(0);
        let scale = if now.host >= ours { measured + slew } else { measured - slew };
        let changed = scale != self.scale;
        self.scale = scale;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Rate, SECOND, Sample};

    /// Follows a host of `hz` ticks a second whose first measurement was `wrong` millionths too high;
    /// gives how far apart the clocks are after each measurement, in ns.
    fn follow(hz: u64, wrong: u64, rounds: usize) -> Vec<i64> {
        let start = Sample { ticks: 1 << 40, host: 77 * SECOND };
        let mut rate = Rate::new(hz + hz / 1_000_000 * wrong, start);
        let (mut origin, mut base) = (start.ticks, start.host);
        let mut apart = Vec::new();
        for _ in 0..rounds {
            let ticks = rate.due();
            let host = start.host
                + u64::try_from(
                    u128::from(ticks - start.ticks) * u128::from(SECOND) / u128::from(hz),
                )
                .expect("in range");
            let ours =
                base + ((u128::from(ticks - origin) * u128::from(rate.scale())) >> 32) as u64;
            rate.measure(Sample { ticks, host }, ours);
            (origin, base) = (ticks, ours);
            apart.push(host.cast_signed() - ours.cast_signed());
        }
        apart
    }

    #[test]
    fn a_wrong_start_is_made_good() {
        for hz in [1_000_000_000, 2_599_998_123, 5_000_000_000] {
            for wrong in [0, 50, 500] {
                let apart = follow(hz, wrong, 20);
                assert!(apart[0].unsigned_abs() <= wrong * 50 + 10, "{apart:?}");
                // Of what was missed before the first measurement, nothing is left.
                assert!(apart[19].abs() < 1000, "{hz} {wrong}: {apart:?}");
            }
        }
    }

    #[test]
    fn a_lying_host_changes_little() {
        let start = Sample { ticks: 1000, host: 1000 };
        for host in [0, 1000, 1001, u64::MAX] {
            let mut rate = Rate::new(2_000_000_000, start);
            let first = rate.scale();
            for round in 1..50_u64 {
                let ticks = 1000 + round * 2_000_000_000;
                rate.measure(Sample { ticks, host }, round * SECOND);
                assert!(rate.scale().abs_diff(first) <= first / 900, "{host}");
                assert!(rate.due() > ticks);
            }
        }
    }

    #[test]
    fn measurements_become_rare() {
        let start = Sample { ticks: 0, host: 0 };
        let mut rate = Rate::new(SECOND, start);
        for _ in 0..30 {
            let at = rate.due();
            rate.measure(Sample { ticks: at, host: at }, at);
        }
        assert_eq!(rate.interval, LONGEST);
        assert_eq!(rate.scale(), 1 << 32);
    }

    #[test]
    fn strange_frequencies_are_no_panic() {
        for hz in [0, 1, u64::MAX] {
            let mut rate = Rate::new(hz, Sample { ticks: 5, host: 5 });
            for ticks in [0, 5, 6, u64::MAX] {
                rate.measure(Sample { ticks, host: u64::MAX }, 0);
                let _ = rate.due();
            }
        }
    }
}
