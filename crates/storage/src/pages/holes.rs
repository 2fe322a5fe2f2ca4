//! Holes: finding them, making them, closing them.

use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use core::sync::atomic::Ordering;
use platform::arena::PAGE;
use platform::budget::Charge;

use super::write::{add_range, exhausted, full};
use super::{LENGTH_MAX, PAGE_BYTES, Pages, State, bytes_until, pages_of};

impl Pages {
    /// The next data (`hole` false) or hole from `offset` on; the end of the file is a hole.
    ///
    /// # Errors
    /// ENXIO beyond the end, or when no data follows.
    pub fn seek_data(&self, offset: u64, hole: bool) -> Result<u64> {
        let size = self.size();
        if offset >= size {
            return Err(Errno::ENXIO.because("the offset is not before the end"));
        }
        let state = self.state.lock();
        let mut page = offset / PAGE_BYTES;
        let end = size.div_ceil(PAGE_BYTES);
        while page < end {
            if state.is_data(page) != hole {
                return Ok(offset.max(page * PAGE_BYTES).min(size));
            }
            page = state.next_change(page, end);
        }
        if hole { Ok(size) } else { Err(Errno::ENXIO.because("only a hole follows")) }
    }

    /// Clears `len` bytes from `offset` on and gives whole pages back; the length stays.
    ///
    /// # Errors
    /// ENOSPC when a page of the backing must be covered and memory is exhausted.
    pub fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        let _writer = self.writer.lock();
        let end = offset.saturating_add(len).min(self.size());
        let mut at = offset;
        let mut state = self.state.lock();
        while at < end {
            let page = at / PAGE_BYTES;
            let part = bytes_until(at, page + 1).min(usize::try_from(end - at).unwrap_or(PAGE));
            let here = state.chunks.find(page).is_some();
            if !here && !state.is_backed(page) {
                let next = state.chunks.next_start(page).unwrap_or(u64::MAX);
                at = next.saturating_mul(PAGE_BYTES).min(end);
                continue;
            }
            state.clear(at, part, self.writes_through()).ok_or_else(exhausted)?;
            at += part as u64;
        }
        if self.writes_through() && end > offset {
            state.note_change();
            add_range(&mut state.pending, offset..end);
        }
        let State { chunks, partials, .. } = &mut *state;
        chunks.discard(pages_of(offset, end.saturating_sub(offset)), |chunk| {
            chunk.present.is_empty() && !chunk.in_use() && !partials.any(chunk.start..chunk.end())
        });
        Ok(())
    }

    /// Gives `[offset, offset + len)` memory of its own, and makes the file at least that long unless
    /// `keep_size`.
    ///
    /// # Errors
    /// EFBIG beyond [`LENGTH_MAX`], ENOSPC when memory is exhausted.
    pub fn allocate(&self, offset: u64, len: u64, keep_size: bool) -> Result<()> {
        let _writer = self.writer.lock();
        let end = offset
            .checked_add(len)
            .filter(|end| *end <= LENGTH_MAX)
            .ok_or(Errno::EFBIG.because("longer than the largest offset"))?;
        let pages = pages_of(offset, len);
        let mut page = pages.start;
        let mut added = Vec::new();
        while page < pages.end {
            let mut state = self.state.lock();
            if state.is_backed(page) {
                page += 1;
                continue;
            }
            let chunk =
                state.chunks.make(page..pages.end, Charge::Ordinary).ok_or_else(exhausted)?;
            let stop = chunk.end().min(pages.end);
            for page in page..stop {
                let index = chunk.index(page);
                if !chunk.present.get(index) {
                    if !chunk.admit(index) {
                        state.give_up(&added);
                        return Err(full());
                    }
                    add_range(&mut added, page..page + 1);
                }
            }
            page = stop;
        }
        if !keep_size && end > self.size() {
            self.clear_tail();
            self.size.store(end, Ordering::Release);
        }
        Ok(())
    }
}

impl State {
    /// Takes pages back that hold nothing yet.
    fn give_up(&mut self, added: &[Range<u64>]) {
        for page in added.iter().flat_map(Clone::clone) {
            if let Some(chunk) = self.chunks.find_mut(page).filter(|chunk| !chunk.in_use()) {
                let index = chunk.index(page);
                chunk.dismiss(index);
            }
        }
    }

    fn is_data(&self, page: u64) -> bool {
        self.is_present(page) || self.is_backed(page)
    }

    /// The next page that may differ in being data, at most `end`.
    fn next_change(&self, page: u64, end: u64) -> u64 {
        if self.chunks.find(page).is_some() || self.is_backed(page) {
            return page + 1;
        }
        self.chunks.next_start(page).unwrap_or(end).min(end)
    }

    /// Clears bytes of one page; a whole one becomes a hole where it can, and where its zeros have not to
    /// be carried: they may be the last bytes of the file.
    fn clear(&mut self, at: u64, len: usize, carried: bool) -> Option<()> {
        let page = at / PAGE_BYTES;
        let from = usize::try_from(at % PAGE_BYTES).ok()?;
        let backed = self.is_backed(page);
        let needed = self.backed_bytes(page);
        let chunk = if backed {
            self.chunks.make(page..page + 1, Charge::Ordinary)?
        } else {
            self.chunks.find_mut(page)?
        };
        let index = chunk.index(page);
        chunk.extent.zero(index * PAGE + from, len);
        if backed {
            chunk.dirty.set(index, true);
            if !chunk.present.get(index) && self.partials.add(page, from..from + len, needed) {
                chunk.present.set(index, true);
            }
        } else if len == PAGE && !carried && !chunk.in_use() {
            chunk.dismiss(index);
            chunk.dirty.set(index, false);
        }
        Some(())
    }
}
