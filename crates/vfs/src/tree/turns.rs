//! Changes of names that are carried to the layer below: one at a time, and seen by lookups.
//!
//! Linux holds a directory while a name in it is looked up or changed. Here both wait for an answer from
//! below, so a lock that spins can't be held: changes take turns, and a lookup that a change has met is
//! made once more in a turn of its own.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use executor::wait_queue::WaitQueue;

/// Whose turn it is.
pub(super) struct Turns {
    taken: AtomicBool,
    /// Turns that have begun.
    begun: AtomicU64,
    queue: WaitQueue,
}

/// A turn; it ends when this is dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    pub(super) const fn new() -> Self {
        Self { taken: AtomicBool::new(false), begun: AtomicU64::new(0), queue: WaitQueue::new() }
    }

    /// Waits for a turn.
    pub(super) async fn take(&self) -> Turn<'_> {
        while self.taken.swap(true, Ordering::AcqRel) {
            let listener = self.queue.listen();
            if self.taken.load(Ordering::Acquire) {
                listener.await;
            }
        }
        self.begun.fetch_add(1, Ordering::AcqRel);
        Turn(self)
    }

    /// Something that is the same later if no turn was under way or has begun meanwhile.
    pub(super) fn quiet(&self) -> Option<u64> {
        // The count first: a turn that begins behind this look changes it.
        let begun = self.begun.load(Ordering::Acquire);
        (!self.taken.load(Ordering::Acquire)).then_some(begun)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
        self.0.queue.wake(1);
    }
}
