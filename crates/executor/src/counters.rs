//! What a vCPU did, counted.

use crate::sync::{AtomicU64, Ordering};

/// What one vCPU did since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tasks resumed (context switches).
    pub polls: u64,
    /// Tasks taken over from another vCPU's queue.
    pub steals: u64,
    /// Times it slept in the host.
    pub sleeps: u64,
    /// Times that spinning found work before the sleep.
    pub spin_hits: u64,
    /// Times that spinning found nothing.
    pub spin_misses: u64,
    /// Sleeping vCPUs that it (or an interrupt on its behalf) woke for its queue.
    pub wakes: u64,
}

/// A counter with one writer: a plain increment, readable by all.
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`; only the counter's owner may.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Adds one from any thread.
    pub(crate) fn add_shared(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters as a vCPU keeps them.
pub(crate) struct Tally {
    pub(crate) polls: Count,
    pub(crate) steals: Count,
    pub(crate) sleeps: Count,
    pub(crate) spin_hits: Count,
    pub(crate) spin_misses: Count,
    pub(crate) wakes: Count,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            polls: Count::new(),
            steals: Count::new(),
            sleeps: Count::new(),
            spin_hits: Count::new(),
            spin_misses: Count::new(),
            wakes: Count::new(),
        }
    }

    pub(crate) fn read(&self) -> Counters {
        Counters {
            polls: self.polls.get(),
            steals: self.steals.get(),
            sleeps: self.sleeps.get(),
            spin_hits: self.spin_hits.get(),
            spin_misses: self.spin_misses.get(),
            wakes: self.wakes.get(),
        }
    }
}
