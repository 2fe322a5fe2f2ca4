//! Counting system calls without a locked instruction: each vCPU counts for itself.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

use platform::vcpu;

/// Numbers from here on share the last counter.
pub const NUMBERS: usize = 512;

/// The counters of one vCPU. On cache lines of its own, since it writes them all the time.
#[repr(align(128))]
struct Lane([AtomicU64; NUMBERS]);

/// How often each call was made.
pub struct Tally {
    lanes: Box<[Lane]>,
}

impl Tally {
    /// Nothing counted.
    pub fn new() -> Self {
        let lane = |_| Lane([const { AtomicU64::new(0) }; NUMBERS]);
        Self { lanes: (0..vcpu::count()).map(lane).collect() }
    }

    /// Counts a call on the vCPU that runs this.
    #[inline]
    pub fn count(&self, number: usize) {
        let Some(lane) = self.lanes.get(vcpu::current()) else { return };
        let counter = &lane.0[number.min(NUMBERS - 1)];
        // Only this vCPU writes it, and nothing interrupts the LibOS in between.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// How often a call was made, on all vCPUs together.
    pub fn of(&self, number: usize) -> u64 {
        self.lanes.iter().map(|lane| lane.0[number.min(NUMBERS - 1)].load(Ordering::Relaxed)).sum()
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}
