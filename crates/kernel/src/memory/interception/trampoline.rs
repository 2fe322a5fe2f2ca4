//! The code that a rewritten call site jumps to.
//!
//! Each site has a *trampoline* that loads what the replaced instruction would have loaded, and the
//! return address into rcx; it ends in the *stub* of its page, which makes sure that GS still
//! belongs to the LibOS and jumps to the entry. At both destinations rax is the number, rcx the
//! return address, r11 anything, and all else, flags included, the program's; nothing is pushed.
//!
//! ```text
//! mov trampoline:  b8 nn nn nn nn        mov  $nn,%eax
//!                  ...                   what the program has between the mov and the syscall
//!                  48 8d 0d rel32        lea  return(%rip),%rcx
//!                  e9 rel32              jmp  stub
//! pun trampoline:  48 8d 0d rel32        lea  return(%rip),%rcx     (48 b9 imm64 when too far)
//!                  e9 rel32              jmp  stub
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use smallvec::SmallVec;

use super::PAGE;
use super::code::{offset_in_page, page_of, rel32};

/// Bytes of a stub, its two addresses included.
pub const STUB: usize = 53;
/// What the unused bytes of a trampoline page hold: `int3`.
pub const FILL: u8 = 0xCC;
/// Bytes of a jump with a 32-bit displacement.
pub(crate) const JMP: u64 = 5;
/// Bytes of the `mov` at the start of a trampoline.
pub(crate) const MOV: u64 = 5;
const LEA: u64 = 7;
const MOVABS: u64 = 10;

/// Where trampolines lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The LibOS's entry, taken when GS points into the vCPU area.
    pub entry: u64,
    /// Where a call goes whose GS is the program's own: the known address of `int3`.
    pub foreign: u64,
    /// Start of the vCPU area, a multiple of 4 GiB; the area ends below the next one.
    pub vcpus: u64,
}

impl Gate {
    /// The stub's code and data. It needs no relocation: only what it holds is absolute.
    ///
    /// GS is compared without flags, memory or stack: the upper half of its base, brought down by
    /// `bswap`, minus the area's own is zero or not, which `jrcxz` sees.
    pub fn stub(&self) -> [u8; STUB] {
        let [.., b3, b2, b1, b0] = self.vcpus.to_le_bytes();
        let upper = i32::from_le_bytes([b0, b1, b2, b3]);
        let mut out = [0; STUB];
        let [entry, foreign] = [self.entry.to_le_bytes(), self.foreign.to_le_bytes()];
        let parts: [&[u8]; 12] = [
            &[0x49, 0x89, 0xCB],             // mov %rcx,%r11
            &[0xF3, 0x48, 0x0F, 0xAE, 0xC9], // rdgsbase %rcx
            &[0x48, 0x0F, 0xC9],             // bswap %rcx
            &[0x8D, 0x89],                   // lea -upper(%rcx),%ecx
            &upper.wrapping_neg().to_le_bytes(),
            &[0xE3, 0x09],                // jrcxz 1f
            &[0x4C, 0x89, 0xD9],          // mov %r11,%rcx
            &[0xFF, 0x25, 0x11, 0, 0, 0], // jmp *foreign(%rip)
            &[0x4C, 0x89, 0xD9],          // 1: mov %r11,%rcx
            &[0xFF, 0x25, 0, 0, 0, 0],    // jmp *entry(%rip)
            &entry,
            &foreign,
        ];
        let mut bytes = parts.into_iter().flatten();
        out.fill_with(|| bytes.next().copied().unwrap_or(FILL));
        out
    }
}

/// Bytes before a stub at a page's start, so that the addresses in it are aligned: the program may have
/// asked for alignment checks.
const LEAD: u64 = 3;

/// A trampoline's bytes.
pub type Bytes = SmallVec<[u8; 24]>;

/// Bytes of the trampoline that stands for `mov $nr,%eax; syscall`; what is between comes on top.
pub(crate) const MOV_TRAMPOLINE: u64 = MOV + LEA + JMP;
/// Bytes of the longest trampoline.
pub(crate) const LONGEST: u64 = MOV_TRAMPOLINE + super::between::BYTES_MAX;
/// Bytes of the trampoline that stands for `syscall` alone, the longer form.
pub(crate) const PUN_TRAMPOLINE_FAR: u64 = MOVABS + JMP;
/// Bytes of the trampoline that stands for `syscall` alone.
pub(crate) const PUN_TRAMPOLINE: u64 = LEA + JMP;

