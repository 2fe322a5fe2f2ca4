//! Bringing contents in from the backing, with read-ahead, and giving clean ones up.

use alloc::sync::Arc;
use core::ops::Range;

use abi::errno::Result;
use platform::arena::PAGE;
use platform::budget::Charge;

use super::chunk::USUAL;
use super::write::exhausted;
use super::{Backing, Content, PAGE_BYTES, Pages, State, bytes_until, pages_of};

/// The most pages that one fill reads: 1 MiB.
const MOST: u64 = 256;

/// What tells sequential readers from others.
#[derive(Default)]
pub(super) struct ReadAhead {
    /// The page that a sequential reader misses next.
    next: u64,
    /// Pages to read ahead.
    window: u64,
}

impl ReadAhead {
    /// How many pages to read for a miss at `page`: 64 KiB, doubling up to 1 MiB while misses follow
    /// each other.
    fn window(&mut self, page: u64) -> u64 {
        let sequential = page == self.next && page != 0;
        self.window = if sequential { (self.window * 2).min(MOST) } else { USUAL };
        self.window
    }
}

/// What a fill finds.
enum Claim<'a> {
    /// All is here by now.
    Nothing,
    /// Somebody else reads it.
    Busy,
    /// These pages are ours to read.
    Read(Filling<'a>),
}

/// The right to read pages from the backing; given up when dropped, also by cancellation.
struct Filling<'a> {
    pages: &'a Pages,
    range: Range<u64>,
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.pages.state.lock().filling.retain(|range| *range != self.range);
        self.pages.filled.wake_all();
    }
}

impl Pages {
    /// Brings in the first bytes of `[offset, offset + len)` that are missing, and some behind them.
    ///
    /// Cancellation: nothing is lost, what was read is kept.
    ///
    /// # Errors
    /// The backing's; ENOSPC when memory is exhausted.
    pub async fn fill(&self, offset: u64, len: u64) -> Result<()> {
        let Some(backing) = &self.backing else { return Ok(()) };
        loop {
            let listener = self.filled.listen();
            match self.claim(offset, len) {
                Claim::Nothing => return Ok(()),
                Claim::Busy => listener.await,
                Claim::Read(filling) => {
                    drop(listener);
                    return self.read_in(&**backing, filling.range.clone()).await;
                }
            }
        }
    }

    fn claim(&self, offset: u64, len: u64) -> Claim<'_> {
        let mut state = self.state.lock();
        let wanted = pages_of(offset, len.max(1));
        let backed_end = state.backed.div_ceil(PAGE_BYTES);
        let Some(first) =
            (wanted.start..wanted.end.min(backed_end)).find(|page| !state.is_present(*page))
        else {
            return Claim::Nothing;
        };
        if state.filling.iter().any(|range| range.contains(&first)) {
            return Claim::Busy;
        }
        let window = state.ahead.window(first);
        let end = wanted.end.max(first + window).next_multiple_of(USUAL);
        let end = end.min(first + MOST).min(backed_end);
        let end = state
            .filling
            .iter()
            .map(|range| range.start)
            .filter(|start| *start > first)
            .fold(end, u64::min);
        let end =
            (first..end).rev().find(|page| !state.is_present(*page)).map_or(end, |page| page + 1);
        state.ahead.next = end;
        let range = first..end;
        state.filling.push(range.clone());
        Claim::Read(Filling { pages: self, range })
    }

    async fn read_in(&self, backing: &dyn Backing, pages: Range<u64>) -> Result<()> {
        let mut at = pages.start * PAGE_BYTES;
        let whole = pages.end * PAGE_BYTES;
        loop {
            let end = whole.min(self.state.lock().backed);
            if at >= end {
                return Ok(());
            }
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
            let content = backing.read(at, wanted).await?;
            let len = content.len().min(wanted);
            let mut state = self.state.lock();
            if len == 0 {
                // The backing is shorter than it said: zeros stand for the rest.
                return state.install_zeros(at..end).ok_or_else(exhausted);
            }
            state.install(at, &content, len).ok_or_else(exhausted)?;
            at += len as u64;
        }
    }

    /// Gives up clean contents that nobody uses; how many bytes.
    pub(crate) fn evict(&self) -> u64 {
        let Some(mut state) = self.state.try_lock() else { return 0 };
        let State { chunks, partials, backed, filling, .. } = &mut *state;
        let backed = *backed;
        let mut freed = 0;
        chunks.discard(0..u64::MAX, |chunk| {
            let pages = chunk.start..chunk.end();
            let clean = chunk.dirty.is_empty()
                && !chunk.in_use()
                && pages.clone().all(|page| {
                    page * PAGE_BYTES < backed || !chunk.present.get(chunk.index(page))
                })
                && !partials.any(pages.clone())
                && !filling.iter().any(|range| range.start < pages.end && pages.start < range.end);
            if clean {
                freed += chunk.pages() * PAGE_BYTES;
            }
            clean
        });
        freed
    }
}

