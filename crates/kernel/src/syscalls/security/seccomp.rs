//! seccomp(2), and the options of prctl(2) that do the same.

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::seccomp::bpf::{Instruction, LEN_MAX, Program};
use crate::process::seccomp::{self as rules, Action, Filter};

const SET_MODE_STRICT: u32 = 0;
const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;
const GET_NOTIF_SIZES: u32 = 3;

/// Modes of `PR_SET_SECCOMP`.
const MODE_STRICT: u64 = 1;
const MODE_FILTER: u64 = 2;

/// Bytes of `seccomp_notif`, `seccomp_notif_resp` and `seccomp_data`.
const NOTIFICATION_SIZES: [u16; 3] = [80, 24, 64];

bitflags::bitflags! {
    /// Flags of `SECCOMP_SET_MODE_FILTER`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u32 {
        /// All threads of the process.
        const TSYNC = 1 << 0;
        /// What is refused goes to the audit log: there is none, as on a Linux that is built without it.
        const LOG = 1 << 1;
        /// Speculation stays as it is: nothing is changed about it anyway.
        const SPEC_ALLOW = 1 << 2;
        /// A descriptor for a supervisor.
        const NEW_LISTENER = 1 << 3;
        /// A thread that is in the way is an error, not a number.
        const TSYNC_ESRCH = 1 << 4;
        /// Supervised calls are only interrupted by what kills.
        const WAIT_KILLABLE_RECV = 1 << 5;
    }
}

/// seccomp(2): operation, flags, what it is about.
///
/// Errors: EINVAL, EFAULT, EACCES (neither `no_new_privs` nor `CAP_SYS_ADMIN`), ENOMEM (more than 32,768
/// instructions), ESRCH (a thread has other filters), EOPNOTSUPP (an action that is not there).
/// Differs from Linux: no listeners (`SECCOMP_FILTER_FLAG_NEW_LISTENER`: EINVAL), and nothing is logged.
pub(super) fn seccomp(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (flags, address) = (args.uint(1), args.address(2));
    match args.uint(0) {
        SET_MODE_STRICT if flags == 0 && address == 0 => set_strict(cx),
        SET_MODE_FILTER => set_filter(cx, flags, address),
        GET_ACTION_AVAIL if flags == 0 => {
            let number: u32 = cx.read(address)?;
            match Action::known(number) {
                Some(Action::Notify) | None => {
                    Err(Errno::EOPNOTSUPP.because("no filter's answer is acted on like this"))
                }
                Some(_) => Ok(0),
            }
        }
        GET_NOTIF_SIZES if flags == 0 => cx.write(address, &NOTIFICATION_SIZES).map(|()| 0),
        _ => Err(Errno::EINVAL.because("no such operation, or arguments that it doesn't have")),
    }
}

/// `PR_SET_SECCOMP`: mode, program.
pub(crate) fn by_prctl(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    match args.raw(1) {
        MODE_STRICT => set_strict(cx),
        MODE_FILTER => set_filter(cx, 0, args.address(2)),
        _ => Err(Errno::EINVAL.because("no such mode")),
    }
}

fn set_strict(cx: &Context<'_>) -> Result<u64> {
    rules::set_strict(cx.thread)?;
    cx.kernel.trace.watch();
    Ok(0)
}

fn set_filter(cx: &Context<'_>, raw: u32, address: u64) -> Result<u64> {
    let flags = Flags::from_bits(raw).ok_or(Errno::EINVAL.because("an unknown flag"))?;
    if flags.intersects(Flags::NEW_LISTENER | Flags::WAIT_KILLABLE_RECV) {
        return Err(Errno::EINVAL.because("there are no supervisors of calls"));
    }
    let program = read_program(cx, address)?;
    let filter = Filter::new(program)?;
    // Watched first: a thread that goes on at once is to find its filter asked.
    cx.kernel.trace.watch();
    match rules::add(cx.thread, filter, flags.contains(Flags::TSYNC))? {
        None => Ok(0),
        Some(_) if flags.contains(Flags::TSYNC_ESRCH) => {
            Err(Errno::ESRCH.because("a thread has other filters"))
        }
        Some(thread) => Ok(thread.into()),
    }
}

/// Reads and checks a `struct sock_fprog`.
fn read_program(cx: &Context<'_>, address: u64) -> Result<Program> {
    let [head, place]: [u64; 2] = cx.read(address)?;
    let len = usize::try_from(head & 0xffff).unwrap_or(usize::MAX);
    if len == 0 || len > LEN_MAX {
        return Err(Errno::EINVAL.because("no filter, or one of more than 4096 instructions"));
    }
    let privileged = cx.process.credentials.lock().has(Capabilities::SYS_ADMIN);
    if !privileged && !cx.thread.attributes.get().no_new_privileges {
        return Err(Errno::EACCES.because("filters need no_new_privs or CAP_SYS_ADMIN"));
    }
    let instructions: alloc::vec::Vec<Instruction> = cx.read_vec(place, len)?;
    Program::new(&instructions)
}
