//! inotify.
//!
//! Source: `inotify_init(2)`, `inotify_add_watch(2)`, `inotify_rm_watch(2)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Access;
use vfs::node::Kind;
use vfs::notify::Mask;
use vfs::notify::inotify::{self, Inotify};
use vfs::object::OpenFile;
use vfs::path::Last;

use super::base::{AT_FDCWD, Base};
use super::length::open_file;
use super::objects;
use crate::arguments::Arguments;
use crate::context::Context;

/// `inotify_init(2)`.
pub(super) fn inotify_init(cx: &Context<'_>) -> Result<u64> {
    make(cx, 0)
}

/// `inotify_init1(2)`: flags.
pub(super) fn inotify_init1(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    make(cx, args.uint(0))
}

fn make(cx: &Context<'_>, flags: u32) -> Result<u64> {
    if flags & !(objects::CLOEXEC | objects::NONBLOCK) != 0 {
        return Err(Errno::EINVAL.because("only IN_CLOEXEC and IN_NONBLOCK are known"));
    }
    let file = inotify::inotify(objects::status(flags), objects::owner(cx))?;
    cx.process.files.add(file, objects::on_exec(flags)).map(u64::from)
}

/// `inotify_add_watch(2)`: queue, path, mask. Gives the watch's number.
pub(super) async fn add_watch(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mask = Mask::from_bits(args.uint(2)).filter(|mask| !mask.is_empty());
    let mask = mask.ok_or(Errno::EINVAL.because("unknown bits of the mask, or none"))?;
    let file = open_file(cx, args)?;
    if mask.contains(Mask::ADD | Mask::NEW) {
        return Err(
            Errno::EINVAL.because("IN_MASK_ADD and IN_MASK_CREATE don't make sense together")
        );
    }
    let queue = queue(&file)?;
    let path = cx.read_path(args.address(1))?;
    let base = Base::new(cx, AT_FDCWD, &path)?;
    let last = if mask.contains(Mask::DONT_FOLLOW) { Last::Keep } else { Last::Follow };
    let place = vfs::path::resolve(base.start(), &path, last).await?;
    if mask.contains(Mask::ONLY_DIRECTORY) && place.node().kind() != Kind::Directory {
        return Err(Errno::ENOTDIR.because("IN_ONLYDIR, and it is no directory"));
    }
    base.who.check(place.node().owner(), Access::READ)?;
    let number = queue.watch(place.node(), mask)?;
    Ok(u64::from(number.cast_unsigned()))
}

/// `inotify_rm_watch(2)`: queue, watch.
pub(super) fn rm_watch(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open_file(cx, args)?;
    queue(&file)?.unwatch(args.int(1)).map(|()| 0)
}

fn queue(file: &Arc<OpenFile>) -> Result<&Inotify> {
    file.downcast::<Inotify>().ok_or(Errno::EINVAL.because("the descriptor is no inotify queue"))
}
