//! The vDSO: clocks that programs read without a system call.
//!
//! Two pages of every process: numbers (`[vvar]`), and behind them an ELF shared object (`[vdso]`) of our
//! own making, which programs find by AT_SYSINFO_EHDR. Its functions compute Linux's clocks from the
//! time-stamp counter exactly as [`platform::clock`] does; what they can't answer they ask by a system
//! call like any other.
//!
//! `__kernel_rt_sigreturn` is a restorer that unwinders recognise by its call frame information, so
//! that it may be rewritten.
//!
//! Trusted; what programs do with their copy is their own business.
//!
//! - `code`: the machine code; `frames`: its call frame information; `image`: the ELF file around them.
//!
//! Source: vdso(7); System V ABI, AMD64 supplement; Linux Standard Base Core 5.0, chapter 10.

mod code;
mod frames;
mod image;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::errno::Result;
use abi::layout::PAGE;
use platform::sync::{Mutex, Once};
use platform::{clock, vcpu};
use storage::pages::Pages;

use crate::memory::contents::{Described, Description};
use crate::memory::map::{MapFlags, Request};
use crate::memory::{Prot, Space};

pub use crate::process::vdso::image::image;

/// Offsets in the page of numbers, each of 8 bytes but the first.
mod field {
    /// Odd while the others change; 4 bytes.
    pub(super) const SEQUENCE: i32 = 0;
    /// Ticks at which the clock began.
    pub(super) const ORIGIN: i32 = 8;
    /// Nanoseconds per tick, 32.32.
    pub(super) const SCALE: i32 = 16;
    /// Monotonic ns at the origin.
    pub(super) const BASE: i32 = 24;
    /// Realtime minus monotonic.
    pub(super) const REALTIME: i32 = 32;
    /// Start of the vCPU blocks.
    pub(super) const VCPUS: i32 = 40;
    /// Number of vCPUs.
    pub(super) const COUNT: i32 = 48;
}

/// The pages that all processes map.
struct Shared {
    numbers: Arc<Pages>,
    image: Arc<Pages>,
}

static SHARED: Once<Arc<Shared>> = Once::new();
/// The sequence number that programs see.
static TURN: AtomicU32 = AtomicU32::new(0);
/// Held while the numbers are written.
static WRITING: Mutex<()> = Mutex::new(());

/// What `/proc/self/maps` calls a page.
struct Name(&'static str);

impl Described for Name {
    fn describe(&self) -> Description {
        Description { path: self.0.as_bytes().to_vec(), ..Description::default() }
    }
}

/// The start of the page of numbers.
pub fn numbers() -> Vec<u8> {
    let (origin, scale, base, realtime) = clock::parameters();
    let words = [0, origin, scale, base, realtime, vcpu::area(), vcpu::count() as u64];
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Where `__kernel_rt_sigreturn` begins, counted from the ELF header.
pub(crate) fn restorer() -> u64 {
    static OFFSET: Once<u64> = Once::new();
    if let Some(offset) = OFFSET.get() {
        return *offset;
    }
    let offset = image::restorer() as u64;
    OFFSET.set(offset);
    offset
}

/// Shows programs the clock's numbers after they changed.
pub(crate) fn refresh() {
    let Some(shared) = SHARED.get() else { return };
    let _writing = WRITING.lock();
    let page = numbers();
    let fields = &page[8..];
    // Whoever reads amid the change sees an odd number before, or another one behind.
    let turn = TURN.fetch_add(2, Ordering::Relaxed);
    let parts: [(u64, &[u8]); 3] =
        [(0, &(turn | 1).to_le_bytes()), (8, fields), (0, &(turn.wrapping_add(2)).to_le_bytes())];
    for (offset, bytes) in parts {
        // The page has its frame since it was written first, so this can't fail.
        let _ = shared.numbers.write_bytes(offset, bytes);
    }
}

/// Maps both pages; gives the address of the ELF header.
///
/// # Errors
/// ENOMEM.
pub(crate) fn map(space: &Space) -> Result<u64> {
    let shared = shared()?;
    let place = |at, len, prot, flags, pages: &Arc<Pages>, name| {
        let name: Arc<dyn Described> = Arc::new(Name(name));
        let pages = Arc::clone(pages);
        space.map(&Request::private_file(at, len, prot, flags, pages, Some(name), 0))
    };
    let free = MapFlags::empty();
    let numbers = place(0, 2 * PAGE, Prot::READ, free, &shared.numbers, "[vvar]")?;
    let code = Prot::READ | Prot::EXEC;
    place(numbers + PAGE, PAGE, code, MapFlags::FIXED, &shared.image, "[vdso]")
}

fn shared() -> Result<Arc<Shared>> {
    if let Some(shared) = SHARED.get() {
        return Ok(Arc::clone(shared));
    }
    let _writing = WRITING.lock();
    // Another may have made them meanwhile: only what is in `SHARED` is ever written again.
    if let Some(shared) = SHARED.get() {
        return Ok(Arc::clone(shared));
    }
    let made = Arc::new(Shared { numbers: Pages::new(), image: Pages::new() });
    let mut page = numbers();
    page.resize(platform::arena::PAGE, 0);
    made.numbers.write_bytes(0, &page)?;
    made.image.write_bytes(0, &image())?;
    SHARED.set(Arc::clone(&made));
    Ok(made)
}
