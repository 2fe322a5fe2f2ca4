//! Taking mounts away, and other roots.
//!
//! Source: umount(2), `pivot_root(2)`, chroot(2).

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Capabilities;
use vfs::mount::Place;

use super::{check_may_mount, place};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::files::base::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, check_flags, find};
use crate::syscalls::files::directory;

const FORCE: u32 = 1;
const DETACH: u32 = 2;
const EXPIRE: u32 = 4;
const NO_FOLLOW: u32 = 8;

/// umount2(2): target, flags. `MNT_FORCE` asks of file systems in memory nothing that they don't do.
pub(super) async fn umount2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.uint(1);
    check_flags(flags, FORCE | DETACH | EXPIRE | NO_FOLLOW)?;
    let path = cx.read_path(args.address(0))?;
    let last = if flags & NO_FOLLOW != 0 { AT_SYMLINK_NOFOLLOW } else { 0 };
    let target = find(cx, AT_FDCWD, &path, last).await?.0;
    check_may_mount(cx)?;
    let target = place(target)?;
    if !target.is_mounted() || !target.mount.is_visible() {
        return Err(Errno::EINVAL.because("nothing is mounted there"));
    }
    let tree = &cx.kernel.mounts;
    let is_root = {
        let directories = cx.process.directories.lock();
        alloc::sync::Arc::ptr_eq(&directories.root.mount, &target.mount)
    };
    if flags & EXPIRE != 0 {
        if is_root || flags & (FORCE | DETACH) != 0 {
            return Err(Errno::EINVAL.because("MNT_EXPIRE goes alone, and not for the root"));
        }
        tree.unmount_unused(&target)?;
    } else if flags & DETACH != 0 {
        tree.detach(&target)?;
    } else if is_root {
        // As Linux understands it: the root's file system becomes read-only.
        tree.set_read_only(&target.mount, true)?;
    } else {
        tree.unmount(&target)?;
    }
    Ok(0)
}

/// `pivot_root(2)`: the new root, and where the old one goes.
pub(super) async fn pivot_root(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_may_mount(cx)?;
    let new = directory::directory(cx, args.address(0)).await?;
    let old = directory::directory(cx, args.address(1)).await?;
    let root = cx.process.directories.lock().root.clone();
    cx.kernel.mounts.pivot(&root, &new, &old)?;
    for process in cx.kernel.registry.processes() {
        let mut directories = process.directories.lock();
        let follow = |place: &mut Place| {
            if place.is(&root) {
                *place = new.clone();
            }
        };
        follow(&mut directories.root);
        follow(&mut directories.current);
    }
    Ok(0)
}

/// chroot(2).
pub(super) async fn chroot(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let place = directory::directory(cx, args.address(0)).await?;
    if !cx.process.credentials.lock().has(Capabilities::SYS_CHROOT) {
        return Err(Errno::EPERM.because("only user 0 may change the root"));
    }
    cx.process.directories.lock().root = place;
    Ok(0)
}
