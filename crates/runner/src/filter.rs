//! The seccomp filter of the vCPU threads: only the runner's own code reaches the host, and only with
//! the calls that the runner makes.
//!
//! Syscall User Dispatch turns the calls of user code into traps before any filter sees them. This is
//! what stands behind it: a call whose instruction does not lie in the runner's text (the vsyscall page
//! above all, which the host answers without a `syscall` instruction), or whose number is not on the
//! list, becomes SIGSYS and never happens. A call on the vsyscall page is handed to the LibOS as the
//! fault that it is elsewhere; any other one ends the enclave with a line for the person.
//!
//! The attendant never runs the enclave's code and has no filter: it starts the decoder of traces.
//!
//! Source: seccomp(2); Linux, `arch/x86/entry/vsyscall/vsyscall_64.c`.

use std::ops::Range;

use abi::trap::{Kind, Trap};

use crate::Outcome;
use crate::line::Line;

/// `si_code` of a refused call.
pub(crate) const SYS_SECCOMP: i32 = 1;

const SET_MODE_FILTER: i32 = 1;
const GET_ACTION_AVAILABLE: i32 = 2;
/// Without it, older kernels switch off speculation in filtered threads.
const SPECULATION_ALLOWED: u32 = 1 << 2;

/// Places in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const POINTER_LOW: u32 = 8;
const POINTER_HIGH: u32 = 12;
/// Audit architecture of 64-bit x86.
pub(crate) const X86_64: u32 = 0xc000_003e;

/// Start of the page that the host answers by itself.
const VSYSCALL: u64 = 0xffff_ffff_ff60_0000;
/// A page fault's vector, and its error code for user code that fetches instructions.
const PAGE_FAULT: u32 = 14;
const USER_FETCH: u64 = 4 | 16;

macro_rules! calls {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

/// What a vCPU's thread asks of the host once it entered; the frequent ones first.
const CALLS: &[(&str, i64)] = calls! {
    SYS_futex SYS_io_uring_enter SYS_read SYS_write SYS_pread64 SYS_pwrite64 SYS_mmap SYS_mprotect
    SYS_rt_sigreturn SYS_madvise SYS_getpid SYS_tgkill SYS_poll SYS_clock_gettime SYS_openat SYS_close
    SYS_statx SYS_readlinkat SYS_getdents64 SYS_lseek SYS_preadv2 SYS_pwritev2 SYS_fallocate
    SYS_mremap SYS_munmap SYS_epoll_ctl SYS_ioctl SYS_ftruncate SYS_timerfd_settime SYS_fsync SYS_fdatasync SYS_syncfs SYS_mkdirat SYS_mknodat
    SYS_unlinkat SYS_renameat2 SYS_linkat SYS_symlinkat SYS_fchmodat SYS_fchownat SYS_utimensat
    SYS_getrandom SYS_fchmod SYS_getxattr SYS_lgetxattr SYS_setxattr SYS_lsetxattr SYS_listxattr
    SYS_llistxattr SYS_removexattr SYS_lremovexattr
    SYS_io_uring_setup SYS_io_uring_register SYS_eventfd2 SYS_restart_syscall SYS_wait4 SYS_gettid
    SYS_setrlimit SYS_rt_sigaction SYS_rt_sigprocmask SYS_exit_group
};

/// Whether this kernel has such filters.
pub(crate) fn is_there() -> bool {
    let action = libc::SECCOMP_RET_TRAP;
    // SAFETY: a question about a word of ours.
    unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAILABLE, 0, &raw const action) == 0 }
}

/// A filter, ready for any number of threads.
#[derive(Clone, Copy)]
pub(crate) struct Filter(&'static [libc::sock_filter]);

impl Filter {
    /// A filter that lets code in `text` make the listed calls.
    pub(crate) fn new(text: &Range<u64>) -> Self {
        let numbers: Vec<u32> = CALLS.iter().map(|(_, number)| *number as u32).collect();
        Self(Box::leak(program(text, &numbers).into_boxed_slice()))
    }

    /// Puts the calling thread under the filter, for good.
    pub(crate) fn switch_on(self) -> Outcome<()> {
        let program = libc::sock_fprog {
            len: self.0.len() as u16,
            filter: self.0.as_ptr().cast_mut(), // the kernel only reads it
        };
        // SAFETY: sets a flag of this thread.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        for flags in [SPECULATION_ALLOWED, 0] {
            // SAFETY: a program that lives for ever.
            let set = unsafe {
                libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program)
            };
            if set == 0 {
                return Ok(());
            }
        }
        let reason = std::io::Error::last_os_error();
        Err(format!("can't filter host calls: {reason}; try --without seccomp"))
    }
}

