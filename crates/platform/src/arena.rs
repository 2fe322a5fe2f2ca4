//! Frames: pages of the trusted memfd that files, shared memory and patched text live in.
//!
//! An [`Extent`] is a run of 1, 2, 4 … 512 pages that lies contiguous in the arena and can be mapped
//! into user memory at [`Extent::offset`]. User code may write mapped frames at any time, so the
//! LibOS never holds references into them: it copies.

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::budget::{self, Charge, Purpose};
use crate::gate;
use crate::sync::Mutex;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// The most pages of an extent: 2 MiB.
pub const PAGES_MAX: usize = 512;
const ORDERS: usize = 10;
/// Freed frames kept for reuse before they are given back to the host.
const KEPT_BYTES: u64 = 32 << 20;

static START: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
static KEPT: AtomicU64 = AtomicU64::new(0);
static FREE: [Mutex<Vec<Freed>>; ORDERS] = [const { Mutex::new(Vec::new()) }; ORDERS];

/// A free extent; `dirty` tells whether it must be zeroed before it is used again.
struct Freed {
    offset: u64,
    dirty: bool,
}

/// A run of frames, freed when dropped.
#[derive(Debug)]
pub struct Extent {
    offset: u64,
    order: u32,
}

/// Tells the arena where it lies; once, at start.
///
/// # Safety
/// `[start, start + len)` is mapped, readable and writable, and used by nobody else.
pub unsafe fn init(start: u64, len: u64) {
    START.store(start, Ordering::Relaxed);
    NEXT.store(0, Ordering::Relaxed);
    END.store(len, Ordering::Release);
}

impl Extent {
    /// Zeroed frames for at least `pages` pages (at most [`PAGES_MAX`]; rounded up to a power of two).
    ///
    /// `None` when the memory limit or the arena is exhausted.
    pub fn allocate(pages: usize, how: Charge) -> Option<Self> {
        if pages == 0 || pages > PAGES_MAX {
            return None;
        }
        let order = pages.next_power_of_two().trailing_zeros();
        let bytes = (PAGE as u64) << order;
        if !budget::charge(Purpose::Frames, bytes, how) {
            return None;
        }
        let freed = FREE[order as usize].lock().pop();
        let extent = match freed {
            Some(freed) => {
                let extent = Self { offset: freed.offset, order };
                if freed.dirty {
                    KEPT.fetch_sub(bytes, Ordering::Relaxed);
                    extent.zero(0, extent.len());
                }
                extent
            }
            None => Self { offset: Self::fresh(bytes)?, order },
        };
        Some(extent)
    }

