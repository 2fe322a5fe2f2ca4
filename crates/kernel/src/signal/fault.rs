//! Processor exceptions as signals.
//!
//! Source: sigaction(2), "`si_code`"; vectors from Intel's manual, volume 3, chapter 7.

use abi::layout::PAGE;
use platform::context::{Fault, UserContext};

use crate::context::Context;
use crate::memory::populate::Refusal;
use crate::memory::refusal::Outcome;
use crate::signal::info::Info;
use crate::signal::number::Signal;
use crate::signal::send;
use crate::signal::state::FaultRecord;

const ILL_ILLOPN: i32 = 2;
const FPE_INTDIV: i32 = 1;
const FPE_FLTDIV: i32 = 3;
const FPE_FLTOVF: i32 = 4;
const FPE_FLTUND: i32 = 5;
const FPE_FLTRES: i32 = 6;
const FPE_FLTINV: i32 = 7;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRALN: i32 = 1;
const BUS_ADRERR: i32 = 2;
const TRAP_BRKPT: i32 = 1;
const TRAP_TRACE: i32 = 2;

const DIVIDE: u32 = 0;
/// A vector: the end of a step.
pub(crate) const DEBUG: u32 = 1;
const BREAKPOINT: u32 = 3;
const INVALID_OPCODE: u32 = 6;
const SEGMENT_NOT_PRESENT: u32 = 11;
const STACK_SEGMENT: u32 = 12;
/// A vector: an access that paging does not admit.
pub(crate) const PAGE_FAULT: u32 = 14;
/// A vector: what has no other.
pub(crate) const GENERAL_PROTECTION: u32 = 13;
/// Bit of a page fault's error code: an instruction fetch.
pub(crate) const FETCH: u64 = 16;
const X87: u32 = 16;
const ALIGNMENT: u32 = 17;
const SIMD: u32 = 19;

/// The unmasked exceptions of x87 and SSE, as bits of their status words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arithmetic {
    /// x87: status without what the control word masks.
    pub x87: u16,
    /// SSE: MXCSR's flags without what its masks hide.
    pub sse: u16,
}

impl Arithmetic {
    /// From the first bytes of an XSAVE image.
    pub fn of_legacy_area(bytes: &[u8]) -> Self {
        let word = |at: usize| match bytes.get(at..at + 2) {
            Some(&[low, high]) => u16::from_le_bytes([low, high]),
            _ => 0,
        };
        let mxcsr = word(24);
        Self { x87: word(2) & !word(0), sse: !(mxcsr >> 7) & mxcsr }
    }
}

/// The signal for an exception at `rip`; `refusal` says why memory did not give the page, for page
/// faults. `None` when an arithmetic exception has left no trace: the instruction is run again.
pub fn signal_of(
    fault: &Fault,
    rip: u64,
    refusal: Option<Refusal>,
    arithmetic: Arithmetic,
) -> Option<Info> {
    let info = match fault.vector {
        DIVIDE => Info::fault(Signal::FPE, FPE_INTDIV, rip),
        DEBUG => Info::fault(Signal::TRAP, TRAP_TRACE, rip),
        BREAKPOINT => Info::kernel(Signal::TRAP),
        INVALID_OPCODE => Info::fault(Signal::ILL, ILL_ILLOPN, rip),
        SEGMENT_NOT_PRESENT | STACK_SEGMENT => Info::kernel(Signal::BUS),
        PAGE_FAULT => match refusal {
            Some(Refusal::Denied) => Info::fault(Signal::SEGV, SEGV_ACCERR, fault.address),
            Some(Refusal::Bus) => Info::fault(Signal::BUS, BUS_ADRERR, fault.address),
            Some(Refusal::OutOfMemory) => Info::kernel(Signal::KILL),
            Some(Refusal::Unmapped) | None => Info::fault(Signal::SEGV, SEGV_MAPERR, fault.address),
        },
        X87 => Info::fault(Signal::FPE, arithmetic_code(arithmetic.x87)?, rip),
        SIMD => Info::fault(Signal::FPE, arithmetic_code(arithmetic.sse)?, rip),
        ALIGNMENT => Info::fault(Signal::BUS, BUS_ADRALN, 0),
        // General protection and what remains: the processor doesn't say which address.
        _ => Info::kernel(Signal::SEGV),
    };
    Some(info)
}

