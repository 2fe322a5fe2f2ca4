//! dup and fcntl.
//!
//! Source: dup(2), fcntl(2). Differs from Linux: `F_SETOWN`, `F_SETSIG` and leases are EINVAL, because
//! nothing here sends SIGIO.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::object::{OpenFile, Status};
use vfs::seal::Seal;

use super::{locks, open};
use crate::arguments::Arguments;
use crate::context::Context;

const F_DUPFD: i32 = 0;
const F_GETFD: i32 = 1;
const F_SETFD: i32 = 2;
const F_GETFL: i32 = 3;
const F_SETFL: i32 = 4;
const F_GETOWN: i32 = 9;
const F_DUPFD_CLOEXEC: i32 = 1030;
const F_SETPIPE_SZ: i32 = 1031;
const F_GETPIPE_SZ: i32 = 1032;
const F_ADD_SEALS: i32 = 1033;
const F_GET_SEALS: i32 = 1034;
const FD_CLOEXEC: u64 = 1;
const O_CLOEXEC: u32 = 0o2_000_000;

/// dup(2).
pub(super) fn dup(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = cx.process.files.get(args.fd(0))?;
    cx.process.files.add(file, OnExec::Keep).map(u64::from)
}

/// dup2(2).
pub(super) fn dup2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = cx.process.files.get(args.fd(0))?;
    if args.fd(0) == args.fd(1) {
        return number(args.fd(1));
    }
    replace(cx, args, file, OnExec::Keep)
}

/// dup3(2).
pub(super) fn dup3(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.uint(2) & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    if args.fd(0) == args.fd(1) {
        return Err(Errno::EINVAL.because("both descriptors are the same"));
    }
    let on_exec = if args.uint(2) == 0 { OnExec::Keep } else { OnExec::Close };
    let file = cx.process.files.get(args.fd(0))?;
    replace(cx, args, file, on_exec)
}

fn replace(
    cx: &Context<'_>,
    args: &Arguments,
    file: Arc<OpenFile>,
    on_exec: OnExec,
) -> Result<u64> {
    let old = cx.process.files.replace(args.fd(1), file, on_exec)?;
    if let Some(old) = old {
        open::closed(cx.process, &old);
    }
    number(args.fd(1))
}

fn number(fd: i32) -> Result<u64> {
    u64::try_from(fd).map_err(|_| Errno::EBADF.because("a descriptor is not negative"))
}

/// fcntl(2), but for what waits: `None`.
pub(super) fn fcntl(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    let files = &cx.process.files;
    let (fd, command, value) = (args.fd(0), args.int(1), args.raw(2));
    let file = match files.get(fd) {
        Ok(file) => file,
        Err(error) => return Some(Err(error)),
    };
    if locks::is_lock(command) {
        return locks::fcntl_at_once(cx, &file, command, value);
    }
    let allowed = matches!(command, F_DUPFD | F_DUPFD_CLOEXEC | F_GETFD | F_SETFD | F_GETFL);
    if file.status().contains(Status::PATH) && !allowed {
        return Some(Err(Errno::EBADF.because("the descriptor only names a file (O_PATH)")));
    }
    Some(match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let on_exec = if command == F_DUPFD { OnExec::Keep } else { OnExec::Close };
            u32::try_from(args.int(2))
                .map_err(|_| Errno::EINVAL.because("the lowest number wanted is negative"))
                .and_then(|from| files.add_from(file, from, on_exec))
                .map(u64::from)
        }
        F_GETFD => files.on_exec(fd).map(|on_exec| u64::from(on_exec == OnExec::Close)),
        F_SETFD => {
            let close = value & FD_CLOEXEC != 0;
            files.set_on_exec(fd, if close { OnExec::Close } else { OnExec::Keep }).map(|()| 0)
        }
        F_GETFL => Ok(file.status().bits().into()),
        F_SETFL => {
            let changeable = Status::APPEND
                | Status::NONBLOCK
                | Status::ASYNC
                | Status::DIRECT
                | Status::NOATIME;
            file.set_status(changeable, Status::from_bits_retain(args.uint(2)));
            Ok(0)
        }
        F_GETOWN => Ok(0),
        F_SETPIPE_SZ | F_GETPIPE_SZ => pipe_size(&file, command, args.uint(2)),
        F_ADD_SEALS | F_GET_SEALS => seals(&file, command, args.uint(2)),
        _ => Err(Errno::EINVAL.because("a command that is not supported")),
    })
}

/// The capacity of a pipe; only user 0 may go beyond 1 MiB.
fn pipe_size(file: &OpenFile, command: i32, bytes: u32) -> Result<u64> {
    const LIMIT: usize = 1 << 20;
    let end = file
        .downcast::<vfs::pipe::End>()
        .ok_or(Errno::EBADF.because("the descriptor is no pipe"))?;
    if command == F_GETPIPE_SZ {
        return Ok(end.capacity() as u64);
    }
    end.set_capacity(bytes as usize, LIMIT).map(|bytes| bytes as u64)
}

/// The seals of a file in memory.
fn seals(file: &OpenFile, command: i32, raw: u32) -> Result<u64> {
    let seals = file.object().seals().ok_or(Errno::EINVAL.because("the file can't be sealed"))?;
    if command == F_GET_SEALS {
        return Ok(seals.get().bits().into());
    }
    if !file.writable() {
        return Err(Errno::EPERM.because("the descriptor was not opened for writing"));
    }
    let new = Seal::from_bits(raw).ok_or(Errno::EINVAL.because("no such seal"))?;
    seals.add(new).map(|()| 0)
}