/// The trampoline at `at` for a replaced `mov $nr,%eax`, with the instructions `between` it and the
/// `syscall`; `None` when something is out of reach.
pub(crate) fn for_mov(at: u64, nr: u32, between: &[u8], back: u64, stub: u64) -> Option<Bytes> {
    let mut out = Bytes::new();
    out.push(0xB8);
    out.extend_from_slice(&nr.to_le_bytes());
    out.extend_from_slice(between);
    push_lea(&mut out, at, back)?;
    push_jmp(&mut out, at, stub)?;
    Some(out)
}

/// The trampoline at `at` for a replaced `syscall`; `None` when the stub is out of reach.
pub(crate) fn for_pun(at: u64, back: u64, stub: u64) -> Option<Bytes> {
    let mut out = Bytes::new();
    if push_lea(&mut out, at, back).is_none() {
        out.extend_from_slice(&[0x48, 0xB9]);
        out.extend_from_slice(&back.to_le_bytes());
    }
    push_jmp(&mut out, at, stub)?;
    Some(out)
}

fn push_lea(out: &mut Bytes, at: u64, target: u64) -> Option<()> {
    let displacement = rel32(at + out.len() as u64 + LEA, target)?;
    out.extend_from_slice(&[0x48, 0x8D, 0x0D]);
    out.extend_from_slice(&displacement.to_le_bytes());
    Some(())
}

fn push_jmp(out: &mut Bytes, at: u64, target: u64) -> Option<()> {
    let displacement = rel32(at + out.len() as u64 + JMP, target)?;
    out.push(0xE9);
    out.extend_from_slice(&displacement.to_le_bytes());
    Some(())
}

/// What is used of one trampoline page.
///
/// The windows of puns leave little choice, so a page keeps a plain list of taken intervals rather
/// than slots. The stub lies wherever the first window does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    base: u64,
    stub: u64,
    used: Vec<Range<u64>>,
}

impl Page {
    /// A page in which only the stub is placed: at its start, or at its end when the start may be
    /// wanted by a trampoline that has to lie within `wanted`.
    pub fn new(base: u64, wanted: &Range<u64>) -> Self {
        let at_start = wanted.start >= base + LEAD + STUB as u64 || wanted.end <= base;
        let stub = if at_start { base + LEAD } else { base + PAGE - STUB as u64 };
        Self::with_stub(base, stub)
    }

    /// A page whose stub lies at `stub`.
    pub(crate) fn with_stub(base: u64, stub: u64) -> Self {
        debug_assert!(offset_in_page(base) == 0 && page_of(stub + STUB as u64 - 1) == base);
        Self { base, stub, used: alloc::vec![stub..stub + STUB as u64] }
    }

    /// The page's address.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// The stub's address.
    pub fn stub(&self) -> u64 {
        self.stub
    }

    /// The lowest address within `starts` at which `len` bytes are unused.
    pub fn room(&self, starts: &Range<u64>, len: u64) -> Option<u64> {
        let mut at = starts.start.max(self.base);
        for taken in &self.used {
            if taken.end <= at {
                continue;
            }
            if at + len <= taken.start {
                break;
            }
            at = taken.end;
        }
        (at < starts.end && at + len <= self.base + PAGE).then_some(at)
    }

    /// Marks `range` as used; false, and nothing is changed, when it is not free.
    pub fn take(&mut self, range: Range<u64>) -> bool {
        let index = self.used.partition_point(|taken| taken.end <= range.start);
        let clear = self.used.get(index).is_none_or(|next| range.end <= next.start);
        let inside = range.start >= self.base && range.end <= self.base + PAGE;
        if clear && inside && !range.is_empty() {
            self.used.insert(index, range);
            return true;
        }
        false
    }

    /// Marks the interval that begins at `start` as free again.
    pub fn release(&mut self, start: u64) {
        self.used.retain(|taken| taken.start != start || start == self.stub);
    }

    /// Whether no trampoline is left.
    pub fn is_empty(&self) -> bool {
        self.used.len() == 1
    }
}
