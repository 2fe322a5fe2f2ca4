//! Looking into other threads: kcmp(2), ptrace(2).

use alloc::sync::Arc;
use core::cmp::Ordering;

use abi::Errno;
use abi::errno::Result;
use vfs::epoll::Epoll;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::Thread;

/// The thread with a positive number.
fn named(cx: &Context<'_>, number: i32) -> Result<Arc<Thread>> {
    let missing = Errno::ESRCH.because("no such thread");
    let number = u32::try_from(number).map_err(|_| missing)?;
    if number == cx.thread.tid {
        return Ok(Arc::clone(cx.thread));
    }
    cx.kernel.registry.thread(number).ok_or(missing)
}

/// Two objects as kcmp(2) tells them apart: in some order, which says nothing else.
fn order(one: u64, other: u64) -> u64 {
    match one.cmp(&other) {
        Ordering::Equal => 0,
        Ordering::Less => 1,
        Ordering::Greater => 2,
    }
}

/// kcmp(2): two threads, what of them, and which descriptors.
///
/// Errors: ESRCH, EPERM, EINVAL (what), EBADF, EFAULT, ENOENT (not in the set).
pub(super) fn kcmp(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const FILE: i32 = 0;
    /// Memory, descriptors, directories, handlers, I/O context, semaphores' undoing: all are shared by
    /// the threads of a process.
    const SHARED: core::ops::RangeInclusive<i32> = 1..=6;
    const EPOLL_TARGET: i32 = 7;
    let (one, other) = (named(cx, args.int(0))?, named(cx, args.int(1))?);
    let own = |thread: &Thread| Arc::ptr_eq(&thread.process, cx.process);
    if !own(&one) || !own(&other) {
        return Err(Errno::EPERM.because("other processes can't be looked into"));
    }
    match args.int(2) {
        FILE => {
            let file = cx.process.files.get(args.fd(3))?;
            Ok(order(file.identity(), cx.process.files.get(args.fd(4))?.identity()))
        }
        what if SHARED.contains(&what) => Ok(0),
        EPOLL_TARGET => epoll_target(cx, args),
        _ => Err(Errno::EINVAL.because("nothing that can be compared")),
    }
}

/// Whether a descriptor is what an epoll instance has under a number.
fn epoll_target(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let [epoll, target, skipped]: [u32; 3] = cx.read(args.address(4))?;
    let file = cx.process.files.get(args.fd(3))?;
    let set = cx.process.files.get(epoll.cast_signed())?;
    let set = set.downcast::<Epoll>().ok_or(Errno::EINVAL.because("no epoll instance"))?;
    let found = set.target(target.cast_signed(), skipped as usize);
    let found = found.ok_or(Errno::ENOENT.because("the set has no such descriptor"))?;
    Ok(order(file.identity(), found.identity()))
}

/// ptrace(2): what, which thread.
///
/// Nobody can be traced: there are no other processes that could trace, and threads can't trace
/// each other on Linux either. Errors: EPERM (to be traced, to trace an own thread), EIO (an address
/// for `PTRACE_SEIZE`), ESRCH (all else: the thread is not traced).
pub(super) fn ptrace(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const TRACE_ME: i64 = 0;
    const ATTACH: i64 = 16;
    const SEIZE: i64 = 0x4206;
    let request = args.long(0);
    if request == TRACE_ME {
        return Err(Errno::EPERM.because("nobody is there who could trace"));
    }
    named(cx, args.int(1))?;
    match request {
        SEIZE if args.raw(2) != 0 => Err(Errno::EIO.because("PTRACE_SEIZE has no address")),
        ATTACH | SEIZE => Err(Errno::EPERM.because("threads of a process can't trace each other")),
        _ => Err(Errno::ESRCH.because("the thread is not traced")),
    }
}
