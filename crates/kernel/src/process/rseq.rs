//! Restartable sequences: short stretches of user code that are begun anew when the thread is taken off
//! its vCPU, or gets a signal, in the middle.
//!
//! The area is the program's memory and its word from end to end; what it holds is checked whenever it
//! is looked at. Nothing is looked at before the thread may have left its vCPU: at the begin of a turn
//! whose vCPU is another, after an interruption or a fault, and before a signal's frame is laid. A
//! sequence is aborted at each of these, also where Linux would let it go on because nobody else ran.
//!
//! Source: rseq(2), `linux/rseq.h`.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::Errno;
use abi::errno::Result;
use platform::{user, vcpu};

use crate::context::Context;
use crate::process::Thread;
use crate::signal::{Info, Signal, send};

/// Bytes of the area as it was first defined.
pub const SIZE: u32 = 32;
/// Bytes of it that mean something (`AT_RSEQ_FEATURE_SIZE`), and its alignment (`AT_RSEQ_ALIGN`).
pub const USED: u32 = 28;
/// See [`USED`].
pub const ALIGN: u32 = 32;
/// Where the area's fields lie.
const SEQUENCE: u64 = 8;
const FLAGS: u64 = 16;
const NODE: u64 = 20;
/// No vCPU, as the area says it: registered not yet, or no longer.
const UNKNOWN: u32 = u32::MAX;

/// A thread's registration.
#[derive(Debug)]
pub struct Rseq {
    /// The area; 0: none.
    address: AtomicU64,
    len: AtomicU32,
    /// Stands before each abort handler.
    signature: AtomicU32,
    /// The vCPU that the area names.
    told: AtomicU32,
}

impl Rseq {
    /// No registration.
    pub const fn new() -> Self {
        Self {
            address: AtomicU64::new(0),
            len: AtomicU32::new(0),
            signature: AtomicU32::new(0),
            told: AtomicU32::new(UNKNOWN),
        }
    }

    /// Whether there is an area to look at.
    #[inline]
    pub fn is_registered(&self) -> bool {
        self.address.load(Ordering::Relaxed) != 0
    }

    /// Address, length and signature.
    pub fn registration(&self) -> Option<(u64, u32, u32)> {
        let address = self.address.load(Ordering::Relaxed);
        let words = [&self.len, &self.signature].map(|word| word.load(Ordering::Relaxed));
        (address != 0).then_some((address, words[0], words[1]))
    }

    /// Registers an area; 0: none any more.
    pub fn set(&self, address: u64, len: u32, signature: u32) {
        self.address.store(address, Ordering::Relaxed);
        self.len.store(len, Ordering::Relaxed);
        self.signature.store(signature, Ordering::Relaxed);
        self.told.store(UNKNOWN, Ordering::Relaxed);
    }

    /// Whether the area names another vCPU than this one.
    fn is_stale(&self) -> bool {
        self.told.load(Ordering::Relaxed) != here()
    }
}

impl Default for Rseq {
    fn default() -> Self {
        Self::new()
    }
}

/// At the begin of a turn: a thread that comes to another vCPU has to see to its area.
#[inline]
pub fn turn_begins(thread: &Thread) {
    if thread.rseq.is_registered() && thread.rseq.is_stale() {
        thread.signals.ask_for_sequence();
    }
}

/// After the thread was made to leave user code.
#[inline]
pub fn left(thread: &Thread) {
    if thread.rseq.is_registered() {
        thread.signals.ask_for_sequence();
    }
}

/// Before user code goes on: aborts a sequence, and writes where the thread runs. Where the area is bad
/// the thread gets SIGSEGV.
pub fn before_user(cx: &mut Context<'_>) {
    if refresh(cx).is_err() {
        send::force(cx.thread, Info::kernel(Signal::SEGV));
    }
}

/// The same before a signal's frame.
///
/// # Errors
/// EFAULT, EINVAL: the area, or what it points to, is bad.
pub fn refresh(cx: &mut Context<'_>) -> Result<()> {
    let Some((address, _, signature)) = cx.thread.rseq.registration() else { return Ok(()) };
    abort(cx, address, signature)?;
    let cpu = here();
    write_place(cx, address, [cpu, cpu], [0, cpu])?;
    cx.thread.rseq.told.store(cpu, Ordering::Relaxed);
    Ok(())
}

/// Writes that the thread is nowhere: what unregistering leaves.
///
/// # Errors
/// EFAULT.
pub fn write_nowhere(cx: &Context<'_>, address: u64) -> Result<()> {
    write_place(cx, address, [0, UNKNOWN], [0, 0])
}

/// Writes that no sequence is under way.
///
/// # Errors
/// EFAULT.
pub fn clear_sequence(cx: &Context<'_>, address: u64) -> Result<()> {
    cx.write(address + SEQUENCE, &0_u64)
}

/// vCPU to start with and vCPU, node and concurrency id. Threads of one space that run at the same time
/// run on different vCPUs, so the vCPU's number is such an id.
fn write_place(cx: &Context<'_>, address: u64, cpu: [u32; 2], node: [u32; 2]) -> Result<()> {
    cx.write(address, &cpu)?;
    cx.write(address + NODE, &node)
}

fn here() -> u32 {
    u32::try_from(vcpu::current()).unwrap_or(0)
}

/// Sends a thread in the middle of a sequence to its abort handler.
fn abort(cx: &mut Context<'_>, address: u64, signature: u32) -> Result<()> {
    let at: u64 = cx.read(address + SEQUENCE)?;
    if at == 0 {
        return Ok(());
    }
    let [head, start, len, handler]: [u64; 4] = cx.read(at)?;
    let bad = Errno::EINVAL.because("a malformed description of a restartable sequence");
    // The lower half of the head is a version, of which there is only 0, the upper half flags.
    let version = head & 0xffff_ffff;
    let end =
        start.checked_add(len).filter(|end| user::is_below_end(start, 1) && *end <= user::end());
    if version != 0 || end.is_none() || !user::is_below_end(handler, 1) {
        return Err(bad);
    }
    // The handler must not lie in the sequence.
    if handler.wrapping_sub(start) < len || cx.read::<u32>(handler.wrapping_sub(4))? != signature {
        return Err(bad);
    }
    if cx.registers.registers.rip.wrapping_sub(start) >= len {
        // It was left in the ordinary way; programs need not say so.
        return clear_sequence(cx, address);
    }
    if head >> 32 != 0 || cx.read::<u32>(address + FLAGS)? != 0 {
        return Err(Errno::EINVAL.because("flags of restartable sequences are no more"));
    }
    clear_sequence(cx, address)?;
    cx.registers.registers.rip = handler;
    Ok(())
}
