//! Host signals become entries.
//!
//! The handler copies the interrupted registers into a [`Trap`], calls the LibOS's exception entry,
//! and writes back what that changed. It finds the vCPU by its alternate stack's address: neither GS
//! nor FS can be believed. Signals for the program go to the attendant instead.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use abi::plan::tag;
use abi::trap::{Kind, Registers, Trap};

use crate::line::Line;
use crate::{Outcome, attendant, filter};

/// The signal that interrupts a vCPU. One that is not a real-time signal: many that come before a vCPU
/// gets to run are one, and where nobody handles it, it is ignored.
pub(crate) const KICK: i32 = libc::SIGURG;
/// Flags: alignment checks; nested task.
const AC: i32 = 1 << 18;
const NT: i32 = 1 << 14;
/// Bytes of an alternate stack, and its alignment.
const STACK: usize = 128 << 10;
const VCPUS: usize = 64;
/// `si_code` of Syscall User Dispatch.
const USER_DISPATCH: i32 = 2;
const NATIVE: [i32; 7] =
    [libc::SIGSYS, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, KICK];
/// What acts on this process as the host has it: a terminal stops who reads or writes in its background.
const HOST: [i32; 2] = [libc::SIGTTIN, libc::SIGTTOU];
/// What means this process alone: the decoder ended.
const OWN: i32 = libc::SIGCHLD;

static STACKS: AtomicU64 = AtomicU64::new(0);
static EXCEPTION: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// The exception entry's type; see `platform::trap` of the LibOS.
type ExceptionEntry = unsafe extern "sysv64" fn(*mut Trap, u64) -> bool;

/// Signals that were ignored and blocked when the process started.
pub(crate) struct Inherited {
    ignored: u64,
    blocked: u64,
}

impl Inherited {
    /// As an item of the boot blob.
    pub(crate) fn item(&self) -> Vec<u8> {
        let mut item = Vec::with_capacity(24);
        item.extend(tag::SIGNALS.to_le_bytes());
        item.extend(16_u32.to_le_bytes());
        item.extend(self.ignored.to_le_bytes());
        item.extend(self.blocked.to_le_bytes());
        item
    }
}

/// Reads the dispositions that came along through exec.
pub(crate) fn inherited() -> Inherited {
    let mut blocked = 0_u64;
    // SAFETY: a null set changes nothing; the old mask has 8 bytes.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &raw mut blocked, 8);
    }
    let mut ignored = 0;
    for signal in 1..=64 {
        let mut old = [0_u64; 4];
        // SAFETY: a null action changes nothing; `old` has a kernel sigaction's size.
        let failed =
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, 0, &raw mut old, 8) } != 0;
        if !failed && old[0] == libc::SIG_IGN as u64 {
            ignored |= 1 << (signal - 1);
        }
    }
    // Rust's runtime ignores SIGPIPE before main; whether the caller did can't be told any more.
    ignored &= !(1 << (libc::SIGPIPE - 1));
    Inherited { ignored, blocked }
}

fn set_of(signals: &[i32]) -> u64 {
    signals.iter().fold(0, |set, signal| set | 1 << (signal - 1))
}

/// The signals that go to the program by way of the attendant, as a set. Of those that vCPU threads
/// take, the ones that somebody sent come there too.
pub(crate) fn forwarded() -> u64 {
    !(set_of(&NATIVE) | set_of(&HOST) | set_of(&[OWN]))
}

/// Blocks all signals but those that vCPU threads take and those that the host acts on, for all
/// threads made from here on.
pub(crate) fn block_all() {
    let mask = !(set_of(&NATIVE) | set_of(&HOST));
    // SAFETY: a mask of 8 bytes.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, 0, 8);
    }
}

/// Installs the handlers and the alternate stacks' slab.
pub(crate) fn install() -> Outcome<()> {
    let len = STACK * (VCPUS + 1);
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the kernel picks a free place.
    let slab = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
    if slab == libc::MAP_FAILED {
        return Err("can't map signal stacks; see `ulimit -v`".to_owned());
    }
    STACKS.store((slab as u64).next_multiple_of(STACK as u64), Ordering::Release);
    // SAFETY: zeros are a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: fills a set of ours.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    for signal in NATIVE {
        // SAFETY: the handler keeps the rules at the top of the crate.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(format!("can't handle signal {signal}"));
        }
    }
    Ok(())
}

/// Sets where the LibOS takes exceptions.
pub(crate) fn set_exception_entry(address: u64) {
    EXCEPTION.store(address as *mut (), Ordering::Release);
}

