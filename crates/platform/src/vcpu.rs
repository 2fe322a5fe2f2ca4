//! Virtual processors: the block that GS points to, and what may be asked of another one.
//!
//! A block lies at [`abi::layout::Layout::vcpus`]` + index * VCPU_STRIDE`; the LibOS stack of the vCPU
//! fills the rest of its stride and grows down from the end, to the guard pages above the block. Only
//! the vCPU itself writes its block, but for the atomic words.

use core::cell::Cell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use abi::layout::{Layout, VCPU_GUARD, VCPU_STRIDE, VCPUS_MAX};

use crate::context::UserContext;
use crate::extended::Held;

/// The vCPU runs the LibOS.
pub(crate) const IN_LIBOS: u32 = 0;
/// The vCPU runs user code, or is about to.
pub(crate) const IN_USER: u32 = 1;

/// The vCPU left user code by a trap, and where it stood has not been looked at yet.
pub(crate) const IN_TRAP: u32 = 2;

/// One vCPU's block. Offsets are known to the assembly in [`crate::context`].
#[repr(C, align(64))]
pub(crate) struct Block {
    /// Its own address.
    pub(crate) this: u64,
    /// LibOS stack pointer while user code runs.
    pub(crate) libos_sp: u64,
    /// Registers of the thread whose user code runs.
    pub(crate) context: u64,
    /// Where user code goes on: the target of the last jump out.
    pub(crate) user_rip: u64,
    /// User stack pointer, between the first two instructions of an entry.
    pub(crate) user_sp: u64,
    /// Host stack to make host calls on.
    pub(crate) host_sp: u64,
    /// The runner's host call function.
    pub(crate) host_entry: u64,
    /// Why user code was left by a trap: [`crate::context::Exit`]'s number.
    pub(crate) reason: u64,
    /// The trap, when it was one.
    pub(crate) vector: u32,
    pub(crate) trapped: u32,
    pub(crate) error: u64,
    pub(crate) address: u64,
    /// The context whose extended state and FS base the processor holds.
    pub(crate) live: AtomicPtr<UserContext>,
    /// Index of this vCPU.
    pub(crate) index: u32,
    /// [`IN_LIBOS`], [`IN_USER`] or [`IN_TRAP`].
    pub(crate) state: AtomicU32,
    /// Thread that runs here, 0 none.
    pub(crate) running: AtomicU32,
    /// A tick or a kick came while the LibOS ran.
    pub(crate) attention: AtomicU32,
    /// Set once the vCPU entered.
    pub(crate) entered: u32,
    /// What the extended state in the processor is, as long as nobody ran since it was saved.
    pub(crate) held: Cell<Held>,
    /// When the last thread stopped running here, if nothing but a switch came since; else 0.
    pub(crate) slice_end: Cell<u64>,
}

const _: () =
    assert!(size_of::<Block>() as u64 <= VCPU_GUARD.start, "the block ends before the guard");

pub(crate) const THIS: usize = offset_of!(Block, this);
pub(crate) const LIBOS_SP: usize = offset_of!(Block, libos_sp);
pub(crate) const CONTEXT: usize = offset_of!(Block, context);
pub(crate) const USER_RIP: usize = offset_of!(Block, user_rip);
pub(crate) const USER_SP: usize = offset_of!(Block, user_sp);
pub(crate) const HOST_SP: usize = offset_of!(Block, host_sp);
pub(crate) const HOST_ENTRY: usize = offset_of!(Block, host_entry);
pub(crate) const REASON: usize = offset_of!(Block, reason);
pub(crate) const INDEX: usize = offset_of!(Block, index);
pub(crate) const STATE: usize = offset_of!(Block, state);
pub(crate) const ATTENTION: usize = offset_of!(Block, attention);
pub(crate) const ENTERED: usize = offset_of!(Block, entered);

static BASE: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU32 = AtomicU32::new(1);
/// How many vCPUs want all others out of user code.
static HOLD: AtomicU32 = AtomicU32::new(0);

/// Tells where the blocks lie and how many vCPUs run; once, at start.
pub(crate) fn init(layout: Layout, count: u32) {
    BASE.store(layout.vcpus(), Ordering::Relaxed);
    COUNT.store(count.clamp(1, VCPUS_MAX), Ordering::Release);
    crate::sync::set_single_vcpu(count <= 1);
}

