//! How something is mounted, changed.
//!
//! Source: `mount_setattr(2)`, `open_tree_attr(2)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::mount::sharing::Kind as Sharing;
use vfs::mount::{Flags, Mount, Recursion};

use super::apart::{self, AT_RECURSIVE};
use super::{check_may_mount, place};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::files::base::{
    AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, check_flags, find,
};

/// `MOUNT_ATTR__ATIME` and its values.
const ATIME: u64 = 0x70;
const RELATIME: u64 = 0;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const IDMAP: u64 = 0x10_0000;
/// The others, and what they are here: read-only, nosuid, nodev, noexec, nodiratime, nosymfollow.
const ATTRIBUTES: [(u64, Flags); 6] = [
    (1, Flags::READ_ONLY),
    (2, Flags::NO_SUID),
    (4, Flags::NO_DEVICES),
    (8, Flags::NO_EXEC),
    (0x80, Flags::NO_DIRECTORY_ATIME),
    (0x20_0000, Flags::NO_LINKS),
];
const KNOWN: u64 = 0x20_008f | ATIME;

/// A change: what is set, what is cleared, and what is shared from now on.
struct Change {
    set: Flags,
    clear: Flags,
    sharing: Option<Sharing>,
}

/// Flags of a new mount.
///
/// # Errors
/// EINVAL.
pub(super) fn flags(attributes: u64) -> Result<Flags> {
    if attributes & !KNOWN != 0 {
        return Err(Errno::EINVAL.because("unknown attributes of a mount"));
    }
    Ok(plain(attributes) | atime(attributes)?)
}

fn plain(attributes: u64) -> Flags {
    let set = ATTRIBUTES.iter().filter(|(bit, _)| attributes & bit != 0);
    set.map(|(_, flag)| *flag).collect()
}

fn atime(attributes: u64) -> Result<Flags> {
    match attributes & ATIME {
        RELATIME => Ok(Flags::RELATIVE_ATIME),
        NOATIME => Ok(Flags::NO_ATIME),
        STRICTATIME => Ok(Flags::empty()),
        _ => Err(Errno::EINVAL.because("no such way to keep access times")),
    }
}

impl Change {
    /// Of a `struct mount_attr`: set, clear, propagation, descriptor of a user namespace.
    fn read([set, clear, sharing, namespace]: [u64; 4]) -> Result<Self> {
        const PRIVATE: u64 = 1 << 18;
        const SLAVE: u64 = 1 << 19;
        const SHARED: u64 = 1 << 20;
        const UNBINDABLE: u64 = 1 << 17;
        let sharing = match sharing {
            0 => None,
            PRIVATE => Some(Sharing::Private),
            SLAVE => Some(Sharing::Slave),
            SHARED => Some(Sharing::Shared),
            UNBINDABLE => Some(Sharing::Unbindable),
            _ => return Err(Errno::EINVAL.because("not one kind of sharing alone")),
        };
        if (set | clear) & !(KNOWN | IDMAP) != 0 {
            return Err(Errno::EINVAL.because("unknown attributes of a mount"));
        }
        let mut change = Self { set: plain(set), clear: plain(clear), sharing };
        match clear & ATIME {
            ATIME => {
                change.clear |= Flags::RELATIVE_ATIME | Flags::NO_ATIME;
                change.set |= atime(set)?;
            }
            0 if set & ATIME == 0 => {}
            _ => {
                return Err(Errno::EINVAL.because("access times are set when they are cleared"));
            }
        }
        let _ = namespace;
        if (set | clear) & IDMAP != 0 {
            return Err(Errno::EINVAL.because("identities are those of one user namespace"));
        }
        Ok(change)
    }

    fn apply(&self, cx: &Context<'_>, mount: &Arc<Mount>, recursion: Recursion) -> Result<()> {
        let tree = &cx.kernel.mounts;
        tree.set_flags(mount, recursion, |flags| flags.difference(self.clear) | self.set)?;
        if let Some(kind) = self.sharing {
            tree.set_sharing(mount, recursion, kind);
        }
        Ok(())
    }
}

/// What the program's structure asks for; `None`: nothing.
fn read(cx: &Context<'_>, address: u64, size: usize) -> Result<Option<Change>> {
    const KNOWN: usize = 32;
    if size > 4096 {
        return Err(Errno::E2BIG.because("the structure exceeds a page"));
    }
    if size < KNOWN {
        return Err(Errno::EINVAL.because("the structure is too short"));
    }
    check_may_mount(cx)?;
    let mut bytes = alloc::vec![0; size];
    cx.read_bytes(address, &mut bytes)?;
    if bytes[KNOWN..].iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG.because("something unknown stands behind the structure"));
    }
    let words: [u64; 4] = cx.read(address)?;
    if words[..3] == [0; 3] {
        return Ok(None);
    }
    Change::read(words).map(Some)
}

fn recursion(flags: u32) -> Recursion {
    if flags & AT_RECURSIVE != 0 { Recursion::All } else { Recursion::One }
}

/// `mount_setattr(2)`: directory, path, flags, structure, its bytes.
pub(super) async fn mount_setattr(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.uint(2);
    check_flags(flags, AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)?;
    let Some(change) = read(cx, args.address(3), args.size(4))? else { return Ok(0) };
    let path = cx.read_path(args.address(1))?;
    let target = place(find(cx, args.fd(0), &path, flags & !AT_RECURSIVE).await?.0)?;
    if !target.is_mounted() {
        return Err(Errno::EINVAL.because("nothing is mounted there"));
    }
    change.apply(cx, &target.mount, recursion(flags))?;
    Ok(0)
}

/// `open_tree_attr(2)`: `open_tree(2)` with a structure and its bytes.
pub(super) async fn open_tree_attr(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.address(3) == 0 && args.size(4) != 0 {
        return Err(Errno::EINVAL.because("a size without a structure"));
    }
    let (file, on_exec) = apart::tree(cx, args).await?;
    if args.address(3) != 0
        && let Some(change) = read(cx, args.address(3), args.size(4))?
    {
        let target = file.place().ok_or(Errno::EINVAL)?;
        if !target.is_mounted() {
            return Err(Errno::EINVAL.because("nothing is mounted there"));
        }
        change.apply(cx, &target.mount, recursion(args.uint(2)))?;
    }
    cx.process.files.add(file, on_exec).map(u64::from)
}
