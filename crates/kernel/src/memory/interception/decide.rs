//! Whether and how one call site is rewritten: pure, from bytes to bytes.
//!
//! Three rules. Each replaces exactly one instruction by one that begins at the same place and leaves
//! all others as they were, so that no saved instruction pointer can ever lie inside:
//!
//! - *mov* ([`super::mov`]): `mov $nr,%eax` in front of the `syscall` becomes a jump to a trampoline
//!   in reach; the `syscall` stays, for those who jump to it. A few instructions may stand between.
//! - *pun*: the two bytes of `syscall` become `E9 XX`, a jump whose other three displacement bytes
//!   are the next instruction's first three, unchanged. XX is free, so the trampoline must lie in
//!   one window of 256 bytes.
//! - *pad* ([`super::pad`]): they become a short jump to dead bytes behind a function's end, which
//!   become the jump to the trampoline.
//!
//! What none fits goes on trapping: slower, never wrong.

use core::ops::Range;

use super::PAGE;
use super::claims::Claims;
use super::code::{Code, page_of, rel32};
use super::mov;
use super::pad;
use super::patch::{Patch, SHARED, Span, Store, Trampoline};
use super::trampoline::{self, JMP, Page};

/// The bytes of `syscall`.
pub const SYSCALL: [u8; 2] = [0x0F, 0x05];
/// `mov $15,%rax; syscall`: unwinders know a signal's return by these very bytes, so they stay.
pub const RESTORER: [u8; 9] = [0x48, 0xC7, 0xC0, 0x0F, 0, 0, 0, 0x0F, 0x05];
/// The prefix that halves an operand, or on some processors a branch's target.
const OPERAND_SIZE: u8 = 0x66;

/// Which instruction is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The `mov` that loads the number.
    Mov,
    /// The `syscall` itself.
    Pun,
    /// The `syscall` itself, with dead bytes near it.
    Pad,
}

/// Why a site is believed to be a system call of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It trapped, with this value in rax.
    Trapped {
        /// The whole register.
        rax: u64,
    },
    /// It trapped though the `mov` before it is replaced: it is jumped to.
    Jumped,
    /// It trapped, and this rule was found to fit, in an earlier mapping of the same bytes.
    Learned(Rule),
}

/// A call site.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Address of the `syscall` instruction.
    pub at: u64,
    /// The program's own bytes around it: [`super::BEFORE`] before and [`super::AFTER`] after, or
    /// as far as text is mapped.
    pub code: Code<'a>,
    /// How we know of it.
    pub proof: Proof,
}

/// What a page of the user region may serve for.
#[derive(Clone, Copy, Debug)]
pub enum PageState<'a> {
    /// Nothing is mapped or reserved there: it may become a trampoline page.
    Free,
    /// A trampoline page of this process.
    Ours(&'a Page),
    /// The program's, or outside the user region.
    Taken,
}

/// Where trampolines can be put.
pub trait Windows {
    /// The state of the page at `page`, a multiple of 4 KiB.
    fn page_state(&self, page: u64) -> PageState<'_>;

    /// A page for trampolines that need not lie anywhere in particular: ours with 32 bytes unused,
    /// or free, within 2 GiB less 64 KiB of `site`.
    fn near_pool(&self, site: u64) -> Option<u64>;
}

/// The program's text, for decoding from a function's start.
pub trait Text {
    /// The first address of the function that holds `address`, where call frame information or a
    /// symbol says so.
    fn function_start(&self, address: u64) -> Option<u64>;

    /// From the start of the function that holds `address`, or whose padding does, to the start of the
    /// next one, by the same sources.
    fn function(&self, address: u64) -> Option<Range<u64>>;

    /// Whether something was asked for that is not in memory: a later decision may find more.
    fn is_incomplete(&self) -> bool {
        false
    }

    /// Copies the program's own bytes at `at`; returns how many are there, at most the buffer's
    /// length. Ends where the site's mapping ends: bytes behind it can change without our knowing.
    fn read(&self, at: u64, buffer: &mut [u8]) -> usize;
}

/// All that a decision depends on beside the site.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Bytes that other patches own.
    pub claims: &'a Claims,
    /// Where trampolines can be put.
    pub windows: &'a dyn Windows,
    /// The text of the site's mapping, if functions are known there.
    pub text: Option<&'a dyn Text>,
}

/// Why a site stays a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The bytes are not a `syscall` instruction's, or could not be read.
    NotSyscall,
    /// The nine bytes by which unwinders know a signal's return.
    Restorer,
    /// Another patch owns a byte that this one needs.
    Claimed,
    /// `66` stands before it: where that is a prefix, it would cut the jump's target to 16 bits on
    /// AMD's processors.
    Prefixed,
    /// No `mov` before it that fits, no page where the pun's jump would lead, no dead bytes near it.
    NoWindow,
    /// The bytes behind it are not there.
    NoBytesBehind,
    /// No trampoline page within reach.
    NoPool,
    /// A learned rule does not match the bytes.
    Mismatch,
    /// It was rewritten already; this trap came late, from a stale instruction or a jump.
    Late,
    /// The text is writable, shared or anonymous, or the manifest asks for traps.
    Unsuitable,
}

impl Reason {
    /// All reasons, in the order of the counters.
    pub const ALL: [Self; 10] = [
        Self::NotSyscall,
        Self::Restorer,
        Self::Claimed,
        Self::Prefixed,
        Self::NoWindow,
        Self::NoBytesBehind,
        Self::NoPool,
        Self::Mismatch,
        Self::Late,
        Self::Unsuitable,
    ];

