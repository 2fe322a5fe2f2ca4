//! A thread's registers, and the switch to its user code and back.
//!
//! [`UserContext::run`] leaves the LibOS through one jump and returns when user code comes back: by
//! the entry stub (a rewritten system call), or redirected by the exception entry (a trap). While
//! system calls alternate with user code on one vCPU, only the general registers and xmm0 to 15 move;
//! what the LibOS never touches (upper vector halves, masks, x87, FS) stays in the processor until
//! another thread is to run there ([`UserContext::park`]).

use alloc::boxed::Box;
use core::future::Future;
use core::mem::offset_of;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;

use abi::trap::Registers;

use crate::cpu;
use crate::extended::{Extended, Held};
use crate::vcpu;

/// Why user code was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A system call through a rewritten site; rcx and r11 are as Linux leaves them.
    Call,
    /// A system call instruction that trapped.
    TrappedCall,
    /// A processor exception.
    Fault(Fault),
    /// A tick or a kick: something wants attention.
    Interrupted,
    /// A door that leads nowhere: `int 0x80`, a 32-bit call.
    Door,
}

/// A processor exception in user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// x86 vector: 14 is a page fault.
    pub vector: u32,
    /// The processor's error code.
    pub error: u64,
    /// Faulting address, where the vector has one.
    pub address: u64,
}

pub(crate) const REASON_CALL: u64 = 0;
pub(crate) const REASON_TRAPPED_CALL: u64 = 1;
pub(crate) const REASON_FAULT: u64 = 2;
pub(crate) const REASON_INTERRUPTED: u64 = 3;
pub(crate) const REASON_DOOR: u64 = 4;

/// Bits of an address in the user's half.
const USER_BITS: u32 = 47;
/// Vector of the exception for addresses that are none.
const GENERAL_PROTECTION: u32 = 13;

/// No vCPU holds the extended state.
const NOWHERE: u32 = u32::MAX;

/// Flags that user code may set: CF PF AF ZF SF TF DF OF NT RF AC ID.
const USER_FLAGS: u64 = 0x0025_4dd5;
/// TF: a trap behind each instruction.
const TRAP_FLAG: u64 = 0x100;
/// Those that the LibOS runs without, as does nearly all user code: TF DF NT RF AC ID.
const UNUSUAL_FLAGS: u32 = 0x0025_4500;
/// Flags that are always set: bit 1, and IF.
const FIXED_FLAGS: u64 = 0x202;

/// The registers of a user thread. Lives in a box: the entry stub writes to its address.
#[repr(C, align(64))]
#[derive(Clone)]
pub struct UserContext {
    /// General registers, instruction pointer and flags.
    pub registers: Registers,
    /// Base of FS: thread-local storage. Current only while the thread does not run.
    pub fs_base: u64,
    /// Base of GS that the program set; 0 when it did not.
    pub gs_base: u64,
    xmm: [[u8; 16]; 16],
    extended: Extended,
    held_by: u32,
}

impl UserContext {
    /// Registers as exec leaves them: all zero, vector state initial.
    pub fn new(entry: u64, stack: u64) -> Self {
        Self {
            registers: Registers {
                rip: entry,
                rsp: stack,
                rflags: FIXED_FLAGS,
                ..Registers::default()
            },
            fs_base: 0,
            gs_base: 0,
            xmm: [[0; 16]; 16],
            extended: Extended::new(),
            held_by: NOWHERE,
        }
    }

    /// The arguments of a system call, in the order of its signature.
    #[inline]
    pub fn call_arguments(&self) -> [u64; 6] {
        let Registers { rdi, rsi, rdx, r10, r8, r9, .. } = &self.registers;
        // One by one, as the entry pushed them: a load of two at once would wait until both stores
        // have reached the cache.
        // SAFETY: a reference is valid to read from.
        [rdi, rsi, rdx, r10, r8, r9].map(|word| unsafe { core::ptr::read_volatile(word) })
    }

