//! The frame that a handler runs in: Linux's `rt_sigframe`, byte for byte.
//!
//! ```text
//! sp + 0     address that the handler returns to (sa_restorer)
//! sp + 8     ucontext: flags, link, stack_t, sigcontext (256), mask        304 bytes
//! sp + 312   siginfo                                                       128 bytes
//!   …        up to the next multiple of 64
//! fpstate    x87, vector and mask state in XSAVE layout, then FP_XSTATE_MAGIC2
//! ```
//!
//! `sp + 8` is a multiple of 16, as after a call. What comes back through `rt_sigreturn` is the
//! program's word: every byte of it may have been changed, and none can do more than the program
//! could do by itself.
//!
//! Source: `arch/x86/include/uapi/asm/{sigcontext,ucontext}.h`, sigreturn(2).

use abi::trap::Registers;

use crate::signal::info;
use crate::signal::number::SignalSet;
use crate::signal::state::FaultRecord;

/// Bytes of the frame without the extended state.
pub const SIZE: usize = INFO + info::SIZE;
/// Offset of the ucontext.
pub const CONTEXT: usize = 8;
/// Offset of the siginfo.
pub const INFO: usize = 312;
/// Bytes below the stack pointer that leaf functions use.
pub const RED_ZONE: u64 = 128;
/// Bytes of the extended state that exist on every processor.
pub const LEGACY: usize = 512;

/// Bytes that the extended state takes at most, its magic included: AVX-512 in the layout of any
/// processor.
pub const EXTENDED_MAX: usize = 2752;

const FLAGS: usize = CONTEXT;
const STACK: usize = CONTEXT + 16;
const REGISTERS: usize = CONTEXT + 40;
const SEGMENTS: usize = REGISTERS + 144;
const ERROR: usize = SEGMENTS + 8;
const VECTOR: usize = ERROR + 8;
const OLD_MASK: usize = VECTOR + 8;
const ADDRESS: usize = OLD_MASK + 8;
const EXTENDED: usize = ADDRESS + 8;
const MASK: usize = REGISTERS + 256;

/// Where the legacy area keeps what software says about the rest.
const SOFTWARE: usize = 464;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// Bytes of the XSAVE header behind the legacy area.
const HEADER: usize = 64;
/// Bytes of MAGIC2 behind the state.
const MAGIC2_SIZE: usize = 4;