    /// Whether the reason may pass without a change to the text.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Claimed | Self::NoWindow | Self::NoPool | Self::Unsuitable)
    }
}

/// What to do with a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Replace an instruction, by the rule that the patch names.
    Rewrite(Patch),
    /// Leave it.
    LeaveTrap(Reason),
}

impl Decision {
    /// What is to be written, if anything.
    pub fn patch(&self) -> Option<&Patch> {
        match self {
            Self::Rewrite(patch) => Some(patch),
            Self::LeaveTrap(_) => None,
        }
    }
}

/// Decides about one site.
pub fn decide(site: &Site<'_>, around: &Surroundings<'_>) -> Decision {
    if site.code.array(site.at) != Some(SYSCALL) {
        return Decision::LeaveTrap(Reason::NotSyscall);
    }
    let restorer = site.at.checked_sub(7).and_then(|start| site.code.array(start));
    if restorer == Some(RESTORER) {
        return Decision::LeaveTrap(Reason::Restorer);
    }
    let may = |rule| match site.proof {
        Proof::Learned(only) => only == rule,
        Proof::Jumped => rule != Rule::Mov,
        Proof::Trapped { .. } => true,
    };
    let mut reason = Reason::Mismatch;
    if may(Rule::Mov) {
        match mov::adjacent(site, around) {
            Ok(Some(patch)) => return Decision::Rewrite(patch),
            Ok(None) => {}
            Err(why) => reason = why,
        }
    }
    if may(Rule::Pun) {
        match pun(site, around) {
            Ok(patch) => return Decision::Rewrite(patch),
            Err(why) => reason = why,
        }
    }
    if may(Rule::Pad) {
        match pad::pad(site, around, reason) {
            Ok(patch) => return Decision::Rewrite(patch),
            Err(why) => reason = why,
        }
    }
    // The others serve those too who jump to the `syscall`.
    if may(Rule::Mov) {
        match mov::apart(site, around) {
            Ok(Some(patch)) => return Decision::Rewrite(patch),
            Ok(None) => {}
            Err(why) => reason = why,
        }
    }
    Decision::LeaveTrap(reason)
}

/// Whether the byte before the site could be a prefix of what replaces it.
pub(crate) fn is_prefixed(site: &Site<'_>) -> bool {
    site.at.checked_sub(1).and_then(|before| site.code.array(before)) == Some([OPERAND_SIZE])
}

/// Finds `len` bytes in the page at `base` that begin within `starts`: their address, the page's
/// stub, and whether the page is a new one.
pub(crate) fn place(
    windows: &dyn Windows,
    base: u64,
    starts: &Range<u64>,
    len: u64,
) -> Option<(u64, u64, bool)> {
    let new;
    let (page, fresh) = match windows.page_state(base) {
        PageState::Ours(page) => (page, false),
        PageState::Free => {
            let wanted = starts.start..(starts.end + len).min(base + PAGE);
            let whole = wanted == (base..base + PAGE);
            new = Page::new(base, if whole { &(0..0) } else { &wanted });
            (&new, true)
        }
        PageState::Taken => return None,
    };
    page.room(starts, len).map(|at| (at, page.stub(), fresh))
}

/// Rule *pun*.
fn pun(site: &Site<'_>, around: &Surroundings<'_>) -> Result<Patch, Reason> {
    let back = site.at + 2;
    if is_prefixed(site) {
        return Err(Reason::Prefixed);
    }
    let [b1, b2, b3] = site.code.array::<3>(back).ok_or(Reason::NoBytesBehind)?;
    if !around.claims.is_free(&(site.at..back + SHARED)) {
        return Err(Reason::Claimed);
    }
    let distance = i64::from(i32::from_le_bytes([0, b1, b2, b3]));
    let first = (site.at + JMP).checked_add_signed(distance).ok_or(Reason::NoWindow)?;
    let window = first..first.checked_add(256).ok_or(Reason::NoWindow)?;
    let trampoline = place_in_window(&window, back, around).ok_or(Reason::NoWindow)?;
    let low = u8::try_from(trampoline.at - first).map_err(|_| Reason::NoWindow)?;
    Ok(Patch {
        rule: Rule::Pun,
        site: site.at,
        at: site.at,
        old: Span::from_slice(&SYSCALL),
        new: Span::from_slice(&[0xE9, low]),
        store: Store::new(site.at, 2),
        trampoline,
        pad: None,
    })
}

/// A trampoline that begins within `window`, in one of the two pages that it may touch; a page that
/// is ours already is preferred.
fn place_in_window(
    window: &Range<u64>,
    back: u64,
    around: &Surroundings<'_>,
) -> Option<Trampoline> {
    // `lea` must reach back from wherever in the window it will lie.
    let near = rel32(window.start, back).is_some() && rel32(window.end + 16, back).is_some();
    let len = if near { trampoline::PUN_TRAMPOLINE } else { trampoline::PUN_TRAMPOLINE_FAR };
    let low = page_of(window.start);
    let high = page_of(window.end - 1);
    let windows = around.windows;
    let ours = |page: u64| matches!(windows.page_state(page), PageState::Ours(_));
    let order = if ours(high) && !ours(low) { [high, low] } else { [low, high] };
    order.into_iter().find_map(|base| {
        let starts = window.start.max(base)..window.end.min(base.checked_add(PAGE)?);
        let (at, stub, fresh) = place(windows, base, &starts, len)?;
        let code = trampoline::for_pun(at, back, stub)?;
        Some(Trampoline { at, code, stub, fresh })
    })
}
