//! dup and fcntl.
//!
//! Source: dup(2), fcntl(2). Differs from Linux: there are no leases and no `F_NOTIFY` (EINVAL, as where a
//! file system or kernel has none).

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::{Error, Result};
use vfs::descriptor::OnExec;
use vfs::node::Kind;
use vfs::object::{OpenFile, Status};
use vfs::seal::Seal;

use super::{locks, open, ownership};
use crate::arguments::Arguments;
use crate::context::Context;

const F_DUPFD: i32 = 0;
const F_GETFD: i32 = 1;
const F_SETFD: i32 = 2;
const F_GETFL: i32 = 3;
const F_SETFL: i32 = 4;
const F_SETLEASE: i32 = 1024;
const F_GETLEASE: i32 = 1025;
const F_DUPFD_QUERY: i32 = 1027;
const F_CREATED_QUERY: i32 = 1028;
const F_DUPFD_CLOEXEC: i32 = 1030;
const F_SETPIPE_SZ: i32 = 1031;
const F_GETPIPE_SZ: i32 = 1032;
const F_ADD_SEALS: i32 = 1033;
const F_GET_SEALS: i32 = 1034;
const F_GET_RW_HINT: i32 = 1035;
const F_SET_RW_HINT: i32 = 1036;
/// Leases: for reading, for writing; none, which is what `F_GETLEASE` always says.
const READ_LEASE: i32 = 0;
const WRITE_LEASE: i32 = 1;
const NO_LEASE: i32 = 2;
/// How many hints there are of how long what is written lives (`RWH_WRITE_LIFE_*`).
const HINTS: u64 = 6;
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
        return locks::fcntl_at_once(cx, &file, fd, command, value);
    }
    let allowed = matches!(
        command,
        F_DUPFD | F_DUPFD_CLOEXEC | F_DUPFD_QUERY | F_CREATED_QUERY | F_GETFD | F_SETFD | F_GETFL
    );
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
        F_SETFL => set_status(cx, &file, fd, Status::from_bits_retain(args.uint(2))),
        F_DUPFD_QUERY => files.get(args.int(2)).map(|other| u64::from(Arc::ptr_eq(&file, &other))),
        F_CREATED_QUERY => Ok(file.created().into()),
        F_GETLEASE => number(NO_LEASE),
        F_SETLEASE => Err(refused_lease(&file, args.int(2))),
        F_GET_RW_HINT => cx.write(value, &u64::from(file.write_hint())).map(|()| 0),
        F_SET_RW_HINT => set_hint(cx, &file, value),
        F_SETPIPE_SZ | F_GETPIPE_SZ => pipe_size(&file, command, args.uint(2)),
        F_ADD_SEALS | F_GET_SEALS => seals(&file, command, args.uint(2)),
        _ => ownership::fcntl(cx, &file, command, value)
            .unwrap_or(Err(Errno::EINVAL.because("a command that is not supported"))),
    })
}

/// `F_SETFL`.
fn set_status(cx: &Context<'_>, file: &Arc<OpenFile>, fd: i32, wanted: Status) -> Result<u64> {
    let changeable = Status::APPEND | Status::NONBLOCK | Status::DIRECT | Status::NOATIME;
    let kind = Kind::of_mode(file.object().stat()?.mode);
    if wanted.contains(Status::NOATIME)
        && !file.status().contains(Status::NOATIME)
        && let Some(place) = file.place()
        && !cx.process.credentials.lock().owns(place.node().owner())
    {
        return Err(Errno::EPERM.because("only the owner may leave the access time alone"));
    }
    if wanted.contains(Status::DIRECT) && !matches!(kind, Some(Kind::File | Kind::Pipe)) {
        return Err(Errno::EINVAL.because("it has no way around the page cache"));
    }
    ownership::set_flag(cx, file, fd, wanted);
    file.set_status(changeable, wanted);
    Ok(0)
}

/// `F_SETLEASE`: where Linux has a reason of its own to refuse, that one; else as a file system without
/// leases does.
fn refused_lease(file: &OpenFile, lease: i32) -> Error {
    let Some(opened) = file.downcast::<vfs::tree::File>() else {
        return Errno::EINVAL.because("only regular files can be leased");
    };
    let (opens, writers) = opened.users();
    match lease {
        NO_LEASE => Errno::EAGAIN.because("there is no lease to give up"),
        READ_LEASE if writers > 0 => Errno::EAGAIN.because("the file is open for writing"),
        WRITE_LEASE if opens > 1 => Errno::EAGAIN.because("somebody else has the file open"),
        _ => Errno::EINVAL.because("files are not leased"),
    }
}

/// `F_SET_RW_HINT`: how long lives what is written to the inode.
fn set_hint(cx: &Context<'_>, file: &OpenFile, address: u64) -> Result<u64> {
    let hint: u64 = cx.read(address)?;
    let hint = u8::try_from(hint).ok().filter(|_| hint < HINTS);
    let hint = hint.ok_or(Errno::EINVAL.because("no such hint"))?;
    let owner = file.place().map(|place| place.node().owner());
    if owner.is_some_and(|owner| !cx.process.credentials.lock().owns(owner)) {
        return Err(Errno::EPERM.because("only the owner may give hints"));
    }
    file.set_write_hint(hint);
    Ok(0)
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
