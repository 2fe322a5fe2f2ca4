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
use vfs::socketpair::Kind::Stream;
use vfs::socketpair::Socket;

use super::base::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Named, find, of_open};
use crate::arguments::{Arguments, Fd};
use crate::context::Context;

/// Longest name of an attribute with its NUL.
const NAME_MAX: usize = 256;
/// The one attribute of sockets: the name of their protocol.
const SOCKET_PROTOCOL: &[u8] = b"system.sockprotoname";
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

/// What a call says: its file, and what it is about.
struct Asked {
    dirfd: Fd,
    /// Address of the path; `None`: the descriptor is meant itself.
    path: Option<u64>,
    /// AT_ flags.
    at: u32,
    name: u64,
    buffer: u64,
    size: usize,
    flags: u32,
}

impl Asked {
    /// Of the calls that are about a path or a descriptor.
    fn old(action: Action, args: &Arguments, path: Option<u32>) -> Self {
        // Lists have no name before the buffer.
        let buffer = if action == Action::List { 1 } else { 2 };
        Self {
            dirfd: if path.is_some() { AT_FDCWD } else { args.fd(0) },
            path: path.map(|_| args.address(0)),
            // Of a descriptor, reading and setting take AT_FDCWD too; the others don't.
            at: path.unwrap_or(match action {
                Action::Get | Action::Set => AT_EMPTY_PATH,
                Action::List | Action::Remove => 0,
            }),
            name: args.address(1),
            buffer: args.address(buffer),
            size: args.size(buffer + 1),
            flags: if action == Action::Set { args.uint(4) } else { 0 },
        }
    }

    /// Of the calls with a directory and AT_ flags; values come with a `struct xattr_args`.
    fn new(cx: &Context<'_>, action: Action, args: &Arguments) -> Result<Self> {
        let (buffer, size, flags) = match action {
            Action::Get | Action::Set => described(cx, args.address(4), args.size(5))?,
            Action::List => (args.address(3), args.size(4), 0),
            Action::Remove => (0, 0, 0),
        };
        if action == Action::Get && flags != 0 {
            return Err(Errno::EINVAL.because("reading has no flags"));
        }
        let at = args.uint(2);
        super::base::check_flags(at, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
        let (dirfd, path) = (args.fd(0), Some(args.address(1)));
        Ok(Self { dirfd, path, at, name: args.address(3), buffer, size, flags })
    }
}

/// A `struct xattr_args`: buffer (8 bytes), its size (4), flags (4).
fn described(cx: &Context<'_>, address: u64, len: usize) -> Result<(u64, usize, u32)> {
    const KNOWN: usize = 16;
    if len < KNOWN {
        return Err(Errno::EINVAL.because("the structure is too short"));
    }
    if len > 4096 {
        return Err(Errno::E2BIG.because("the structure exceeds a page"));
    }
    let mut bytes = alloc::vec![0; len];
    cx.read_bytes(address, &mut bytes)?;
    if bytes[KNOWN..].iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG.because("something unknown stands behind the structure"));
    }
    let half = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
    let buffer = u64::from(half(0)) | u64::from(half(4)) << 32;
    Ok((buffer, usize::try_from(half(8)).unwrap_or(usize::MAX), half(12)))
}

/// The calls of this family; `None`: not one of these.
pub(super) async fn call(cx: &Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    const FOLLOWED: Option<u32> = Some(0);
    const LINK: Option<u32> = Some(AT_SYMLINK_NOFOLLOW);
    let (action, path) = match number {
        nr::GETXATTR => (Action::Get, FOLLOWED),
        nr::LGETXATTR => (Action::Get, LINK),
        nr::FGETXATTR => (Action::Get, None),
        nr::LISTXATTR => (Action::List, FOLLOWED),
        nr::LLISTXATTR => (Action::List, LINK),
        nr::FLISTXATTR => (Action::List, None),
        nr::SETXATTR => (Action::Set, FOLLOWED),
        nr::LSETXATTR => (Action::Set, LINK),
        nr::FSETXATTR => (Action::Set, None),
        nr::REMOVEXATTR => (Action::Remove, FOLLOWED),
        nr::LREMOVEXATTR => (Action::Remove, LINK),
        nr::FREMOVEXATTR => (Action::Remove, None),
        nr::GETXATTRAT => return Some(with_directory(cx, Action::Get, args).await),
        nr::LISTXATTRAT => return Some(with_directory(cx, Action::List, args).await),
        nr::SETXATTRAT => return Some(with_directory(cx, Action::Set, args).await),
        nr::REMOVEXATTRAT => return Some(with_directory(cx, Action::Remove, args).await),
        _ => return None,
    };
    Some(act(cx, action, &Asked::old(action, args, path)).await)
}

