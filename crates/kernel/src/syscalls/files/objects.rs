//! Calls that make objects without names: pipe, eventfd, memfd, timerfd, signalfd.

use abi::errno::Result;
use abi::nr;
use vfs::anonymous::Owner;
use vfs::descriptor::OnExec;
use vfs::object::Status;

use super::{eventfd, inotify, memfd, pipe, signalfd, timerfd};
use crate::arguments::Arguments;
use crate::context::Context;

/// `O_CLOEXEC`, `EFD_CLOEXEC`, `TFD_CLOEXEC`, `SOCK_CLOEXEC`: one bit in all of them.
pub(crate) const CLOEXEC: u32 = 0o2_000_000;
/// `O_NONBLOCK` and its namesakes.
pub(crate) const NONBLOCK: u32 = Status::NONBLOCK.bits();

/// Those of the calls here that `number` names; `None`: none.
pub(super) fn at_once(cx: &Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    Some(match number {
        nr::PIPE => pipe::pipe(cx, args),
        nr::PIPE2 => pipe::pipe2(cx, args),
        nr::EVENTFD => eventfd::eventfd(cx, args),
        nr::EVENTFD2 => eventfd::eventfd2(cx, args),
        nr::INOTIFY_INIT => inotify::inotify_init(cx),
        nr::INOTIFY_INIT1 => inotify::inotify_init1(cx, args),
        nr::INOTIFY_RM_WATCH => inotify::rm_watch(cx, args),
        nr::MEMFD_CREATE => memfd::memfd_create(cx, args),
        nr::SIGNALFD => signalfd::signalfd(cx, args),
        nr::SIGNALFD4 => signalfd::signalfd4(cx, args),
        nr::TIMERFD_CREATE => timerfd::timerfd_create(cx, args),
        nr::TIMERFD_SETTIME => timerfd::timerfd_settime(cx, args),
        nr::TIMERFD_GETTIME => timerfd::timerfd_gettime(cx, args),
        _ => return None,
    })
}

/// Who owns what the caller makes.
pub(crate) fn owner(cx: &Context<'_>) -> Owner {
    let who = cx.process.credentials.lock();
    Owner { uid: who.fsuid, gid: who.fsgid }
}

/// What the flags say of execve(2).
pub(crate) fn on_exec(flags: u32) -> OnExec {
    if flags & CLOEXEC == 0 { OnExec::Keep } else { OnExec::Close }
}

/// The status that the flags ask for: NONBLOCK or nothing.
pub(crate) fn status(flags: u32) -> Status {
    Status::from_bits_retain(flags & NONBLOCK)
}