/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`; the first only with more than the
/// legacy area.
const CONTEXT_FLAGS: u64 = 0b110;
const CONTEXT_XSTATE: u64 = 0b001;

/// Code segment of 64-bit programs.
const CS: u16 = 0x33;
/// Stack segment.
const SS: u16 = 0x2b;

/// Flags that a frame can change: AC RF OF DF TF SF ZF AF PF CF.
const CHANGEABLE: u64 = 0x0005_0dd5;
/// Flags that are off as a handler starts: TF DF RF.
const CLEARED: u64 = 0x0001_0500;

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Lowest address: the handler's stack pointer.
    pub frame: u64,
    /// The extended state.
    pub extended: u64,
}

/// What of the thread goes into a frame, and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// General registers.
    pub registers: Registers,
    /// Mask to which `rt_sigreturn` returns.
    pub mask: SignalSet,
    /// `stack_t` of the alternate stack.
    pub stack: [u64; 3],
    /// The last fault.
    pub fault: FaultRecord,
    /// Where the extended state lies; 0 nowhere.
    pub extended: u64,
}

impl Place {
    /// Below `sp`, for `extended` bytes of state with its magic; `None` when it wraps.
    pub fn below(sp: u64, extended: usize) -> Option<Self> {
        let extended = sp.checked_sub(extended as u64)? & !63;
        let frame = (extended.checked_sub(SIZE as u64)? & !15).checked_sub(8)?;
        Some(Self { frame, extended })
    }
}

/// Bytes that the extended state takes in a frame, from its XSAVE size.
pub fn extended_len(xsave: usize) -> usize {
    if xsave > LEGACY { xsave + MAGIC2_SIZE } else { xsave }
}

/// Marks an XSAVE image so that `rt_sigreturn`, and programs, see how far it goes; `mask` says
/// which components it has. `image` has room for the magic at its end.
pub fn seal(image: &mut [u8], mask: u64) {
    let Some(xsave) = image.len().checked_sub(MAGIC2_SIZE).filter(|size| *size > LEGACY) else {
        return;
    };
    let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    image[SOFTWARE..LEGACY].fill(0);
    image[SOFTWARE..SOFTWARE + 4].copy_from_slice(&MAGIC1.to_le_bytes());
    image[SOFTWARE + 4..SOFTWARE + 8].copy_from_slice(&number(xsave + MAGIC2_SIZE));
    image[SOFTWARE + 8..SOFTWARE + 16].copy_from_slice(&mask.to_le_bytes());
    image[SOFTWARE + 16..SOFTWARE + 20].copy_from_slice(&number(xsave));
    image[xsave..].copy_from_slice(&MAGIC2.to_le_bytes());
}

/// What the legacy area of a frame that comes back says about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Bytes of the state, its magic not counted.
    pub len: usize,
    /// The components that count.
    pub mask: u64,
}

impl Seal {
    /// Reads it; `None` when only the legacy area counts.
    pub fn of(legacy: &[u8; LEGACY], largest: usize) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes_at(legacy, at));
        let (magic, extended, len) = (word(SOFTWARE), word(SOFTWARE + 4), word(SOFTWARE + 16));
        let len = usize::try_from(len).ok()?;
        let extended = usize::try_from(extended).ok()?;
        let plausible = magic == MAGIC1
            && len >= LEGACY + HEADER
            && len <= largest
            && len + MAGIC2_SIZE <= extended;
        let mask = u64::from_le_bytes(bytes_at(legacy, SOFTWARE + 8));
        plausible.then_some(Self { len, mask })
    }

    /// Takes the magic off an image that ends with it, and drops the components that don't count;
    /// false when the magic is not there.
    pub fn open(&self, image: &mut [u8]) -> bool {
        if image.len() != self.len + MAGIC2_SIZE
            || u32::from_le_bytes(bytes_at(image, self.len)) != MAGIC2
        {
            return false;
        }
        let present = u64::from_le_bytes(bytes_at(image, LEGACY)) & self.mask;
        image[LEGACY..LEGACY + 8].copy_from_slice(&present.to_le_bytes());
        true
    }
}

#[inline]
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut word = [0; N];
    word.copy_from_slice(&bytes[at..at + N]);
    word
}

/// The frame without the extended state.
pub fn encode(
    state: &State,
    restorer: u64,
    info: &[u8; info::SIZE],
    has_xsave: bool,
) -> [u8; SIZE] {
    let mut frame = [0; SIZE];
    let mut put = |at: usize, word: u64| frame[at..at + 8].copy_from_slice(&word.to_le_bytes());
    put(0, restorer);
    put(FLAGS, CONTEXT_FLAGS | if has_xsave { CONTEXT_XSTATE } else { 0 });
    for (index, word) in state.stack.into_iter().enumerate() {
        put(STACK + 8 * index, word);
    }
    for (index, word) in words(&state.registers).into_iter().enumerate() {
        put(REGISTERS + 8 * index, word);
    }
    put(SEGMENTS, u64::from(CS) | u64::from(SS) << 48);
    put(ERROR, state.fault.error);
    put(VECTOR, state.fault.vector);
    put(OLD_MASK, state.mask.bits());
    put(ADDRESS, state.fault.address);
    put(EXTENDED, state.extended);
    put(MASK, state.mask.bits());
    frame[INFO..].copy_from_slice(info);
    frame
}

/// What a program hands to `rt_sigreturn`, from the bytes of its frame; `now` has the flags that a
/// frame can't change. `None` when it asks for another code segment.
pub fn decode(frame: &[u8; SIZE], now: &Registers) -> Option<State> {
    let get = |at: usize| u64::from_le_bytes(bytes_at(frame, at));
    let cs = u16::try_from(get(SEGMENTS) & 0xffff).unwrap_or(0) | 3;
    if cs != CS {
        return None;
    }
    let mut values = [0; 18];
    for (index, value) in values.iter_mut().enumerate() {
        *value = get(REGISTERS + 8 * index);
    }
    let mut registers = from_words(&values);
    registers.rflags = now.rflags & !CHANGEABLE | registers.rflags & CHANGEABLE;
    Some(State {
        registers,
        mask: SignalSet::from_bits(get(MASK)).as_mask(),
        stack: [get(STACK), get(STACK + 8), get(STACK + 16)],
        fault: FaultRecord::default(),
        extended: get(EXTENDED),
    })
}

/// The registers as a handler starts.
pub fn enter(registers: &mut Registers, frame: u64, handler: u64, signal: u8) {
    registers.rdi = u64::from(signal);
    registers.rsi = frame + INFO as u64;
    registers.rdx = frame + CONTEXT as u64;
    registers.rax = 0;
    registers.rip = handler;
    registers.rsp = frame;
    registers.rflags &= !CLEARED;
}

fn words(registers: &Registers) -> [u64; 18] {
    let r = registers;
    [
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx,
        r.rax, r.rcx, r.rsp, r.rip, r.rflags,
    ]
}

fn from_words(words: &[u64; 18]) -> Registers {
    let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags] =
        *words;
    Registers {
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rdi,
        rsi,
        rbp,
        rbx,
        rdx,
        rax,
        rcx,
        rsp,
        rip,
        rflags,
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
