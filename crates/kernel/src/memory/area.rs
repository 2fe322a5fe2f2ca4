//! Areas: what the program asked for, sorted, without overlap.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::contents::Mapped;
use super::policy::Policy;
use super::{Prot, bytes};

bitflags::bitflags! {
    /// What is special about an area.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// Extends downwards when touched below its start (MAP_GROWSDOWN).
        const GROWS_DOWN = 0x1;
        /// A thread's stack (MAP_STACK).
        const STACK = 0x2;
        /// Not charged before it is used (MAP_NORESERVE).
        const NORESERVE = 0x4;
        /// Locked (mlock).
        const LOCKED = 0x8;
        /// Large pages are wanted.
        const HUGE = 0x10;
        /// Large pages are not wanted.
        const NO_HUGE = 0x20;
        /// Not inherited by a child.
        const DONT_FORK = 0x40;
        /// Reads as zero in a child.
        const WIPE_ON_FORK = 0x80;
        /// Left out of core dumps.
        const DONT_DUMP = 0x100;
        /// Was executable once, so that patches may lie in it.
        const TEXT = 0x200;
        /// Part of the heap of brk(2).
        const HEAP = 0x400;
        /// The main thread's stack.
        const MAIN_STACK = 0x800;
        /// Charged for its whole length.
        const CHARGED = 0x1000;
        /// Accesses are expected in order (MADV_SEQUENTIAL) …
        const SEQUENTIAL = 0x2000;
        /// … or without order (MADV_RANDOM).
        const RANDOM = 0x4000;
        /// May not be changed any more (mseal).
        const SEALED = 0x8000;
        /// Its contents may be dropped when memory is short (MAP_DROPPABLE).
        const DROPPABLE = 0x1_0000;
        /// Nobody but the program's own instructions may look (`memfd_secret`); always locked.
        const SECRET = 0x2_0000;
    }
}

/// Where an area's contents come from.
#[derive(Clone)]
pub enum Kind {
    /// Zeros, private to the process.
    Anonymous,
    /// A file or shared memory.
    File(Mapped),
    /// A page of the LibOS, under the name that `/proc/self/maps` shows.
    Special(&'static str),
}

/// The name of pages that the LibOS put among the program's: trampolines.
pub const HIDDEN: &str = "[adyton]";

/// One area; its start is its key in [`Areas`].
#[derive(Clone)]
pub struct Area {
    /// End, exclusive.
    pub end: u64,
    /// What the program may do now.
    pub prot: Prot,
    /// What mprotect(2) may allow it.
    pub max: Prot,
    /// What is special.
    pub flags: Flags,
    /// Where the contents come from.
    pub kind: Kind,
    /// On which nodes (mbind).
    pub policy: Option<Policy>,
}

impl Area {
    /// Private zeros.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.kind, Kind::Anonymous)
    }

    /// Writes reach an object that others may see.
    pub fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::File(Mapped { shared: true, .. }))
    }

    /// A page of the LibOS that the program does not know of.
    pub fn is_hidden(&self) -> bool {
        matches!(self.kind, Kind::Special(name) if name == HIDDEN)
    }

    /// Private and writable, and no stack: what RLIMIT_DATA counts.
    pub(crate) fn is_data(&self) -> bool {
        self.prot.contains(Prot::WRITE)
            && !self.is_shared()
            && !self.flags.contains(Flags::GROWS_DOWN)
    }

    /// Opened and charged by faults rather than at once.
    pub fn is_lazy(&self) -> bool {
        self.is_anonymous()
            && self.flags.intersects(Flags::GROWS_DOWN | Flags::STACK | Flags::NORESERVE)
    }

    /// Whether `prot` makes it something that is charged for its whole length.
    pub fn to_charge(&self, prot: Prot) -> bool {
        !self.is_shared()
            && !matches!(self.kind, Kind::Special(_))
            && prot.contains(Prot::WRITE)
            && !self.is_lazy()
            && !self.flags.contains(Flags::CHARGED)
    }

    /// Moves the start by `by` bytes: what lies behind a split.
    fn skip(&mut self, by: u64) {
        if let Kind::File(mapped) = &mut self.kind {
            mapped.offset += by;
        }
    }

    /// Whether `next`, which begins where this one (starting at `start`) ends, is more of the same.
    fn continues_in(&self, start: u64, next: &Self) -> bool {
        self.prot == next.prot
            && self.max == next.max
            && self.flags == next.flags
            && self.policy == next.policy
            && match (&self.kind, &next.kind) {
                (Kind::Anonymous, Kind::Anonymous) => true,
                (Kind::File(a), Kind::File(b)) => a.continues_in(self.end - start, b),
                _ => false,
            }
    }
}

/// A process's areas.
#[derive(Default)]
pub(crate) struct Areas {
    map: BTreeMap<u64, Area>,
    /// Bytes of all areas but hidden ones.
    bytes: u64,
}

