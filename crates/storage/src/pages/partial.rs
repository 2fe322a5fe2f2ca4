//! Pages of which only some bytes are known: those that a program wrote before the rest was read.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use platform::arena::PAGE;

/// For each such page its known bytes, as sorted ranges that neither overlap nor touch.
#[derive(Default)]
pub(crate) struct Partials {
    pages: BTreeMap<u64, Vec<Range<usize>>>,
}

impl Partials {
    /// Adds known bytes of a page; true when `[0, needed)` is now known, and the page forgotten here.
    pub(crate) fn add(&mut self, page: u64, bytes: Range<usize>, needed: usize) -> bool {
        let known = self.pages.entry(page).or_default();
        let mut merged = bytes;
        known.retain(|range| {
            let apart = range.end < merged.start || merged.end < range.start;
            if !apart {
                merged = range.start.min(merged.start)..range.end.max(merged.end);
            }
            apart
        });
        let at = known.partition_point(|range| range.start < merged.start);
        let whole = merged.start == 0 && merged.end >= needed;
        known.insert(at, merged);
        if whole {
            self.pages.remove(&page);
        }
        whole
    }

    /// The bytes within `bytes` of a page that are not known.
    pub(crate) fn gaps(&self, page: u64, bytes: Range<usize>) -> Vec<Range<usize>> {
        let mut gaps = Vec::new();
        let mut at = bytes.start;
        for range in self.pages.get(&page).into_iter().flatten() {
            if range.start > at && at < bytes.end {
                gaps.push(at..range.start.min(bytes.end));
            }
            at = at.max(range.end);
        }
        if at < bytes.end {
            gaps.push(at..bytes.end);
        }
        gaps
    }

    /// Whether some byte of one of `pages` is known.
    pub(crate) fn any(&self, pages: Range<u64>) -> bool {
        self.pages.range(pages).next().is_some()
    }

    /// Forgets pages; their frames must be cleared.
    pub(crate) fn forget(&mut self, pages: Range<u64>) {
        while let Some((&page, _)) = self.pages.range(pages.clone()).next() {
            self.pages.remove(&page);
        }
    }

    /// Forgets the known bytes of `page` from `len` on.
    pub(crate) fn cut(&mut self, page: u64, len: usize) {
        debug_assert!(len <= PAGE, "a page has no more");
        if let Some(known) = self.pages.get_mut(&page) {
            known.retain_mut(|range| {
                range.end = range.end.min(len);
                range.start < range.end
            });
            if known.is_empty() {
                self.pages.remove(&page);
            }
        }
    }
}
