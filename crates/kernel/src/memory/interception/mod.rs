//! Rewriting of system call sites: what a program's `syscall` instruction becomes.
//!
//! The first call at a site traps. After it has been served, the site is looked at
//! ([`decide`]), and where a rule fits, one instruction is replaced by a jump to a trampoline
//! ([`trampoline`]), so that later calls cost a jump. Everything here is calculation: this module
//! reads and writes no memory and stops no vCPU. [`Process`] says what is to be written, its caller
//! does it:
//!
//! 1. at a trap, after the call: [`Process::consider`] under the process's patch lock;
//! 2. for a [`Patch`]: the trampoline page first (mapped, filled with
//!    [`trampoline::FILL`], given [`Gate::stub`](trampoline::Gate::stub) when `fresh`), then its
//!    bytes, then the text by [`apply_to`](Patch::apply_to)'s one store, other vCPUs stopped
//!    where [`needs_stop`](patch::Store::needs_stop) says so; then [`Process::commit`];
//! 3. before text is written to, unmapped, replaced or made writable: [`Process::restore`];
//! 4. when a thread was interrupted: [`Process::place_at`], so that it is never seen in a trampoline.
//!
//! Parts: [`claims`], [`sites`], [`pool`] (a process's book and pages), [`learned`] (sites of files,
//! for all processes), `mov` (the first rule), `boundary`
//! (is that `mov` an instruction?), `stream` (decoding from a start), `between` (what may follow it), [`frames`] and [`golang`] (where a
//! function begins), `pad` (the third rule), [`patch`], [`code`]. Trusted. Neighbours: `memory` (address space, private copies of text),
//! `platform` (the entry, the gate that stops vCPUs).

use alloc::vec::Vec;
use core::ops::Range;

mod between;
mod boundary;
pub mod claims;
pub mod code;
pub mod decide;
pub mod fields;
pub mod frames;
pub mod golang;
pub mod learned;
mod mov;
mod pad;
pub mod patch;
pub mod pool;
pub mod sites;
mod stream;
#[cfg(test)]
mod tests;
pub mod trampoline;

use code::Code;
use decide::{Decision, Proof, Reason, Rule, Site, Surroundings, Text};
use patch::{Call, Patch, Place};
use pool::{Pool, Round, Space};
use sites::Book;
use trampoline::Gate;

/// Bytes of a page.
pub(crate) const PAGE: u64 = abi::layout::PAGE;
/// How far from a site its trampoline may lie: ±2 GiB less what instructions and pages add.
pub(crate) const REACH: u64 = (1 << 31) - (1 << 16);
/// Retired trampolines that are worth a round of the vCPUs.
const RETIRED_MAX: usize = 64;
/// Bytes before a site that a decision looks at.
pub const BEFORE: usize = 48;
/// Bytes from a site on that a decision looks at.
pub const AFTER: usize = 16;

/// Interception in one process.
///
/// Cloned by `fork`, whose child has the same text and trampolines at the same addresses.
#[derive(Clone, Debug)]
pub struct Process {
    gate: Gate,
    book: Book,
    pool: Pool,
    round: Round,
}

impl Process {
    /// Nothing rewritten yet; all trampolines will lead to `gate`.
    pub fn new(gate: Gate) -> Self {
        Self { gate, book: Book::new(), pool: Pool::new(), round: Round::default() }
    }

    /// Where trampolines lead.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// The rewritten sites.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The trampoline pages.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Counts the trap of a site; whether to [`consider`](Self::consider) it, or why not.
    ///
    /// # Errors
    /// The reason for which it goes on trapping.
    pub fn trapped(&mut self, at: u64) -> Result<(), Reason> {
        self.book.trapped(at)
    }

    /// Decides about the site of a system call that trapped with `rax`.
    ///
    /// `text` shows the site's mapping, which is private, file-backed, and not writable; `None` for
    /// any other, which is never rewritten.
    pub fn consider(
        &mut self,
        at: u64,
        rax: u64,
        text: Option<&dyn Text>,
        space: &dyn Space,
    ) -> Decision {
        let Some(text) = text else {
            self.book.refuse(at, Reason::Unsuitable);
            return Decision::LeaveTrap(Reason::Unsuitable);
        };
        let proof = if self.book.has_mov(at) { Proof::Jumped } else { Proof::Trapped { rax } };
        let decision = self.decide(at, proof, text, space);
        if let Decision::LeaveTrap(reason) = decision
            && !text.is_incomplete()
        {
            self.book.refuse(at, reason);
        }
        decision
    }

