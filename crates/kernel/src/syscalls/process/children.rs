//! Waiting for children, of which there are none yet, and parting from what is shared.
//!
//! Source: wait4(2), waitid(2), unshare(2).

use abi::Errno;
use abi::errno::{Error, Result};

use crate::arguments::Arguments;
use crate::context::Context;

const NOHANG: u32 = 1;
/// `WUNTRACED` of wait4(2), `WSTOPPED` of waitid(2).
const STOPPED: u32 = 2;
const EXITED: u32 = 4;
const CONTINUED: u32 = 8;
const NOWAIT: u32 = 0x0100_0000;
/// `__WNOTHREAD`, `__WALL`, `__WCLONE`.
const WHOSE: u32 = 0xe000_0000;

fn none() -> Error {
    Errno::ECHILD.because("the process has no children")
}

/// wait4(2): process, where its status goes, options, where its usage goes.
pub(super) fn wait4(args: &Arguments) -> Result<u64> {
    if args.uint(2) & !(NOHANG | STOPPED | CONTINUED | WHOSE) != 0 {
        return Err(Errno::EINVAL.because("an unknown option"));
    }
    if args.int(0) == i32::MIN {
        return Err(Errno::ESRCH.because("no process group has this number"));
    }
    Err(none())
}

/// waitid(2): which kind of number, number, where `siginfo` goes, options, where usage goes.
pub(super) fn waitid(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let result = wait_for(cx, args);
    let told = args.address(2);
    // Linux says that nobody was there even when the call fails.
    if told != 0 {
        cx.write(told, &[0_u32; 3])?;
        cx.write(told.wrapping_add(16), &[0_u32; 3])?;
    }
    result
}

fn wait_for(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const ALL: i32 = 0;
    const PROCESS: i32 = 1;
    const GROUP: i32 = 2;
    const PIDFD: i32 = 3;
    let (kind, number, options) = (args.int(0), args.int(1), args.uint(3));
    let wanted = EXITED | STOPPED | CONTINUED;
    if options & !(wanted | NOHANG | NOWAIT | WHOSE) != 0 || options & wanted == 0 {
        return Err(Errno::EINVAL.because("an unknown option, or nothing to wait for"));
    }
    match kind {
        ALL => Err(none()),
        PROCESS if number > 0 => Err(none()),
        GROUP if number >= 0 => Err(none()),
        PIDFD if number >= 0 => {
            super::pidfd::file_of(cx, number)?;
            Err(none())
        }
        _ => Err(Errno::EINVAL.because("no such kind of number, or a number that it can't have")),
    }
}

/// unshare(2): what to part from.
///
/// A process with one thread shares its files, directories and memory with nobody, so that there is
/// nothing to do; namespaces are not made.
pub(super) fn unshare(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const FS: u64 = 0x200;
    const FILES: u64 = 0x400;
    const SYSVSEM: u64 = 0x4_0000;
    /// `CLONE_VM`, `CLONE_SIGHAND`, `CLONE_THREAD`: only who is alone may ask.
    const THREADS: u64 = 0x100 | 0x800 | 0x1_0000;
    /// The namespaces: mount, cgroup, UTS, IPC, user, PID, network, time.
    const NAMESPACES: u64 = 0x7e02_0080;
    let flags = args.raw(0);
    if flags & !(FS | FILES | SYSVSEM | THREADS | NAMESPACES) != 0 {
        return Err(Errno::EINVAL.because("an unknown flag"));
    }
    let alone = cx.process.threads.lock().len() == 1;
    if flags & THREADS != 0 && !alone {
        return Err(Errno::EINVAL.because("the process has other threads"));
    }
    if flags & NAMESPACES != 0 {
        return Err(Errno::EPERM.because("namespaces are not supported"));
    }
    if flags & (FS | FILES) != 0 && !alone {
        return Err(Errno::ENOSYS.because("threads with files of their own are not supported"));
    }
    Ok(0)
}
