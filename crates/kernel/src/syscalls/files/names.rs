//! Making, moving and removing names.
//!
//! Source: mkdir(2), mknod(2), rmdir(2), unlink(2), rename(2), link(2), symlink(2), readlink(2).
//! Differs from Linux: device files can't be made (EPERM).

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::node::{Existing, Kind, New, PERMISSIONS, STICKY};
use vfs::path::Last;

use super::base::{
    AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, Base, Named, check_flags, find,
};
use crate::arguments::{Arguments, Fd};
use crate::context::Context;

const AT_REMOVEDIR: u32 = 0x200;

/// mkdir(2).
pub(super) async fn mkdir(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make_directory(cx, AT_FDCWD, args.address(0), args.uint(1)).await
}

/// mkdirat(2).
pub(super) async fn mkdirat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make_directory(cx, args.fd(0), args.address(1), args.uint(2)).await
}

async fn make_directory(cx: &Context<'_>, dirfd: Fd, address: u64, mode: u32) -> Result<u64> {
    make(cx, dirfd, address, Kind::Directory, mode & (0o777 | STICKY), b"").await
}

/// mknod(2).
pub(super) async fn mknod(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make_node(cx, AT_FDCWD, args.address(0), args.uint(1)).await
}

/// mknodat(2).
pub(super) async fn mknodat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make_node(cx, args.fd(0), args.address(1), args.uint(2)).await
}

async fn make_node(cx: &Context<'_>, dirfd: Fd, address: u64, mode: u32) -> Result<u64> {
    let kind =
        if mode & vfs::node::TYPE_MASK == 0 { Some(Kind::File) } else { Kind::of_mode(mode) };
    match kind {
        Some(kind @ (Kind::File | Kind::Pipe | Kind::Socket)) => {
            make(cx, dirfd, address, kind, mode & PERMISSIONS, b"").await
        }
        Some(Kind::Character | Kind::Block) => {
            Err(Errno::EPERM.because("device files can't be made"))
        }
        Some(Kind::Directory) => Err(Errno::EPERM.because("directories are made by mkdir(2)")),
        _ => Err(Errno::EINVAL.because("no such type of file")),
    }
}

/// symlink(2).
pub(super) async fn symlink(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make_link(cx, args.address(0), AT_FDCWD, args.address(1)).await
}

/// symlinkat(2).
pub(super) async fn symlinkat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make_link(cx, args.address(0), args.fd(1), args.address(2)).await
}

async fn make_link(cx: &Context<'_>, target: u64, dirfd: Fd, address: u64) -> Result<u64> {
    let target = cx.read_path(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT.because("the target is empty"));
    }
    make(cx, dirfd, address, Kind::Link, 0o777, &target).await
}

async fn make(
    cx: &Context<'_>,
    dirfd: Fd,
    address: u64,
    kind: Kind,
    mode: u32,
    target: &[u8],
) -> Result<u64> {
    let path = cx.read_path(address)?;
    let base = Base::new(cx, dirfd, &path)?;
    let mask = if kind == Kind::Link { 0 } else { base.umask };
    let new = New {
        kind,
        permissions: mode & !mask,
        uid: base.who.fsuid,
        gid: base.who.fsgid,
        rdev: 0,
        target,
    };
    vfs::names::make(base.start(), &path, new).await?;
    Ok(0)
}

/// unlink(2).
pub(super) async fn unlink(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    remove(cx, AT_FDCWD, &path, false).await
}

/// rmdir(2).
pub(super) async fn rmdir(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    remove(cx, AT_FDCWD, &path, true).await
}

/// unlinkat(2).
pub(super) async fn unlinkat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_flags(args.uint(2), AT_REMOVEDIR)?;
    let path = cx.read_path(args.address(1))?;
    remove(cx, args.fd(0), &path, args.uint(2) != 0).await
}

async fn remove(cx: &Context<'_>, dirfd: Fd, path: &[u8], directory: bool) -> Result<u64> {
    let base = Base::new(cx, dirfd, path)?;
    if directory {
        vfs::names::remove_directory(base.start(), path).await?;
    } else {
        vfs::names::unlink(base.start(), path).await?;
    }
    Ok(0)
}

