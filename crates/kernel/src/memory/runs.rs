//! Runs: what the host has been told to back, and with what; and guards, which it is never to back.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::host::Backing;
use platform::arena::Extent;

/// What backs a run. Frames live at least as long as they are mapped: the run holds them.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// The host's private memory.
    Anonymous,
    /// Nothing: whatever the area admits, an access faults (MADV_GUARD_INSTALL).
    Guard,
    /// Frames of the LibOS.
    Frames {
        /// The frames.
        extent: Arc<Extent>,
        /// Offset of the run's first byte within them.
        at: u64,
        /// A write makes a private copy, so a page may hold other bytes than its frame.
        private: bool,
        /// Mapped without WRITE although the area has it: the first write is to be noticed.
        clean: bool,
        /// Frames of this process alone: a copy of text that may be patched. With `private` it holds
        /// what the program put in place of the file's bytes.
        text: bool,
    },
}

impl Held {
    /// How the host is asked for it: the backing and its offset in the trusted memfd.
    pub(crate) fn backing(&self) -> (Backing, u64) {
        match self {
            Self::Anonymous | Self::Guard => (Backing::Anonymous, 0),
            Self::Frames { extent, at, private, .. } => {
                let backing = if *private { Backing::FramesPrivate } else { Backing::FramesShared };
                (backing, extent.offset() + at)
            }
        }
    }

    fn is_guard(&self) -> bool {
        matches!(self, Self::Guard)
    }

    /// Whether this and `next` behind it are one run.
    fn joins(&self, next: &Self) -> bool {
        matches!((self, next), (Self::Anonymous, Self::Anonymous) | (Self::Guard, Self::Guard))
    }

    /// What lies `by` bytes further.
    fn skipped(&self, by: u64) -> Self {
        let mut rest = self.clone();
        if let Self::Frames { at, .. } = &mut rest {
            *at += by;
        }
        rest
    }

    /// The process may have bytes of its own here.
    pub(crate) fn is_private(&self) -> bool {
        matches!(self, Self::Anonymous | Self::Frames { private: true, .. })
    }
}

/// A backed range.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Start.
    pub(crate) start: u64,
    /// End, exclusive.
    pub(crate) end: u64,
    /// With what.
    pub(crate) held: Held,
}

impl Run {
    /// The part within `range`, which overlaps.
    fn clipped(&self, range: &Range<u64>) -> Self {
        let start = self.start.max(range.start);
        Self { start, end: self.end.min(range.end), held: self.held.skipped(start - self.start) }
    }
}

/// All runs of a space.
#[derive(Default)]
pub(crate) struct Runs {
    map: BTreeMap<u64, (u64, Held)>,
}

impl Runs {
    pub(crate) const fn new() -> Self {
        Self { map: BTreeMap::new() }
    }

    /// The runs within `range`, clipped to it, in order, without guards.
    pub(crate) fn within(&self, range: &Range<u64>) -> impl Iterator<Item = Run> {
        self.all_within(range).filter(|run| !run.held.is_guard())
    }

    /// The guards within `range`, in order.
    pub(crate) fn guards(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        self.all_within(range).filter(|run| run.held.is_guard()).map(|run| run.start..run.end)
    }

    /// Whether a guard holds `address`.
    pub(crate) fn is_guarded(&self, address: u64) -> bool {
        self.guards(&(address..address.saturating_add(1))).next().is_some()
    }

    fn all_within(&self, range: &Range<u64>) -> impl Iterator<Item = Run> {
        let from = self
            .map
            .range(..=range.start)
            .next_back()
            .filter(|(_, (end, _))| *end > range.start)
            .map_or(range.start, |(start, _)| *start);
        let range = range.clone();
        self.map.range(from..range.end.max(from)).map(move |(start, (end, held))| {
            Run { start: *start, end: *end, held: held.clone() }.clipped(&range)
        })
    }

    /// The run that holds `address`, from there on.
    pub(crate) fn at(&self, address: u64) -> Option<Run> {
        self.within(&(address..u64::MAX)).next().filter(|run| run.start == address)
    }

    /// The part within `whole` of the run that holds `address`; empty if there is none.
    pub(crate) fn open_around(&self, address: u64, whole: &Range<u64>) -> Range<u64> {
        self.map
            .range(..=address)
            .next_back()
            .filter(|(_, (end, held))| {
                *end > address && whole.contains(&address) && !held.is_guard()
            })
            .map_or(0..0, |(start, (end, _))| super::common(&(*start..*end), whole))
    }

