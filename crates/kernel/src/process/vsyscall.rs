//! The vsyscall page: three system calls at fixed addresses of the kernel's half, for old programs.
//!
//! Nothing is mapped there. A call faults, whatever the host has at that address, and is answered here
//! as the system call that it stands for.
//!
//! Trusted.
//!
//! Source: Linux, `arch/x86/entry/vsyscall/vsyscall_64.c` (vsyscall=xonly).

use abi::layout::PAGE;
use abi::nr;
use platform::context::Fault;
use platform::user;

use crate::context::Context;
use crate::signal::fault::{FETCH, GENERAL_PROTECTION, PAGE_FAULT};

/// The first of the three; they lie [`STEP`] apart.
const START: u64 = 0xffff_ffff_ff60_0000;
const STEP: u64 = 0x400;
const CALLS: [usize; 3] = [nr::GETTIMEOFDAY, nr::TIME, nr::GETCPU];

/// A call whose address faulted, and where it returns to.
pub(crate) struct Call {
    /// The system call.
    pub(crate) number: usize,
    back: u64,
    rdx: u64,
}

/// Whether an instruction pointer lies in the page, where no instruction can be.
pub(crate) fn is_there(rip: u64) -> bool {
    (START..START + PAGE).contains(&rip)
}

/// The call that begins at `rip`.
fn number(rip: u64) -> Option<usize> {
    let offset = rip.checked_sub(START).filter(|offset| offset.is_multiple_of(STEP))?;
    CALLS.get(usize::try_from(offset / STEP).ok()?).copied()
}

/// Whether the host fetched the call already and found that it points outside user memory.
fn is_of_pointer(fault: &Fault) -> bool {
    fault.vector == PAGE_FAULT && fault.error & FETCH == 0 && !user::in_region(fault.address, 1)
}

/// The exception that a fault in the page is when it is no call, or when its pointer was bad: Linux ends
/// both by a SIGSEGV without an address.
pub(crate) fn exception(fault: &Fault) -> Fault {
    if is_of_pointer(fault) {
        *fault
    } else {
        Fault { vector: GENERAL_PROTECTION, error: 0, address: 0 }
    }
}

impl Call {
    /// The call that a fault in the page was; `None` too when the stack holds no return address.
    pub(crate) fn of(cx: &mut Context<'_>, fault: &Fault) -> Option<Self> {
        let number = number(cx.registers.registers.rip).filter(|_| !is_of_pointer(fault))?;
        let back = cx.read::<u64>(cx.registers.registers.rsp).ok()?;
        let registers = &mut cx.registers.registers;
        let call = Self { number, back, rdx: registers.rdx };
        if number == nr::GETCPU {
            registers.rdx = 0; // its third argument is no part of this interface
        }
        Some(call)
    }

    /// Returns to the caller; false, and nothing changed, when an address was bad: Linux ends such a call
    /// by SIGSEGV instead of EFAULT.
    pub(crate) fn finish(&self, cx: &mut Context<'_>, result: abi::Result<u64>) -> bool {
        let registers = &mut cx.registers.registers;
        registers.rdx = self.rdx;
        registers.rax = match result {
            Ok(value) => value,
            Err(error) if error.errno == abi::Errno::EFAULT => return false,
            Err(error) => error.to_return_value().cast_unsigned(),
        };
        registers.rip = self.back;
        registers.rsp = registers.rsp.wrapping_add(8);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{exception, is_there, nr, number};
    use platform::context::Fault;

    #[test]
    fn three_addresses_are_calls() {
        assert_eq!(number(0xffff_ffff_ff60_0000), Some(nr::GETTIMEOFDAY));
        assert_eq!(number(0xffff_ffff_ff60_0400), Some(nr::TIME));
        assert_eq!(number(0xffff_ffff_ff60_0800), Some(nr::GETCPU));
        for other in [0, 0xffff_ffff_ff60_0c00, 0xffff_ffff_ff60_0001, 0xffff_ffff_ff5f_fc00] {
            assert_eq!(number(other), None);
        }
        assert!(is_there(0xffff_ffff_ff60_0fff));
        assert!(!is_there(0xffff_ffff_ff60_1000));
        assert!(!is_there(0xffff_ffff_ff5f_ffff));
    }

    #[test]
    fn only_pointers_outside_user_memory_have_an_address() {
        let fault = Fault { vector: 14, error: 6, address: 0x1000 };
        assert_eq!(exception(&fault), fault);
        assert_eq!(exception(&Fault { error: 0x15, ..fault }).vector, 13);
    }
}
