//! Copies to and from user memory that survive any address.
//!
//! A user range is an allegation by the program: it is checked against the user region, and each
//! access runs in a few guarded instructions at which a fault ends the copy instead of the enclave.
//! A copy that ends early says how far it came and where it faulted; the caller populates that page
//! and goes on, or answers EFAULT. User memory is never referenced, only copied.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::errno::Error;

use crate::arena::Extent;

static END: AtomicU64 = AtomicU64::new(0);

/// A copy that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Bytes that were copied.
    pub done: usize,
    /// First address that could not be accessed.
    pub fault: u64,
    /// The access was a write to user memory.
    pub write: bool,
}

impl From<Short> for Error {
    fn from(_: Short) -> Self {
        Errno::EFAULT.because("the address can't be accessed")
    }
}

/// A range of user addresses, as alleged by the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRange {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub len: usize,
}

/// Where a read delivers its bytes.
pub trait Sink {
    /// Bytes that still fit.
    fn room(&self) -> usize;
    /// Takes as many of `bytes` as it can; fewer than offered when it is full or faulted.
    fn put(&mut self, bytes: &[u8]) -> usize;
    /// The same from frames.
    fn put_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize;
    /// The same with zeros.
    fn put_zeros(&mut self, len: usize) -> usize;
}

/// Where a write gets its bytes from.
pub trait Source {
    /// Bytes that are left.
    fn left(&self) -> usize;
    /// Fills as much of `out` as it can; less when it is exhausted or faulted.
    fn take(&mut self, out: &mut [u8]) -> usize;
    /// The same into frames.
    fn take_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize;
    /// Takes back the last bytes of the last [`Self::take`], so that they are taken once more; false
    /// when it can't.
    fn give_back(&mut self, _bytes: &[u8]) -> bool {
        false
    }
    /// Passes over everything that is left; how many bytes. User memory need not be there for that.
    fn skip_all(&mut self) -> usize {
        let mut skipped = 0;
        let mut chunk = [0; 512];
        loop {
            let wanted = self.left().min(chunk.len());
            let taken = self.take(&mut chunk[..wanted]);
            skipped += taken;
            if taken == 0 {
                return skipped;
            }
        }
    }
}

/// Sets the end of the user region; once, at start.
pub fn init(end: u64) {
    END.store(end, Ordering::Relaxed);
}

/// End of the user region.
pub fn end() -> u64 {
    END.load(Ordering::Relaxed)
}

/// Whether `[start, start + len)` lies in the user region.
#[inline]
pub fn in_region(start: u64, len: usize) -> bool {
    if cfg!(any(test, feature = "hosted")) {
        return start >= abi::layout::USER_START;
    }
    len == 0
        || start >= abi::layout::USER_START
            && start.checked_add(len as u64).is_some_and(|after| after <= end())
}

/// Whether `[start, start + len)` ends at the user region's end at the latest. The pages below its
/// start belong to the program too, as far as it can see: an access there fails only when it is made. A range of no bytes lies somewhere too.
#[inline]
pub fn is_below_end(start: u64, len: usize) -> bool {
    if cfg!(any(test, feature = "hosted")) {
        return true;
    }
    start.checked_add(len as u64).is_some_and(|after| after <= end())
}

/// Copies user memory into `out`.
///
/// # Errors
/// [`Short`] when a byte can't be read.
#[inline]
pub fn copy_in(start: u64, out: &mut [u8]) -> Result<(), Short> {
    // SAFETY: `out` is exclusively ours for its length.
    unsafe { copy(out.as_mut_ptr(), start as *const u8, out.len(), start, false) }
}

/// Copies `bytes` to user memory.
///
/// # Errors
/// [`Short`] when a byte can't be written.
#[inline]
pub fn copy_out(start: u64, bytes: &[u8]) -> Result<(), Short> {
    // SAFETY: `bytes` is readable for its length.
    unsafe { copy(start as *mut u8, bytes.as_ptr(), bytes.len(), start, true) }
}