    /// Bytes of `range` that are backed.
    pub(crate) fn covered(&self, range: &Range<u64>) -> u64 {
        self.within(range).map(|run| run.end - run.start).sum()
    }

    /// The smallest range that holds all runs in `range`, and guards.
    pub(crate) fn span(&self, range: &Range<u64>) -> Option<Range<u64>> {
        let mut runs = self.all_within(range);
        let first = runs.next()?;
        let end = runs.last().map_or(first.end, |last| last.end);
        Some(first.start..end)
    }

    /// The parts of `range` that are not backed and may be, in order.
    pub(crate) fn gaps(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for run in self.all_within(range) {
            if run.start > at {
                gaps.push(at..run.start);
            }
            at = run.end;
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// Forgets what backs `range`; gives the pieces, whose frames may be let go when the host has
    /// dropped them.
    pub(crate) fn remove(&mut self, range: &Range<u64>) -> Vec<Run> {
        let pieces: Vec<Run> = self.all_within(range).collect();
        if pieces.is_empty() {
            return pieces;
        }
        let whole: Vec<u64> = self.map.range(range.clone()).map(|(start, _)| *start).collect();
        let first = self.map.range_mut(..range.start).next_back();
        let mut rest = None;
        if let Some((start, (end, held))) = first
            && *end > range.start
        {
            if *end > range.end {
                rest = Some((*end, held.skipped(range.end - *start)));
            }
            *end = range.start;
        }
        for start in whole {
            if let Some((end, held)) = self.map.remove(&start)
                && end > range.end
            {
                rest = Some((end, held.skipped(range.end - start)));
            }
        }
        if let Some(rest) = rest {
            self.map.insert(range.end, rest);
        }
        pieces
    }

    /// Enters what backs `range` now, in place of what did.
    pub(crate) fn insert(&mut self, range: Range<u64>, held: Held) {
        if range.is_empty() {
            return;
        }
        self.remove(&range);
        let Range { mut start, mut end } = range;
        if let Some((before, (its_end, its))) = self.map.range(..start).next_back()
            && *its_end == start
            && its.joins(&held)
        {
            start = *before;
        }
        if let Some((its_end, its)) = self.map.get(&end)
            && held.joins(its)
        {
            let its_end = *its_end;
            self.map.remove(&end);
            end = its_end;
        }
        self.map.insert(start, (end, held));
    }

    /// Notes whether the first write to a run of frames is to be noticed.
    pub(crate) fn set_clean(&mut self, run: &Run, clean: bool) {
        let mut held = run.held.clone();
        if let Held::Frames { clean: was, .. } = &mut held
            && *was != clean
        {
            *was = clean;
            self.insert(run.start..run.end, held);
        }
    }

    /// Takes the guards in `from` along to `to`.
    pub(crate) fn move_guards(&mut self, from: &Range<u64>, to: u64) {
        let guards: Vec<Range<u64>> = self.guards(from).collect();
        for guard in guards {
            self.remove(&guard);
            let start = to + (guard.start - from.start);
            self.insert(start..start + super::bytes(&guard), Held::Guard);
        }
    }

    /// Takes the guards in `range` away.
    pub(crate) fn remove_guards(&mut self, range: &Range<u64>) {
        let guards: Vec<Range<u64>> = self.guards(range).collect();
        for guard in guards {
            self.remove(&guard);
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) -> Vec<Held> {
        core::mem::take(&mut self.map).into_values().map(|(_, held)| held).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Runs};

    #[test]
    fn a_run_reaches_to_its_end() {
        let mut runs = Runs::new();
        runs.insert(0x1000..0x9000, Held::Anonymous);
        runs.insert(0x9000..0xa000, Held::Guard);
        runs.insert(0xb000..0xc000, Held::Anonymous);
        let run = runs.at(0x2000).expect("backed");
        assert_eq!((run.start, run.end), (0x2000, 0x9000));
        assert!(runs.at(0x9000).is_none() && runs.at(0xa000).is_none());
        assert!(runs.at(0xc000).is_none() && runs.at(0xb000).is_some());
    }
}
