//! Positions, lengths, and flushing.
//!
//! Source: lseek(2), truncate(2), fallocate(2), fsync(2), `posix_fadvise(2)`, readahead(2).

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use storage::exposed;
use storage::pages::Reach;
use vfs::credentials::Access;
use vfs::node::Kind;
use vfs::object::{Object, OpenFile, Status};

use super::base::{AT_FDCWD, Named, find};
use super::transfer;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::limits::{INFINITY, Resource};
use crate::signal::info::Info;
use crate::signal::{Signal, send};

/// lseek(2).
pub(super) fn lseek(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const SET: u32 = 0;
    const CURRENT: u32 = 1;
    const END: u32 = 2;
    const DATA: u32 = 3;
    const HOLE: u32 = 4;
    let file = open_file(cx, args)?;
    let object = file.object();
    let offset = args.long(1);
    if args.uint(2) > HOLE {
        return Err(Errno::EINVAL.because("no such base of the offset"));
    }
    if object.seeks_in_vain() {
        return Ok(0);
    }
    if !object.seekable() {
        return Err(Errno::ESPIPE.because("it has no position"));
    }
    let mut position = file.position().lock();
    let from = match args.uint(2) {
        SET => 0,
        CURRENT => position.cast_signed(),
        END | DATA | HOLE if !object.has_end() => {
            return Err(Errno::EINVAL.because("it has no end to count from"));
        }
        END => object.stat()?.size.cast_signed(),
        base @ (DATA | HOLE) => {
            let offset = u64::try_from(offset)
                .map_err(|_| Errno::ENXIO.because("the offset is negative"))?;
            *position = object.seek_data(offset, base == HOLE)?;
            return Ok(*position);
        }
        _ => return Err(Errno::EINVAL.because("no such whence")),
    };
    let target = from.wrapping_add(offset);
    *position =
        u64::try_from(target).map_err(|_| Errno::EINVAL.because("a position before the file"))?;
    Ok(*position)
}

/// The open file of the first argument, if it is more than a name.
pub(super) fn open_file(cx: &Context<'_>, args: &Arguments) -> Result<Arc<OpenFile>> {
    let file = cx.file(args.fd(0))?;
    if file.status().contains(Status::PATH) {
        return Err(Errno::EBADF.because("the descriptor only names a file (O_PATH)"));
    }
    Ok(file)
}

/// truncate(2).
pub(super) async fn truncate(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let len = transfer::offset(args.long(1))?;
    let path = cx.read_path(args.address(0))?;
    let (named, who) = find(cx, AT_FDCWD, &path, 0).await?;
    let Named::Place(place) = named else { return Err(Errno::EINVAL.into()) };
    match place.node().kind() {
        Kind::File => {}
        Kind::Directory => return Err(Errno::EISDIR.because("a directory has no length to set")),
        _ => return Err(Errno::EINVAL.because("not a regular file")),
    }
    place.mount.check_writable()?;
    who.check(place.node().owner(), Access::WRITE)?;
    check_limit(cx, len)?;
    let object: Arc<dyn Object> = Arc::<dyn vfs::node::Node>::clone(place.node());
    let dentry = Arc::clone(&place.dentry);
    // A description for the time of the call: ETXTBSY while the file runs.
    let request = vfs::opening::Request {
        status: Status::WRITE,
        how: vfs::opening::How::empty(),
        permissions: 0,
    };
    let _open = vfs::opening::open_unseen(place, &who, request).await?;
    vfs::opening::truncate(&object, len).await?;
    vfs::notify::cut(&dentry);
    Ok(0)
}

/// ftruncate(2).
pub(super) async fn ftruncate(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let len = transfer::offset(args.long(1))?;
    let file = open_file(cx, args)?;
    if !file.writable() {
        return Err(Errno::EINVAL.because("the descriptor was not opened for writing"));
    }
    check_limit(cx, len)?;
    vfs::opening::truncate(file.object(), len).await?;
    if let Some(place) = file.place() {
        vfs::notify::cut(&place.dentry);
    }
    Ok(0)
}

/// `RLIMIT_FSIZE` for a new length.
fn check_limit(cx: &Context<'_>, len: u64) -> Result<()> {
    let limit = cx.process.limits.soft(Resource::FileSize);
    if limit != INFINITY && len > limit {
        send::send_to_thread(cx.kernel, cx.thread, Info::kernel(Signal::XFSZ))?;
        return Err(Errno::EFBIG.because("the limit of file sizes is reached (RLIMIT_FSIZE)"));
    }
    Ok(())
}

/// Modes of fallocate(2): not beyond the end, and what is done.
const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;
const COLLAPSE: u32 = 8;
const ZERO: u32 = 0x10;
const INSERT: u32 = 0x20;
const UNSHARE: u32 = 0x40;
const WRITE_ZEROES: u32 = 0x80;

