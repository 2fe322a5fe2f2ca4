//! The LibOS's heap: talc over the heap region, behind one lock.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use talc::{OomHandler, Span, Talc};

use crate::budget::{self, Purpose};
use crate::sync::Mutex;

static NEXT: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
/// Memory is taken from the region in steps of this size.
const STEP: u64 = 256 << 10;

/// The global allocator of the image.
pub struct Heap {
    inner: Mutex<Talc<Region>>,
}

/// The part of the heap region that talc has.
struct Region {
    claimed: Span,
}

/// Tells the heap where it lies; once, before the first allocation.
///
/// # Safety
/// `[start, start + len)` is mapped, zeroed, readable and writable, and used by nobody else.
pub unsafe fn init(start: u64, len: u64) {
    NEXT.store(start, Ordering::Relaxed);
    END.store(start + len, Ordering::Release);
}

impl Heap {
    /// An empty heap.
    pub const fn new() -> Self {
        Self { inner: Mutex::new(Talc::new(Region { claimed: Span::empty() })) }
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl OomHandler for Region {
    fn handle_oom(talc: &mut Talc<Self>, layout: Layout) -> Result<(), ()> {
        // Room for the block, its header and alignment.
        let wanted =
            layout.size().checked_add(layout.align()).ok_or(())?.checked_add(4096).ok_or(())?;
        let bytes = (wanted as u64).checked_next_multiple_of(STEP).ok_or(())?;
        let start = NEXT.load(Ordering::Relaxed);
        let end =
            start.checked_add(bytes).filter(|end| *end <= END.load(Ordering::Acquire)).ok_or(())?;
        let old = talc.oom_handler.claimed;
        let claimed = if old.is_empty() {
            let fresh = Span::from_base_size(start as *mut u8, (end - start) as usize);
            // SAFETY: the next part of the region, which is mapped and nobody's.
            unsafe { talc.claim(fresh) }?
        } else {
            let wider = old.extend(0, bytes as usize);
            // SAFETY: the region goes on right behind what talc has, mapped and nobody's.
            unsafe { talc.extend(old, wider) }
        };
        talc.oom_handler.claimed = claimed;
        NEXT.store(end, Ordering::Relaxed);
        budget::charge_always(Purpose::Libos, bytes);
        Ok(())
    }
}

// SAFETY: talc keeps GlobalAlloc's contract; the lock serialises it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller passes a layout with a size, as GlobalAlloc demands.
        let block = unsafe { self.inner.lock().malloc(layout) };
        block.map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let Some(ptr) = NonNull::new(ptr) else { return };
        // SAFETY: `ptr` came from `alloc` with this layout.
        unsafe { self.inner.lock().free(ptr, layout) };
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(block) = NonNull::new(ptr) else { return core::ptr::null_mut() };
        let mut talc = self.inner.lock();
        if new_size <= layout.size() {
            // SAFETY: `ptr` came from `alloc` with this layout; the new size is smaller, not zero.
            unsafe { talc.shrink(block, layout, new_size) };
            return ptr;
        }
        // SAFETY: `ptr` came from `alloc` with this layout; the new size is larger.
        if let Ok(grown) = unsafe { talc.grow_in_place(block, layout, new_size) } {
            return grown.as_ptr();
        }
        drop(talc);
        // SAFETY: the caller promised that the new size is valid for the alignment.
        let wider = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: a layout with a size.
        let to = unsafe { self.alloc(wider) };
        if !to.is_null() {
            // SAFETY: both blocks hold the old size; they are different ones.
            unsafe { core::ptr::copy_nonoverlapping(ptr, to, layout.size()) };
            // SAFETY: the old block is not used any more.
            unsafe { self.dealloc(ptr, layout) };
        }
        to
    }
}
