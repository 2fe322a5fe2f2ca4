//! Carrying writes to a writable backing.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::errno::Result;
use platform::arena::{Extent, PAGE};

use super::write::add_range;
use super::{PAGE_BYTES, Pages, State, bytes_until};

/// The most bytes that are written to the backing at once.
const MOST: usize = 256 << 10;

/// What a flush carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What calls have written.
    Written,
    /// That, and what mappings have changed that are gone.
    Unmapped,
    /// That, and what mappings may have changed.
    Exposed,
}

impl Pages {
    /// Carries what was written to the backing; nothing where that is not writable.
    ///
    /// `reach` says whether also pages that mappings may have changed (msync(2), fsync(2), munmap(2)).
    ///
    /// # Errors
    /// The backing's; what was not carried is tried again at the next flush.
    pub async fn flush(&self, reach: Reach) -> Result<()> {
        let Some(backing) = self.backing.as_ref().filter(|backing| backing.writable()) else {
            return Ok(());
        };
        let mut carrying = match self.begin(reach) {
            Some(carrying) => carrying,
            None => loop {
                let listener = self.filled.listen();
                if let Some(carrying) = self.begin(reach) {
                    break carrying;
                }
                listener.await;
            },
        };
        while let Some(range) = carrying.ranges.last_mut() {
            let next = self.state.lock().piece(range.start, range.end);
            let Some((at, extent, from, len)) = next else {
                carrying.ranges.pop();
                continue;
            };
            backing.write(at, &extent, from, len).await?;
            drop(extent);
            range.start = at + len as u64;
            if range.start >= range.end {
                carrying.ranges.pop();
            }
            self.state.lock().carried(at..at + len as u64);
        }
        Ok(())
    }

    /// Whether a mapping may have changed something that the backing does not have.
    pub(crate) fn is_exposed(&self) -> bool {
        self.state.lock().chunks.touching(0..u64::MAX).any(|chunk| !chunk.exposed.is_empty())
    }

    /// Takes over what is pending; `None` while somebody else carries.
    fn begin(&self, reach: Reach) -> Option<Carrying<'_>> {
        let mut state = self.state.lock();
        if state.carrying {
            return None;
        }
        if reach != Reach::Written {
            let size = self.size();
            state.expose_pending(size, reach);
        }
        let ranges = core::mem::take(&mut state.pending);
        let holds = !ranges.is_empty();
        state.carrying = holds;
        drop(state);
        Some(Carrying { pages: self, ranges, holds })
    }
}

/// The right to carry bytes to the backing; what is left of them is pending again when it is dropped.
struct Carrying<'a> {
    pages: &'a Pages,
    ranges: Vec<Range<u64>>,
    /// There was something to be carried.
    holds: bool,
}

impl Drop for Carrying<'_> {
    fn drop(&mut self) {
        if !self.holds {
            return;
        }
        let mut state = self.pages.state.lock();
        state.pending.append(&mut self.ranges);
        state.carrying = false;
        state.note_change();
        drop(state);
        self.pages.filled.wake_all();
    }
}

impl State {
    /// Adds the pages that a mapping may have changed to what must be written.
    fn expose_pending(&mut self, size: u64, reach: Reach) {
        let mut exposed = Vec::new();
        for chunk in self.chunks.touching_mut(0..u64::MAX) {
            let still_mapped = chunk.in_use();
            if chunk.exposed.is_empty() || still_mapped && reach == Reach::Unmapped {
                continue;
            }
            for page in chunk.start..chunk.end() {
                let index = chunk.index(page);
                if chunk.exposed.get(index) {
                    let start = page * PAGE_BYTES;
                    let end = (start + PAGE_BYTES).min(size);
                    if start < end {
                        add_range(&mut exposed, start..end);
                    }
                    chunk.exposed.set(index, still_mapped);
                }
            }
        }
        for range in exposed {
            add_range(&mut self.pending, range);
        }
    }

    /// The frames of the next bytes of a range, and where those begin; `None` when no more are there.
    fn piece(&self, at: u64, end: u64) -> Option<(u64, Arc<Extent>, usize, usize)> {
        let page = at / PAGE_BYTES;
        let chunk = match self.chunks.find(page) {
            Some(chunk) => chunk,
            // What has no frames is a hole, there as well as here.
            None => self.chunks.find(self.chunks.next_start(page)?)?,
        };
        let at = at.max(chunk.start * PAGE_BYTES);
        if at >= end {
            return None;
        }
        let from = usize::try_from(at - chunk.start * PAGE_BYTES).ok()?;
        let len = bytes_until(at, chunk.end()).min(usize::try_from(end - at).ok()?).min(MOST);
        Some((at, Arc::clone(&chunk.extent), from, len))
    }

    /// The backing has these bytes now.
    fn carried(&mut self, bytes: Range<u64>) {
        self.backed = self.backed.max(bytes.end);
        let pages = bytes.start / PAGE_BYTES..bytes.end.div_ceil(PAGE_BYTES);
        let Self { chunks, pending, .. } = self;
        for chunk in chunks.touching_mut(pages.clone()) {
            for page in pages.start.max(chunk.start)..pages.end.min(chunk.end()) {
                let index = chunk.index(page);
                let start = page * PAGE_BYTES;
                let newer = pending
                    .iter()
                    .any(|range| range.start < start + PAGE as u64 && start < range.end);
                if !newer && !chunk.exposed.get(index) {
                    chunk.dirty.set(index, false);
                }
            }
        }
    }
}
