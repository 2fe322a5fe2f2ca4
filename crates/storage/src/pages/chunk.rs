//! The extents of a file, by page number.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Range;

use platform::arena::{Extent, PAGE, PAGES_MAX};
use platform::budget::Charge;

use crate::quota::Quota;
use crate::reclaim;

/// Pages of the usual extent: 64 KiB.
pub(crate) const USUAL: u64 = 16;
const MOST: u64 = PAGES_MAX as u64;
const WORDS: usize = PAGES_MAX / 64;

/// One bit for each page of an extent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bits([u64; WORDS]);

impl Bits {
    pub(crate) fn get(&self, page: usize) -> bool {
        self.0[page / 64] & (1 << (page % 64)) != 0
    }

    pub(crate) fn set(&mut self, page: usize, value: bool) {
        if value {
            self.0[page / 64] |= 1 << (page % 64);
        } else {
            self.0[page / 64] &= !(1 << (page % 64));
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// An extent of a file. The frame of a page that is not present is all zero, but for the bytes that
/// [`super::partial::Partials`] lists.
pub(crate) struct Chunk {
    /// Number of the first page.
    pub(crate) start: u64,
    /// The frames; a second owner has mapped them or copies right now.
    pub(crate) extent: Arc<Extent>,
    /// Pages whose frame holds the file's contents.
    pub(crate) present: Bits,
    /// Pages that differ from the backing, or may.
    pub(crate) dirty: Bits,
    /// Pages that were mapped for shared writing: they change without a call.
    pub(crate) exposed: Bits,
    /// Where its present pages are taken from.
    quota: Option<Arc<Quota>>,
}

impl Chunk {
    pub(crate) fn pages(&self) -> u64 {
        (self.extent.len() / PAGE) as u64
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.pages()
    }

    /// Makes a page present; `false`: the file system is full.
    pub(crate) fn admit(&mut self, index: usize) -> bool {
        let admitted =
            self.present.get(index) || self.quota.as_ref().is_none_or(|quota| quota.take(1));
        if admitted {
            self.present.set(index, true);
        }
        admitted
    }

    /// Makes a page absent.
    pub(crate) fn dismiss(&mut self, index: usize) {
        if let Some(quota) = self.quota.as_ref().filter(|_| self.present.get(index)) {
            quota.give(1);
        }
        self.present.set(index, false);
    }

    /// Index of page number `page`, which must lie in the chunk.
    pub(crate) fn index(&self, page: u64) -> usize {
        usize::try_from(page - self.start).unwrap_or(usize::MAX)
    }

    /// Whether anybody but the cache holds the frames.
    pub(crate) fn in_use(&self) -> bool {
        Arc::strong_count(&self.extent) > 1
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(quota) = &self.quota {
            quota.give(u64::from(self.present.count()));
        }
    }
}

/// All extents of a file; they never overlap.
#[derive(Default)]
pub(crate) struct Chunks {
    map: BTreeMap<u64, Box<Chunk>>,
    pub(super) quota: Option<Arc<Quota>>,
}

impl Chunks {
    /// The chunk that holds `page`.
    pub(crate) fn find(&self, page: u64) -> Option<&Chunk> {
        let (_, chunk) = self.map.range(..=page).next_back()?;
        (page < chunk.end()).then_some(&**chunk)
    }

    /// The same, to be changed.
    pub(crate) fn find_mut(&mut self, page: u64) -> Option<&mut Chunk> {
        let (_, chunk) = self.map.range_mut(..=page).next_back()?;
        (page < chunk.end()).then_some(&mut **chunk)
    }

    /// First page of the first chunk that begins at `page` or behind.
    pub(crate) fn next_start(&self, page: u64) -> Option<u64> {
        self.map.range(page..).next().map(|(start, _)| *start)
    }

    /// The chunks that touch `pages`, in order.
    pub(crate) fn touching(&self, pages: Range<u64>) -> impl Iterator<Item = &Chunk> {
        let first = self.find(pages.start).map_or(pages.start, |chunk| chunk.start);
        self.map.range(first..pages.end.max(first)).map(|(_, chunk)| &**chunk)
    }

    /// The same, to be changed.
    pub(crate) fn touching_mut(&mut self, pages: Range<u64>) -> impl Iterator<Item = &mut Chunk> {
        let first = self.find(pages.start).map_or(pages.start, |chunk| chunk.start);
        self.map.range_mut(first..pages.end.max(first)).map(|(_, chunk)| &mut **chunk)
    }

    /// Drops the chunks that `discard` names among those that touch `pages`.
    pub(crate) fn discard(&mut self, pages: Range<u64>, mut discard: impl FnMut(&Chunk) -> bool) {
        let first = self.find(pages.start).map_or(pages.start, |chunk| chunk.start);
        let mut at = first;
        while let Some((&start, chunk)) = self.map.range(at..pages.end.max(at)).next() {
            at = chunk.end();
            if discard(chunk) {
                self.map.remove(&start);
            }
        }
    }

    /// The chunk that holds the first page of `wanted`, made if there is none.
    ///
    /// The new extent is as large as `wanted` admits, at least what growing files are given.
    /// `None` when memory is exhausted.
    pub(crate) fn make(&mut self, wanted: Range<u64>, how: Charge) -> Option<&mut Chunk> {
        let page = wanted.start;
        if self.find(page).is_none() {
            let (start, pages) = self.room(&wanted);
            let (start, extent) = match allocate(pages, Charge::Ordinary) {
                Some(extent) => (start, extent),
                None => (page, allocate(1, how)?),
            };
            let chunk = Chunk {
                start,
                extent: Arc::new(extent),
                present: Bits::default(),
                dirty: Bits::default(),
                exposed: Bits::default(),
                quota: self.quota.clone(),
            };
            self.map.insert(start, Box::new(chunk));
        }
        self.find_mut(page)
    }

    /// Where an extent for the first page of `wanted` goes, and how many pages it gets.
    fn room(&self, wanted: &Range<u64>) -> (u64, u64) {
        let page = wanted.start;
        let before = self.map.range(..=page).next_back().map_or(0, |(_, chunk)| chunk.end());
        let behind = self.next_start(page).unwrap_or(u64::MAX);
        let grows = behind == u64::MAX && before == page;
        let mut pages = grown(page, grows).max(covered(wanted));
        loop {
            let start = page & !(pages - 1);
            if pages == 1 || start >= before && start + pages <= behind {
                return (start, pages);
            }
            pages /= 2;
        }
    }
}

/// The size of an extent for `page` of a growing file: pages 0, 1, 2, 4 and 8 begin the first ones,
/// so that small files stay small and nothing ever moves; large files grow by an eighth.
fn grown(page: u64, grows: bool) -> u64 {
    match page {
        0 => 1,
        1..USUAL => 1 << page.ilog2(),
        _ if grows => {
            let eighth = 1 << (page / 8).max(USUAL).ilog2();
            eighth.min(1 << page.trailing_zeros()).clamp(USUAL, MOST)
        }
        _ => USUAL,
    }
}

/// The largest extent that begins with `wanted` and holds little else.
fn covered(wanted: &Range<u64>) -> u64 {
    let len = (wanted.end - wanted.start).max(1);
    if wanted.start == 0 && len < USUAL {
        return len.next_power_of_two();
    }
    let most = 1 << len.min(MOST).ilog2();
    if wanted.start == 0 { most } else { most.min(1 << wanted.start.trailing_zeros().min(9)) }
}

/// An extent, after clean contents made room for it if need be.
fn allocate(pages: u64, how: Charge) -> Option<Extent> {
    let pages = usize::try_from(pages).ok()?;
    Extent::allocate(pages, Charge::Ordinary).or_else(|| {
        reclaim::reclaim((pages * PAGE) as u64 * 4);
        Extent::allocate(pages, how)
    })
}