/// Copies frames to user memory.
///
/// # Errors
/// [`Short`] when a byte can't be written.
pub fn copy_out_frames(start: u64, extent: &Extent, at: usize, len: usize) -> Result<(), Short> {
    let from = extent.range(at, len);
    // SAFETY: `range` proved that the frames hold `len` bytes from `at` on.
    unsafe { copy(start as *mut u8, from, len, start, true) }
}

/// Copies user memory to frames.
///
/// # Errors
/// [`Short`] when a byte can't be read.
pub fn copy_in_frames(start: u64, extent: &Extent, at: usize, len: usize) -> Result<(), Short> {
    let to = extent.range(at, len);
    // SAFETY: `range` proved that the frames hold `len` bytes from `at` on.
    unsafe { copy(to, start as *const u8, len, start, false) }
}

/// Clears user memory.
///
/// # Errors
/// [`Short`] when a byte can't be written.
pub fn clear(start: u64, len: usize) -> Result<(), Short> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut done = 0;
    while done < len {
        let part = (len - done).min(ZEROS.len());
        copy_out(start + done as u64, &ZEROS[..part])
            .map_err(|short| Short { done: done + short.done, ..short })?;
        done += part;
    }
    Ok(())
}

/// A 32-bit word of user memory, by address; naturally aligned or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserWord(u64);

