//! What file systems tell of files beyond stat(2): cached pages, handles, attributes of their own.
//!
//! Source: cachestat(2), `name_to_handle_at(2)`, `open_by_handle_at(2)`, `file_getattr(2)`. Differs from
//! Linux: no file system has handles or attributes of its own (EOPNOTSUPP).

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Capabilities;

use super::base::{AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, check_flags, find};
use crate::arguments::{Arguments, Fd};
use crate::context::Context;

/// cachestat(2): descriptor, range, `struct cachestat`, flags.
pub(super) fn cachestat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = super::length::open_file(cx, args)?;
    let [offset, len]: [u64; 2] = cx.read(args.address(1))?;
    if args.uint(3) != 0 {
        return Err(Errno::EINVAL.because("no flags are known"));
    }
    let len = if len == 0 { u64::MAX } else { len };
    let (cached, dirty) =
        file.object().pages().map_or((0, 0), |pages| pages.cached_in(offset, len));
    // Pages under way to the device and pages that were given up are not counted.
    cx.write(args.address(2), &[cached, dirty, 0, 0, 0])?;
    Ok(0)
}

/// `name_to_handle_at(2)`: directory, path, `struct file_handle`, number of the mount, flags.
pub(super) async fn name_to_handle_at(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    /// `AT_HANDLE_FID`, `AT_HANDLE_MNT_ID_UNIQUE`, `AT_HANDLE_CONNECTABLE`.
    const ONLY_NAME: u32 = 0x200;
    const UNIQUE: u32 = 1;
    const CONNECTABLE: u32 = 2;
    /// `MAX_HANDLE_SZ`.
    const HANDLE_MAX: u32 = 128;
    let flags = args.uint(4);
    check_flags(flags, AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | ONLY_NAME | UNIQUE | CONNECTABLE)?;
    if flags & CONNECTABLE != 0 && flags & (ONLY_NAME | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.because("flags that exclude each other"));
    }
    let follow = if flags & AT_SYMLINK_FOLLOW != 0 { 0 } else { AT_SYMLINK_NOFOLLOW };
    let path = cx.read_path(args.address(1))?;
    find(cx, args.fd(0), &path, follow | flags & AT_EMPTY_PATH).await?;
    let room: u32 = cx.read(args.address(2))?;
    if room > HANDLE_MAX {
        return Err(Errno::EINVAL.because("no handle is that long"));
    }
    Err(Errno::EOPNOTSUPP.because("the file system has no handles"))
}

/// `open_by_handle_at(2)`: a descriptor on the mount, handle, flags. No handle was ever given.
pub(super) fn open_by_handle_at(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const HANDLE_MAX: u32 = 128;
    let [len, _]: [u32; 2] = cx.read(args.address(1))?;
    if !(1..=HANDLE_MAX).contains(&len) {
        return Err(Errno::EINVAL.because("no handle has that length"));
    }
    if args.fd(0) != super::base::AT_FDCWD {
        super::length::open_file(cx, args)?;
    }
    if !cx.process.credentials.lock().has(Capabilities::DAC_READ_SEARCH) {
        return Err(Errno::EPERM.because("needs CAP_DAC_READ_SEARCH"));
    }
    Err(Errno::ESTALE.because("the file system has no handles"))
}

/// `file_getattr(2)` and `file_setattr(2)`: directory, path, `struct file_attr`, its bytes, flags.
pub(super) async fn file_attributes(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const KNOWN: usize = 24;
    let flags = args.uint(4);
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    if args.size(3) > 4096 {
        return Err(Errno::E2BIG.because("the structure exceeds a page"));
    }
    if args.size(3) < KNOWN {
        return Err(Errno::EINVAL.because("the structure is too short"));
    }
    let (dirfd, path): (Fd, _) = (args.fd(0), cx.read_path(args.address(1))?);
    find(cx, dirfd, &path, flags).await?;
    Err(Errno::EOPNOTSUPP.because("the file system has no attributes of its own"))
}
