//! Where a handler returns to.
//!
//! The C library's restorer is known to unwinders by its bytes, so its call stays a trap. Where they
//! find the vDSO too, by its call frame information, handlers return to the vDSO's restorer instead, whose
//! call can be rewritten: in programs that have a dynamic linker, and in static ones of the GNU C
//! library, which tells unwinders of the vDSO (musl and Go do not).

use crate::context::Context;
use crate::memory::interception::decide::RESTORER;
use crate::process::vdso;

const AT_PHDR: u64 = 3;
const AT_PHNUM: u64 = 5;
const AT_BASE: u64 = 7;
const AT_SYSINFO_EHDR: u64 = 33;

/// Bytes of a program header, and of an ELF header.
const HEADER: u64 = 56;
const ELF_HEADER: u64 = 64;
/// As many headers are looked at.
const HEADERS: u64 = 32;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// As the program says, but where its restorer is the C library's own, the vDSO's if that will do.
pub(super) fn of(cx: &Context<'_>, own: u64) -> u64 {
    let known = cx.thread.signals.own().restorer;
    let other = match known {
        Some((before, other)) if before == own => other,
        _ => {
            let other = find(cx, own).unwrap_or(own);
            cx.thread.signals.own().restorer = Some((own, other));
            other
        }
    };
    // A program may have unmapped it.
    if other == own || cx.read::<u8>(other).is_ok() { other } else { own }
}

fn find(cx: &Context<'_>, own: u64) -> Option<u64> {
    let value = |key| {
        let program = cx.process.program.lock();
        program.auxiliary.iter().find(|(name, _)| *name == key).map_or(0, |(_, value)| *value)
    };
    let vdso = value(AT_SYSINFO_EHDR);
    if vdso == 0 || cx.read::<[u8; RESTORER.len()]>(own) != Ok(RESTORER) {
        return None;
    }
    let known = value(AT_BASE) != 0 || is_gnu(cx, value(AT_PHDR), value(AT_PHNUM));
    known.then(|| vdso + vdso::restorer())
}

/// Whether the program whose headers these are was linked with the GNU C library: it has its ABI tag.
fn is_gnu(cx: &Context<'_>, headers: u64, count: u64) -> bool {
    let all = || (0..count.min(HEADERS)).map(|index| headers.wrapping_add(index * HEADER));
    let word = |at: u64| cx.read::<u64>(at).unwrap_or(0);
    let kind = |at: u64| cx.read::<u32>(at).unwrap_or(0);
    // Type, flags, offset, address: the first segment says where address 0 of the file is.
    let first = all().find(|at| kind(*at) == PT_LOAD && word(at.wrapping_add(8)) == 0);
    let Some(first) = first else { return false };
    let bias = headers.wrapping_sub(ELF_HEADER).wrapping_sub(word(first.wrapping_add(16)));
    all().filter(|at| kind(*at) == PT_NOTE).any(|at| {
        has_tag(cx, word(at.wrapping_add(16)).wrapping_add(bias), word(at.wrapping_add(32)))
    })
}

/// Whether notes have the one that says for which kernels a C library was made.
fn has_tag(cx: &Context<'_>, start: u64, len: u64) -> bool {
    const ABI_TAG: u32 = 1;
    /// So many notes are looked at.
    const NOTES: usize = 8;
    let mut at = 0;
    for _ in 0..NOTES {
        if at + 16 > len {
            return false;
        }
        let Ok([name, content, kind, text]) = cx.read::<[u32; 4]>(start.wrapping_add(at)) else {
            return false;
        };
        if kind == ABI_TAG && name == 4 && text == u32::from_le_bytes(*b"GNU\0") {
            return true;
        }
        at += 12 + u64::from(name).next_multiple_of(4) + u64::from(content).next_multiple_of(4);
    }
    false
}
