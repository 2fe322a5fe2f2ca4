//! Files that shared mappings may have changed, while their backing does not know it yet.
//!
//! A mapping tells nobody what it writes. Such files are remembered here, and kept, until what was
//! mapped is unmapped and carried: at the latest when the last program that could have changed them ends.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::errno::Result;
use platform::sync::Mutex;

use crate::pages::{Pages, Reach};

static FILES: Mutex<Vec<Arc<Pages>>> = Mutex::new(Vec::new());
/// How many there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether there are any.
#[inline]
pub fn any() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

/// Remembers a file. Not with the lock of its contents held.
pub(crate) fn remember(pages: &Arc<Pages>) {
    let mut files = FILES.lock();
    if !files.iter().any(|known| Arc::ptr_eq(known, pages)) {
        files.push(Arc::clone(pages));
        COUNT.store(files.len(), Ordering::Relaxed);
    }
}

/// Carries what mappings may have changed to where it belongs: all, or what is mapped no more.
///
/// # Errors
/// The first of a backing; the other files are carried all the same, and this one at the next call.
pub async fn write_back(reach: Reach) -> Result<()> {
    let files = FILES.lock().clone();
    let mut outcome = Ok(());
    for pages in files {
        let done = pages.flush(reach).await;
        if done.is_ok() {
            forget(&pages);
        }
        outcome = outcome.and(done);
    }
    outcome
}

/// Forgets a file in which nothing is exposed any more.
fn forget(pages: &Arc<Pages>) {
    let dropped = {
        let mut files = FILES.lock();
        let known = files.iter().position(|known| Arc::ptr_eq(known, pages));
        let gone = known.filter(|_| !pages.is_exposed());
        let dropped = gone.map(|index| files.swap_remove(index));
        COUNT.store(files.len(), Ordering::Relaxed);
        dropped
    };
    drop(dropped);
}
