//! Rule *pad*: the two bytes of `syscall` become a short jump to dead bytes near it, which become the
//! jump to the trampoline.
//!
//! Dead are the `int3` and `nop` that fill up to the next function's start, behind a `ret`, a `jmp` or a
//! `ud2`. That they are instructions of their own, and not the end of one or a table, is known by
//! decoding from the start of the function before them; that nobody jumps there, by looking at
//! all its jumps. For code whose punned jump would lead into the program itself: large Go programs.

use alloc::vec::Vec;
use core::ops::Range;

use iced_x86::{FlowControl, Instruction, Mnemonic};

use super::code::{page_of, rel32};
use super::decide::{self, Reason, Rule, SYSCALL, Site, Surroundings, Text};
use super::patch::{Pad, Patch, SHORT, Span, Store, Trampoline};
use super::stream::Stream;
use super::trampoline::{self, JMP};

/// Bytes of a function that are decoded before giving up.
const FUNCTION_MAX: u64 = 32 << 10;

/// Decides about rule *pad*; `otherwise` is why the rules before it did not fit.
pub(crate) fn pad(
    site: &Site<'_>,
    around: &Surroundings<'_>,
    otherwise: Reason,
) -> Result<Patch, Reason> {
    if decide::is_prefixed(site) {
        return Err(Reason::Prefixed);
    }
    let back = site.at + SHORT;
    if !around.claims.is_free(&(site.at..back)) {
        return Err(Reason::Claimed);
    }
    let at = around.text.and_then(|text| find(site, around, text)).ok_or(otherwise)?;
    let trampoline = place_near(site.at, back, around).ok_or(Reason::NoPool)?;
    let old = around.text.and_then(|text| bytes(text, at)).ok_or(otherwise)?;
    let [d0, d1, d2, d3] = rel32(at + JMP, trampoline.at).ok_or(Reason::NoPool)?.to_le_bytes();
    let [short, ..] = at.wrapping_sub(back).to_le_bytes();
    Ok(Patch {
        rule: Rule::Pad,
        site: site.at,
        at: site.at,
        old: Span::from_slice(&SYSCALL),
        new: Span::from_slice(&[0xEB, short]),
        store: Store::new(site.at, SHORT),
        trampoline,
        pad: Some(Pad { at, old, new: [0xE9, d0, d1, d2, d3] }),
    })
}

/// An address for the long jump: unclaimed dead bytes of one page, in reach of the short one.
fn find(site: &Site<'_>, around: &Surroundings<'_>, text: &dyn Text) -> Option<u64> {
    let back = site.at + SHORT;
    let reach = back.saturating_sub(128)..back.saturating_add(128);
    let fits =
        |at: &u64| page_of(*at) == page_of(at + JMP - 1) && around.claims.is_free(&(*at..at + JMP));
    let within = |dead: Range<u64>| {
        let last = dead.end.saturating_sub(JMP - 1).min(reach.end);
        (dead.start.max(reach.start)..last).find(fits)
    };
    let own = text.function(site.at)?;
    if let Some(at) = dead_end(text, &own, Some(site.at)).and_then(within) {
        return Some(at);
    }
    if own.start <= reach.start {
        return None;
    }
    let before = text.function(own.start - 1).filter(|before| before.end == own.start)?;
    // Where this function's own bytes were not decoded, its start is what the tables say.
    dead_end(text, &before, None).and_then(within)
}

/// The dead bytes at the end of a stretch that reaches from a function's start to the next one's;
/// `None` where an instruction begins that does not end in it, or none begins at `through`.
fn dead_end(text: &dyn Text, stretch: &Range<u64>, through: Option<u64>) -> Option<Range<u64>> {
    if stretch.end.checked_sub(stretch.start)? > FUNCTION_MAX {
        return None;
    }
    let mut stream = Stream::of(text);
    let mut passed = through.is_none();
    let mut targets = Vec::new();
    // Where padding begins, once control can't come to it from before.
    let (mut stopped, mut dead) = (false, None);
    let mut at = stretch.start;
    while at < stretch.end {
        let instruction = stream.decode(at)?;
        passed |= through == Some(at);
        if is_padding(&instruction) {
            dead = dead.or(stopped.then_some(at));
        } else {
            dead = None;
            stopped = ends_flow(&instruction);
        }
        if instruction.near_branch_target() != 0 {
            targets.push(instruction.near_branch_target());
        }
        at = instruction.next_ip();
    }
    let dead = dead?..stretch.end;
    let reached = targets.iter().any(|target| dead.contains(target));
    (at == stretch.end && passed && !reached).then_some(dead)
}

fn is_padding(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
}

fn ends_flow(instruction: &Instruction) -> bool {
    let flow = instruction.flow_control();
    matches!(flow, FlowControl::Return | FlowControl::UnconditionalBranch)
        || flow == FlowControl::IndirectBranch
        || instruction.mnemonic() == Mnemonic::Ud2
}

fn bytes(text: &dyn Text, at: u64) -> Option<[u8; 5]> {
    let mut bytes = [0; 5];
    (text.read(at, &mut bytes) == bytes.len()).then_some(bytes)
}

fn place_near(site: u64, back: u64, around: &Surroundings<'_>) -> Option<Trampoline> {
    let base = around.windows.near_pool(site)?;
    let anywhere = base..base.checked_add(super::PAGE)?;
    let (at, stub, fresh) =
        decide::place(around.windows, base, &anywhere, trampoline::PUN_TRAMPOLINE)?;
    let code = trampoline::for_pun(at, back, stub)?;
    Some(Trampoline { at, code, stub, fresh })
}
