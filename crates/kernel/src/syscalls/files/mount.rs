//! mount and umount2: the mounts of an enclave are its configuration's.
//!
//! Source: mount(2), umount(2). Differs from Linux: what Linux would do is EPERM, as for who has no
//! CAP_SYS_ADMIN; what it would refuse is refused the same way.

use abi::Errno;
use abi::errno::Result;

use super::base::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, Named, check_flags, find};
use crate::arguments::Arguments;
use crate::context::{Context, PATH_MAX};

/// `UMOUNT_NOFOLLOW`.
const NO_FOLLOW: u32 = 8;
/// It, `MNT_FORCE`, `MNT_DETACH` and `MNT_EXPIRE`.
const UNMOUNT_FLAGS: u32 = 15;

/// mount(2): source, target, type, flags, data.
pub(super) async fn mount(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    for text in [args.address(2), args.address(0)] {
        if text != 0 {
            cx.read_string(text, PATH_MAX, Errno::EINVAL)?;
        }
    }
    if args.address(4) != 0 {
        cx.read::<u8>(args.address(4))?;
    }
    let path = cx.read_path(args.address(1))?;
    find(cx, AT_FDCWD, &path, 0).await?;
    Err(Errno::EPERM.because("mounts are fixed at the start"))
}

/// umount2(2): target, flags.
pub(super) async fn umount2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.uint(1);
    check_flags(flags, UNMOUNT_FLAGS)?;
    let path = cx.read_path(args.address(0))?;
    let last = if flags & NO_FOLLOW != 0 { AT_SYMLINK_NOFOLLOW } else { 0 };
    let (named, _) = find(cx, AT_FDCWD, &path, last).await?;
    match named {
        Named::Place(place) if place.is(&place.mount.root()) => {
            Err(Errno::EPERM.because("mounts are fixed at the start"))
        }
        _ => Err(Errno::EINVAL.because("nothing is mounted there")),
    }
}
