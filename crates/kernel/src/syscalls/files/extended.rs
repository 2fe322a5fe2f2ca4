//! Extended attributes.
//!
//! Source: xattr(7), getxattr(2), setxattr(2), listxattr(2), removexattr(2). Differs from Linux: access
//! control lists (`system.`) are not kept; attributes of files in layers below are not seen; to
//! shared folders of the host only those of users are carried.

use alloc::vec::Vec;

use abi::errno::Result;
use abi::{Errno, nr};
use vfs::credentials::{Access, Capabilities, Credentials};
use vfs::extended::{Existing, Keeper, SIZE_MAX};
use vfs::node::{Kind, STICKY};

use super::base::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, Named, find, of_open};
use crate::arguments::Arguments;
use crate::context::Context;

/// Longest name of an attribute with its NUL.
const NAME_MAX: usize = 256;
/// `XATTR_CREATE`, `XATTR_REPLACE`.
const CREATE: u32 = 1;
const REPLACE: u32 = 2;

/// What a call does with attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    List,
    Set,
    Remove,
}

/// How a call names its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Path,
    /// A last symbolic link is meant itself.
    Link,
    Descriptor,
}

/// The calls of this family; `None`: not one of these.
pub(super) async fn call(cx: &Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    let (action, by) = match number {
        nr::GETXATTR => (Action::Get, By::Path),
        nr::LGETXATTR => (Action::Get, By::Link),
        nr::FGETXATTR => (Action::Get, By::Descriptor),
        nr::LISTXATTR => (Action::List, By::Path),
        nr::LLISTXATTR => (Action::List, By::Link),
        nr::FLISTXATTR => (Action::List, By::Descriptor),
        nr::SETXATTR => (Action::Set, By::Path),
        nr::LSETXATTR => (Action::Set, By::Link),
        nr::FSETXATTR => (Action::Set, By::Descriptor),
        nr::REMOVEXATTR => (Action::Remove, By::Path),
        nr::LREMOVEXATTR => (Action::Remove, By::Link),
        nr::FREMOVEXATTR => (Action::Remove, By::Descriptor),
        _ => return None,
    };
    Some(match action {
        Action::Get => get(cx, args, by).await,
        Action::List => list(cx, args, by).await,
        Action::Set => set(cx, args, by).await,
        Action::Remove => remove(cx, args, by).await,
    })
}

/// File, name, buffer, its size.
async fn get(cx: &Context<'_>, args: &Arguments, by: By) -> Result<u64> {
    let name = name(cx, args.address(1))?;
    let file = File::new(cx, args, by).await?;
    file.permit(&name, Access::READ)?;
    let value = match file.attributes(&name)? {
        Some(all) => all.get(&name).await?,
        None => return Err(Errno::ENODATA.because("the file has no access control list")),
    };
    give(cx, &value, args.address(2), args.size(3))
}

/// File, buffer, its size.
async fn list(cx: &Context<'_>, args: &Arguments, by: By) -> Result<u64> {
    let file = File::new(cx, args, by).await?;
    let trusted = file.who.has(Capabilities::SYS_ADMIN);
    let shown = |name: &[u8]| trusted || !name.starts_with(b"trusted.");
    let list = match file.extended() {
        Some(all) => all.list(shown).await?,
        None => Vec::new(),
    };
    if list.len() > SIZE_MAX {
        return Err(Errno::E2BIG.because("the list of names exceeds 64 KiB"));
    }
    give(cx, &list, args.address(1), args.size(2))
}

/// File, name, value, its size, flags.
async fn set(cx: &Context<'_>, args: &Arguments, by: By) -> Result<u64> {
    let flags = args.uint(4);
    if flags & !(CREATE | REPLACE) != 0 {
        return Err(Errno::EINVAL.because("only XATTR_CREATE and XATTR_REPLACE are known"));
    }
    let name = name(cx, args.address(1))?;
    if args.size(3) > SIZE_MAX {
        return Err(Errno::E2BIG.because("the value exceeds 64 KiB"));
    }
    let mut value = alloc::vec![0; args.size(3)];
    cx.read_bytes(args.address(2), &mut value)?;
    let file = File::new(cx, args, by).await?;
    file.check_writable()?;
    file.permit(&name, Access::WRITE)?;
    let all = file.attributes(&name)?.ok_or_else(unsupported)?;
    let existing = match flags {
        0 => Existing::Either,
        // With both flags the one that refuses speaks.
        REPLACE => Existing::Require,
        CREATE => Existing::Refuse,
        _ if all.get(&name).await.is_ok() => Existing::Refuse,
        _ => Existing::Require,
    };
    all.set(&name, &value, existing).await?;
    file.touch();
    Ok(0)
}