/// rename(2).
pub(super) async fn rename(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let paths = [args.address(0), args.address(1)];
    move_name(cx, [AT_FDCWD, AT_FDCWD], paths, Existing::Replace).await
}

/// renameat(2).
pub(super) async fn renameat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let paths = [args.address(1), args.address(3)];
    move_name(cx, [args.fd(0), args.fd(2)], paths, Existing::Replace).await
}

/// renameat2(2).
pub(super) async fn renameat2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let existing = match args.uint(4) {
        0 => Existing::Replace,
        1 => Existing::Refuse,
        2 => Existing::Exchange,
        _ => return Err(Errno::EINVAL.because("flags that are unknown, or exclude each other")),
    };
    let paths = [args.address(1), args.address(3)];
    move_name(cx, [args.fd(0), args.fd(2)], paths, existing).await
}

async fn move_name(
    cx: &Context<'_>,
    dirfds: [Fd; 2],
    paths: [u64; 2],
    existing: Existing,
) -> Result<u64> {
    let old = cx.read_path(paths[0])?;
    let new = cx.read_path(paths[1])?;
    let from = Base::new(cx, dirfds[0], &old)?;
    let to = Base::new(cx, dirfds[1], &new)?;
    vfs::names::rename(from.start(), &old, to.start(), &new, existing).await?;
    Ok(0)
}

/// link(2).
pub(super) async fn link(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    add_name(cx, [AT_FDCWD, AT_FDCWD], [args.address(0), args.address(1)], 0).await
}

/// linkat(2).
pub(super) async fn linkat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_flags(args.uint(4), AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)?;
    let paths = [args.address(1), args.address(3)];
    add_name(cx, [args.fd(0), args.fd(2)], paths, args.uint(4)).await
}

async fn add_name(cx: &Context<'_>, dirfds: [Fd; 2], paths: [u64; 2], flags: u32) -> Result<u64> {
    let old = cx.read_path(paths[0])?;
    let new = cx.read_path(paths[1])?;
    let follow = if flags & AT_SYMLINK_FOLLOW != 0 { 0 } else { AT_SYMLINK_NOFOLLOW };
    let (named, _) = find(cx, dirfds[0], &old, flags & AT_EMPTY_PATH | follow).await?;
    let Named::Place(target) = named else {
        return Err(Errno::EXDEV.because("the file never had a name"));
    };
    let base = Base::new(cx, dirfds[1], &new)?;
    vfs::names::link(&target, base.start(), &new).await?;
    Ok(0)
}

/// readlink(2).
pub(super) async fn readlink(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    read_link(cx, AT_FDCWD, args.address(0), args.address(1), args.int(2)).await
}

/// readlinkat(2).
pub(super) async fn readlinkat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    read_link(cx, args.fd(0), args.address(1), args.address(2), args.int(3)).await
}

async fn read_link(
    cx: &Context<'_>,
    dirfd: Fd,
    address: u64,
    buffer: u64,
    len: i32,
) -> Result<u64> {
    let len = usize::try_from(len).ok().filter(|len| *len > 0);
    let len = len.ok_or(Errno::EINVAL.because("the buffer has no room"))?;
    let path = cx.read_path(address)?;
    let empty = path.is_empty();
    let place = if empty && dirfd != AT_FDCWD {
        let (named, _) = find(cx, dirfd, &path, AT_EMPTY_PATH).await?;
        let Named::Place(place) = named else { return Err(Errno::ENOENT.into()) };
        place
    } else {
        let base = Base::new(cx, dirfd, &path)?;
        vfs::path::resolve(base.start(), &path, Last::Keep).await?
    };
    if place.node().kind() != Kind::Link {
        let errno = if empty { Errno::ENOENT } else { Errno::EINVAL };
        return Err(errno.because("not a symbolic link"));
    }
    let who = alloc::sync::Arc::clone(&cx.process.credentials.lock());
    let text: Vec<u8> = vfs::path::read_link(&place, &who).await?.to_vec();
    let text = &text[..text.len().min(len)];
    cx.write_bytes(buffer, text)?;
    Ok(text.len() as u64)
}