/// Gives the calling thread the alternate stack of a vCPU.
pub(crate) fn use_stack_of(vcpu: usize) -> Outcome<()> {
    let stack = libc::stack_t {
        ss_sp: (STACKS.load(Ordering::Acquire) as usize + vcpu * STACK) as *mut _,
        ss_flags: 0,
        ss_size: STACK,
    };
    // SAFETY: the slab's part of this vCPU, used by nobody else.
    if unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) } == 0 {
        Ok(())
    } else {
        Err("can't set a signal stack".to_owned())
    }
}

unsafe extern "C" fn on_signal(
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // The program may have asked for alignment checks, or set NT, which Linux leaves so in handlers.
    // SAFETY: clears two flags; they are set again below, or by the return from the signal.
    unsafe {
        core::arch::asm!("pushfq", "and qword ptr [rsp], {}", "popfq", const !(AC | NT));
    }
    let here = (&raw const signal) as u64;
    let index = here.wrapping_sub(STACKS.load(Ordering::Relaxed)) / STACK as u64;
    let entry = EXCEPTION.load(Ordering::Relaxed);
    let on_stack = index < VCPUS as u64 && !entry.is_null();
    if signal == KICK && !on_stack {
        return; // the vCPU did not enter yet
    }
    // SAFETY: the kernel passes a siginfo.
    let info = unsafe { &*info };
    if signal != KICK && info.si_code <= 0 {
        return attendant::hand_over(signal); // not a fault: somebody sent it
    }
    if !on_stack {
        // Not a vCPU's thread: a fault of the runner itself. Returning with the default action ends it.
        // SAFETY: resets one signal.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    // SAFETY: the kernel passes a ucontext.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let Some(mut trap) = describe(signal, info, registers) else { return };
    // SAFETY: the address of the exception entry has this signature.
    let entry: ExceptionEntry = unsafe { std::mem::transmute(entry) };
    // SAFETY: the trap lives on this stack; the vCPU is the one that was interrupted.
    if !unsafe { entry(&raw mut trap, index) } {
        stop(signal, trap.registers.rip);
    }
    let general = registers.as_mut_ptr().cast::<Registers>();
    // SAFETY: gregs begin with the 18 registers in this order.
    unsafe { general.write(trap.registers) };
    if trap.registers.rflags & NT as u64 != 0 {
        // The one flag of a program that a return from a signal leaves as the handler has it.
        // SAFETY: what follows up to the return makes no interrupt return, which alone heeds it.
        unsafe {
            core::arch::asm!("pushfq", "or qword ptr [rsp], {}", "popfq", const NT);
        }
    }
}

/// Ends the process for a LibOS that stopped before it knew how to say so.
#[cold]
fn stop(signal: i32, address: u64) -> ! {
    Line::new()
        .text(b"adyton: the LibOS stopped at its start, signal ")
        .number(signal.unsigned_abs().into(), 10)
        .text(b" at 0x")
        .number(address, 16)
        .text(b"\n")
        .end()
}

fn describe(signal: i32, info: &libc::siginfo_t, registers: &[i64; 23]) -> Option<Trap> {
    // SAFETY: gregs begin with the 18 registers in this order.
    let general = unsafe { registers.as_ptr().cast::<Registers>().read() };
    let mut trap = Trap {
        kind: Kind::Fault as u32,
        vector: registers[libc::REG_TRAPNO as usize] as u32,
        error: registers[libc::REG_ERR as usize] as u64,
        address: 0,
        code: info.si_code.into(),
        registers: general,
    };
    match signal {
        KICK => trap.kind = Kind::Preempt as u32,
        libc::SIGSYS => {
            // SAFETY: the kernel's siginfo is 128 bytes long, whatever is in it.
            let words = unsafe { &*(&raw const *info).cast::<[u32; 32]>() };
            // Of SIGSYS it has the call's address at byte 16, its number at 24, its architecture at 28.
            let [low, high, number, arch] = [words[4], words[5], words[6], words[7]];
            match info.si_code {
                USER_DISPATCH => {
                    trap.kind =
                        if arch == filter::X86_64 { Kind::Syscall } else { Kind::Door } as u32;
                }
                filter::SYS_SECCOMP => {
                    filter::refused(u64::from(high) << 32 | u64::from(low), number, &mut trap);
                }
                _ => return None,
            }
        }
        libc::SIGSEGV | libc::SIGBUS => trap.address = registers[libc::REG_CR2 as usize] as u64,
        // SAFETY: the kernel's siginfo of a fault has its address.
        _ => trap.address = unsafe { info.si_addr() } as u64,
    }
    // A non-canonical access reports vector 13 and leaves CR2 stale.
    if trap.vector == 13 {
        trap.address = 0;
    }
    Some(trap)
}