/// The code of the first exception in Linux's order.
fn arithmetic_code(raised: u16) -> Option<i32> {
    let table = [
        (0x01, FPE_FLTINV),
        (0x04, FPE_FLTDIV),
        (0x08, FPE_FLTOVF),
        (0x12, FPE_FLTUND), // denormal operand, or underflow
        (0x20, FPE_FLTRES),
    ];
    table.into_iter().find(|(bits, _)| raised & bits != 0).map(|(_, code)| code)
}

/// Makes an exception in user code a signal of the thread that caused it: blocked or ignored, it
/// ends the process.
pub fn raise(cx: &mut Context<'_>, fault: &Fault, refusal: Option<Refusal>) {
    let record =
        FaultRecord { vector: u64::from(fault.vector), error: fault.error, address: fault.address };
    if refusal == Some(Refusal::OutOfMemory) {
        cx.memory().report(PAGE, Outcome::Ended);
    }
    {
        let mut own = cx.thread.signals.own();
        // Only page faults set CR2; the others leave the last one's.
        let address = if fault.vector == PAGE_FAULT { record.address } else { own.fault.address };
        own.fault = FaultRecord { address, ..record };
    }
    let arithmetic = match fault.vector {
        X87 | SIMD => {
            let mut image = alloc::vec![0; UserContext::extended_size()];
            cx.registers.save_extended(&mut image);
            Arithmetic::of_legacy_area(&image)
        }
        _ => Arithmetic::default(),
    };
    let rip = cx.registers.registers.rip;
    if fault.vector == DEBUG && is_instruction(cx) {
        send::force(cx.thread, Info::fault(Signal::TRAP, TRAP_BRKPT, rip));
    } else if let Some(info) = signal_of(fault, rip, refusal, arithmetic) {
        send::force(cx.thread, info);
    }
}

/// Whether a debug exception comes from `int1`, not from a step.
fn is_instruction(cx: &Context<'_>) -> bool {
    const TRAP_FLAG: u64 = 0x100;
    const INT1: u8 = 0xf1;
    let registers = &cx.registers.registers;
    // Behind it, but some virtual machines stop at it.
    let places = [registers.rip.wrapping_sub(1), registers.rip];
    registers.rflags & TRAP_FLAG == 0 && places.iter().any(|at| cx.read(*at) == Ok(INT1))
}

#[cfg(test)]
mod tests {
    use super::{Arithmetic, signal_of};
    use crate::memory::populate::Refusal;
    use platform::context::Fault;

    fn told(
        vector: u32,
        refusal: Option<Refusal>,
        arithmetic: Arithmetic,
    ) -> Option<(u8, i32, u64)> {
        let fault = Fault { vector, error: 4, address: 0x30 };
        signal_of(&fault, 0x1000, refusal, arithmetic)
            .map(|info| (info.signal.number(), info.code, info.cause()))
    }

    #[test]
    fn exceptions_become_signals_as_on_linux() {
        let nothing = Arithmetic::default();
        let rows = [
            (0, (8, 1, 0x1000)),
            (1, (5, 2, 0x1000)),
            (3, (5, 0x80, 0)),
            (6, (4, 2, 0x1000)),
            (12, (7, 0x80, 0)),
            (13, (11, 0x80, 0)),
            (14, (11, 1, 0x30)),
            (17, (7, 1, 0)),
        ];
        for (vector, expected) in rows {
            assert_eq!(told(vector, None, nothing), Some(expected), "vector {vector}");
        }
        assert_eq!(told(14, Some(Refusal::Denied), nothing), Some((11, 2, 0x30)));
        assert_eq!(told(14, Some(Refusal::Bus), nothing), Some((7, 2, 0x30)));
    }

    #[test]
    fn arithmetic_exceptions_are_told_apart() {
        let mut image = [0; 32];
        image[0..2].copy_from_slice(&0x037b_u16.to_le_bytes()); // divide by zero unmasked
        image[2..4].copy_from_slice(&0x0025_u16.to_le_bytes()); // raised, and two masked ones
        image[24..28].copy_from_slice(&0x0000_1d88_u32.to_le_bytes()); // overflow raised, unmasked
        let arithmetic = Arithmetic::of_legacy_area(&image);
        assert_eq!(told(16, None, arithmetic), Some((8, 3, 0x1000)));
        assert_eq!(told(19, None, arithmetic).map(|told| told.1), None);
        image[24..28].copy_from_slice(&0x0000_1b88_u32.to_le_bytes());
        let arithmetic = Arithmetic::of_legacy_area(&image);
        assert_eq!(told(19, None, arithmetic), Some((8, 4, 0x1000)));
        assert_eq!(told(19, None, Arithmetic::default()), None);
    }
}
