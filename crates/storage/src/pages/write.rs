//! Writing.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::arena::{Extent, PAGE};
use platform::budget::Charge;
use platform::user::Source;

use super::{LENGTH_MAX, PAGE_BYTES, Pages, State, bytes_until, pages_of};

/// Bytes that are staged at once when a page's old contents are not here.
const STAGE: usize = 16 * PAGE;
/// Pages that are looked at under one hold of the lock.
const STRIDE: u64 = 512;

/// Why a file in memory can't grow.
pub const LIMIT_REACHED: &str = "the enclave's memory limit is reached";

/// Where the next bytes of a write go.
enum Target {
    /// Straight into frames, from an index in the extent on, so many bytes.
    Frames(Arc<Extent>, usize, usize),
    /// Through a buffer, so many bytes: the pages' other bytes are still the backing's.
    Staged(usize),
}

impl Pages {
    /// Writes at `offset` (`None`: at the end) until the source is empty or faults.
    ///
    /// Never needs a fill. Returns the number of bytes and the position behind them.
    ///
    /// # Errors
    /// EFBIG beyond [`LENGTH_MAX`], ENOSPC when memory is exhausted, both only if nothing was written.
    pub fn write(&self, offset: Option<u64>, source: &mut dyn Source) -> Result<(usize, u64)> {
        let _writer = self.writer.lock();
        let start = offset.unwrap_or_else(|| self.size());
        if source.left() == 0 {
            return Ok((0, start));
        }
        if start >= LENGTH_MAX {
            return Err(Errno::EFBIG.because("the write begins at the largest offset"));
        }
        if start > self.size() {
            self.clear_tail();
        }
        let mut done = 0;
        loop {
            let at = start + done as u64;
            let room = usize::try_from(LENGTH_MAX - at).unwrap_or(usize::MAX);
            let wanted = source.left().min(room);
            if wanted == 0 {
                break;
            }
            let target = self.state.lock().target(at, wanted);
            let target = match target {
                Some(target) => target,
                None if done > 0 => break,
                None if self.is_full() => return Err(full()),
                None => return Err(exhausted()),
            };
            let (taken, offered) = match target {
                Target::Frames(extent, to, len) => {
                    let taken = source.take_frames(&extent, to, len);
                    self.note_written(at, taken);
                    (taken, len)
                }
                Target::Staged(len) => (self.write_staged(at, len, source)?, len),
            };
            done += taken;
            if taken > 0 {
                self.grow_to(at + taken as u64);
            }
            if taken < offered {
                break;
            }
        }
        Ok((done, start + done as u64))
    }

    /// Writes bytes of the enclave's own; all or an error.
    ///
    /// # Errors
    /// As [`Pages::write`], ENOSPC also when only a part fits.
    pub fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let (done, _) = self.write(Some(offset), &mut Slice { bytes })?;
        if done < bytes.len() { Err(exhausted()) } else { Ok(()) }
    }

    /// Whether it is the file system's limit that keeps it from growing.
    fn is_full(&self) -> bool {
        let state = self.state.lock();
        state
            .chunks
            .quota
            .as_ref()
            .is_some_and(|quota| quota.most() != 0 && quota.used() >= quota.most())
    }

    fn write_staged(&self, at: u64, len: usize, source: &mut dyn Source) -> Result<usize> {
        let mut stage = alloc::vec![0; len];
        let taken = source.take(&mut stage);
        let mut state = self.state.lock();
        let mut done = 0;
        while done < taken {
            let here = at + done as u64;
            let page = here / PAGE_BYTES;
            let part = bytes_until(here, page + 1).min(taken - done);
            state.put(here, &stage[done..done + part]).ok_or_else(exhausted)?;
            done += part;
        }
        drop(state);
        self.note_written(at, taken);
        Ok(taken)
    }

    /// Remembers that bytes differ from the backing.
    fn note_written(&self, at: u64, len: usize) {
        if self.backing.is_none() || len == 0 {
            return;
        }
        let through = self.writes_through();
        let mut state = self.state.lock();
        state.mark_dirty(pages_of(at, len as u64));
        if through {
            state.note_change();
            add_range(&mut state.pending, at..at + len as u64);
        }
    }

    /// Moves the end to `end` if it lies before it.
    pub(super) fn grow_to(&self, end: u64) {
        if end > self.size() {
            self.size.store(end, Ordering::Release);
            if self.mapped.load(Ordering::Acquire) {
                self.clear_tail();
            }
        }
    }

    /// Clears what a mapping may have left between the end of the file and the end of its page.
    pub(super) fn clear_tail(&self) {
        let size = self.size();
        let from = usize::try_from(size % PAGE_BYTES).unwrap_or(0);
        if from == 0 {
            return;
        }
        let mut state = self.state.lock();
        let page = size / PAGE_BYTES;
        state.partials.cut(page, from);
        if let Some(chunk) = state.chunks.find_mut(page) {
            let index = chunk.index(page);
            chunk.extent.zero(index * PAGE + from, PAGE - from);
        }
    }
}