    fn fresh(bytes: u64) -> Option<u64> {
        hosted_init();
        let end = END.load(Ordering::Acquire);
        let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            let start = next.next_multiple_of(bytes);
            start.checked_add(bytes).filter(|after| *after <= end)
        });
        if taken.is_err() {
            budget::release(Purpose::Frames, bytes);
        }
        taken.ok().map(|before| before.next_multiple_of(bytes))
    }

    /// Bytes of the extent.
    #[inline]
    pub fn len(&self) -> usize {
        PAGE << self.order
    }

    /// Never: an extent has at least one page.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Offset in the trusted memfd, for mapping.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Copies `out.len()` bytes from `at` on.
    ///
    /// # Panics
    /// When the range leaves the extent: an error of the caller's.
    #[track_caller]
    #[inline]
    pub fn read(&self, at: usize, out: &mut [u8]) {
        let from = self.range(at, out.len());
        // SAFETY: `range` proved that the bytes lie in the extent, which is mapped while it lives;
        // user code may change them meanwhile, which a byte copy tolerates.
        unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
    }

    /// Copies `bytes` to `at` on.
    ///
    /// # Panics
    /// When the range leaves the extent.
    #[track_caller]
    #[inline]
    pub fn write(&self, at: usize, bytes: &[u8]) {
        let to = self.range(at, bytes.len());
        // SAFETY: as in `read`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Writes two bytes of code by one store.
    ///
    /// # Panics
    /// When the range leaves the extent.
    pub fn store_two(&self, at: usize, bytes: [u8; 2]) {
        let to = self.range(at, 2).cast::<u16>();
        // SAFETY: in the extent, as `range` proved; a plain store needs no alignment on x86.
        unsafe {
            core::arch::asm!("mov word ptr [{}], {:x}", in(reg) to, in(reg) u16::from_le_bytes(bytes),
                options(nostack, preserves_flags));
        }
    }

    /// Writes eight bytes of code by one store.
    ///
    /// # Panics
    /// When the range leaves the extent.
    pub fn store_eight(&self, at: usize, bytes: [u8; 8]) {
        let to = self.range(at, 8).cast::<u64>();
        // SAFETY: as in `store_two`.
        unsafe {
            core::arch::asm!("mov qword ptr [{}], {}", in(reg) to, in(reg) u64::from_le_bytes(bytes),
                options(nostack, preserves_flags));
        }
    }

    /// Reads the aligned word at `at`, and sees what was written before it.
    ///
    /// # Panics
    /// When the word leaves the extent, or is not aligned.
    pub fn load_word(&self, at: usize) -> u32 {
        self.word(at).load(Ordering::Acquire)
    }

    /// Writes the aligned word at `at`, after whatever was written before.
    ///
    /// # Panics
    /// As [`Extent::load_word`].
    pub fn store_word(&self, at: usize, value: u32) {
        self.word(at).store(value, Ordering::Release);
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        let at = self.range(at, 4).cast::<u32>();
        assert!(at.is_aligned(), "a word of frames is aligned");
        // SAFETY: in the extent, as `range` proved, mapped while it lives, and aligned; whoever else
        // writes it, user code, does so by the processor's own stores.
        unsafe { AtomicU32::from_ptr(at) }
    }

    /// Clears `len` bytes from `at` on.
    ///
    /// # Panics
    /// When the range leaves the extent.
    #[track_caller]
    pub fn zero(&self, at: usize, len: usize) {
        let to = self.range(at, len);
        // SAFETY: as in `read`.
        unsafe { ptr::write_bytes(to, 0, len) };
    }

    /// The address of `len` bytes from `at` on, for the guarded copies of [`crate::user`].
    ///
    /// # Panics
    /// When the range leaves the extent.
    #[track_caller]
    #[inline]
    pub fn range(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len()), "frame range");
        (START.load(Ordering::Relaxed) as usize + self.offset as usize + at) as *mut u8
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        let bytes = self.len() as u64;
        budget::release(Purpose::Frames, bytes);
        let dirty = KEPT.load(Ordering::Relaxed) < KEPT_BYTES;
        if dirty {
            KEPT.fetch_add(bytes, Ordering::Relaxed);
        } else {
            gate::discard(self.offset, bytes);
        }
        FREE[self.order as usize].lock().push(Freed { offset: self.offset, dirty });
    }
}

#[cfg(not(any(test, feature = "hosted")))]
fn hosted_init() {}

#[cfg(any(test, feature = "hosted"))]
fn hosted_init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    const LEN: usize = 256 << 20;
    ONCE.call_once(|| {
        let layout = std::alloc::Layout::from_size_align(LEN, PAGE).expect("a valid layout");
        // SAFETY: the layout is not empty.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        // SAFETY: just allocated, and never freed.
        unsafe { init(start as u64, LEN as u64) };
    });
}

/// What the host does for [`gate::discard`]: the frames read as zero.
#[cfg(any(test, feature = "hosted"))]
pub(crate) fn hosted_discard(offset: u64, len: u64) {
    let start = START.load(Ordering::Relaxed) + offset;
    // SAFETY: only called for an extent that is being dropped, which nobody else can reach.
    unsafe { ptr::write_bytes(start as *mut u8, 0, len as usize) };
}
