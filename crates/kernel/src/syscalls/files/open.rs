//! Opening and closing.
//!
//! Source: open(2), openat2(2), creat(2), close(2), `close_range(2)`. Differs from Linux: `O_DIRECT`
//! has no effect.

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::lock::Holder;
use vfs::node::PERMISSIONS;
use vfs::object::{OpenFile, Status};
use vfs::opening::{How, Request};
use vfs::path::Refuse;

use super::base::{AT_FDCWD, Base};
use super::terminal;
use crate::arguments::{Arguments, Fd};
use crate::context::Context;
use crate::process::Process;

/// Bits of `RESOLVE_CACHED`: nothing may wait.
const RESOLVE_CACHED: u64 = 0x20;
/// Flags that stay.
const STATUS: u32 = 0o3
    | Status::APPEND.bits()
    | Status::NONBLOCK.bits()
    | Status::ASYNC.bits()
    | Status::DIRECT.bits()
    | Status::LARGE.bits()
    | Status::NOATIME.bits()
    | Status::DSYNC.bits()
    | Status::SYNC.bits()
    | Status::PATH.bits();

/// Flags that only say how to open, and are shown for ever.
const SHOWN: u32 = How::DIRECTORY.bits() | How::NO_FOLLOW.bits() | How::TEMPORARY.bits();

/// Whether opening with these flags (their register) may change what there is.
pub(in crate::syscalls) const fn changes(flags: u64) -> bool {
    let changing = How::CREATE.union(How::TRUNCATE).union(How::TEMPORARY);
    flags & changing.bits() as u64 != 0
}

/// open(2).
pub(super) async fn open(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    let request = lenient(cx, args.uint(1), args.uint(2))?;
    open_at(cx, AT_FDCWD, &path, request, Refuse::empty()).await
}

/// creat(2).
pub(super) async fn creat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    let flags = How::CREATE.bits() | How::TRUNCATE.bits() | Status::WRITE.bits();
    let request = lenient(cx, flags, args.uint(1))?;
    open_at(cx, AT_FDCWD, &path, request, Refuse::empty()).await
}

/// openat(2).
pub(super) async fn openat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(1))?;
    let request = lenient(cx, args.uint(2), args.uint(3))?;
    open_at(cx, args.fd(0), &path, request, Refuse::empty()).await
}