    /// Runs user code until it comes back.
    #[cfg(not(any(test, feature = "hosted")))]
    pub fn run(&mut self) -> Exit {
        if self.registers.rip >> USER_BITS != 0 {
            // The jump out would fault in the LibOS; on Linux the return to it faults in the program.
            return Exit::Fault(Fault { vector: GENERAL_PROTECTION, error: 0, address: 0 });
        }
        let block = vcpu::block();
        let this: *mut Self = self;
        if block.live.load(Ordering::Relaxed) != this || self.held_by != block.index {
            self.load(block.held.get());
            block.live.store(this, Ordering::Relaxed);
            self.held_by = block.index;
        }
        self.registers.rflags = self.registers.rflags & USER_FLAGS | FIXED_FLAGS;
        let stepping = self.registers.rflags & TRAP_FLAG != 0 && self.gs_base == 0;
        if stepping {
            // The first trap must come behind the program's next instruction: only an interrupt return
            // loads flags and place at once, and it is taken for programs with a GS of their own.
            self.gs_base = block.this;
        }
        block.held.set(Held::UNKNOWN);
        vcpu::enter_user_state();
        let reason: u64;
        // Neither a call nor a return: the processor's stack of predicted returns stays the program's,
        // or each crossing would cost two mispredictions.
        // SAFETY: the context lives in a box that outlasts the switch; any register values are safe to
        // load, since user code runs at the user's own risk and comes back only through the stubs,
        // which keep what the ABI says.
        unsafe {
            core::arch::asm!(
                "lea rax, [rip + 2f]",
                "push rax",
                "jmp adyton_switch_to_user",
                "2:",
                inout("rdi") this => _,
                out("rax") reason,
                clobber_abi("sysv64"),
            );
        }
        if stepping && self.gs_base == block.this {
            self.gs_base = 0;
        }
        if reason != REASON_CALL {
            // The host's return from a signal leaves the ID flag as the program had it.
            // SAFETY: the flags that the LibOS runs with.
            unsafe { core::arch::asm!("push 2", "popfq") };
        }
        match reason {
            REASON_CALL => Exit::Call,
            REASON_TRAPPED_CALL => Exit::TrappedCall,
            REASON_INTERRUPTED => Exit::Interrupted,
            REASON_DOOR => Exit::Door,
            _ => Exit::Fault(Fault {
                vector: block.vector,
                error: block.error,
                address: block.address,
            }),
        }
    }

    /// Hosted there is no user code: it comes back at once, interrupted.
    #[cfg(any(test, feature = "hosted"))]
    pub fn run(&mut self) -> Exit {
        Exit::Interrupted
    }

    /// Saves what the processor holds of this thread, so that it may go on anywhere. To be called
    /// before the thread's task returns Pending.
    #[cfg(not(any(test, feature = "hosted")))]
    #[inline]
    pub fn park(&mut self) {
        let block = vcpu::block();
        let this: *mut Self = self;
        if block.live.load(Ordering::Relaxed) == this && self.held_by == block.index {
            self.fs_base = read_fs_base();
            block.held.set(self.extended.save());
        }
    }

    /// Saves the extended state and lets the next [`run`](Self::run) load it again: for those who
    /// read or change it.
    #[cfg(not(any(test, feature = "hosted")))]
    pub fn detach(&mut self) {
        self.park();
        self.held_by = NOWHERE;
    }

    /// Nothing is held by a processor here.
    #[cfg(any(test, feature = "hosted"))]
    pub fn detach(&mut self) {
        self.held_by = NOWHERE;
    }

    #[cfg(not(any(test, feature = "hosted")))]
    fn load(&mut self, held: Held) {
        write_fs_base(self.fs_base);
        self.extended.restore(held);
    }

    /// A copy for a new thread.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        self.detach();
        self.clone() // the copy is held by no processor, since this one is not
    }

    /// Sets the base of FS.
    pub fn set_fs_base(&mut self, base: u64) {
        self.detach();
        self.fs_base = base;
    }

    /// The base of FS now.
    pub fn current_fs_base(&mut self) -> u64 {
        self.detach();
        self.fs_base
    }

    /// Bytes of the extended state in the processor's XSAVE layout, as signal frames carry it.
    pub fn extended_size() -> usize {
        static SIZE: AtomicUsize = AtomicUsize::new(0);
        match SIZE.load(Ordering::Relaxed) {
            0 => {
                let size = crate::extended::xsave_size(&cpu::features());
                SIZE.store(size, Ordering::Relaxed);
                size
            }
            size => size,
        }
    }

    /// The components of the extended state that signal frames carry, bits as in XCR0.
    pub fn extended_mask() -> u64 {
        crate::extended::xsave_mask(&cpu::features())
    }

    /// Where a component of the extended state, 2 to 7, lies in the processor's XSAVE layout, and its bytes.
    pub fn extended_component(number: u32) -> (usize, usize) {
        crate::extended::component(number)
    }

    /// Writes the vector and x87 state in XSAVE layout; gives the bytes up to the end of what is in use,
    /// behind which, and between components, `out` is left as it was.
    ///
    /// # Panics
    /// When `out` is shorter than [`Self::extended_size`].
    pub fn save_extended(&mut self, out: &mut [u8]) -> usize {
        self.detach();
        crate::extended::to_xsave(&self.extended, &self.xmm, &cpu::features(), out)
    }

    /// Takes the vector and x87 state from XSAVE layout; false (and nothing changed) when it is
    /// malformed. `full` false: only the 512 legacy bytes are there.
    pub fn restore_extended(&mut self, bytes: &[u8], full: bool) -> bool {
        self.detach();
        let features = cpu::features();
        crate::extended::from_xsave(&mut self.extended, &mut self.xmm, &features, bytes, full)
    }

    /// Back to the vector state that exec gives.
    pub fn reset_extended(&mut self) {
        self.detach();
        self.extended.reset();
        self.xmm = [[0; 16]; 16];
    }

    /// MXCSR and the x87 status word, for the codes of arithmetic exceptions.
    pub fn arithmetic_status(&mut self) -> (u32, u16) {
        self.detach();
        self.extended.status()
    }
}

