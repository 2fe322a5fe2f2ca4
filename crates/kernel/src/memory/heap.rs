//! brk(2).

use core::ops::Range;

use abi::layout::PAGE;

use super::area::{Area, Flags, Kind};
use super::runs::Held;
use super::space::{Limit, Space, State};
use super::{Prot, page_up};

/// The host is asked for so much of the heap at once. What is ahead of the break is not charged.
const STEP: u64 = 1 << 20;

impl Space {
    /// Says where the heap begins, which is empty then: behind the program's data.
    pub fn set_heap(&self, start: u64) {
        self.state.lock().heap = start..start;
    }

    /// Start of the heap and the break.
    pub fn heap(&self) -> Range<u64> {
        self.state.lock().heap.clone()
    }

    /// Moves the break to `wanted` if possible; gives where it is then, as the system call does.
    ///
    /// Refused: below the heap's start, into another mapping, beyond RLIMIT_DATA, or by the memory
    /// limit (reported).
    pub fn brk(&self, wanted: u64) -> u64 {
        let mut state = self.state.lock();
        let heap = state.heap.clone();
        if wanted < heap.start
            || wanted - heap.start > self.limit(Limit::Data)
            || wanted > self.region().end
        {
            return heap.end;
        }
        let (Some(old), Some(new)) = (page_up(heap.end), page_up(wanted)) else {
            return heap.end;
        };
        let moved = if new < old {
            self.unmap_locked(&mut state, &(new..old)).is_ok() && self.drop_ahead(&mut state, old)
        } else {
            new == old || self.grow_heap(&mut state, &(old..new))
        };
        if moved {
            state.heap.end = wanted;
        }
        state.heap.end
    }

    fn grow_heap(&self, state: &mut State, range: &Range<u64>) -> bool {
        // Linux keeps one page free behind the heap.
        let beyond = range.start..range.end + PAGE;
        if range.end > self.region().end || !super::place::is_clear(&state.areas, &beyond) {
            return false;
        }
        let len = range.end - range.start;
        if state.room_for(1).is_err()
            || state.areas.total() + len > self.limit(Limit::AddressSpace)
            || self.charge(state, len).is_err()
        {
            return false;
        }
        if self.open_ahead(state, range).is_err() {
            state.release(len);
            return false;
        }
        let area = Area {
            end: range.end,
            prot: Prot::READ | Prot::WRITE,
            max: Prot::all(),
            flags: Flags::HEAP | Flags::CHARGED,
            kind: Kind::Anonymous,
            policy: None,
        };
        state.areas.insert(range.start, area);
        true
    }

    /// Has the host back `range`, and some more if it has to be asked at all.
    fn open_ahead(&self, state: &mut State, range: &Range<u64>) -> abi::errno::Result<()> {
        let missing = state.runs.gaps(range);
        let Some(first) = missing.first() else {
            return Ok(());
        };
        let next = state.areas.at_or_above(range.end).map_or(self.region().end, |(next, _)| next);
        let ahead = range.end.next_multiple_of(STEP).min(next).max(range.end);
        self.open(state, first.start..ahead, Prot::READ | Prot::WRITE)
    }

    /// Gives back what was opened ahead of the break, so that it reads as zero when it is used.
    fn drop_ahead(&self, state: &mut State, from: u64) -> bool {
        let next = state.areas.at_or_above(from).map_or(self.region().end, |(next, _)| next);
        let end = from.next_multiple_of(STEP).min(next).max(from);
        let only_memory =
            state.runs.within(&(from..end)).all(|r| matches!(r.held, Held::Anonymous));
        !only_memory || self.close(state, &(from..end)).is_ok()
    }
}
