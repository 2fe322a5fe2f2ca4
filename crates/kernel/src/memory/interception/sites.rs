//! The book of one process's rewritten call sites.
//!
//! Answers for the rest of the LibOS: which patches must be undone before a range of memory is
//! changed, what a reader of text must see, and on whose way to the LibOS an instruction pointer stands.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::between;
use super::claims::Claims;
use super::code::page_of;
use super::decide::{Reason, Rule};
use super::patch::{Patch, SHORT};

/// Refusals that are remembered, so that a site which stays a trap costs no second decision.
const REFUSALS_MAX: usize = 4096;
/// Traps of a refused site before it is looked at again.
const AGAIN_MIN: u32 = 64;
/// Late traps at a site whose `mov` is replaced before it is taken for a jump's target: a few can
/// come from vCPUs that had fetched the old bytes.
const LATE_MAX: u32 = 2;

/// Bytes of a patch's longest extent: the longer `mov`, what is between, the `syscall`.
const EXTENT_MAX: u64 = 7 + between::BYTES_MAX + SHORT;

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// System calls that arrived by trap.
    pub trapped: u64,
    /// Sites whose `mov` is replaced now.
    pub mov: u64,
    /// Sites whose `syscall` is replaced now.
    pub pun: u64,
    /// The same, by way of dead bytes.
    pub pad: u64,
    /// Patches that were applied, ever.
    pub applied: u64,
    /// Of these, by a learned site and without a trap.
    pub learned: u64,
    /// Patches that were undone, ever.
    pub restored: u64,
    /// Decisions to leave a site a trap, in the order of [`Reason::ALL`].
    pub refused: [u64; Reason::ALL.len()],
}

#[derive(Clone, Debug)]
struct Entry {
    patch: Patch,
    late: u32,
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    reason: Reason,
    traps: u32,
}

/// The rewritten sites of one process.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// By the address of the replaced instruction, which is also its claim's start.
    entries: BTreeMap<u64, Entry>,
    /// By the address of the trampoline.
    trampolines: BTreeMap<u64, u64>,
    /// By the address of the pad.
    pads: BTreeMap<u64, u64>,
    claims: Claims,
    refused: BTreeMap<u64, Refusal>,
    counters: Counters,
}

impl Book {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that patches own.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The counters, as they stand.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Sites that trapped and stay traps.
    pub fn unpatched_sites(&self) -> usize {
        self.refused.len()
    }

    /// Notes a trap at `site`. The answer says whether a decision should be made, and why not.
    ///
    /// After a `mov` was replaced, the `syscall` behind it still traps when it is jumped to; it gets
    /// a decision of its own when that happens repeatedly.
    pub fn trapped(&mut self, site: u64) -> Result<(), Reason> {
        self.counters.trapped += 1;
        if let Some(refusal) = self.refused.get_mut(&site) {
            refusal.traps = refusal.traps.saturating_add(1);
            // What was in the way may be gone by now; ever less often it is looked at again.
            let due = refusal.traps >= AGAIN_MIN && refusal.traps.is_power_of_two();
            if !(due && refusal.reason.may_pass()) {
                return Err(refusal.reason);
            }
        }
        if self.entries.contains_key(&site) {
            return Err(Reason::Late);
        }
        let before = self.entries.range_mut(..site).next_back().map(|(_, entry)| entry);
        if let Some(entry) = before.filter(|entry| entry.patch.site == site) {
            entry.late += 1;
            if entry.late <= LATE_MAX {
                return Err(Reason::Late);
            }
        }
        Ok(())
    }

    /// Whether the `mov` before `site` is replaced already.
    pub fn has_mov(&self, site: u64) -> bool {
        self.entries.range(..site).next_back().is_some_and(|(_, entry)| entry.patch.site == site)
    }

    /// Notes that `site` stays a trap.
    pub fn refuse(&mut self, site: u64, reason: Reason) {
        if let Some(count) = Reason::ALL
            .iter()
            .position(|other| *other == reason)
            .and_then(|index| self.counters.refused.get_mut(index))
        {
            *count += 1;
        }
        if let Some(refusal) = self.refused.get_mut(&site) {
            refusal.reason = reason;
        } else if self.refused.len() < REFUSALS_MAX {
            self.refused.insert(site, Refusal { reason, traps: 0 });
        }
    }