/// Start of the vCPU blocks, a multiple of 4 GiB.
pub fn area() -> u64 {
    BASE.load(Ordering::Relaxed)
}

/// Number of vCPUs.
#[inline]
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed) as usize
}

/// Index of the vCPU that runs this.
#[cfg(not(any(test, feature = "hosted")))]
#[inline]
pub fn current() -> usize {
    let index: u32;
    // SAFETY: inside the LibOS GS always points to the vCPU's block.
    unsafe {
        core::arch::asm!("mov {0:e}, gs:[{1}]", out(reg) index, const INDEX,
            options(nostack, preserves_flags, readonly));
    }
    index as usize
}

/// Index of the vCPU that runs this.
#[cfg(any(test, feature = "hosted"))]
pub fn current() -> usize {
    0
}

/// When the last thread stopped running on this vCPU, if the vCPU was not idle since.
///
/// Where one thread follows the other, the end of one's time is the beginning of the other's, and the
/// clock is read once.
#[cfg(not(any(test, feature = "hosted")))]
#[inline]
pub fn slice_end() -> Option<u64> {
    Some(block().slice_end.get()).filter(|end| *end != 0)
}

/// There is no block here to keep it in.
#[cfg(any(test, feature = "hosted"))]
pub fn slice_end() -> Option<u64> {
    None
}

/// Notes when a thread stopped running on this vCPU; `None` when the vCPU is idle.
#[inline]
pub fn set_slice_end(end: Option<u64>) {
    if cfg!(not(any(test, feature = "hosted"))) {
        block().slice_end.set(end.unwrap_or(0));
    }
}

/// The block of the vCPU that runs this.
#[inline]
pub(crate) fn block() -> &'static Block {
    let this: u64;
    // SAFETY: inside the LibOS GS always points to the vCPU's block.
    unsafe {
        core::arch::asm!("mov {0}, gs:[{1}]", out(reg) this, const THIS,
            options(nostack, preserves_flags, readonly));
    }
    // SAFETY: blocks are never freed, and shared access is to atomics and to own fields only.
    unsafe { &*(this as *const Block) }
}

/// The block of vCPU `index`.
pub(crate) fn block_of(index: usize) -> *mut Block {
    assert!(index < VCPUS_MAX as usize, "vCPU index");
    (BASE.load(Ordering::Relaxed) + index as u64 * VCPU_STRIDE) as *mut Block
}

fn other(index: usize) -> &'static Block {
    // SAFETY: `block_of` checked the index; blocks are never freed, and the caller reads atomics only.
    unsafe { &*block_of(index) }
}

/// Takes the note that a tick or a kick came.
#[cfg(not(any(test, feature = "hosted")))]
#[inline]
pub fn take_attention() -> bool {
    let attention = &block().attention;
    attention.load(Ordering::Relaxed) != 0 && attention.swap(0, Ordering::Relaxed) != 0
}

/// Hosted nothing is interrupted.
#[cfg(any(test, feature = "hosted"))]
pub fn take_attention() -> bool {
    false
}

/// Says which thread's user code this vCPU is about to run (0: none any more).
///
/// True when another vCPU may have asked something of the thread just before: the caller looks once
/// more. With one vCPU nobody asks, and nobody is told.
#[inline]
pub fn set_running(tid: u32) -> bool {
    let others = count() > 1;
    if others {
        block().running.store(tid, Ordering::SeqCst);
    }
    others
}

/// Interrupts the user code of thread `tid`, wherever it runs.
pub fn interrupt(tid: u32) {
    if cfg!(any(test, feature = "hosted")) || count() == 1 {
        return;
    }
    core::sync::atomic::fence(Ordering::SeqCst);
    let me = current();
    for index in (0..count()).filter(|index| *index != me) {
        if other(index).running.load(Ordering::SeqCst) == tid {
            kick(index);
        }
    }
}

/// Makes vCPU `index` enter the LibOS soon.
pub fn kick(index: usize) {
    crate::gate::call(abi::host::HostCall::Kick, [index as u64, 0, 0, 0, 0]);
}

