//! eventfd and eventfd2.
//!
//! Source: eventfd(2).

use abi::Errno;
use abi::errno::Result;
use vfs::eventfd::Kind;

use super::objects;
use crate::arguments::Arguments;
use crate::context::Context;

/// `EFD_SEMAPHORE`.
const SEMAPHORE: u32 = 1;

/// eventfd(2) as the old call: the count.
pub(super) fn eventfd(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make(cx, args.uint(0), 0)
}

/// eventfd(2): the count, flags.
pub(super) fn eventfd2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make(cx, args.uint(0), args.uint(1))
}

fn make(cx: &Context<'_>, count: u32, flags: u32) -> Result<u64> {
    if flags & !(SEMAPHORE | objects::CLOEXEC | objects::NONBLOCK) != 0 {
        return Err(Errno::EINVAL.because("an unknown flag of eventfd"));
    }
    let kind = if flags & SEMAPHORE == 0 { Kind::Counter } else { Kind::Semaphore };
    let status = objects::status(flags);
    let file = vfs::eventfd::eventfd(count, kind, status, objects::owner(cx));
    cx.process.files.add(file, objects::on_exec(flags)).map(u64::from)
}
