//! The mount tree: mounts, roots.
//!
//! What can be mounted are file systems in memory, `/proc`, and what is mounted already; a directory of
//! the host only where the configuration has mounted it, and no block devices.
//!
//! [`kinds`] makes file systems of options; [`classic`] is mount(2), [`leave`] what takes mounts and roots
//! away; [`context`] and [`apart`] are the calls that do in steps what mount(2) does at once;
//! [`attributes`] changes how something is mounted, [`query`] tells it.

mod apart;
mod attributes;
mod classic;
mod context;
mod kinds;
mod leave;
mod query;

use abi::errno::Result;
use abi::{Errno, nr};
use vfs::credentials::Capabilities;
use vfs::mount::Place;

use super::files::base::Named;
use crate::arguments::Arguments;
use crate::context::Context;

/// Calls that finish at once; `None`: not here, or it must wait.
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::FSOPEN => context::fsopen(cx, args),
        nr::FSCONFIG => context::fsconfig(cx, args),
        nr::FSMOUNT => context::fsmount(cx, args),
        nr::STATMOUNT => query::statmount(cx, args),
        nr::LISTMOUNT => query::listmount(cx, args),
        _ => return None,
    })
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    let cx = &*cx;
    Some(match number {
        nr::MOUNT => classic::mount(cx, args).await,
        nr::UMOUNT2 => leave::umount2(cx, args).await,
        nr::PIVOT_ROOT => leave::pivot_root(cx, args).await,
        nr::CHROOT => leave::chroot(cx, args).await,
        nr::FSPICK => context::fspick(cx, args).await,
        nr::OPEN_TREE => apart::open_tree(cx, args).await,
        nr::OPEN_TREE_ATTR => attributes::open_tree_attr(cx, args).await,
        nr::MOVE_MOUNT => apart::move_mount(cx, args).await,
        nr::MOUNT_SETATTR => attributes::mount_setattr(cx, args).await,
        _ => return None,
    })
}

/// EPERM for who may not change mounts.
fn check_may_mount(cx: &Context<'_>) -> Result<()> {
    if !cx.process.credentials.lock().has(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM.because("only CAP_SYS_ADMIN changes mounts"));
    }
    Ok(())
}

/// The place that was named: EINVAL for what no path leads to.
fn place(named: Named) -> Result<Place> {
    match named {
        Named::Place(place) => Ok(place),
        Named::Open(_) => Err(Errno::EINVAL.because("nothing is mounted there")),
    }
}