/// Announces that user code is about to run, and waits while another vCPU changes code.
#[inline]
pub(crate) fn enter_user_state() {
    let block = block();
    if count() == 1 {
        block.state.store(IN_USER, Ordering::Relaxed);
        return;
    }
    loop {
        block.state.store(IN_USER, Ordering::SeqCst);
        if HOLD.load(Ordering::SeqCst) == 0 {
            return;
        }
        block.state.store(IN_LIBOS, Ordering::SeqCst);
        while HOLD.load(Ordering::Acquire) != 0 {
            core::hint::spin_loop();
        }
        serialize();
    }
}

/// Runs `change` while no other vCPU runs user code: for stores into code that others may execute.
pub fn alone<T>(change: impl FnOnce() -> T) -> T {
    static LOCK: crate::sync::Mutex<()> = crate::sync::Mutex::new(());
    if count() == 1 {
        return change();
    }
    let _guard = LOCK.lock();
    HOLD.fetch_add(1, Ordering::SeqCst);
    wait_for_others(|state| state != IN_USER);
    let result = change();
    HOLD.fetch_sub(1, Ordering::SeqCst);
    result
}

/// Waits until every other vCPU is in the LibOS, or has been since: no user code goes on from where it
/// stood when this began, unless [`settle`]'s caller has seen the place.
///
/// No lock may be held that a caller of [`settle`] takes before.
pub fn round() {
    if count() == 1 {
        return;
    }
    HOLD.fetch_add(1, Ordering::SeqCst);
    wait_for_others(|state| state == IN_LIBOS);
    HOLD.fetch_sub(1, Ordering::SeqCst);
}

fn wait_for_others(arrived: impl Fn(u32) -> bool) {
    let me = current();
    for index in (0..count()).filter(|index| *index != me) {
        let mut patience = 0_u32;
        loop {
            let state = other(index).state.load(Ordering::SeqCst);
            if arrived(state) {
                break;
            }
            if state == IN_USER && patience.is_multiple_of(4096) {
                kick(index);
            }
            patience = patience.wrapping_add(1);
            core::hint::spin_loop();
        }
    }
}

/// Says that the place at which a trap ended user code has been looked at: to be called after each
/// [`Exit::Interrupted`](crate::context::Exit) and [`Exit::Fault`](crate::context::Exit).
pub fn settle() {
    if cfg!(not(any(test, feature = "hosted"))) {
        block().state.store(IN_LIBOS, Ordering::SeqCst);
    }
}

/// Makes this vCPU forget instructions that it fetched early: an interrupt return to itself.
fn serialize() {
    // SAFETY: IRETQ to the next instruction with the same stack, flags and segments.
    unsafe {
        core::arch::asm!(
            "mov {tmp:e}, ss",
            "push {tmp}",
            "lea {tmp}, [rsp + 8]",
            "push {tmp}",
            "pushfq",
            "mov {tmp:e}, cs",
            "push {tmp}",
            "lea {tmp}, [rip + 2f]",
            "push {tmp}",
            "iretq",
            "2:",
            tmp = out(reg) _,
        );
    }
}

/// Leaves the enclave on this vCPU's host stack.
#[cfg(not(any(test, feature = "hosted")))]
pub(crate) fn host_call(call: u64, arguments: [u64; 5]) -> i64 {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: the routine switches to the host stack and back, and keeps callee-saved registers.
    unsafe { adyton_host_call(call, first, second, third, fourth, fifth) }
}

#[cfg(not(any(test, feature = "hosted")))]
unsafe extern "sysv64" {
    fn adyton_host_call(call: u64, a: u64, b: u64, c: u64, d: u64, e: u64) -> i64;
}

#[cfg(not(any(test, feature = "hosted")))]
core::arch::global_asm!(
    ".text",
    ".balign 16",
    ".global adyton_host_call",
    "adyton_host_call:",
    "    push rbp",
    "    mov rbp, rsp",
    "    mov rsp, gs:[{host_sp}]",
    "    call gs:[{host_entry}]",
    "    mov rsp, rbp",
    "    pop rbp",
    "    ret",
    host_sp = const HOST_SP,
    host_entry = const HOST_ENTRY,
);
