//! Changing the length, and making a changed backing's length one's own.

use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use platform::arena::PAGE;

use super::{LENGTH_MAX, PAGE_BYTES, Pages, State};

impl Pages {
    /// Sets the length; what is cut off reads as zeros should the file grow again.
    ///
    /// # Errors
    /// EFBIG beyond [`LENGTH_MAX`].
    pub fn truncate(&self, len: u64) -> Result<()> {
        if len > LENGTH_MAX {
            return Err(Errno::EFBIG.because("longer than the largest offset"));
        }
        let _writer = self.writer.lock();
        let old = self.size();
        if len >= old {
            self.clear_tail();
            self.size.store(len, Ordering::Release);
            if self.writes_through() {
                self.state.lock().note_change();
            }
            return Ok(());
        }
        // First the end moves, so that no page beyond it is mapped anew; then mappings let go of the
        // frames; only then are the frames dropped and cleared.
        self.size.store(len, Ordering::Release);
        let gone = len.div_ceil(PAGE_BYTES)..u64::MAX;
        self.invalidate(gone.clone());
        let mut state = self.state.lock();
        if self.writes_through() {
            state.note_change();
        }
        state.backed = state.backed.min(len);
        state.drop_pages(gone);
        state.pending.retain_mut(|range| {
            range.end = range.end.min(len);
            range.start < range.end
        });
        drop(state);
        self.clear_tail();
        Ok(())
    }

    /// Takes over the length of a backing that changed behind our back, and forgets clean contents.
    ///
    /// Pages that were written here stay as they are.
    ///
    /// The backing was asked after the moment `asked` ([`super::moment`]). What it said is passed over
    /// when something was written since, or is on its way: it may be older than that.
    pub fn refresh(&self, size: u64, asked: u64) {
        let _writer = self.writer.lock();
        let size = size.min(LENGTH_MAX);
        let grown = {
            let state = self.state.lock();
            if !state.pending.is_empty() || state.carrying || state.changed >= asked {
                return;
            }
            self.size().max(size)
        };
        self.size.store(size, Ordering::Release);
        self.invalidate(0..grown.div_ceil(PAGE_BYTES));
        let mut state = self.state.lock();
        state.backed = size;
        state.partials.forget(0..u64::MAX);
        let State { chunks, .. } = &mut *state;
        chunks.discard(0..u64::MAX, |chunk| chunk.dirty.is_empty() && chunk.exposed.is_empty());
        for chunk in chunks.touching_mut(0..u64::MAX) {
            for page in chunk.start..chunk.end() {
                let index = chunk.index(page);
                let ours = chunk.dirty.get(index) || chunk.exposed.get(index);
                if chunk.present.get(index) && !ours {
                    chunk.dismiss(index);
                    chunk.extent.zero(index * PAGE, PAGE);
                }
            }
        }
        state.drop_pages(size.div_ceil(PAGE_BYTES)..u64::MAX);
    }
}

impl State {
    /// Takes pages out of the file. Their frames are no longer mapped.
    pub(super) fn drop_pages(&mut self, pages: Range<u64>) {
        self.partials.forget(pages.clone());
        self.chunks
            .discard(pages.clone(), |chunk| chunk.start >= pages.start && chunk.end() <= pages.end);
        for chunk in self.chunks.touching_mut(pages.clone()) {
            for page in pages.start.max(chunk.start)..pages.end.min(chunk.end()) {
                let index = chunk.index(page);
                // Bytes of a page that is only partly known lie in its frame as well.
                chunk.extent.zero(index * PAGE, PAGE);
                chunk.dismiss(index);
                chunk.dirty.set(index, false);
                chunk.exposed.set(index, false);
            }
        }
    }
}
