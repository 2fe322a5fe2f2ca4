//! Frames for mappings.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::errno::{Error, Result};
use platform::arena::{Extent, PAGE};
use platform::budget::Charge;

use super::write::{exhausted, full};
use super::{Missing, PAGE_BYTES, Pages, pages_of};
use crate::exposed;

/// Pages of a file that lie contiguous in the arena. While it lives, its frames stay the file's.
#[derive(Clone, Debug)]
pub struct Run {
    /// The frames' extent; whoever maps them keeps it.
    pub extent: Arc<Extent>,
    /// Index of the first page in the extent.
    pub first: usize,
    /// Number of pages, at least 1.
    pub pages: usize,
}

impl Run {
    /// Offset of the first frame in the trusted memfd.
    pub fn offset(&self) -> u64 {
        self.extent.offset() + (self.first * PAGE) as u64
    }
}

/// Why there are no frames.
#[derive(Clone, Copy, Debug)]
pub enum RunError {
    /// The page lies beyond the end: SIGBUS.
    Beyond,
    /// It must be filled first.
    Missing(Missing),
    /// Memory is exhausted, or the file system full.
    Error(Error),
}

impl Pages {
    /// The frames of page number `page` and of those behind it, at most `most` pages.
    ///
    /// With `write` they may be changed through the mapping at any time from now on.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn frames(self: &Arc<Self>, page: u64, most: usize, write: bool) -> Result<Run, RunError> {
        self.mapped.store(true, Ordering::Release);
        let mut state = self.state.lock();
        let end = self.size().div_ceil(PAGE_BYTES);
        if page >= end {
            return Err(RunError::Beyond);
        }
        let end = end.min(page.saturating_add(most.max(1) as u64));
        let backed_end = state.backed.div_ceil(PAGE_BYTES);
        if page < backed_end && !state.is_present(page) {
            let len = (end - page) * PAGE_BYTES;
            return Err(RunError::Missing(Missing { offset: page * PAGE_BYTES, len }));
        }
        let chunk =
            state.chunks.make(page..end, Charge::Ordinary).ok_or(RunError::Error(exhausted()))?;
        let first = chunk.index(page);
        let (mut pages, mut newly) = (0, false);
        for page in page..end.min(chunk.end()) {
            let index = chunk.index(page);
            if !chunk.present.get(index) && (page < backed_end || !chunk.admit(index)) {
                break;
            }
            if write {
                newly |= !chunk.exposed.get(index);
                chunk.dirty.set(index, true);
                chunk.exposed.set(index, true);
            }
            pages += 1;
        }
        if pages == 0 {
            return Err(RunError::Error(full()));
        }
        let run = Run { extent: Arc::clone(&chunk.extent), first, pages };
        drop(state);
        if newly && self.writes_through() {
            exposed::remember(self);
        }
        Ok(run)
    }

    /// The first frames at or behind page number `page` and before `end` that are here already, with
    /// the number of the first page; at most `end - page` pages. Makes and reads nothing.
    pub fn cached(&self, page: u64, end: u64) -> Option<(u64, Run)> {
        self.mapped.store(true, Ordering::Release);
        let state = self.state.lock();
        let end = end.min(self.size().div_ceil(PAGE_BYTES));
        for chunk in state.chunks.touching(page..end.max(page)) {
            let within = page.max(chunk.start)..end.min(chunk.end());
            let is_here = |page: &u64| chunk.present.get(chunk.index(*page));
            if let Some(start) = within.clone().find(is_here) {
                let pages = (start..within.end).take_while(is_here).count();
                let (extent, first) = (Arc::clone(&chunk.extent), chunk.index(start));
                return Some((start, Run { extent, first, pages }));
            }
        }
        None
    }

    /// How many pages of `len` bytes at `offset` are here, and how many of them the backing lacks.
    pub fn cached_in(&self, offset: u64, len: u64) -> (u64, u64) {
        let wanted = pages_of(offset, len);
        let backed = self.is_backed();
        let state = self.state.lock();
        let (mut cached, mut dirty) = (0, 0);
        for chunk in state.chunks.touching(wanted.clone()) {
            for page in wanted.start.max(chunk.start)..wanted.end.min(chunk.end()) {
                let index = chunk.index(page);
                let here = chunk.present.get(index);
                cached += u64::from(here);
                dirty += u64::from(here && backed && chunk.dirty.get(index));
            }
        }
        (cached, dirty)
    }

    /// [`Pages::frames`], contents brought in as needed. Contents are read ahead for all `most` pages.
    ///
    /// # Errors
    /// [`RunError::Beyond`] and [`RunError::Error`].
    pub async fn populate(
        self: &Arc<Self>,
        page: u64,
        most: usize,
        write: bool,
    ) -> Result<Run, RunError> {
        loop {
            match self.frames(page, most, write) {
                Err(RunError::Missing(missing)) => {
                    self.fill(missing.offset, missing.len).await.map_err(RunError::Error)?;
                }
                other => return other,
            }
        }
    }

    /// [`Pages::populate`] for callers that can't wait; `None` when it would have to.
    pub fn populate_now(
        self: &Arc<Self>,
        page: u64,
        most: usize,
        write: bool,
    ) -> Option<Result<Run, RunError>> {
        loop {
            match self.frames(page, most, write) {
                Err(RunError::Missing(missing)) => {
                    if let Err(error) = self.fill_now(missing.offset, missing.len)? {
                        return Some(Err(RunError::Error(error)));
                    }
                }
                other => return Some(other),
            }
        }
    }
}