impl State {
    /// Where `wanted` bytes (not 0) at `at` go; `None` when memory is exhausted, or the file system full.
    ///
    /// Pages without a backing count as present from now on: their frames are zero.
    fn target(&mut self, at: u64, wanted: usize) -> Option<Target> {
        let touched = pages_of(at, wanted as u64);
        let page = touched.start;
        let end = touched.end.min(page + STRIDE);
        let present = self.chunks.find(page).is_some_and(|c| c.present.get(c.index(page)));
        if !present && self.is_backed(page) {
            let run = (page..end).find(|page| !self.is_backed(*page)).unwrap_or(end);
            return Some(Target::Staged(bytes_until(at, run).min(wanted).min(STAGE)));
        }
        self.chunks.make(page..end, Charge::Ordinary)?;
        let backed_end = self.backed.div_ceil(PAGE_BYTES);
        let chunk = self.chunks.find_mut(page)?;
        let end = end.min(chunk.end());
        let mut run = page;
        while run < end {
            let index = chunk.index(run);
            if !chunk.present.get(index) && (run < backed_end || !chunk.admit(index)) {
                break;
            }
            run += 1;
        }
        if run == page {
            return None;
        }
        let from = usize::try_from(at - chunk.start * PAGE_BYTES).ok()?;
        let len = bytes_until(at, run).min(wanted);
        Some(Target::Frames(Arc::clone(&chunk.extent), from, len))
    }

    /// Writes bytes of one page whose other bytes may be the backing's.
    fn put(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
        let page = at / PAGE_BYTES;
        let from = usize::try_from(at % PAGE_BYTES).ok()?;
        let needed = self.backed_bytes(page);
        let chunk = self.chunks.make(page..page + 1, Charge::Ordinary)?;
        let index = chunk.index(page);
        chunk.extent.write(index * PAGE + from, bytes);
        chunk.dirty.set(index, true);
        let known = from..from + bytes.len();
        if !chunk.present.get(index) && (needed == 0 || self.partials.add(page, known, needed)) {
            chunk.present.set(index, true);
        }
        Some(())
    }

    /// Marks pages as different from the backing.
    pub(super) fn mark_dirty(&mut self, pages: Range<u64>) {
        for chunk in self.chunks.touching_mut(pages.clone()) {
            for page in pages.start.max(chunk.start)..pages.end.min(chunk.end()) {
                let index = chunk.index(page);
                chunk.dirty.set(index, true);
            }
        }
    }
}

/// Adds a range to a list, joined with the last one when they touch.
pub(super) fn add_range(ranges: &mut Vec<Range<u64>>, new: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if new.start <= last.end && last.start <= new.end => {
            *last = last.start.min(new.start)..last.end.max(new.end);
        }
        _ => ranges.push(new),
    }
}

/// The file system that the file belongs to has no page left.
pub(super) fn full() -> Error {
    Errno::ENOSPC.because("the file system is full")
}

pub(super) fn exhausted() -> Error {
    Errno::ENOSPC.because(LIMIT_REACHED)
}

/// A source from the enclave's own memory.
struct Slice<'a> {
    bytes: &'a [u8],
}

impl Slice<'_> {
    fn next(&mut self, len: usize) -> &[u8] {
        let (next, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest;
        next
    }
}

impl Source for Slice<'_> {
    fn left(&self) -> usize {
        self.bytes.len()
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        let next = self.next(out.len());
        out[..next.len()].copy_from_slice(next);
        next.len()
    }

    fn take_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let next = self.next(len);
        extent.write(at, next);
        next.len()
    }
}
