//! Sets within sets: no circles, and not too deep, so that looking at one always ends.

use alloc::sync::{Arc, Weak};

use abi::Errno;
use abi::errno::Result;
use platform::sync::{Guard, Mutex};

use super::Epoll;

/// The most sets in a row.
const DEPTH: usize = 5;

/// Held while a set is put into a set: circles are made by two who don't know of each other.
static NESTING: Mutex<()> = Mutex::new(());

impl Epoll {
    /// Checks that `inner` may be put into this set; nobody else nests until the guard is dropped.
    ///
    /// # Errors
    /// ELOOP.
    pub(super) fn enter(&self, inner: &Self) -> Result<Guard<'static, ()>> {
        let guard = NESTING.lock();
        let below = inner.height(core::ptr::from_ref(self), DEPTH);
        let rows = below.and_then(|below| Some(below + self.depth(DEPTH)?));
        match rows {
            Some(rows) if rows <= DEPTH => Ok(guard),
            _ => Err(Errno::ELOOP.because("sets of epoll in a circle, or more than 5 in a row")),
        }
    }

    /// This set is no longer in `parent`.
    pub(super) fn leave(&self, parent: &Self) {
        let mut parents = self.parents.lock();
        if let Some(at) = parents.iter().position(|one| one.as_ptr() == core::ptr::from_ref(parent))
        {
            parents.swap_remove(at);
        }
    }

    /// Sets in the longest row from this one down; `None` when `taboo` is among them or `limit` is
    /// exceeded.
    fn height(&self, taboo: *const Self, limit: usize) -> Option<usize> {
        if core::ptr::from_ref(self) == taboo || limit == 0 {
            return None;
        }
        let files: alloc::vec::Vec<_> = {
            let registered = self.registered.lock();
            registered.items.values().filter_map(|entry| entry.item.file()).collect()
        };
        let mut below = 0;
        for inner in files.iter().filter_map(|file| file.downcast::<Self>()) {
            below = below.max(inner.height(taboo, limit - 1)?);
        }
        Some(below + 1)
    }

    /// Sets in the longest row from this one up; `None` when `limit` is exceeded.
    fn depth(&self, limit: usize) -> Option<usize> {
        if limit == 0 {
            return None;
        }
        let parents: alloc::vec::Vec<Arc<Self>> = {
            let mut parents = self.parents.lock();
            parents.retain(|parent| parent.strong_count() > 0);
            parents.iter().filter_map(Weak::upgrade).collect()
        };
        let mut above = 0;
        for parent in parents {
            above = above.max(parent.depth(limit - 1)?);
        }
        Some(above + 1)
    }
}
