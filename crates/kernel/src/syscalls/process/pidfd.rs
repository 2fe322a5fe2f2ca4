//! Descriptors of processes and threads: `pidfd_open(2)`, `pidfd_getfd(2)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::object::OpenFile;

use crate::arguments::{Arguments, Fd};
use crate::context::Context;
use crate::process::pidfd::{self, PidFd, THREAD};
use crate::syscalls::files::objects::NONBLOCK;

/// The open file behind a descriptor, if it is a process's.
///
/// # Errors
/// EBADF.
pub(crate) fn file_of(cx: &Context<'_>, fd: Fd) -> Result<Arc<OpenFile>> {
    let file = cx.process.files.get(fd)?;
    if file.downcast::<PidFd>().is_none() {
        return Err(Errno::EBADF.because("the descriptor is no process's"));
    }
    Ok(file)
}

/// `pidfd_open(2)`: process or thread, flags.
///
/// Errors: EINVAL (flags, no number of a process), ESRCH, ENOENT (a thread's number without
/// `PIDFD_THREAD`), EMFILE.
pub(super) fn pidfd_open(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.uint(1);
    if flags & !(NONBLOCK | THREAD) != 0 {
        return Err(Errno::EINVAL.because("an unknown flag of pidfd_open"));
    }
    let number = u32::try_from(args.int(0)).ok().filter(|number| *number != 0);
    let number = number.ok_or(Errno::EINVAL.because("no process has such a number"))?;
    let registry = &cx.kernel.registry;
    let process = match registry.process(number) {
        Some(process) => process,
        None => match registry.thread(number) {
            Some(thread) if flags & THREAD != 0 => Arc::clone(&thread.process),
            Some(_) => return Err(Errno::ENOENT.because("the number is a thread's")),
            None => return Err(Errno::ESRCH.because("no such process")),
        },
    };
    let file = pidfd::open(&process, number, flags)?;
    cx.process.files.add(file, OnExec::Close).map(u64::from)
}

/// `pidfd_getfd(2)`: process, descriptor there, flags.
///
/// Errors: EINVAL (flags), EBADF, ESRCH, EPERM, EMFILE.
pub(super) fn pidfd_getfd(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.uint(2) != 0 {
        return Err(Errno::EINVAL.because("pidfd_getfd has no flags"));
    }
    let file = file_of(cx, args.fd(0))?;
    let thread = file.downcast::<PidFd>().ok_or(Errno::EBADF)?.thread()?;
    if !Arc::ptr_eq(&thread.process, cx.process) {
        return Err(Errno::EPERM.because("descriptors of other processes can't be had"));
    }
    let wanted = cx.process.files.get(args.fd(1))?;
    cx.process.files.add(wanted, OnExec::Close).map(u64::from)
}
