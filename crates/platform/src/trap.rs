//! The exception entry: how the host hands an interruption in.
//!
//! The runner's signal handler calls [`adyton_exception`] on its alternate stack with a copy of the
//! interrupted registers, and loads them again when it returns: what SGX does with AEX, EENTER, the
//! SSA frame and ERESUME. Nothing here waits, allocates or takes a lock, except on the way to the end
//! of the enclave.

use core::sync::atomic::Ordering;

use abi::trap::{Kind, Trap};

use crate::context::{
    self, REASON_DOOR, REASON_FAULT, REASON_INTERRUPTED, REASON_TRAPPED_CALL, UserContext,
};
use crate::gate::{self, Interruption};
use crate::{user, vcpu};

const BREAKPOINT: u32 = 3;
/// Flags that the LibOS runs with.
const LIBOS_FLAGS: u64 = 0x202;
/// A call with this bit is an x32 one.
const X32: u64 = 0x4000_0000;

// rdi: the runner's copy of the registers; rsi: index of the vCPU that was interrupted. False: nothing can
// go on, and nothing can be said. Before a vCPU entered, when the image may not be relocated yet, there is
// nothing to interrupt for a kick, and no help for anything else.
#[cfg(not(any(test, feature = "hosted")))]
core::arch::global_asm!(
    ".hidden __ehdr_start",
    ".text",
    ".global adyton_exception",
    ".balign 16",
    "adyton_exception:",
    "    endbr64",
    "    cmp rsi, {vcpus_max}",
    "    jae 1f",
    "    lea rax, [rip + __ehdr_start]",
    "    mov rcx, {image_below_end}",
    "    add rax, rcx", // SIZE
    "    mov rcx, rax",
    "    shr rcx, 4",
    "    sub rax, rcx", // vCPU blocks
    "    mov rcx, rsi",
    "    shl rcx, {stride_bits}",
    "    add rax, rcx", // this block
    "    cmp [rax + {this}], rax",
    "    je adyton_interrupted",
    "1:  cmp dword ptr [rdi + {kind}], {preempt}",
    "    sete al",
    "    ret",
    vcpus_max = const abi::layout::VCPUS_MAX,
    image_below_end = const abi::layout::IMAGE_BELOW_END,
    stride_bits = const abi::layout::VCPU_STRIDE.trailing_zeros(),
    this = const vcpu::THIS,
    kind = const core::mem::offset_of!(Trap, kind),
    preempt = const Kind::Preempt as u32,
);

/// Enters for an interruption of vCPU `index`, which entered before.
///
/// # Safety
/// `trap` points to the runner's copy of the registers; the vCPU with that index was interrupted, and
/// nothing else runs on it.
#[unsafe(no_mangle)]
unsafe extern "sysv64" fn adyton_interrupted(trap: *mut Trap, index: u64) -> bool {
    // SAFETY: the runner's copy, as promised; copied in once and written back once.
    let mut state = unsafe { trap.read() };
    if vcpu::area() == 0 {
        return state.kind == Kind::Preempt as u32; // the very first steps
    }
    let block = vcpu::block_of(usize::try_from(index).unwrap_or(usize::MAX));
    let gs = read_gs_base();
    let foreign = gs != block as u64;
    if foreign {
        write_gs_base(block as u64);
    }
    // Wild jumps leave any RIP behind, so the place alone does not tell whose code ran.
    let user = vcpu::block().state.load(Ordering::Relaxed) == vcpu::IN_USER
        && !crate::boot::image().contains(&state.registers.rip);
    if handle(&mut state, user, foreign.then_some(gs)) {
        // SAFETY: as above.
        unsafe { trap.write(state) };
    } else if foreign {
        // What goes on is a stub that still needs the program's GS, or may.
        write_gs_base(gs);
    }
    true
}

/// Decides what goes on; true when registers were changed.
fn handle(state: &mut Trap, user: bool, gs: Option<u64>) -> bool {
    let block = vcpu::block();
    let stubs = context::stubs();
    if state.kind == Kind::Preempt as u32 {
        gate::interrupted(Interruption::Preempt);
        block.attention.store(1, Ordering::Relaxed);
        if user {
            return redirect(state, REASON_INTERRUPTED, gs);
        }
        if stubs.leaving.contains(&state.registers.rip) {
            // The context still holds all registers; only the program's GS may be loaded.
            state.registers.rip = stubs.abort_exit;
            state.registers.rsp = block.libos_sp;
            state.registers.rflags = LIBOS_FLAGS;
            return true;
        }
        return false;
    }
    if user {
        return from_user(state, gs);
    }
    if state.kind == Kind::Fault as u32 {
        if state.vector == BREAKPOINT && state.registers.rip == stubs.foreign_trap {
            // A rewritten call of a program with its own GS: rcx is the return address.
            gate::interrupted(Interruption::Trap);
            state.registers.rip = state.registers.rcx;
            state.registers.r11 = state.registers.rflags;
            return redirect(state, context::REASON_CALL, gs);
        }
        if let Some(row) =
            user::guarded().iter().find(|row| (row.start..row.end).contains(&state.registers.rip))
        {
            gate::interrupted(Interruption::Fault);
            state.registers.rip = row.fixup;
            return true;
        }
    }
    crate::boot::die_in_trap(state)
}

fn from_user(state: &mut Trap, gs: Option<u64>) -> bool {
    if state.kind == Kind::Syscall as u32 {
        gate::interrupted(Interruption::Trap);
        // Linux leaves both so; the host did already, SGX would not.
        state.registers.rcx = state.registers.rip;
        state.registers.r11 = state.registers.rflags;
        let door = state.registers.rax & X32 != 0;
        return redirect(state, if door { REASON_DOOR } else { REASON_TRAPPED_CALL }, gs);
    }
    if state.kind == Kind::Door as u32 {
        gate::interrupted(Interruption::Trap);
        return redirect(state, REASON_DOOR, gs);
    }
    gate::interrupted(Interruption::Fault);
    redirect(state, REASON_FAULT, gs)
}

/// Saves the user registers into the thread's context and goes on in the LibOS.
fn redirect(state: &mut Trap, reason: u64, gs: Option<u64>) -> bool {
    let block = vcpu::block_of(vcpu::current());
    // SAFETY: the vCPU's own block; its interrupted code does not run meanwhile.
    let block = unsafe { &mut *block };
    // SAFETY: user code runs only on behalf of a context, which lives until it comes back.
    let context = unsafe { &mut *(block.context as *mut UserContext) };
    context.registers = state.registers;
    if let Some(gs) = gs {
        context.gs_base = gs;
    }
    // Who only passes through is as good as gone from where it stood; see `vcpu::settle`.
    let passing = matches!(reason, REASON_INTERRUPTED | REASON_FAULT);
    let arrived = if passing { vcpu::IN_TRAP } else { vcpu::IN_LIBOS };
    block.state.store(arrived, Ordering::SeqCst);
    block.reason = reason;
    block.vector = state.vector;
    block.error = state.error;
    block.address = state.address;
    state.registers.rip = context::stubs().trapped;
    state.registers.rsp = block.libos_sp;
    state.registers.rflags = LIBOS_FLAGS;
    true
}

fn read_gs_base() -> u64 {
    let base: u64;
    // SAFETY: FSGSBASE was probed at start.
    unsafe {
        core::arch::asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags));
    }
    base
}

fn write_gs_base(base: u64) {
    // SAFETY: FSGSBASE was probed; `base` is the address of this vCPU's block.
    unsafe {
        core::arch::asm!("wrgsbase {}", in(reg) base, options(nostack, preserves_flags));
    }
}
