//! Giving clean cached contents up when memory runs short.
//!
//! Only contents that can be read again from their backing are given up, and only extents that
//! nobody has mapped or is copying from.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use platform::sync::Mutex;

use crate::pages::Pages;

/// The files with a backing; the hand goes round them like a clock's.
struct Registry {
    caches: Vec<Weak<Pages>>,
    hand: usize,
    /// At this many entries those of dropped files are cleared away.
    clear_at: usize,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { caches: Vec::new(), hand: 0, clear_at: 64 });

/// Makes a file known as one that can give memory up.
pub(crate) fn register(pages: &Arc<Pages>) {
    let mut registry = REGISTRY.lock();
    if registry.caches.len() >= registry.clear_at {
        registry.caches.retain(|cache| cache.strong_count() > 0);
        registry.clear_at = 64.max(2 * registry.caches.len());
        registry.hand = 0;
    }
    registry.caches.push(Arc::downgrade(pages));
}

/// Gives at least `bytes` of clean cached contents back, as far as there are so many; returns how
/// many bytes it gave back.
///
/// May be called with any lock of this crate held: files whose lock is taken are passed over.
pub fn reclaim(bytes: u64) -> u64 {
    let mut freed = 0;
    let mut turns = REGISTRY.lock().caches.len();
    while freed < bytes && turns > 0 {
        turns -= 1;
        let next = {
            let mut registry = REGISTRY.lock();
            if registry.caches.is_empty() {
                break;
            }
            registry.hand = (registry.hand + 1) % registry.caches.len();
            registry.caches[registry.hand].upgrade()
        };
        if let Some(pages) = next {
            freed += pages.evict();
        }
    }
    freed
}
