//! How much a file system may hold.

use core::sync::atomic::{AtomicU64, Ordering};

/// Units that are taken and given back, at most so many.
#[derive(Debug)]
pub struct Quota {
    most: AtomicU64,
    used: AtomicU64,
}

impl Quota {
    /// At most `most`; 0: without a limit.
    pub const fn new(most: u64) -> Self {
        Self { most: AtomicU64::new(most), used: AtomicU64::new(0) }
    }

    /// How many there are at most; 0: without a limit.
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// How many are taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes some; `false`: there are not so many left.
    pub fn take(&self, count: u64) -> bool {
        let most = match self.most() {
            0 => u64::MAX,
            most => most,
        };
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(count).filter(|used| *used <= most)
            })
            .is_ok()
    }

    /// Gives some back.
    pub fn give(&self, count: u64) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }

    /// Changes the limit; `false`: more is taken already.
    pub fn set_most(&self, most: u64) -> bool {
        if most != 0 && most < self.used() {
            return false;
        }
        self.most.store(most, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Quota;

    #[test]
    fn gives_no_more_than_there_is() {
        let quota = Quota::new(3);
        assert!(quota.take(2) && !quota.take(2) && quota.take(1));
        assert!(!quota.set_most(2) && quota.set_most(4) && quota.take(1));
        quota.give(4);
        assert_eq!(quota.used(), 0);
        assert!(quota.set_most(0) && quota.take(1 << 40));
    }
}
