//! Typed I/O operations on the host's files and streams, and the two ways they are carried.
//!
//! Data crosses in bounce buffers in untrusted memory; it is copied in before it is looked at. The
//! caller awaits [`submit`] and never knows whether a host call or a ring carried the operation.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Untrusted;
use abi::host::HostCall;
use abi::io::{Code, Operation};

use crate::gate;
use crate::sync::Mutex;

/// Bytes of the smallest bounce buffer; others are powers of two of it.
const UNIT: usize = 4096;
const ORDERS: usize = 9;

static START: AtomicU64 = AtomicU64::new(0);
static LEN: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);
static FREE: [Mutex<Vec<u64>>; ORDERS] = [const { Mutex::new(Vec::new()) }; ORDERS];

/// A buffer in untrusted memory, freed when dropped. The host may change it at any time.
#[derive(Debug)]
pub struct Bounce {
    offset: u64,
    order: u32,
}

/// Tells the module where untrusted memory lies; once, at start. The first `reserved` bytes are not
/// for buffers.
///
/// # Safety
/// `[start, start + len)` is mapped, readable and writable, and lies outside the enclave's range.
pub unsafe fn init(start: u64, len: u64, reserved: u64) {
    START.store(start, Ordering::Relaxed);
    LEN.store(len, Ordering::Relaxed);
    NEXT.store(reserved.next_multiple_of(UNIT as u64), Ordering::Release);
}

impl Bounce {
    /// The largest buffer, 1 MiB.
    pub const MAX: usize = UNIT << (ORDERS - 1);

    /// A buffer of at least `len` bytes (at most [`Self::MAX`]), or `None` when there is no room.
    pub fn with_capacity(len: usize) -> Option<Self> {
        if len > Self::MAX {
            return None;
        }
        let order = len.div_ceil(UNIT).next_power_of_two().trailing_zeros();
        if let Some(offset) = FREE[order as usize].lock().pop() {
            return Some(Self { offset, order });
        }
        let bytes = (UNIT << order) as u64;
        let end = LEN.load(Ordering::Relaxed);
        NEXT.fetch_update(Ordering::AcqRel, Ordering::Acquire, |next| {
            next.checked_add(bytes).filter(|after| *after <= end)
        })
        .ok()
        .map(|offset| Self { offset, order })
    }

    /// Bytes that fit.
    pub fn capacity(&self) -> usize {
        UNIT << self.order
    }

    /// Offset in untrusted memory, for [`Operation::buffer`].
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its address, for host calls.
    pub fn address(&self) -> u64 {
        START.load(Ordering::Relaxed) + self.offset
    }

    /// Copies `bytes` to `at`.
    ///
    /// # Panics
    /// When they do not fit: an error of the caller's.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let to = self.range(at, bytes.len());
        // SAFETY: `range` proved that the bytes lie in the buffer, which nobody but the host shares.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies out of the buffer from `at` on.
    ///
    /// # Panics
    /// When the range leaves the buffer.
    pub fn read(&self, at: usize, out: &mut [u8]) {
        let from = self.range(at, out.len());
        // SAFETY: as in `write`; the host may change the bytes meanwhile, which a copy tolerates.
        unsafe { core::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
    }

    /// Copies from the buffer into frames.
    ///
    /// # Panics
    /// When a range leaves the buffer or the extent.
    pub fn read_frames(&self, at: usize, extent: &crate::arena::Extent, to: usize, len: usize) {
        let from = self.range(at, len);
        // SAFETY: both ranges were checked; frames and untrusted memory never overlap.
        unsafe { core::ptr::copy_nonoverlapping(from, extent.range(to, len), len) };
    }

    /// Copies from frames into the buffer.
    ///
    /// # Panics
    /// When a range leaves the buffer or the extent.
    pub fn write_frames(
        &mut self,
        at: usize,
        extent: &crate::arena::Extent,
        from: usize,
        len: usize,
    ) {
        let to = self.range(at, len);
        // SAFETY: both ranges were checked; frames and untrusted memory never overlap.
        unsafe { core::ptr::copy_nonoverlapping(extent.range(from, len), to, len) };
    }

    fn range(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.capacity()), "bounce range");
        (START.load(Ordering::Relaxed) + self.offset + at as u64) as *mut u8
    }
}

impl Drop for Bounce {
    fn drop(&mut self) {
        FREE[self.order as usize].lock().push(self.offset);
    }
}

/// Carries out `operation` at once, by a host call. The result is the host's word.
pub fn perform(operation: &Operation) -> Untrusted<i64> {
    let Some(mut slot) = Bounce::with_capacity(size_of::<Operation>()) else {
        return Untrusted::new(-i64::from(abi::Errno::ENOMEM.raw()));
    };
    slot.write(0, &bytes_of(operation));
    Untrusted::new(gate::call(HostCall::Io, [slot.address(), 0, 0, 0, 0]))
}

/// Carries out `operation` by whichever carrier the policy picks; `bounce` comes back with the data.
///
/// Cancellation: dropping the future keeps the buffer alive until the host is done with it.
pub async fn submit(operation: Operation, bounce: Bounce) -> (Untrusted<i64>, Bounce) {
    crate::carrier::carry(operation, bounce).await
}

/// Gives a handle back. The host may hand its number out again at once.
pub fn close(handle: u64) {
    crate::carrier::close(handle);
}

/// An operation without its buffer's contents.
pub fn operation(code: Code, handle: u64, bounce: &Bounce, len: usize) -> Operation {
    Operation {
        code: code as u32,
        handle,
        buffer: bounce.offset,
        len: u32::try_from(len).unwrap_or(u32::MAX),
        ..Operation::default()
    }
}

fn bytes_of(operation: &Operation) -> [u8; size_of::<Operation>()] {
    // SAFETY: plain integers without padding (the layout test of `abi` says so).
    unsafe { core::mem::transmute(*operation) }
}

/// Waits until the host says that `handle` is ready for one of `events` ([`abi::host::events`]).
pub async fn watch(handle: u64, events: u32) {
    if !crate::carrier::watch(handle, events).await {
        crate::mailbox::watch(handle, events).await;
    }
}
