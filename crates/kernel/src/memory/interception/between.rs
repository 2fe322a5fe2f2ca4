//! What may stand between the `mov` that loads a system call's number and the `syscall`: instructions
//! that a trampoline can execute in the program's stead.
//!
//! They do the same wherever they lie, and the same whenever they run between the two: they know
//! registers only, never fault, never jump, and leave alone what the trampoline holds in registers and
//! the stack pointer. Flags they may change, and read any register: nothing of ours has run before them
//! but the `mov`.

use iced_x86::{
    FlowControl, Instruction, InstructionInfo, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};
use smallvec::SmallVec;

use super::boundary;
use super::code::Code;

/// How many there may be.
const MOST: usize = 4;
/// How many bytes they may have.
pub(crate) const BYTES_MAX: u64 = 24;

/// Where instructions begin: a `mov`, what is between, and the `syscall`.
pub(crate) type Starts = SmallVec<[u64; MOST + 2]>;

/// Decodes from a `mov` at `mov`, which ends at `behind`, to `site`; `None` unless what is between can
/// be executed elsewhere, and the last of it ends there.
pub(crate) fn decode(code: &Code<'_>, mov: u64, behind: u64, site: u64) -> Option<Starts> {
    if site.checked_sub(behind)? > BYTES_MAX {
        return None;
    }
    let mut info = InstructionInfoFactory::new();
    let mut starts = Starts::from_slice(&[mov]);
    let mut at = behind;
    while at < site {
        let instruction = boundary::decode(code, at)?;
        if starts.len() > MOST || !is_movable(&instruction, info.info(&instruction)) {
            return None;
        }
        starts.push(at);
        at = instruction.next_ip();
    }
    starts.push(site);
    (at == site).then_some(starts)
}

fn is_movable(instruction: &Instruction, info: &InstructionInfo) -> bool {
    let known = matches!(
        instruction.mnemonic(),
        Mnemonic::Mov
            | Mnemonic::Movzx
            | Mnemonic::Movsx
            | Mnemonic::Movsxd
            | Mnemonic::Lea
            | Mnemonic::Add
            | Mnemonic::Sub
            | Mnemonic::And
            | Mnemonic::Or
            | Mnemonic::Xor
            | Mnemonic::Test
            | Mnemonic::Cmp
    );
    let prefixed = instruction.has_lock_prefix()
        || instruction.has_rep_prefix()
        || instruction.has_repne_prefix()
        || instruction.segment_prefix() != Register::None;
    let memory = instruction.is_ip_rel_memory_operand()
        || instruction.mnemonic() != Mnemonic::Lea
            && instruction.op_kinds().any(|kind| kind == OpKind::Memory)
        || info.used_memory().iter().any(|memory| memory.access() != OpAccess::NoMemAccess);
    known
        && !prefixed
        && !memory
        && instruction.flow_control() == FlowControl::Next
        && info.used_registers().iter().all(|used| {
            let whole = used.register().full_register();
            let reads = matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
            used.register().is_gpr() && (reads || !is_ours(whole))
        })
}

/// Whether the trampoline holds something in a register, or the program's stack is at stake.
fn is_ours(register: Register) -> bool {
    matches!(register, Register::RAX | Register::RCX | Register::R11 | Register::RSP)
}