impl UserWord {
    /// A word at `address`.
    ///
    /// # Errors
    /// EINVAL when misaligned, EFAULT outside the user region: futex(2)'s order.
    pub fn new(address: u64) -> Result<Self, Error> {
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL.because("the word is not aligned to 4 bytes"));
        }
        if !in_region(address, 4) {
            return Err(Errno::EFAULT.because("the word lies outside user memory"));
        }
        Ok(Self(address))
    }

    /// Its address.
    pub fn address(self) -> u64 {
        self.0
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Short`] when it can't be read.
    #[inline]
    pub fn load(self) -> Result<u32, Short> {
        self.guarded(false, |value| {
            // SAFETY: the routine is guarded; the address was checked to lie in the user region.
            unsafe { adyton_user_load(self.0, value) }
        })
    }

    /// Stores `new` if it holds `expected`; gives what it held.
    ///
    /// # Errors
    /// [`Short`] when it can't be written.
    pub fn compare_exchange(self, expected: u32, new: u32) -> Result<u32, Short> {
        self.guarded(true, |value| {
            // SAFETY: as in `load`.
            unsafe { adyton_user_cmpxchg(self.0, value, expected, new) }
        })
    }

    fn guarded(self, write: bool, access: impl FnOnce(&mut u32) -> u64) -> Result<u32, Short> {
        let mut value = 0;
        if access(&mut value) == 0 {
            Ok(value)
        } else {
            Err(Short { done: 0, fault: self.0, write })
        }
    }
}

/// Copies between memory of the LibOS and user memory, guarded.
///
/// # Safety
/// The side that is not user memory is valid for `len` bytes; `user` is the user side's address.
#[inline]
unsafe fn copy(
    to: *mut u8,
    from: *const u8,
    len: usize,
    user: u64,
    write: bool,
) -> Result<(), Short> {
    if !in_region(user, len) {
        return Err(Short { done: 0, fault: user, write });
    }
    // SAFETY: guarded on the user side, valid on the other by the caller's word.
    let left = unsafe { adyton_user_copy(to, from, len) };
    if left == 0 {
        return Ok(());
    }
    let done = len - left;
    Err(Short { done, fault: user + done as u64, write })
}

/// One row of the table of guarded instructions.
#[derive(Clone, Copy, Debug)]
pub struct Guarded {
    /// First address of the instructions.
    pub start: u64,
    /// Behind the last one.
    pub end: u64,
    /// Where a fault among them goes on.
    pub fixup: u64,
}

/// The guarded instructions of this module: a fault anywhere else in the LibOS ends the enclave.
pub fn guarded() -> [Guarded; 4] {
    unsafe extern "C" {
        static adyton_user_copy_words: u8;
        static adyton_user_copy_bytes: u8;
        static adyton_user_copy_end: u8;
        static adyton_user_load_access: u8;
        static adyton_user_load_end: u8;
        static adyton_user_cmpxchg_access: u8;
        static adyton_user_cmpxchg_end: u8;
        static adyton_user_failed: u8;
    }
    let words = &raw const adyton_user_copy_words as u64;
    let bytes = &raw const adyton_user_copy_bytes as u64;
    let end = &raw const adyton_user_copy_end as u64;
    let failed = &raw const adyton_user_failed as u64;
    [
        Guarded { start: words, end: bytes, fixup: bytes },
        Guarded { start: bytes, end, fixup: end },
        Guarded {
            start: &raw const adyton_user_load_access as u64,
            end: &raw const adyton_user_load_end as u64,
            fixup: failed,
        },
        Guarded {
            start: &raw const adyton_user_cmpxchg_access as u64,
            end: &raw const adyton_user_cmpxchg_end as u64,
            fixup: failed,
        },
    ]
}

unsafe extern "sysv64" {
    /// Copies `len` bytes; returns how many are left.
    fn adyton_user_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    /// Reads a word into `value`; returns 0, or 1 after a fault.
    fn adyton_user_load(address: u64, value: &mut u32) -> u64;
    /// Compares and exchanges; `value` gets what was there; returns 0, or 1 after a fault.
    fn adyton_user_cmpxchg(address: u64, value: &mut u32, expected: u32, new: u32) -> u64;
}

// rcx holds what is left at every guarded instruction, so a fixup needs no other state. A fault of an
// 8-byte access goes on byte by byte, so that the copy ends at exactly the first bad byte.
core::arch::global_asm!(
    ".text",
    ".global adyton_user_copy, adyton_user_load, adyton_user_cmpxchg",
    ".global adyton_user_copy_words, adyton_user_copy_bytes, adyton_user_copy_end",
    ".global adyton_user_load_access, adyton_user_load_end",
    ".global adyton_user_cmpxchg_access, adyton_user_cmpxchg_end, adyton_user_failed",
    ".hidden adyton_user_copy_words, adyton_user_copy_bytes, adyton_user_copy_end",
    ".hidden adyton_user_load_access, adyton_user_load_end",
    ".hidden adyton_user_cmpxchg_access, adyton_user_cmpxchg_end, adyton_user_failed",
    ".balign 16",
    "adyton_user_copy:",
    "    mov rcx, rdx",
    "    cmp rcx, 256",
    "    ja adyton_user_copy_bytes",
    "adyton_user_copy_words:",
    "    cmp rcx, 8",
    "    jb 1f",
    "    mov rax, [rsi]",
    "    mov [rdi], rax",
    "    add rsi, 8",
    "    add rdi, 8",
    "    sub rcx, 8",
    "    jmp adyton_user_copy_words",
    // The repeated move takes its time to begin, also for nothing.
    "1:  test rcx, rcx",
    "    jz adyton_user_copy_end",
    "adyton_user_copy_bytes:",
    "    rep movsb",
    "adyton_user_copy_end:",
    "    mov rax, rcx",
    "    ret",
    ".balign 16",
    "adyton_user_load:",
    "adyton_user_load_access:",
    "    mov eax, [rdi]",
    "adyton_user_load_end:",
    "    mov [rsi], eax",
    "    xor eax, eax",
    "    ret",
    ".balign 16",
    "adyton_user_cmpxchg:",
    "    mov eax, edx",
    "adyton_user_cmpxchg_access:",
    "    lock cmpxchg [rdi], ecx",
    "adyton_user_cmpxchg_end:",
    "    mov [rsi], eax",
    "    xor eax, eax",
    "    ret",
    "adyton_user_failed:",
    "    mov eax, 1",
    "    ret",
);