/// A thread's future together with the context that it runs: whenever the future has to wait, the
/// context is parked before anybody can resume it elsewhere.
pub struct Parking<F> {
    future: core::mem::ManuallyDrop<F>,
    context: core::ptr::NonNull<UserContext>,
}

// SAFETY: the context belongs to the future alone, and moves with it.
unsafe impl<F: Send> Send for Parking<F> {}

impl<F: Future> Parking<F> {
    /// Makes the future of a thread. The reference that `make` gets must not leave it.
    pub fn new(
        context: Box<UserContext>,
        make: impl FnOnce(&'static mut UserContext) -> F,
    ) -> Self {
        let context = core::ptr::NonNull::from(Box::leak(context));
        // SAFETY: leaked just now; freed in `drop` only, after the future.
        let reference = unsafe { &mut *context.as_ptr() };
        Self { future: core::mem::ManuallyDrop::new(make(reference)), context }
    }
}

impl<F: Future> Future for Parking<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut core::task::Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is pinned with `self` and never moved out.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(&mut *this.future) };
        let result = future.poll(cx);
        #[cfg(not(any(test, feature = "hosted")))]
        if result.is_pending() {
            // SAFETY: the future, which alone uses the context, does not run.
            unsafe { this.context.as_mut() }.park();
        }
        result
    }
}

impl<F> Drop for Parking<F> {
    fn drop(&mut self) {
        // SAFETY: dropped once, here; it holds the reference to the context.
        unsafe { core::mem::ManuallyDrop::drop(&mut self.future) };
        // SAFETY: leaked in `new`; nobody refers to it any more.
        drop(unsafe { Box::from_raw(self.context.as_ptr()) });
    }
}