/// setxattrat, getxattrat, listxattrat, removexattrat.
async fn with_directory(cx: &Context<'_>, action: Action, args: &Arguments) -> Result<u64> {
    let asked = Asked::new(cx, action, args)?;
    act(cx, action, &asked).await
}

async fn act(cx: &Context<'_>, action: Action, asked: &Asked) -> Result<u64> {
    match action {
        Action::Get => get(cx, asked).await,
        Action::List => list(cx, asked).await,
        Action::Set => set(cx, asked).await,
        Action::Remove => remove(cx, asked).await,
    }
}

/// The value of an attribute.
async fn get(cx: &Context<'_>, asked: &Asked) -> Result<u64> {
    let name = name(cx, asked.name)?;
    let file = File::new(cx, asked).await?;
    file.permit(&name, Access::READ)?;
    if let Some(kind) = file.socket()
        && name == SOCKET_PROTOCOL
    {
        let protocol: &[u8] = if kind == Stream { b"UNIX-STREAM\0" } else { b"UNIX\0" };
        return give(cx, protocol, asked.buffer, asked.size);
    }
    let value = match file.attributes(&name)? {
        Some(all) => all.get(&name).await?,
        None => return Err(Errno::ENODATA.because("the file has no access control list")),
    };
    give(cx, &value, asked.buffer, asked.size)
}

/// The names of all.
async fn list(cx: &Context<'_>, asked: &Asked) -> Result<u64> {
    let file = File::new(cx, asked).await?;
    let trusted = file.who.has(Capabilities::SYS_ADMIN);
    let shown = |name: &[u8]| trusted || !name.starts_with(b"trusted.");
    let list = match file.extended() {
        Some(all) => all.list(shown).await?,
        None if file.socket().is_some() => [SOCKET_PROTOCOL, b"\0"].concat(),
        None => Vec::new(),
    };
    if list.len() > SIZE_MAX {
        return Err(Errno::E2BIG.because("the list of names exceeds 64 KiB"));
    }
    give(cx, &list, asked.buffer, asked.size)
}

/// Sets a value.
async fn set(cx: &Context<'_>, asked: &Asked) -> Result<u64> {
    let flags = asked.flags;
    if flags & !(CREATE | REPLACE) != 0 {
        return Err(Errno::EINVAL.because("only XATTR_CREATE and XATTR_REPLACE are known"));
    }
    let name = name(cx, asked.name)?;
    if asked.size > SIZE_MAX {
        return Err(Errno::E2BIG.because("the value exceeds 64 KiB"));
    }
    let mut value = alloc::vec![0; asked.size];
    cx.read_bytes(asked.buffer, &mut value)?;
    let file = File::new(cx, asked).await?;
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

/// Takes an attribute away.
async fn remove(cx: &Context<'_>, asked: &Asked) -> Result<u64> {
    let name = name(cx, asked.name)?;
    let file = File::new(cx, asked).await?;
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
    async fn new(cx: &Context<'_>, asked: &Asked) -> Result<Self> {
        let path = match asked.path {
            None => Vec::new(),
            Some(0) if asked.at & AT_EMPTY_PATH != 0 => Vec::new(),
            Some(address) => cx.read_path(address)?,
        };
        let itself = asked.path.is_none() || path.is_empty() && asked.at & AT_EMPTY_PATH != 0;
        let by_path = asked.dirfd == AT_FDCWD && (asked.path.is_some() || asked.at != 0);
        let (named, who) = if itself && !by_path {
            let who = alloc::sync::Arc::clone(&cx.process.credentials.lock());
            let descriptor = Arguments([u64::from(asked.dirfd.cast_unsigned()); 6]);
            (of_open(super::length::open_file(cx, &descriptor)?), who)
        } else {
            find(cx, asked.dirfd, &path, asked.at).await?
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

    /// What travels through it, if it is a socket.
    fn socket(&self) -> Option<vfs::socketpair::Kind> {
        match &self.named {
            Named::Place(_) => None,
            Named::Open(open) => open.downcast::<Socket>().map(Socket::kind),
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
            vfs::notify::attributes(&place.dentry);
        }
    }
}
