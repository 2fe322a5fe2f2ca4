//! Is a `mov $imm,%eax` in front of a system call really an instruction of the program?
//!
//! Its first byte could as well be the last byte of something else: `8D B8 27 00 00 00` is
//! `lea 0x27(%rax),%edi` and holds the bytes of `mov $0x27,%eax`. Rewriting it would destroy an
//! instruction, so every other way to arrive at the system call is looked at, and what is known
//! about rax rules most of them out. What remains is decided by decoding from the function's start.

use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, OpAccess, Register, UsedMemory,
};
use smallvec::SmallVec;

use super::PAGE;
use super::code::Code;
use super::decide::Text;
use super::stream::Stream;

// What APX adds (the prefix REX2, more of EVEX) is not decoded: the LibOS does not start where it is
// enabled.

/// Bytes of the longest instruction.
pub(crate) const LONGEST: usize = 15;
/// Nothing is ever mapped below this address.
const NEVER_MAPPED: u64 = 0x1_0000;
/// Bytes that a forward decode looks at before it gives up: no function with a system call in the
/// C libraries comes near it, and 32 KiB take about a millisecond.
const FORWARD_MAX: u64 = 32 << 10;
/// How far from a system call jumps to it are looked for.
const JUMPS_MAX: u64 = 32 << 10;
/// Bytes of the longest direct jump.
const JUMP_LONGEST: usize = 6;
/// Bytes looked at at once for jumps.
const CHUNK: usize = 256;

/// What is known about the instruction in front of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// No other instruction leads to the system call.
    Certain,
    /// None of those that do can have run: the `mov` did, unless control came in behind it by a jump.
    Ran,
    /// Another one may have; a forward decode must decide.
    Ambiguous,
}

/// Looks for any other instruction stream that leads to a system call, or into the instructions
/// before it: those that begin at `starts`, of which the first is a `mov`, and the last is the system
/// call, at which rax has this value.
pub(crate) fn examine(code: &Code<'_>, starts: &[u64], rax: u64) -> Certainty {
    let &[mov, .., site] = starts else {
        return Certainty::Ambiguous;
    };
    let first = mov.saturating_sub(LONGEST as u64);
    if code.start() > first && !starts_a_page(code.start()) {
        return Certainty::Ambiguous; // there may be more text that was not shown
    }
    let mut info = InstructionInfoFactory::new();
    // Places behind the start of the `mov` to which a stream that runs on from before it comes.
    let mut reached: SmallVec<[u64; 16]> = SmallVec::new();
    let mut certainty = Certainty::Certain;
    for start in first..site {
        if starts.contains(&start) || start > mov && !reached.contains(&start) {
            continue;
        }
        let Some(instruction) = decode(code, start) else {
            continue;
        };
        let end = instruction.next_ip();
        if end <= mov || end > site {
            continue;
        }
        if !starts.contains(&end) {
            reached.push(end);
        } else if would_have_faulted(&mut info, &instruction, rax) {
            certainty = Certainty::Ran;
        } else {
            return Certainty::Ambiguous;
        }
    }
    certainty
}

/// Whether a jump to one of `targets` may be near: any bytes that are one when decoding begins there.
/// Only what is in memory is looked at, which whatever has run is.
pub(crate) fn may_be_jumped_to(text: &dyn Text, targets: &[u64]) -> bool {
    let (Some(first), Some(last)) = (targets.first(), targets.last()) else {
        return false;
    };
    let end = last.saturating_add(JUMPS_MAX);
    let mut at = super::code::page_of(first.saturating_sub(JUMPS_MAX));
    let mut buffer = [0_u8; CHUNK];
    // Each piece shows the next one's first bytes too.
    let step = CHUNK as u64 - JUMP_LONGEST as u64;
    while at < end {
        let got = text.read(at, &mut buffer).min(CHUNK);
        let shown = buffer.get(..got).unwrap_or_default();
        if (at..).zip(0..got).any(|(at, from)| {
            let bytes = shown.get(from..).unwrap_or_default();
            jump_target(at, bytes).is_some_and(|target| targets.contains(&target))
        }) {
            return true;
        }
        at += if got == 0 { PAGE - super::code::offset_in_page(at) } else { step };
    }
    false
}

/// Where a direct jump leads that begins at `at` with `bytes`.
fn jump_target(at: u64, bytes: &[u8]) -> Option<u64> {
    let (len, distance) = match *bytes {
        [0x70..=0x7F | 0xE0..=0xE3 | 0xEB, distance, ..] => (2, i64::from(distance.cast_signed())),
        [0xE9, a, b, c, d, ..] => (5, i64::from(i32::from_le_bytes([a, b, c, d]))),
        [0x0F, 0x80..=0x8F, a, b, c, d, ..] => (6, i64::from(i32::from_le_bytes([a, b, c, d]))),
        _ => return None,
    };
    (at + len).checked_add_signed(distance)
}

/// Decodes from the start of the function that holds `mov`; true when an instruction starts there.
pub(crate) fn confirmed_from_start(text: &dyn Text, mov: u64, site: u64) -> bool {
    let Some(mut at) = text.function_start(mov) else {
        return false;
    };
    if at > mov || site - at > FORWARD_MAX {
        return false;
    }
    let mut stream = Stream::of(text);
    while at < mov {
        let Some(instruction) = stream.decode(at) else {
            return false;
        };
        at = instruction.next_ip();
    }
    at == mov
}

/// Whether text can begin at `address` with nothing before it: at a page boundary the caller shows
/// all that is mapped.
fn starts_a_page(address: u64) -> bool {
    super::code::offset_in_page(address) == 0
}

/// The instruction at `at`, if there is one.
pub(crate) fn decode(code: &Code<'_>, at: u64) -> Option<Instruction> {
    let mut decoder = Decoder::with_ip(64, code.instruction_bytes(at), at, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// Whether `instruction`, had it run with this rax, would have touched memory that is never there.
///
/// It must leave rax alone, or its rax would not be the one that the system call saw.
fn would_have_faulted(
    info: &mut InstructionInfoFactory,
    instruction: &Instruction,
    rax: u64,
) -> bool {
    if instruction.has_op_mask() {
        return false; // masked elements do not fault
    }
    let info = info.info(instruction);
    let writes_rax = info.used_registers().iter().any(|used| {
        used.register().full_register() == Register::RAX
            && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::None)
    });
    !writes_rax
        && info.used_memory().iter().any(|memory| {
            matches!(memory.access(), OpAccess::Read | OpAccess::Write | OpAccess::ReadWrite)
                && address(memory, rax).is_some_and(|at| at < NEVER_MAPPED)
        })
}

/// The address of a memory operand, when rax alone determines it.
fn address(memory: &UsedMemory, rax: u64) -> Option<u64> {
    if matches!(memory.segment(), Register::FS | Register::GS) {
        return None;
    }
    let value = |register: Register| match register {
        Register::None => Some(0),
        Register::RAX | Register::EAX => Some(rax),
        _ => None,
    };
    let base = value(memory.base())?;
    let index = value(memory.index())?.wrapping_mul(u64::from(memory.scale()));
    Some(base.wrapping_add(index).wrapping_add(memory.displacement()))
}