impl Drop for UserContext {
    fn drop(&mut self) {
        if self.held_by != NOWHERE {
            let block = vcpu::block_of(self.held_by as usize);
            // SAFETY: blocks are never freed; only the atomic word is touched.
            let live = unsafe { &(*block).live };
            let this: *mut Self = self;
            let _ = live.compare_exchange(
                this,
                core::ptr::null_mut(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }
}

#[cfg(not(any(test, feature = "hosted")))]
fn read_fs_base() -> u64 {
    let base: u64;
    // SAFETY: FSGSBASE was probed at start.
    unsafe {
        core::arch::asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags));
    }
    base
}

#[cfg(not(any(test, feature = "hosted")))]
fn write_fs_base(base: u64) {
    // SAFETY: FSGSBASE was probed; the LibOS never uses FS; a non-canonical base would fault, so it
    // is cut to the user's half.
    unsafe {
        core::arch::asm!("wrfsbase {}", in(reg) base & 0x7fff_ffff_ffff,
            options(nomem, nostack, preserves_flags));
    }
}

unsafe extern "C" {
    static adyton_entry: u8;
    static adyton_foreign: u8;
    static adyton_trapped: u8;
    static adyton_abort_exit: u8;
    static adyton_leaving: u8;
    static adyton_left: u8;
    static adyton_foreign_trap: u8;
}

/// Addresses that others need of the assembly below.
#[derive(Clone, Debug)]
pub struct Stubs {
    /// Where trampolines jump with rax = number and rcx = return address.
    pub entry: u64,
    /// Where they jump when GS is not ours.
    pub foreign: u64,
    /// Address that the breakpoint behind `foreign` reports.
    pub(crate) foreign_trap: u64,
    /// Where the exception entry sends a thread that trapped in user code.
    pub(crate) trapped: u64,
    /// Where it sends one that was just about to leave.
    pub(crate) abort_exit: u64,
    /// The way out, during which the context still holds all registers.
    pub(crate) leaving: core::ops::Range<u64>,
}

/// The stubs' addresses.
pub fn stubs() -> Stubs {
    Stubs {
        entry: &raw const adyton_entry as u64,
        foreign: &raw const adyton_foreign as u64,
        foreign_trap: &raw const adyton_foreign_trap as u64,
        trapped: &raw const adyton_trapped as u64,
        abort_exit: &raw const adyton_abort_exit as u64,
        leaving: &raw const adyton_leaving as u64..&raw const adyton_left as u64,
    }
}

const XMM: usize = offset_of!(UserContext, xmm);
const GS: usize = offset_of!(UserContext, gs_base);
const REGISTERS_END: usize = size_of::<Registers>();

// The registers lie in the order in which they are pushed, so the entry points rsp behind them and
// pushes; a signal that comes then runs on its alternate stack.
core::arch::global_asm!(
    ".text",
    ".balign 64",
    ".global adyton_switch_to_user, adyton_entry, adyton_foreign, adyton_foreign_trap",
    ".global adyton_trapped, adyton_abort_exit, adyton_leaving, adyton_left",
    ".hidden adyton_entry, adyton_foreign, adyton_foreign_trap",
    ".hidden adyton_trapped, adyton_abort_exit, adyton_leaving, adyton_left",
    "adyton_switch_to_user:",
    "    push rbx",
    "    push rbp",
    "    push r12",
    "    push r13",
    "    push r14",
    "    push r15",
    "    mov gs:[{libos_sp}], rsp",
    "    mov gs:[{context}], rdi",
    "adyton_leaving:",
    // A kick that came earlier in the LibOS left a note; one that comes from here on is sent to
    // abort_exit. So none is lost, and nobody runs user code who should look at something first.
    "    cmp dword ptr gs:[{attention}], 0",
    "    jne adyton_abort_exit",
    "    mov rax, [rdi + 0x80]",
    "    mov gs:[{user_rip}], rax",
    "    movaps xmm0, [rdi + {xmm} + 0x00]",
    "    movaps xmm1, [rdi + {xmm} + 0x10]",
    "    movaps xmm2, [rdi + {xmm} + 0x20]",
    "    movaps xmm3, [rdi + {xmm} + 0x30]",
    "    movaps xmm4, [rdi + {xmm} + 0x40]",
    "    movaps xmm5, [rdi + {xmm} + 0x50]",
    "    movaps xmm6, [rdi + {xmm} + 0x60]",
    "    movaps xmm7, [rdi + {xmm} + 0x70]",
    "    movaps xmm8, [rdi + {xmm} + 0x80]",
    "    movaps xmm9, [rdi + {xmm} + 0x90]",
    "    movaps xmm10, [rdi + {xmm} + 0xa0]",
    "    movaps xmm11, [rdi + {xmm} + 0xb0]",
    "    movaps xmm12, [rdi + {xmm} + 0xc0]",
    "    movaps xmm13, [rdi + {xmm} + 0xd0]",
    "    movaps xmm14, [rdi + {xmm} + 0xe0]",
    "    movaps xmm15, [rdi + {xmm} + 0xf0]",
    "    mov r8, [rdi + 0x00]",
    "    mov r9, [rdi + 0x08]",
    "    mov r10, [rdi + 0x10]",
    "    mov r11, [rdi + 0x18]",
    "    mov r12, [rdi + 0x20]",
    "    mov r13, [rdi + 0x28]",
    "    mov r14, [rdi + 0x30]",
    "    mov r15, [rdi + 0x38]",
    "    mov rsi, [rdi + 0x48]",
    "    mov rbp, [rdi + 0x50]",
    "    mov rbx, [rdi + 0x58]",
    "    mov rdx, [rdi + 0x60]",
    "    cmp qword ptr [rdi + {gs}], 0",
    "    jne 3f",
    // POPFQ takes its time. The arithmetic flags alone are loaded without it: the overflow flag by an
    // addition, the others from ah; the rest is clear in the processor as it is in the LibOS.
    "    mov eax, [rdi + 0x88]",
    "    test eax, {unusual}",
    "    jnz 4f",
    "    mov ecx, eax",
    "    shl eax, 8",
    "    shr ecx, 11",
    "    and ecx, 1",
    "    or eax, ecx",
    "    add al, 0x7f",
    "    sahf",
    "5:  mov rax, [rdi + 0x68]",
    "    mov rcx, [rdi + 0x70]",
    "    mov rsp, [rdi + 0x78]",
    "    mov rdi, [rdi + 0x40]",
    "    jmp qword ptr gs:[{user_rip}]",
    "4:  push qword ptr [rdi + 0x88]",
    "    popfq",
    "    jmp 5b",
    // The program has a GS of its own: an interrupt return needs nothing of ours behind it.
    "3:  mov rax, [rdi + 0x68]",
    "    mov ecx, ss",
    "    push rcx",
    "    push qword ptr [rdi + 0x78]",
    "    push qword ptr [rdi + 0x88]",
    "    mov ecx, cs",
    "    push rcx",
    "    push qword ptr [rdi + 0x80]",
    "    mov rcx, [rdi + {gs}]",
    "    wrgsbase rcx",
    "    mov rcx, [rdi + 0x70]",
    "    mov rdi, [rdi + 0x40]",
    "    iretq",
    "adyton_left:",
    "    ud2",
    ".balign 64",
    "adyton_entry:",
    "    mov gs:[{user_sp}], rsp",
    "    mov rsp, gs:[{context}]",
    "    lea rsp, [rsp + {registers_end}]",
    "    pushfq",
    "    push rcx",
    "    push qword ptr gs:[{user_sp}]",
    "    push rcx",
    "    push rax",
    "    push rdx",
    "    push rbx",
    "    push rbp",
    "    push rsi",
    "    push rdi",
    "    push r15",
    "    push r14",
    "    push r13",
    "    push r12",
    "    push qword ptr [rsp + 0x68]", // r11 = flags
    "    push r10",
    "    push r9",
    "    push r8",
    "    mov rdi, rsp",
    "    mov rsp, gs:[{libos_sp}]",
    "    test dword ptr [rdi + 0x88], {unusual}",
    "    jz 1f",
    "    push 2",
    "    popfq",
    "1:  xor eax, eax",
    "    mov dword ptr gs:[{state}], 0",
    "2:  movaps [rdi + {xmm} + 0x00], xmm0",
    "    movaps [rdi + {xmm} + 0x10], xmm1",
    "    movaps [rdi + {xmm} + 0x20], xmm2",
    "    movaps [rdi + {xmm} + 0x30], xmm3",
    "    movaps [rdi + {xmm} + 0x40], xmm4",
    "    movaps [rdi + {xmm} + 0x50], xmm5",
    "    movaps [rdi + {xmm} + 0x60], xmm6",
    "    movaps [rdi + {xmm} + 0x70], xmm7",
    "    movaps [rdi + {xmm} + 0x80], xmm8",
    "    movaps [rdi + {xmm} + 0x90], xmm9",
    "    movaps [rdi + {xmm} + 0xa0], xmm10",
    "    movaps [rdi + {xmm} + 0xb0], xmm11",
    "    movaps [rdi + {xmm} + 0xc0], xmm12",
    "    movaps [rdi + {xmm} + 0xd0], xmm13",
    "    movaps [rdi + {xmm} + 0xe0], xmm14",
    "    movaps [rdi + {xmm} + 0xf0], xmm15",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop rbp",
    "    pop rbx",
    "    pop rcx",
    "    jmp rcx",
    // A trap in user code: the exception entry saved the general registers, and set rsp and the state.
    "adyton_trapped:",
    "    mov rdi, gs:[{context}]",
    "    mov rax, gs:[{reason}]",
    "    jmp 2b",
    // A kick on the way out: the context still holds everything, user vectors included.
    "adyton_abort_exit:",
    "    mov dword ptr gs:[{state}], 0",
    "    mov eax, 3",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop rbp",
    "    pop rbx",
    "    pop rcx",
    "    jmp rcx",
    // GS is the program's: no memory of ours can be reached, so trap. rax = number, rcx = return.
    "adyton_foreign:",
    "    mov rcx, r11",
    "    int3",
    "adyton_foreign_trap:",
    "    ud2",
    libos_sp = const vcpu::LIBOS_SP,
    context = const vcpu::CONTEXT,
    user_rip = const vcpu::USER_RIP,
    user_sp = const vcpu::USER_SP,
    state = const vcpu::STATE,
    attention = const vcpu::ATTENTION,
    reason = const vcpu::REASON,
    xmm = const XMM,
    gs = const GS,
    unusual = const UNUSUAL_FLAGS,
    registers_end = const REGISTERS_END,
);
