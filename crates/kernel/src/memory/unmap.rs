//! munmap(2).

use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use smallvec::SmallVec;

use super::space::{Space, State};
use super::text::Change;
use super::{is_aligned, page_up};

impl Space {
    /// Whether something in a range is shared with others.
    pub fn shares(&self, address: u64, len: u64) -> bool {
        let range = address..address.saturating_add(len);
        self.state.lock().areas.overlapping(&range).any(|(_, area)| area.is_shared())
    }

    /// Unmaps a range; holes in it are no error.
    ///
    /// # Errors
    /// As munmap(2): EINVAL; ENOMEM when an area would have to be split and there are too many.
    pub fn unmap(&self, address: u64, len: u64) -> Result<()> {
        let range = self.checked_range(address, len)?;
        let mut state = self.state.lock();
        self.unmap_locked(&mut state, &range)
    }

    /// A range as munmap(2) checks it.
    fn checked_range(&self, address: u64, len: u64) -> Result<Range<u64>> {
        let end = self.region().end;
        if !is_aligned(address) || address > end || len > end - address {
            return Err(Errno::EINVAL.because("not page-aligned, or beyond the user region"));
        }
        let len = page_up(len).ok_or(Errno::EINVAL.because("the length overflows"))?;
        if len == 0 {
            return Err(Errno::EINVAL.because("a length of 0"));
        }
        Ok(address..address + len)
    }

    pub(crate) fn unmap_locked(&self, state: &mut State, range: &Range<u64>) -> Result<()> {
        state.check_unsealed(range)?;
        if state.areas.splits(range) == 2 {
            state.room_for(1)?;
        }
        let parts = visible(state, range);
        for part in &parts {
            self.before_change(state, part, Change::Replaced);
        }
        let charged = state.charged_in(range);
        parts.iter().try_for_each(|part| self.close(state, part))?;
        drop(state.areas.carve(range, false));
        state.release(charged);
        let State { areas, cursor, .. } = state;
        cursor.freed(areas, range);
        Ok(())
    }
}

/// `range` without trampolines: the program sees holes there.
fn visible(state: &State, range: &Range<u64>) -> SmallVec<[Range<u64>; 1]> {
    let mut at = range.start;
    let mut parts = SmallVec::new();
    for (start, area) in state.areas.overlapping(range).filter(|(_, area)| area.is_hidden()) {
        if at < start {
            parts.push(at..start);
        }
        at = area.end;
    }
    if at < range.end {
        parts.push(at..range.end);
    }
    parts
}