/// The filter as instructions; every jump is forward and shorter than the list.
fn program(text: &Range<u64>, numbers: &[u32]) -> Vec<libc::sock_filter> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
    const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    /// Where the upper bound is checked, and where the numbers are.
    const UPPER: usize = 7;
    const LIST: usize = 12;
    let refuse = LIST + 1 + numbers.len();
    let allow = refuse + 1;
    let half = |address: u64| ((address >> 32) as u32, address as u32);
    let ((start_high, start_low), (end_high, end_low)) = (half(text.start), half(text.end));
    let mut program: Vec<libc::sock_filter> = Vec::with_capacity(allow + 1);
    let mut add = |code: u32, k: u32, hit: Option<usize>, miss: Option<usize>| {
        let next = program.len() + 1;
        let distance = |to: Option<usize>| to.map_or(0, |to| (to - next) as u8);
        let (jt, jf) = (distance(hit), distance(miss));
        program.push(libc::sock_filter { code: code as u16, jt, jf, k });
    };
    add(LOAD, ARCHITECTURE, None, None);
    add(EQUAL, X86_64, None, Some(refuse));
    add(LOAD, POINTER_HIGH, None, None);
    add(GREATER, start_high, Some(UPPER), None);
    add(EQUAL, start_high, None, Some(refuse));
    add(LOAD, POINTER_LOW, None, None);
    add(AT_LEAST, start_low, None, Some(refuse));
    add(LOAD, POINTER_HIGH, None, None);
    add(GREATER, end_high, Some(refuse), None);
    add(EQUAL, end_high, None, Some(LIST));
    add(LOAD, POINTER_LOW, None, None);
    add(AT_LEAST, end_low, Some(refuse), None);
    add(LOAD, NUMBER, None, None);
    for number in numbers {
        add(EQUAL, *number, Some(allow), None);
    }
    add(RETURN, libc::SECCOMP_RET_TRAP, None, None);
    add(RETURN, libc::SECCOMP_RET_ALLOW, None, None);
    program
}

/// Makes a trap of a call that the filter refused; comes back for the vsyscall page only.
///
/// `address` is that of the call, `number` which one.
pub(crate) fn refused(address: u64, number: u32, trap: &mut Trap) {
    if address < VSYSCALL {
        stop(address, number);
    }
    // The host skipped the call and returned from it; the return address is still where it was.
    trap.kind = Kind::Fault as u32;
    trap.vector = PAGE_FAULT;
    trap.error = USER_FETCH;
    trap.address = address;
    trap.registers.rip = address;
    trap.registers.rsp = trap.registers.rsp.wrapping_sub(8);
}

/// Ends the process: somebody got past everything that should have caught the call.
#[cold]
fn stop(address: u64, number: u32) -> ! {
    Line::new()
        .text(b"adyton: the host's filter refused system call ")
        .number(number.into(), 10)
        .text(b" at 0x")
        .number(address, 16)
        .text(b", which the runner does not make; the enclave ends\n")
        .end()
}

#[cfg(test)]
mod tests {
    use super::{CALLS, program};

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const TRAP: u32 = libc::SECCOMP_RET_TRAP;

    /// Runs the filter as the kernel would.
    fn run(program: &[libc::sock_filter], architecture: u32, pointer: u64, number: u32) -> u32 {
        let data = [number, architecture, pointer as u32, (pointer >> 32) as u32];
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let holds = match u32::from(step.code) {
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    accumulator = data[step.k as usize / 4];
                    continue;
                }
                code if code == libc::BPF_RET => return step.k,
                code if code == libc::BPF_JMP | libc::BPF_JEQ => accumulator == step.k,
                code if code == libc::BPF_JMP | libc::BPF_JGT => accumulator > step.k,
                code if code == libc::BPF_JMP | libc::BPF_JGE => accumulator >= step.k,
                code => panic!("code {code}"),
            };
            at += usize::from(if holds { step.jt } else { step.jf });
        }
    }

    #[test]
    fn only_the_text_and_only_the_list() {
        let spans = [0x7f12_3450_0000..0x7f12_3460_0000, 0x7f12_fff0_0000..0x7f14_0001_0000];
        for text in spans {
            let filter = program(&text, &[7, 202]);
            let ask = |pointer, number| run(&filter, super::X86_64, pointer, number);
            for pointer in [text.start, text.start + 2, text.end - 1] {
                assert_eq!(ask(pointer, 7), ALLOW);
                assert_eq!(ask(pointer, 202), ALLOW);
                assert_eq!(ask(pointer, 8), TRAP);
                assert_eq!(ask(pointer, 7 | 0x4000_0000), TRAP);
                assert_eq!(run(&filter, 0x4000_0003, pointer, 7), TRAP);
            }
            let outside =
                [0, 0x40_1000, text.start - 1, text.end, text.start ^ 1 << 45, super::VSYSCALL];
            for pointer in outside {
                assert_eq!(ask(pointer, 7), TRAP, "{pointer:#x}");
            }
        }
    }

    #[test]
    fn the_list_names_every_call_of_the_code_that_runs_on_vcpu_threads() {
        for source in [
            include_str!("host.rs"),
            include_str!("io.rs"),
            include_str!("io/told.rs"),
            include_str!("terminal.rs"),
            include_str!("attributes.rs"),
            include_str!("ring.rs"),
            include_str!("handles.rs"),
            include_str!("poller.rs"),
            include_str!("vcpu.rs"),
            include_str!("sys.rs"),
        ] {
            let mut names = 0;
            for part in source.split("libc::SYS_").skip(1) {
                let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let name = format!("SYS_{}", &part[..end.unwrap_or(part.len())]);
                assert!(CALLS.iter().any(|(known, _)| *known == name), "{name}");
                names += 1;
            }
            assert!(names > 0);
        }
    }
}