impl Areas {
    pub(crate) const fn new() -> Self {
        Self { map: BTreeMap::new(), bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn total(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn map(&self) -> &BTreeMap<u64, Area> {
        &self.map
    }

    /// The area that holds `address`.
    pub(crate) fn find(&self, address: u64) -> Option<(u64, &Area)> {
        self.map
            .range(..=address)
            .next_back()
            .filter(|(_, area)| area.end > address)
            .map(|(start, area)| (*start, area))
    }

    pub(crate) fn find_mut(&mut self, address: u64) -> Option<(u64, &mut Area)> {
        self.map
            .range_mut(..=address)
            .next_back()
            .filter(|(_, area)| area.end > address)
            .map(|(start, area)| (*start, area))
    }

    /// The first area that ends above `address`.
    pub(crate) fn at_or_above(&self, address: u64) -> Option<(u64, &Area)> {
        self.find(address)
            .or_else(|| self.map.range(address..).next().map(|(start, area)| (*start, area)))
    }

    /// The last area that begins below `address`.
    pub(crate) fn below(&self, address: u64) -> Option<(u64, &Area)> {
        self.map.range(..address).next_back().map(|(start, area)| (*start, area))
    }

    /// The areas that share a byte with `range`, in order, not clipped.
    pub(crate) fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, &Area)> {
        let from = self.find(range.start).map_or(range.start, |(start, _)| start);
        self.map
            .range(from..range.end.max(from))
            .filter(|(_, area)| area.end > range.start)
            .map(|(start, area)| (*start, area))
    }

    /// Whether no area shares a byte with `range`.
    pub(crate) fn is_free(&self, range: &Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Makes `at` a boundary.
    pub(crate) fn split(&mut self, at: u64) {
        let Some((start, area)) = self.find_mut(at) else {
            return;
        };
        if start == at {
            return;
        }
        let mut rest = area.clone();
        rest.skip(at - start);
        area.end = at;
        self.map.insert(at, rest);
    }

    /// Takes everything visible in `range` out, hidden areas too if `hidden`.
    pub(crate) fn carve(&mut self, range: &Range<u64>, hidden: bool) -> Vec<(u64, Area)> {
        if range.is_empty() {
            return Vec::new();
        }
        self.split(range.start);
        self.split(range.end);
        let starts: Vec<u64> = self
            .map
            .range(range.clone())
            .filter(|(_, area)| hidden || !area.is_hidden())
            .map(|(start, _)| *start)
            .collect();
        starts
            .into_iter()
            .filter_map(|start| {
                let area = self.map.remove(&start)?;
                if !area.is_hidden() {
                    self.bytes -= area.end - start;
                }
                Some((start, area))
            })
            .collect()
    }

    /// Puts an area into a free range, joined with its neighbours where they are alike.
    pub(crate) fn insert(&mut self, start: u64, area: Area) {
        if !area.is_hidden() {
            self.bytes += area.end - start;
        }
        let end = area.end;
        self.map.insert(start, area);
        self.join(end);
        self.join(start);
    }

    /// Joins what meets at `at` if it is alike.
    fn join(&mut self, at: u64) {
        let Some((start, before)) = self.below(at) else {
            return;
        };
        if before.end != at {
            return;
        }
        let Some(after) = self.map.get(&at) else {
            return;
        };
        if !before.continues_in(start, after) {
            return;
        }
        let Some(after) = self.map.remove(&at) else {
            return;
        };
        if let Some(before) = self.map.get_mut(&start) {
            before.end = after.end;
        }
    }

    /// Changes each visible area within `range`, splitting at its ends and joining afterwards.
    pub(crate) fn edit(&mut self, range: &Range<u64>, mut change: impl FnMut(u64, &mut Area)) {
        if range.is_empty() {
            return;
        }
        self.split(range.start);
        self.split(range.end);
        let mut boundaries = Vec::new();
        for (start, area) in self.map.range_mut(range.clone()) {
            if !area.is_hidden() {
                change(*start, area);
            }
            boundaries.push(*start);
        }
        self.join(range.end);
        for at in boundaries.into_iter().rev() {
            self.join(at);
        }
    }

    /// Moves the start of an area that grows down.
    pub(crate) fn extend_down(&mut self, start: u64, new_start: u64) {
        if let Some(area) = self.map.remove(&start) {
            self.bytes += bytes(&(new_start..start));
            self.map.insert(new_start, area);
        }
    }

    /// How many areas there would be if `range` were cut out: at most one more than now.
    pub(crate) fn splits(&self, range: &Range<u64>) -> usize {
        let cuts = |at| self.find(at).is_some_and(|(start, _)| start != at);
        usize::from(cuts(range.start)) + usize::from(cuts(range.end))
    }
}
