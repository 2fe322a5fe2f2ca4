//! pipe and pipe2.
//!
//! Source: pipe(2).

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::object::{OpenFile, Status};

use super::objects;
use crate::arguments::Arguments;
use crate::context::Context;

/// Packet mode.
const DIRECT: u32 = Status::DIRECT.bits();
/// `O_NOTIFICATION_PIPE`, which is `O_EXCL`.
const NOTIFICATION: u32 = 0o200;

/// pipe(2): where the two descriptors go.
pub(super) fn pipe(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make(cx, args.address(0), 0)
}

/// pipe2(2): where the two descriptors go, flags.
pub(super) fn pipe2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make(cx, args.address(0), args.uint(1))
}

fn make(cx: &Context<'_>, address: u64, flags: u32) -> Result<u64> {
    if flags & !(objects::CLOEXEC | objects::NONBLOCK | DIRECT | NOTIFICATION) != 0 {
        return Err(Errno::EINVAL.because("only O_CLOEXEC, O_NONBLOCK and O_DIRECT are known"));
    }
    if flags & NOTIFICATION != 0 {
        return Err(Errno::ENOPKG.because("notification pipes are not supported"));
    }
    let status = Status::from_bits_retain(flags & (objects::NONBLOCK | DIRECT));
    let (read, write) = vfs::pipe::pipe(status, objects::owner(cx));
    add_two(cx, [read, write], flags, address)
}

/// Gives two open files the lowest numbers, and writes these to `address`: both or none.
pub(crate) fn add_two(
    cx: &Context<'_>,
    [first, second]: [Arc<OpenFile>; 2],
    flags: u32,
    address: u64,
) -> Result<u64> {
    let files = &cx.process.files;
    let on_exec = objects::on_exec(flags);
    let first = files
        .reserve()
        .and_then(|kept| Ok((kept, files.reserve()?)))
        .map(|(one, two)| [one.fill(first, on_exec), two.fill(second, on_exec)])?;
    let numbers = first.map(u32::cast_signed);
    if let Err(error) = cx.write(address, &numbers) {
        for fd in numbers {
            // The program may have closed it already, from another thread.
            drop(files.remove(fd));
        }
        return Err(error);
    }
    Ok(0)
}
