//! mount(2).

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::mount::sharing::Kind as Sharing;
use vfs::mount::{Flags, Place, Recursion};

use super::kinds::{Options, Type};
use super::{check_may_mount, place};
use crate::arguments::Arguments;
use crate::context::{Context, PATH_MAX};
use crate::syscalls::files::base::{AT_FDCWD, find};

const MS_RDONLY: u64 = 1;
const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
const MS_REC: u64 = 16384;
const MS_SILENT: u64 = 32768;
const MS_UNBINDABLE: u64 = 1 << 17;
const MS_PRIVATE: u64 = 1 << 18;
const MS_SLAVE: u64 = 1 << 19;
const MS_SHARED: u64 = 1 << 20;
const MS_STRICTATIME: u64 = 1 << 24;
/// An int on Linux, whose sign goes on through all higher bits.
const MS_NOUSER: u64 = 0xffff_ffff_8000_0000;
/// Flags of a mount, and what they are here: nosuid, nodev, noexec, nosymfollow, noatime, nodiratime,
/// relatime.
const MOUNT_FLAGS: [(u64, Flags); 7] = [
    (2, Flags::NO_SUID),
    (4, Flags::NO_DEVICES),
    (8, Flags::NO_EXEC),
    (256, Flags::NO_LINKS),
    (1024, Flags::NO_ATIME),
    (2048, Flags::NO_DIRECTORY_ATIME),
    (1 << 21, Flags::RELATIVE_ATIME),
];
/// Upper half of the flags of old programs, which means nothing.
const MAGIC: u64 = 0xc0ed_0000;

/// mount(2): source, target, type, flags, options.
pub(super) async fn mount(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let text = |address| match address {
        0 => Ok(None),
        _ => cx.read_string(address, PATH_MAX, Errno::EINVAL).map(Some),
    };
    let kind = text(args.address(2))?;
    let source = text(args.address(0))?;
    let options = options(cx, args.address(4))?;
    let path = cx.read_path(args.address(1))?;
    let target = place(find(cx, AT_FDCWD, &path, 0).await?.0)?;
    let mut flags = args.raw(3);
    if flags & 0xffff_0000 == MAGIC {
        flags &= 0xffff;
    }
    if flags & MS_NOUSER != 0 {
        return Err(Errno::EINVAL.because("MS_NOUSER is the kernel's own"));
    }
    check_may_mount(cx)?;
    let how = how(flags, &target);
    let recursion = if flags & MS_REC != 0 { Recursion::All } else { Recursion::One };
    let tree = &cx.kernel.mounts;
    if flags & MS_REMOUNT != 0 {
        return remount(cx, &target, flags, how, &options);
    }
    if flags & MS_BIND != 0 {
        let from = other(cx, source.as_deref()).await?;
        tree.bind(&from, &target, recursion)?;
    } else if flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE) != 0 {
        share(cx, &target, flags, recursion)?;
    } else if flags & MS_MOVE != 0 {
        let from = other(cx, source.as_deref()).await?;
        tree.move_to(&from, &target)?;
    } else {
        let kind = kind.ok_or(Errno::EINVAL.because("no type is given"))?;
        let kind = Type::find(&kind)?;
        let mut made = Options::default();
        made.set_flags(flags);
        made.set_all(kind, &options)?;
        let system = kind.make(cx.kernel, &made);
        let source = source.unwrap_or_else(|| b"none".to_vec());
        let mount = tree.mount(&target, &system, &source, how)?;
        if flags & MS_RDONLY != 0 {
            tree.set_read_only(&mount, true)?;
        }
    }
    Ok(0)
}

/// The options: a text that may end with its page instead of with a NUL.
fn options(cx: &Context<'_>, address: u64) -> Result<Vec<u8>> {
    const PAGE: u64 = 4096;
    if address == 0 {
        return Ok(Vec::new());
    }
    let mut text = alloc::vec![0; 4095];
    let first = usize::try_from(PAGE - address % PAGE).unwrap_or(0).min(text.len());
    let (head, tail) = text.split_at_mut(first);
    cx.read_bytes(address, head)?;
    // What can't be read of the next page counts as zeros.
    if cx.read_bytes(address.wrapping_add(first as u64), tail).is_err() {
        tail.fill(0);
    }
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

/// How the flags say that a file system is mounted.
fn how(flags: u64, target: &Place) -> Flags {
    const ATIME: u64 = 1024 | 2048 | 1 << 21 | MS_STRICTATIME;
    let mut how = Flags::empty();
    for (bit, flag) in MOUNT_FLAGS {
        how.set(flag, flags & bit != 0);
    }
    how.set(Flags::RELATIVE_ATIME, !how.contains(Flags::NO_ATIME));
    if flags & MS_STRICTATIME != 0 {
        how -= Flags::RELATIVE_ATIME | Flags::NO_ATIME;
    }
    how.set(Flags::READ_ONLY, flags & MS_RDONLY != 0);
    if flags & MS_REMOUNT != 0 && flags & ATIME == 0 {
        how.remove(Flags::ATIME);
        how |= target.mount.flags() & Flags::ATIME;
    }
    how
}

/// The place that the source names.
async fn other(cx: &Context<'_>, source: Option<&[u8]>) -> Result<Place> {
    let path = source.filter(|path| !path.is_empty());
    let path = path.ok_or(Errno::EINVAL.because("no source is given"))?;
    place(find(cx, AT_FDCWD, path, 0).await?.0)
}

/// Changes how something is mounted; without `MS_BIND` its file system too.
fn remount(
    cx: &Context<'_>,
    target: &Place,
    flags: u64,
    how: Flags,
    options: &[u8],
) -> Result<u64> {
    check_mounted(target)?;
    let tree = &cx.kernel.mounts;
    if flags & MS_BIND == 0 {
        let volume = target.node().volume();
        let mut changed = Options::default();
        if let Some(kind) = Type::of(volume) {
            changed.set_flags(flags);
            changed.set_all(kind, options)?;
            super::context::reconfigure(cx, &target.mount, kind, &changed)?;
        } else if !options.is_empty() {
            return Err(Errno::EINVAL.because("the file system has no options"));
        } else {
            tree.set_read_only(&target.mount, flags & MS_RDONLY != 0)?;
        }
    }
    tree.set_flags(&target.mount, Recursion::One, |_| how)?;
    Ok(0)
}

/// Changes what mounts share.
fn share(cx: &Context<'_>, target: &Place, flags: u64, recursion: Recursion) -> Result<()> {
    check_mounted(target)?;
    let kind = match flags & !(MS_REC | MS_SILENT) {
        MS_SHARED => Sharing::Shared,
        MS_PRIVATE => Sharing::Private,
        MS_SLAVE => Sharing::Slave,
        MS_UNBINDABLE => Sharing::Unbindable,
        _ => return Err(Errno::EINVAL.because("not one kind of sharing alone")),
    };
    cx.kernel.mounts.set_sharing(&target.mount, recursion, kind);
    Ok(())
}

/// EINVAL where nothing is mounted.
fn check_mounted(target: &Place) -> Result<()> {
    if !target.is_mounted() || !target.mount.is_visible() {
        return Err(Errno::EINVAL.because("nothing is mounted there"));
    }
    Ok(())
}