/// What fallocate(2) looks at before the file system does.
fn check_allocation(file: &OpenFile, mode: u32) -> Result<()> {
    let keeps = mode & KEEP_SIZE != 0;
    let known = match mode & !KEEP_SIZE {
        0 | ZERO | UNSHARE => true,
        PUNCH_HOLE => keeps,
        COLLAPSE | INSERT | WRITE_ZEROES => !keeps,
        _ => false,
    };
    if !known {
        return Err(Errno::EOPNOTSUPP.because("no such mode, or modes that exclude each other"));
    }
    if !file.writable() {
        return Err(Errno::EBADF.because("the descriptor was not opened for writing"));
    }
    match Kind::of_mode(file.object().stat()?.mode) {
        Some(Kind::File) => Ok(()),
        Some(Kind::Directory) => Err(Errno::EISDIR.because("a directory has no length to set")),
        Some(Kind::Pipe) => Err(Errno::ESPIPE.because("a pipe has no length")),
        _ => Err(Errno::ENODEV.because("not a regular file")),
    }
}

/// fallocate(2).
pub(super) async fn fallocate(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open_file(cx, args)?;
    let mode = args.uint(1);
    let (offset, len) = (args.long(2), args.long(3));
    if offset < 0 || len <= 0 {
        return Err(Errno::EINVAL.because("a negative offset, or no length"));
    }
    check_allocation(&file, mode)?;
    let object = file.object();
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
    let secret = file.downcast::<vfs::secret::Secret>().is_some();
    if secret || mode & !(KEEP_SIZE | PUNCH_HOLE) != 0 {
        return Err(Errno::EOPNOTSUPP.because("the file system does not do that"));
    }
    let (offset, len, end) = (offset.cast_unsigned(), len.cast_unsigned(), end.cast_unsigned());
    if let Some(seals) = object.seals() {
        let size = object.stat()?.size;
        if mode & PUNCH_HOLE != 0 {
            seals.check_write(offset, 0, size)?;
        } else {
            seals.check_length(size, size.max(end))?;
        }
    }
    if mode & PUNCH_HOLE != 0 {
        let pages = object.pages().ok_or(Errno::EOPNOTSUPP)?;
        pages.punch_hole(offset, len)?;
    } else {
        let keep = mode & KEEP_SIZE != 0;
        if !keep {
            check_limit(cx, end)?;
        }
        let pages = object.pages().ok_or(Errno::EOPNOTSUPP)?;
        pages.allocate(offset, len, true)?;
        if !keep && end > pages.size() {
            vfs::opening::truncate(object, end).await?;
        }
    }
    if let Some(settled) = object.settle() {
        settled.await?;
    }
    vfs::notify::modified(&file);
    Ok(0)
}

/// fsync(2) and fdatasync(2).
pub(super) async fn fsync(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open_file(cx, args)?;
    file.object().sync().await?;
    Ok(0)
}

/// syncfs(2): the host's disk gets what belongs there, and what mappings have changed.
pub(super) async fn syncfs(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open_file(cx, args)?;
    exposed::write_back(Reach::Exposed).await?;
    if let Some(node) = file.object().node() {
        node.sync_all().await?;
    }
    Ok(0)
}

/// sync(2): as [`syncfs`] for all that is mounted. What fails is nobody's to know.
pub(super) async fn sync(cx: &Context<'_>) -> Result<u64> {
    let _ = exposed::write_back(Reach::Exposed).await;
    for mount in cx.kernel.mounts.list() {
        let _ = mount.root().node().sync_all().await;
    }
    Ok(0)
}

/// `sync_file_range(2)`.
pub(super) async fn sync_file_range(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open_file(cx, args)?;
    let end = args.long(1).wrapping_add(args.long(2));
    if args.uint(3) & !7 != 0 || args.long(1) < 0 || end < args.long(1) {
        return Err(Errno::EINVAL.because("unknown flags, or a range of negative offsets"));
    }
    if !file.object().seekable() {
        return Err(Errno::ESPIPE.because("it has no position"));
    }
    file.object().sync().await?;
    Ok(0)
}

/// `posix_fadvise(2)`: the read-ahead finds out by itself.
pub(super) fn fadvise(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const ADVICE_MAX: i32 = 5;
    let file = open_file(cx, args)?;
    if vfs::node::Kind::of_mode(file.object().stat()?.mode) == Some(Kind::Pipe) {
        return Err(Errno::ESPIPE.because("it has no position"));
    }
    if !(0..=ADVICE_MAX).contains(&args.int(3)) || args.long(2) < 0 {
        return Err(Errno::EINVAL.because("no such advice, or a negative length"));
    }
    Ok(0)
}

/// readahead(2).
pub(super) async fn readahead(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open_file(cx, args)?;
    if !file.readable() {
        return Err(Errno::EBADF.because("the descriptor was not opened for that"));
    }
    let pages = file.object().pages().ok_or(Errno::EINVAL.because("not a regular file"))?;
    if args.long(2) < 0 {
        return Err(Errno::EINVAL.because("a negative length"));
    }
    // Before the file there is nothing, which is no mistake.
    if let Ok(offset) = transfer::offset(args.long(1)) {
        pages.fill(offset, args.raw(2).min(1 << 20)).await?;
    }
    Ok(0)
}
