//! Where a mapping goes when the program leaves the choice to us.

use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use abi::layout::PAGE;

use super::area::{Areas, Flags};
use super::{bytes, page_down};

/// Bytes kept free below an area that grows down: Linux's `stack_guard_gap`.
pub(crate) const STACK_GUARD: u64 = 256 * PAGE;
/// A large page.
pub(crate) const LARGE: u64 = 2 << 20;
/// Room left for the main stack.
const STACK_ROOM: u64 = 1 << 30;
/// Where MAP_32BIT mappings go.
const LOW: Range<u64> = 0x4000_0000..0x8000_0000;

/// Where the search for a free range begins.
///
/// Mappings go to the highest place below `base` where they fit. To find it without walking over all
/// areas each time, `from` is where the last one went, and no hole above it is larger than `skipped`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Where the main stack ends.
    pub(crate) stack_end: u64,
    base: u64,
    from: u64,
    skipped: u64,
}

impl Cursor {
    /// The main stack at a random distance from the region's end, mappings at one below it.
    pub(crate) fn random(region: &Range<u64>) -> Self {
        let spread = (bytes(region) / 32).min(1 << 40);
        let distance = |most: u64| page_down(platform::random::next() % most.max(1));
        let stack_end = page_down(region.end) - distance(spread.min(16 << 30));
        let room = STACK_ROOM.min(bytes(region) / 8);
        let base = stack_end - room - distance(spread);
        Self { stack_end, base, from: base, skipped: 0 }
    }

    /// Says that `range` became free, so that it is looked at again.
    pub(crate) fn freed(&mut self, areas: &Areas, range: &Range<u64>) {
        if range.end > self.from {
            let start = areas.below(range.start).map_or(0, |(_, area)| area.end);
            let end = areas.at_or_above(range.end).map_or(self.base, |(start, _)| start);
            self.skipped = self.skipped.max(end.saturating_sub(start));
        }
    }

    /// A free place for `len` bytes, at `phase` within a large page if that is said and possible.
    pub(crate) fn find(
        &mut self,
        areas: &Areas,
        region: &Range<u64>,
        len: u64,
        phase: Option<u64>,
    ) -> Result<u64> {
        if let Some(phase) = phase {
            let slack = len.saturating_add(LARGE);
            if let Ok(at) = self.find(areas, region, slack, None) {
                let most = at + (slack - len);
                let back = (most.wrapping_sub(phase)) % LARGE;
                self.skipped = self.skipped.max(LARGE);
                return Ok(most - back);
            }
        }
        if len > self.skipped && self.from <= self.base {
            let mut skipped = self.skipped;
            if let Some(at) = highest(areas, &(region.start..self.from), len, &mut skipped) {
                self.from = at;
                self.skipped = skipped;
                return Ok(at);
            }
        }
        let mut skipped = 0;
        if let Some(at) = highest(areas, &(region.start..self.base), len, &mut skipped) {
            self.from = at;
            self.skipped = skipped;
            return Ok(at);
        }
        highest(areas, region, len, &mut 0)
            .ok_or(Errno::ENOMEM.because("no free range of this length"))
    }
}

/// A free place for `len` bytes between 1 and 2 GiB.
///
/// # Errors
/// ENOMEM when there is none.
pub(crate) fn find_low(areas: &Areas, len: u64) -> Result<u64> {
    highest(areas, &LOW, len, &mut 0)
        .ok_or(Errno::ENOMEM.because("no free range of this length below 2 GiB (MAP_32BIT)"))
}

/// Whether a mapping can go to `range` without coming too near to a neighbour that grows down.
pub(crate) fn is_clear(areas: &Areas, range: &Range<u64>) -> bool {
    areas.is_free(range)
        && areas.at_or_above(range.end).is_none_or(|(start, area)| {
            !area.flags.contains(Flags::GROWS_DOWN) || start - range.end >= STACK_GUARD
        })
}

/// The highest free place for `len` bytes within `window`; the largest hole that was passed over goes
/// into `passed`.
pub(crate) fn highest(
    areas: &Areas,
    window: &Range<u64>,
    len: u64,
    passed: &mut u64,
) -> Option<u64> {
    let mut ceiling = window.end;
    if let Some((start, area)) = areas.at_or_above(window.end)
        && area.flags.contains(Flags::GROWS_DOWN)
    {
        ceiling = ceiling.min(start.saturating_sub(STACK_GUARD));
    }
    for (start, area) in areas.map().range(..window.end).rev() {
        let floor = area.end.max(window.start);
        let hole = ceiling.saturating_sub(floor);
        if hole >= len {
            return Some(ceiling - len);
        }
        *passed = (*passed).max(hole);
        let guard = if area.flags.contains(Flags::GROWS_DOWN) { STACK_GUARD } else { 0 };
        ceiling = ceiling.min(start.saturating_sub(guard));
        if ceiling <= window.start {
            return None;
        }
    }
    (ceiling.saturating_sub(window.start) >= len).then(|| ceiling - len)
}
