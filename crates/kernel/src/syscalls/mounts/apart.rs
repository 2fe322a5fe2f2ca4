//! Mounts that stand apart, and where they go.
//!
//! Source: `open_tree(2)`, `move_mount(2)`.

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::mount::{Detached, Place, Recursion};
use vfs::node::Node;
use vfs::object::{Object, OpenFile, Stat, Status};

use super::{check_may_mount, place};
use crate::arguments::{Arguments, Fd};
use crate::context::Context;
use crate::syscalls::files::base::{AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, find};

const AT_NO_AUTOMOUNT: u32 = 0x800;
pub(super) const AT_RECURSIVE: u32 = 0x8000;
const CLONE: u32 = 1;
const CLOEXEC: u32 = 0o2_000_000;

/// What a descriptor of a tree that stands apart is, besides its root's name.
struct Standing(Detached);

impl Object for Standing {
    fn stat(&self) -> Result<Stat> {
        self.0.mount().root().node().stat()
    }

    fn node(&self) -> Option<&dyn Node> {
        self.0.mount().system().map(|system| &**system.root().node())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A descriptor that names the root of a tree and owns it.
pub(super) fn open(cx: &Context<'_>, apart: Detached, on_exec: OnExec) -> Result<u64> {
    let root = apart.mount().root();
    let file = OpenFile::new(Arc::new(Standing(apart)), Status::PATH, Some(root));
    cx.process.files.add(file, on_exec).map(u64::from)
}

/// `open_tree(2)`: directory, path, flags.
pub(super) async fn open_tree(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (file, on_exec) = tree(cx, args).await?;
    cx.process.files.add(file, on_exec).map(u64::from)
}

/// What `open_tree(2)` opens.
pub(super) async fn tree(cx: &Context<'_>, args: &Arguments) -> Result<(Arc<OpenFile>, OnExec)> {
    let flags = args.uint(2);
    let known =
        AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | CLONE | CLOEXEC;
    if flags & !known != 0 || flags & (AT_RECURSIVE | CLONE) == AT_RECURSIVE {
        return Err(Errno::EINVAL.because("unknown flags, or AT_RECURSIVE without a copy"));
    }
    if flags & CLONE != 0 {
        check_may_mount(cx)?;
    }
    let path = cx.read_path(args.address(1))?;
    let named = find(cx, args.fd(0), &path, flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)).await?;
    let from = place(named.0)?;
    let on_exec = if flags & CLOEXEC != 0 { OnExec::Close } else { OnExec::Keep };
    let file = if flags & CLONE == 0 {
        let object: Arc<dyn Object> = Arc::<dyn Node>::clone(from.node());
        OpenFile::new(object, Status::PATH, Some(from))
    } else {
        let recursion = if flags & AT_RECURSIVE != 0 { Recursion::All } else { Recursion::One };
        let apart = cx.kernel.mounts.copy_apart(&from, recursion)?;
        let root = apart.mount().root();
        OpenFile::new(Arc::new(Standing(apart)), Status::PATH, Some(root))
    };
    Ok((file, on_exec))
}

/// `move_mount(2)`: directory and path of what moves, of where to, flags.
pub(super) async fn move_mount(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const FROM_LINKS: u32 = 1;
    const FROM_EMPTY: u32 = 4;
    const TO_LINKS: u32 = 0x10;
    const TO_EMPTY: u32 = 0x40;
    const SET_GROUP: u32 = 0x100;
    const BENEATH: u32 = 0x200;
    const KNOWN: u32 = 0x377;
    check_may_mount(cx)?;
    let flags = args.uint(4);
    if flags & !KNOWN != 0 || flags & (SET_GROUP | BENEATH) == SET_GROUP | BENEATH {
        return Err(Errno::EINVAL.because("unknown flags, or flags that exclude each other"));
    }
    let how = |links, empty| {
        let follow = if flags & links != 0 { 0 } else { AT_SYMLINK_NOFOLLOW };
        follow | if flags & empty != 0 { AT_EMPTY_PATH } else { 0 }
    };
    let to = named(cx, args.fd(2), args.address(3), how(TO_LINKS, TO_EMPTY)).await?;
    let from = named(cx, args.fd(0), args.address(1), how(FROM_LINKS, FROM_EMPTY)).await?;
    if flags & SET_GROUP != 0 {
        return cx.kernel.mounts.join(&from, &to).map(|()| 0);
    }
    if flags & BENEATH != 0 {
        return Err(Errno::EINVAL.because("nothing is mounted beneath what is mounted already"));
    }
    cx.kernel.mounts.move_to(&from, &to)?;
    Ok(0)
}

async fn named(cx: &Context<'_>, dirfd: Fd, address: u64, flags: u32) -> Result<Place> {
    let path = match address {
        0 if flags & AT_EMPTY_PATH != 0 => alloc::vec::Vec::new(),
        _ => cx.read_path(address)?,
    };
    place(find(cx, dirfd, &path, flags).await?.0)
}
