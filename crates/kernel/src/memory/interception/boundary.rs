//! Is a `mov $imm,%eax` in front of a system call really an instruction of the program?
//!
//! Its first byte could as well be the last byte of something else: `8D B8 27 00 00 00` is
//! `lea 0x27(%rax),%edi` and holds the bytes of `mov $0x27,%eax`. Rewriting it would destroy an
//! instruction, so every other way to arrive at the system call is looked at, and what is known
//! about rax rules most of them out. What remains is decided by decoding from the function's start.

use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, OpAccess, Register, UsedMemory,
};

use super::code::Code;
use super::decide::Text;

// What APX adds (the prefix REX2, more of EVEX) is not decoded: the LibOS does not start where it is
// enabled.

/// Bytes of the longest instruction.
pub(crate) const LONGEST: usize = 15;
/// Nothing is ever mapped below this address.
const NEVER_MAPPED: u64 = 0x1_0000;
/// Bytes that a forward decode looks at before it gives up: no function with a system call in the
/// C libraries comes near it, and 32 KiB take about a millisecond.
const FORWARD_MAX: u64 = 32 << 10;
/// Bytes fetched at once by a forward decode.
const CHUNK: usize = 256;

/// What is known about the instruction in front of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// No other instruction can have led to the system call.
    Certain,
    /// Another one may have; a forward decode must decide.
    Ambiguous,
}

/// Looks for any other instruction stream that ends at `site`, given one that holds a `mov` at
/// `mov` which would load `rax`, the value that rax has at the site.
pub(crate) fn examine(code: &Code<'_>, mov: u64, site: u64, rax: u64) -> Certainty {
    let whole_past = (LONGEST as u64) + (site - mov);
    if code.start() > site.saturating_sub(whole_past) && !starts_a_page(code.start()) {
        return Certainty::Ambiguous; // there may be more text that was not shown
    }
    let mut info = InstructionInfoFactory::new();
    for start in earlier(site) {
        if start == mov {
            continue;
        }
        let Some(instruction) = decode_ending_at(code, start, site) else {
            continue;
        };
        if would_have_faulted(&mut info, &instruction, rax) {
            continue;
        }
        if start < mov || reachable(code, mov, start) {
            return Certainty::Ambiguous;
        }
    }
    Certainty::Certain
}

/// Decodes from the start of the function that holds `site`; true when both `mov` and `site` are
/// starts of instructions there and one follows the other.
pub(crate) fn confirmed_from_start(text: &dyn Text, mov: u64, site: u64) -> bool {
    let Some(mut at) = text.function_start(mov) else {
        return false;
    };
    if at > mov || site - at > FORWARD_MAX {
        return false;
    }
    let mut buffer = [0_u8; CHUNK];
    let mut held = 0..0_u64;
    while at < mov {
        if at < held.start || at + (LONGEST as u64) > held.end {
            let got = text.read(at, &mut buffer).min(CHUNK);
            held = at..at + got as u64;
        }
        let code = Code::new(held.start, &buffer);
        let Some(instruction) = decode(&code, at) else {
            return false;
        };
        at += instruction.len() as u64;
        if at > held.end {
            return false;
        }
    }
    at == mov
}

/// Whether text can begin at `address` with nothing before it: at a page boundary the caller shows
/// all that is mapped.
fn starts_a_page(address: u64) -> bool {
    super::code::offset_in_page(address) == 0
}

/// The places at which an instruction that ends at `end` can start, nearest first.
fn earlier(end: u64) -> impl Iterator<Item = u64> {
    (1..=LONGEST as u64).filter_map(move |back| end.checked_sub(back))
}

/// Whether an instruction stream that does not pass through the start of `mov` can reach `inner`,
/// an address within it, by running on from before.
fn reachable(code: &Code<'_>, mov: u64, inner: u64) -> bool {
    earlier(inner).any(|start| {
        start != mov
            && decode_ending_at(code, start, inner).is_some()
            && (start < mov || reachable(code, mov, start))
    })
}

fn decode(code: &Code<'_>, at: u64) -> Option<Instruction> {
    let mut decoder = Decoder::with_ip(64, code.instruction_bytes(at), at, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

fn decode_ending_at(code: &Code<'_>, start: u64, end: u64) -> Option<Instruction> {
    decode(code, start).filter(|instruction| instruction.next_ip() == end)
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