impl Content {
    /// Bytes that came.
    fn len(&self) -> usize {
        match self {
            Self::Bounce(bounce, len) => (*len).min(bounce.capacity()),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl State {
    pub(super) fn is_present(&self, page: u64) -> bool {
        self.chunks.find(page).is_some_and(|chunk| chunk.present.get(chunk.index(page)))
    }

    /// Puts `len` bytes of the backing, from `at` on, where the cache has nothing newer.
    fn install(&mut self, at: u64, content: &Content, len: usize) -> Option<()> {
        self.install_pieces(at..at + len as u64, |from, chunk, to, len| match content {
            Content::Bounce(bounce, _) => bounce.read_frames(from, &chunk.extent, to, len),
            Content::Bytes(bytes) => chunk.extent.write(to, &bytes[from..from + len]),
        })
    }

    fn install_zeros(&mut self, bytes: Range<u64>) -> Option<()> {
        self.install_pieces(bytes, |_, chunk, to, len| chunk.extent.zero(to, len))
    }

    /// Calls `copy(index in the content, chunk, index in its extent, len)` for all that is missing.
    fn install_pieces(
        &mut self,
        bytes: Range<u64>,
        copy: impl Fn(usize, &super::chunk::Chunk, usize, usize),
    ) -> Option<()> {
        let mut at = bytes.start;
        // Meanwhile the file may have been cut: only what still is the backing's goes in.
        let end = bytes.end.min(self.backed);
        while at < end {
            let page = at / PAGE_BYTES;
            let start = usize::try_from(at % PAGE_BYTES).ok()?;
            let part = bytes_until(at, page + 1).min(usize::try_from(end - at).ok()?);
            let needed = self.backed_bytes(page);
            let last = end.div_ceil(PAGE_BYTES);
            let chunk = self.chunks.make(page..last, Charge::Vital)?;
            let index = chunk.index(page);
            if !chunk.present.get(index) {
                let base = usize::try_from(at - bytes.start).ok()?;
                for gap in self.partials.gaps(page, start..start + part) {
                    copy(base + gap.start - start, chunk, index * PAGE + gap.start, gap.len());
                }
                if start == 0 && part >= needed {
                    self.partials.forget(page..page + 1);
                    chunk.present.set(index, true);
                } else if self.partials.add(page, start..start + part, needed) {
                    chunk.present.set(index, true);
                }
            }
            at += part as u64;
        }
        Some(())
    }
}

/// A backing and its contents as they come: for callers that can't wait.
pub(super) fn finish_now<T>(mut future: super::Waiting<'_, T>) -> Option<T> {
    let waker = core::task::Waker::noop();
    let mut context = core::task::Context::from_waker(waker);
    match platform::carrier::at_once(|| future.as_mut().poll(&mut context)) {
        core::task::Poll::Ready(value) => Some(value),
        core::task::Poll::Pending => None,
    }
}

impl Pages {
    /// The same as [`Pages::fill`], for callers that can't wait (a fault inside a copy).
    ///
    /// Reads without regard to others that read the same. `None` when the backing has to wait: the
    /// caller must find a place where it can, and use [`Pages::fill`].
    pub fn fill_now(&self, offset: u64, len: u64) -> Option<Result<()>> {
        let backing = Arc::clone(self.backing.as_ref()?);
        let wanted = pages_of(offset, len.clamp(1, MOST * PAGE_BYTES));
        let range = {
            let state = self.state.lock();
            let missing = wanted.clone().find(|page| !state.is_present(*page));
            missing.unwrap_or(wanted.end)..wanted.end
        };
        let end = (range.end).max(range.start + 1).next_multiple_of(USUAL);
        let future =
            alloc::boxed::Box::pin(async move { self.read_in(&*backing, range.start..end).await });
        finish_now(future)
    }
}
