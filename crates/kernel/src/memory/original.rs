//! Copies of user memory that never show what interception wrote there.
//!
//! A program that hands its text to the LibOS (`write(2)` of its own code, `/proc/self/mem`) gets what
//! the file says. Few pages hold rewritten text, so every other copy must hear so quickly: a small
//! set of page numbers that errs on the side of yes is asked, and only then the watcher.

use core::sync::atomic::{AtomicU64, Ordering};

use platform::arena::{self, Extent};
use platform::user::{self, Short};
use platform::vcpu;

use super::PAGE;
use super::space::Space;

/// Words of the set.
const WORDS: usize = 16;
/// Pages that it tells apart.
const PAGES: usize = 64 * WORDS;

/// The pages that may hold rewritten text or trampolines, by the low bits of their numbers.
#[derive(Default)]
pub(crate) struct Rewritten([AtomicU64; WORDS]);

impl Rewritten {
    /// Enters a page; before anything is written there.
    pub(crate) fn add(&self, page: u64) {
        let (word, bit) = self.place(page / PAGE);
        word.fetch_or(bit, Ordering::SeqCst);
    }

    /// Holds these pages and no others from now on; those that it held and still holds are never missed.
    pub(crate) fn set(&self, pages: impl Iterator<Item = u64>) {
        let new = Self::default();
        pages.for_each(|page| new.add(page));
        for (word, new) in self.0.iter().zip(new.0) {
            word.store(new.into_inner(), Ordering::SeqCst);
        }
    }

    /// Whether a byte of the range may be other than the program's.
    #[inline]
    pub(crate) fn may_hold(&self, address: u64, len: usize) -> bool {
        let first = address / PAGE;
        let last = address.wrapping_add(len as u64).wrapping_sub(1) / PAGE;
        let holds = |number| {
            let (word, bit) = self.place(number);
            word.load(Ordering::Relaxed) & bit != 0
        };
        // Of all that `in_region` admits, the last page is the first or lies behind it; most copies stay
        // in one.
        holds(first) || first < last && (first..=last).take(PAGES).any(holds)
    }

    #[inline]
    fn place(&self, number: u64) -> (&AtomicU64, u64) {
        let [low, high, ..] = number.to_le_bytes();
        (&self.0[usize::from(high) % (WORDS / 4) * 4 + usize::from(low >> 6)], 1 << (low & 63))
    }
}

impl Space {
    /// Copies user memory into `out`: the program's own bytes.
    ///
    /// # Errors
    /// [`Short`] when a byte can't be read.
    #[inline]
    pub fn copy_in(&self, address: u64, out: &mut [u8]) -> Result<(), Short> {
        if !self.rewritten.may_hold(address, out.len()) {
            let copied = user::copy_in(address, out);
            // A site that was rewritten meanwhile was entered before. Alone, nobody rewrites any while
            // this copies.
            if vcpu::count() == 1 || !self.rewritten.may_hold(address, out.len()) {
                return copied;
            }
        }
        self.copy_original(address, out)
    }

    /// The same to frames.
    ///
    /// # Errors
    /// [`Short`] when a byte can't be read.
    #[inline]
    pub fn copy_in_frames(
        &self,
        address: u64,
        extent: &Extent,
        at: usize,
        len: usize,
    ) -> Result<(), Short> {
        if !self.rewritten.may_hold(address, len) {
            let copied = user::copy_in_frames(address, extent, at, len);
            if vcpu::count() == 1 || !self.rewritten.may_hold(address, len) {
                return copied;
            }
        }
        let mut buffer = [0; arena::PAGE];
        let mut done = 0;
        while done < len {
            let part = &mut buffer[..(len - done).min(arena::PAGE)];
            let copied = self.copy_original(address + done as u64, part);
            let came = copied.map_or_else(|short| short.done, |()| part.len());
            extent.write(at + done, &part[..came]);
            copied.map_err(|short| Short { done: done + short.done, ..short })?;
            done += came;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn copy_original(&self, address: u64, out: &mut [u8]) -> Result<(), Short> {
        match self.watcher.get() {
            Some(watcher) => watcher.copy_in(address, out),
            None => user::copy_in(address, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, Rewritten};

    #[test]
    fn a_page_is_found_by_whatever_touches_it() {
        let rewritten = Rewritten::default();
        let page = 0x7f12_3456_7000;
        assert!(!rewritten.may_hold(page, 8192));
        rewritten.add(page);
        assert!(rewritten.may_hold(page, 1));
        assert!(rewritten.may_hold(page - 1, 2));
        assert!(rewritten.may_hold(page + PAGE - 1, 1));
        assert!(rewritten.may_hold(page - 9 * PAGE, 20 << 12));
        assert!(!rewritten.may_hold(page - 1, 1));
        assert!(!rewritten.may_hold(page + PAGE, 4096));
        rewritten.set([page + PAGE].into_iter());
        assert!(!rewritten.may_hold(page, 4096));
        assert!(rewritten.may_hold(page, 4097));
    }

    #[test]
    fn the_set_tells_a_thousand_pages_apart() {
        let rewritten = Rewritten::default();
        rewritten.add(0);
        let same = (0..4096).filter(|number| rewritten.may_hold(number * PAGE, 1)).count();
        assert_eq!(same, 4);
    }
}
