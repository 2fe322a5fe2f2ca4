//! A register state that was interrupted in user code or in the LibOS.
//!
//! The runner fills it in from the signal frame, the LibOS's exception entry reads and edits it, the
//! runner writes it back: AEX, EENTER, edit of the SSA frame, ERESUME, as SGX does it.

/// Why the enclave was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// A `syscall` instruction in the user region; `rip` is behind it.
    Syscall = 1,
    /// A processor exception; `vector`, `error` and `address` say which.
    Fault = 2,
    /// The preemption signal: the tick, or another vCPU's kick.
    Preempt = 3,
    /// A `syscall`-like door that is none: `int 0x80`, x32.
    Door = 4,
}

/// The general registers in the order of Linux's `gregset_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "the registers' own names")]
pub struct Registers {
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub rflags: u64,
}

impl Registers {
    /// All of them, in order.
    pub fn words(&self) -> [u64; 18] {
        let Self { r8, r9, r10, r11, r12, r13, r14, r15, .. } = *self;
        let Self { rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags, .. } = *self;
        [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags]
    }
}

/// One interruption.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Trap {
    /// A [`Kind`] as its number.
    pub kind: u32,
    /// x86 exception vector (14: page fault), for faults.
    pub vector: u32,
    /// Error code that the processor pushed, for faults.
    pub error: u64,
    /// Faulting address (CR2), 0 where it has no meaning.
    pub address: u64,
    /// Linux's `si_code` as the host saw it; a hint, never believed.
    pub code: i64,
    /// The interrupted registers; edits take effect at the return.
    pub registers: Registers,
}