/// openat2(2).
pub(super) async fn openat2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const LEN: usize = 24;
    let len = args.size(3);
    if len < LEN {
        return Err(Errno::EINVAL.because("open_how is shorter than its first version"));
    }
    if len > 4096 {
        return Err(Errno::E2BIG.because("open_how is longer than a page"));
    }
    let words = cx.read_vec::<u8>(args.address(2), len)?;
    let (known, rest) = words.split_at(LEN);
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG.because("open_how has fields that are not known"));
    }
    let word = |index: usize| {
        known[index * 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let (flags, mode, resolve) = (word(0), word(1), word(2));
    let flags = u32::try_from(flags)
        .ok()
        .filter(|flags| flags & !(STATUS | How::all().bits()) == 0)
        .ok_or(Errno::EINVAL.because("unknown flags"))?;
    if flags & Status::PATH.bits() != 0 {
        let kept = Status::PATH.bits()
            | How::DIRECTORY.bits()
            | How::NO_FOLLOW.bits()
            | How::CLOSE_ON_EXEC.bits();
        if flags & !kept != 0 {
            return Err(Errno::EINVAL.because("flags that O_PATH does not admit"));
        }
    }
    let makes = flags & (How::CREATE.bits() | How::TEMPORARY.bits()) != 0;
    let mode = u32::try_from(mode)
        .ok()
        .filter(|mode| if makes { *mode & !PERMISSIONS == 0 } else { *mode == 0 });
    let mode = mode.ok_or(Errno::EINVAL.because("a mode that can't be"))?;
    if resolve & RESOLVE_CACHED != 0 {
        return Err(Errno::EAGAIN.because("RESOLVE_CACHED: what is cached is not told"));
    }
    let refuse =
        Refuse::from_bits(resolve).ok_or(Errno::EINVAL.because("unknown flags of the walk"))?;
    if refuse.contains(Refuse::LEAVING | Refuse::ROOT) {
        return Err(Errno::EINVAL.because("RESOLVE_BENEATH and RESOLVE_IN_ROOT exclude each other"));
    }
    let request = request(cx, flags, mode)?;
    let path = cx.read_path(args.address(1))?;
    open_at(cx, args.fd(0), &path, request, refuse).await
}

/// The request of the calls that ignore unknown flags.
fn lenient(cx: &Context<'_>, flags: u32, mode: u32) -> Result<Request> {
    let mut flags = flags & (STATUS | How::all().bits());
    if flags & Status::PATH.bits() != 0 {
        flags &= Status::PATH.bits()
            | How::DIRECTORY.bits()
            | How::NO_FOLLOW.bits()
            | How::CLOSE_ON_EXEC.bits();
    }
    request(cx, flags, mode)
}

fn request(cx: &Context<'_>, flags: u32, mode: u32) -> Result<Request> {
    let how = How::from_bits_truncate(flags);
    if how.contains(How::CREATE | How::DIRECTORY) {
        return Err(Errno::EINVAL.because("O_CREAT makes no directories"));
    }
    let whole = if flags & Status::SYNC.bits() != 0 { Status::DSYNC.bits() } else { 0 };
    let status = Status::from_bits_retain(flags & (STATUS | SHOWN) | whole);
    if how.contains(How::TEMPORARY) {
        if !how.contains(How::DIRECTORY) {
            return Err(Errno::EINVAL.because("O_TMPFILE without its O_DIRECTORY bit"));
        }
        if !status.intersects(Status::WRITE | Status::READ_WRITE) {
            return Err(Errno::EINVAL.because("O_TMPFILE must be writable"));
        }
    }
    let status = if status.contains(Status::PATH) { status } else { status | Status::LARGE };
    let umask = cx.process.directories.lock().umask;
    Ok(Request { status, how, permissions: mode & PERMISSIONS & !umask })
}

async fn open_at(
    cx: &Context<'_>,
    dirfd: Fd,
    path: &[u8],
    request: Request,
    refuse: Refuse,
) -> Result<u64> {
    let reserved = cx.process.files.reserve()?;
    // With RESOLVE_IN_ROOT an absolute path begins at the directory too.
    let from = if refuse.contains(Refuse::ROOT) { b"." } else { path };
    let base = Base::new(cx, dirfd, from)?;
    let file = vfs::opening::open(base.start_refusing(refuse), path, request).await?;
    let file = terminal::opened(cx, file, request.how)?;
    if let Some(other_side) = vfs::opening::other_side(&file) {
        cx.interruptible(core::pin::pin!(other_side)).await?;
    }
    if file.downcast::<vfs::pipe::End>().is_some() {
        vfs::notify::opened(&file);
    }
    let on_exec =
        if request.how.contains(How::CLOSE_ON_EXEC) { OnExec::Close } else { OnExec::Keep };
    Ok(reserved.fill(file, on_exec).into())
}

/// close(2).
pub(super) fn close(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = cx.process.files.remove(args.fd(0))?;
    closed(cx.process, &file);
    Ok(0)
}

/// `close_range(2)`.
pub(super) fn close_range(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const UNSHARE: u32 = 2;
    const ON_EXEC: u32 = 4;
    let (first, last, flags) = (args.uint(0), args.uint(1), args.uint(2));
    if flags & !(UNSHARE | ON_EXEC) != 0 || first > last {
        return Err(Errno::EINVAL.because("unknown flags, or an empty range"));
    }
    if flags & ON_EXEC != 0 {
        cx.process.files.close_range_on_exec(first, last);
        return Ok(0);
    }
    for file in cx.process.files.remove_range(first, last) {
        closed(cx.process, &file);
    }
    Ok(0)
}

/// A descriptor of `process` went: so do the process's record locks on that file (fcntl(2)).
pub(crate) fn closed(process: &Process, file: &OpenFile) {
    if !file.status().contains(Status::PATH)
        && let Some(locks) = file.place().and_then(|place| place.node().locks())
    {
        locks.release_all(Holder::Process(process.pid));
    }
}