/// File, name.
async fn remove(cx: &Context<'_>, args: &Arguments, by: By) -> Result<u64> {
    let name = name(cx, args.address(1))?;
    let file = File::new(cx, args, by).await?;
    file.check_writable()?;
    file.permit(&name, Access::WRITE)?;
    file.attributes(&name)?.ok_or_else(unsupported)?.remove(&name).await?;
    file.touch();
    Ok(0)
}

/// The name of an attribute.
fn name(cx: &Context<'_>, address: u64) -> Result<Vec<u8>> {
    let name = cx.read_string(address, NAME_MAX, Errno::ERANGE)?;
    if name.is_empty() {
        return Err(Errno::ERANGE.because("the name is empty"));
    }
    Ok(name)
}

/// Hands `bytes` to the program; without a buffer, only how many they are.
fn give(cx: &Context<'_>, bytes: &[u8], address: u64, size: usize) -> Result<u64> {
    if size != 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE.because("the buffer is too small"));
        }
        cx.write_bytes(address, bytes)?;
    }
    Ok(bytes.len() as u64)
}

fn unsupported() -> abi::errno::Error {
    Errno::EOPNOTSUPP.because("the file system keeps no such attributes")
}

/// The file that a call names, and who asks.
struct File {
    named: Named,
    who: alloc::sync::Arc<Credentials>,
}

impl File {
    async fn new(cx: &Context<'_>, args: &Arguments, by: By) -> Result<Self> {
        let (named, who) = if by == By::Descriptor {
            let who = alloc::sync::Arc::clone(&cx.process.credentials.lock());
            (of_open(super::length::open_file(cx, args)?), who)
        } else {
            let path = cx.read_path(args.address(0))?;
            let flags = if by == By::Link { AT_SYMLINK_NOFOLLOW } else { 0 };
            find(cx, AT_FDCWD, &path, flags).await?
        };
        Ok(Self { named, who })
    }

    fn check_writable(&self) -> Result<()> {
        match &self.named {
            Named::Place(place) => place.mount.check_writable(),
            Named::Open(_) => Ok(()),
        }
    }

    /// Checks what the name's space asks for.
    fn permit(&self, name: &[u8], wanted: Access) -> Result<()> {
        let refused = |why| {
            let errno = if wanted == Access::WRITE { Errno::EPERM } else { Errno::ENODATA };
            Err(errno.because(why))
        };
        let administrator = self.who.has(Capabilities::SYS_ADMIN);
        if name.starts_with(b"trusted.") && !administrator {
            return refused("trusted attributes need CAP_SYS_ADMIN");
        }
        if name.starts_with(b"security.") && wanted == Access::WRITE && !administrator {
            return refused("security attributes need CAP_SYS_ADMIN");
        }
        let Named::Place(place) = &self.named else {
            if name.starts_with(b"user.") {
                return refused("only files and directories have user attributes");
            }
            return Ok(());
        };
        if !name.starts_with(b"user.") {
            return Ok(());
        }
        let (node, owner) = (place.node(), place.node().owner());
        if !matches!(node.kind(), Kind::File | Kind::Directory) {
            return refused("only files and directories have user attributes");
        }
        let sticky = node.kind() == Kind::Directory && owner.mode & STICKY != 0;
        if sticky && wanted == Access::WRITE && !self.who.owns(owner) {
            return Err(Errno::EPERM.because("only the owner may mark a sticky directory"));
        }
        self.who.check(owner, wanted)
    }

    fn extended(&self) -> Option<Keeper<'_>> {
        match &self.named {
            Named::Place(place) => place.node().extended(),
            Named::Open(_) => None,
        }
    }

    /// The attributes among which `name` would be; `None`: such as a file could have, and has none.
    fn attributes(&self, name: &[u8]) -> Result<Option<Keeper<'_>>> {
        let spaces: [&[u8]; 3] = [b"user.", b"security.", b"trusted."];
        let space = spaces.into_iter().find(|space| name.starts_with(space));
        let all = self.extended();
        match space {
            Some(space) if all.is_some() && name.len() == space.len() => {
                Err(Errno::EINVAL.because("the name has nothing behind its space"))
            }
            Some(_) => all.map(Some).ok_or_else(unsupported),
            None if name.starts_with(b"system.posix_acl_") => Ok(None),
            None => Err(unsupported()),
        }
    }

    /// The inode changed.
    fn touch(&self) {
        if let Named::Place(place) = &self.named {
            place.node().touch_changed();
        }
    }
}