    /// Decides about a learned site of a file that has just been mapped, before it runs.
    pub fn consider_learned(
        &mut self,
        at: u64,
        rule: Rule,
        text: &dyn Text,
        space: &dyn Space,
    ) -> Decision {
        self.decide(at, Proof::Learned(rule), text, space)
    }

    fn decide(&self, at: u64, proof: Proof, text: &dyn Text, space: &dyn Space) -> Decision {
        let mut buffer = [0_u8; BEFORE + AFTER];
        let code = shown(text, at, &mut buffer);
        let view = self.pool.within(space);
        let around = Surroundings { claims: self.book.claims(), windows: &view, text: Some(text) };
        decide::decide(&Site { at, code, proof }, &around)
    }

    /// Enters a patch that is written now, under the same lock under which it was decided; false
    /// when it no longer fits, and then it must not be written.
    pub fn commit(&mut self, patch: &Patch, how: Origin) -> bool {
        self.book.claims().is_free(&patch.claim())
            && patch.pad.is_none_or(|pad| self.book.claims().is_free(&pad.range()))
            && self.pool.commit(&patch.trampoline, pool::is_general(patch))
            && self.book.commit(patch, how == Origin::Learned)
    }

    /// Forgets the patches that stand in the way of a change to `range` and returns them: by then
    /// the caller has put the old bytes of their sites back; those of their pads it puts back when no vCPU
    /// can be on the way through them, before it lets any run there.
    pub fn restore(&mut self, range: &Range<u64>) -> Vec<Patch> {
        self.book.forget_refusals(range);
        let patches = self.book.restore_in(range);
        for patch in &patches {
            self.book.forget(patch.at);
            self.pool.retire(patch.clone(), self.round);
        }
        patches
    }

    /// Gives `range` over to another mapping: to be called when [`Self::restore`]'s patches are
    /// undone and no vCPU can be in a trampoline there.
    pub fn hand_over(&mut self, range: Range<u64>) {
        self.pool.remove(range);
    }

    /// The pages that hold rewritten text or trampolines.
    pub fn pages(&self) -> impl Iterator<Item = u64> + '_ {
        let text = self.book.patches().flat_map(|patch| {
            let last = patch.at + patch.new.len() as u64 - 1;
            [patch.at, last].into_iter().chain(patch.pad.map(|pad| pad.at))
        });
        text.map(code::page_of).chain(self.pool.pages())
    }

    /// Begins a round, when so much is retired that it is worth it: when every vCPU has been in the
    /// LibOS since, the answer is for [`Self::reclaim`].
    pub fn begin_round(&mut self) -> Option<Round> {
        if self.pool.retired() < RETIRED_MAX {
            return None;
        }
        self.round = Round(self.round.0 + 1);
        Some(self.round)
    }

    /// Frees what was retired before a round began that has ended; returns the pages to be unmapped.
    pub fn reclaim(&mut self, ended: Round) -> Vec<u64> {
        self.pool.reclaim(ended)
    }

    /// Where a thread stands in the program that was interrupted at `rip`; `None` when that is in no
    /// trampoline and no pad. `rcx` and `r11` are the thread's.
    pub fn place_at(&self, rip: u64, rcx: u64, r11: u64) -> Option<Place> {
        let patch = self.book.on_the_way(rip).or_else(|| self.pool.retired_on_the_way(rip));
        if let Some(patch) = patch {
            return Some(patch.place(rip));
        }
        let stub = self.pool.stub_at(rip)?;
        // Its first instruction moves the return address.
        let back = if rip == stub.start { rcx } else { r11 };
        Some(Place::Call(Call { number: None, back }))
    }
}

/// How a site became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By its trap.
    Trap,
    /// From an earlier mapping.
    Learned,
}

/// Reads what a decision about `at` looks at; less where text begins or ends.
fn shown<'a>(text: &dyn Text, at: u64, buffer: &'a mut [u8]) -> Code<'a> {
    let from = at.saturating_sub(BEFORE as u64);
    let got = text.read(from, buffer);
    if got as u64 > at - from {
        return Code::new(from, buffer.get(..got).unwrap_or_default());
    }
    // Nothing is mapped before this page.
    let from = code::page_of(at).max(from);
    let got = text.read(from, buffer);
    Code::new(from, buffer.get(..got).unwrap_or_default())
}