    /// Enters a patch that is about to be written; false, and nothing is changed, when a byte of it
    /// is claimed.
    pub fn commit(&mut self, patch: &Patch, learned: bool) -> bool {
        let pad = patch.pad.map(|pad| pad.range());
        if pad.as_ref().is_some_and(|pad| !self.claims.is_free(pad))
            || !self.claims.insert(&patch.claim())
        {
            return false;
        }
        if let Some(pad) = pad {
            if !self.claims.insert(&pad) {
                self.claims.remove(patch.at);
                return false;
            }
            self.pads.insert(pad.start, patch.at);
        }
        self.refused.remove(&patch.site);
        self.trampolines.insert(patch.trampoline.at, patch.at);
        self.entries.insert(patch.at, Entry { patch: patch.clone(), late: 0 });
        self.counters.applied += 1;
        self.counters.learned += u64::from(learned);
        *self.count(patch.rule) += 1;
        true
    }

    /// The patches that must be undone before `range` is written to, unmapped, replaced or made
    /// writable: those that own a byte of it or stand for one, and those whose trampoline page lies in
    /// it.
    pub fn restore_in(&self, range: &Range<u64>) -> Vec<Patch> {
        let pages = page_of(range.start)..range.end;
        let led_here = self.trampolines.range(pages).map(|(_, at)| *at);
        let mut at: Vec<u64> = self
            .claims
            .overlapping(range)
            .map(|claim| self.owner(&claim))
            .chain(led_here)
            .chain(self.standing_in(range))
            .collect();
        at.sort_unstable();
        at.dedup();
        at.iter().filter_map(|at| self.entries.get(at)).map(|entry| entry.patch.clone()).collect()
    }

    /// Forgets the patch of the instruction at `at`, whose bytes have been put back or are gone.
    pub fn forget(&mut self, at: u64) -> Option<Patch> {
        let Entry { patch, .. } = self.entries.remove(&at)?;
        self.claims.remove(at);
        if let Some(pad) = patch.pad {
            self.claims.remove(pad.at);
            self.pads.remove(&pad.at);
        }
        self.trampolines.remove(&patch.trampoline.at);
        self.counters.restored += 1;
        *self.count(patch.rule) -= 1;
        Some(patch)
    }

    /// Forgets the refusals in `range`: other bytes may stand there soon.
    pub fn forget_refusals(&mut self, range: &Range<u64>) {
        self.refused.retain(|site, _| !range.contains(site));
    }

    /// The program's own bytes in `range` that patches replaced, with their addresses, in order.
    pub fn replaced_in(&self, range: &Range<u64>) -> Vec<(u64, u8)> {
        let old = self.claims.overlapping(range).filter_map(|claim| {
            let entry = self.entries.get(&self.owner(&claim))?;
            Some((claim.start..).zip(entry.patch.old_at(claim.start).iter().copied()))
        });
        old.flatten().collect()
    }

    /// Puts the program's own bytes over what was read from memory at `at`.
    pub fn overlay(&self, at: u64, read: &mut [u8]) {
        let end = at.saturating_add(read.len() as u64);
        lay_over(&self.replaced_in(&(at..end)), at, read);
    }

    /// The patch on whose way to the LibOS `rip` lies: in its trampoline, or at its pad. In a page's stub
    /// no site is known any more.
    pub fn on_the_way(&self, rip: u64) -> Option<&Patch> {
        let led = self.trampolines.range(..=rip).next_back().map(|(_, at)| at);
        let at = led.into_iter().chain(self.pads.get(&rip));
        at.filter_map(|at| self.entries.get(at))
            .map(|entry| &entry.patch)
            .find(|patch| patch.is_on_the_way(rip))
    }

    /// The patches that stand for instructions in `range`, by address.
    fn standing_in(&self, range: &Range<u64>) -> impl Iterator<Item = u64> + '_ {
        let from = range.start.saturating_sub(EXTENT_MAX)..range.end;
        let start = range.start;
        let near = self.entries.range(from);
        near.filter(move |(_, entry)| entry.patch.extent().end > start).map(|(at, _)| *at)
    }

    /// The patch that made a claim, by its address.
    fn owner(&self, claim: &Range<u64>) -> u64 {
        self.pads.get(&claim.start).copied().unwrap_or(claim.start)
    }

    /// All patches, by address.
    pub fn patches(&self) -> impl Iterator<Item = &Patch> + '_ {
        self.entries.values().map(|entry| &entry.patch)
    }

    fn count(&mut self, rule: Rule) -> &mut u64 {
        match rule {
            Rule::Mov => &mut self.counters.mov,
            Rule::Pun => &mut self.counters.pun,
            Rule::Pad => &mut self.counters.pad,
        }
    }
}

/// Puts bytes, given with their addresses in order, over what was read from memory at `at`.
pub(crate) fn lay_over(bytes: &[(u64, u8)], at: u64, read: &mut [u8]) {
    let first = bytes.partition_point(|(address, _)| *address < at);
    for (address, byte) in bytes.iter().skip(first) {
        let index = usize::try_from(address - at).ok();
        let Some(place) = index.and_then(|index| read.get_mut(index)) else { break };
        *place = *byte;
    }
}
