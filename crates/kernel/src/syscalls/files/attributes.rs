//! Permissions, owners and times.
//!
//! Source: chmod(2), chown(2), utime(2), utimensat(2).

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::anonymous::Identity;
use vfs::credentials::{Access, Capabilities, Credentials, Owner};
use vfs::mount::Place;
use vfs::node::{Change, Kind, PERMISSIONS, SET_GID, SET_UID, Time};
use vfs::object::{Stat, Status};

use super::base::{
    AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Named, check_flags, find, of_open,
};
use crate::arguments::{Arguments, Fd};
use crate::context::Context;

const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;
const SECOND: i64 = 1_000_000_000;

/// chmod(2).
pub(super) async fn chmod(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    let (named, who) = find(cx, AT_FDCWD, &path, 0).await?;
    set_permissions(&named, &who, args.uint(1)).await
}

/// fchmod(2).
pub(super) async fn fchmod(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (named, who) = of_descriptor(cx, args.fd(0))?;
    set_permissions(&named, &who, args.uint(1)).await
}

/// fchmodat(2).
pub(super) async fn fchmodat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(1))?;
    let (named, who) = find(cx, args.fd(0), &path, 0).await?;
    set_permissions(&named, &who, args.uint(2)).await
}

/// fchmodat2(2).
pub(super) async fn fchmodat2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_flags(args.uint(3), AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    let path = cx.read_path(args.address(1))?;
    let (named, who) = find(cx, args.fd(0), &path, args.uint(3)).await?;
    set_permissions(&named, &who, args.uint(2)).await
}

/// What a descriptor names, for changes: `O_PATH` is not enough.
fn of_descriptor(cx: &Context<'_>, fd: Fd) -> Result<(Named, Arc<Credentials>)> {
    let open = cx.process.files.get(fd)?;
    if open.status().contains(Status::PATH) {
        return Err(Errno::EBADF.because("the descriptor only names a file (O_PATH)"));
    }
    let who = Arc::clone(&cx.process.credentials.lock());
    Ok((of_open(open), who))
}

/// What keeps the attributes of a file.
enum Kept<'a> {
    Place(&'a Place),
    /// An object without a name.
    Unnamed(&'a Identity, Stat),
}

impl<'a> Kept<'a> {
    fn of(named: &'a Named) -> Result<Self> {
        match named {
            Named::Place(place) => {
                place.mount.check_writable()?;
                Ok(Self::Place(place))
            }
            Named::Open(open) => {
                let identity = open.object().changeable();
                let identity = identity
                    .ok_or(Errno::EOPNOTSUPP.because("it shares its inode with all of its kind"))?;
                Ok(Self::Unnamed(identity, open.object().stat()?))
            }
        }
    }

    fn owner(&self) -> Owner {
        match self {
            Self::Place(place) => place.node().owner(),
            Self::Unnamed(_, stat) => Owner { mode: stat.mode, uid: stat.uid, gid: stat.gid },
        }
    }

    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Place(place) => Some(place.node().kind()),
            Self::Unnamed(_, stat) => Kind::of_mode(stat.mode),
        }
    }

    /// Makes a change that was checked, and tells who watches the file.
    async fn change(&self, change: Change) -> Result<u64> {
        match self {
            Self::Place(place) => {
                place.node().change(change).finished().await?;
                vfs::notify::changed(&place.dentry, change);
            }
            Self::Unnamed(identity, _) => identity.change(change),
        }
        Ok(0)
    }
}

async fn set_permissions(named: &Named, who: &Credentials, mode: u32) -> Result<u64> {
    let file = Kept::of(named)?;
    let owner = file.owner();
    if file.kind() == Some(Kind::Link) {
        return Err(Errno::EOPNOTSUPP.because("a symbolic link has no permissions"));
    }
    if !who.owns(owner) {
        return Err(Errno::EPERM.because("only the owner may change permissions"));
    }
    let mut mode = mode & PERMISSIONS;
    if !who.in_group(owner.gid) && !who.has(Capabilities::FSETID) {
        mode &= !SET_GID;
    }
    file.change(Change::Permissions(mode)).await
}

/// chown(2).
pub(super) async fn chown(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    let (named, who) = find(cx, AT_FDCWD, &path, 0).await?;
    set_owner(&named, &who, args.uint(1), args.uint(2)).await
}

/// lchown(2).
pub(super) async fn lchown(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    let (named, who) = find(cx, AT_FDCWD, &path, AT_SYMLINK_NOFOLLOW).await?;
    set_owner(&named, &who, args.uint(1), args.uint(2)).await
}

/// fchown(2).
pub(super) async fn fchown(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (named, who) = of_descriptor(cx, args.fd(0))?;
    set_owner(&named, &who, args.uint(1), args.uint(2)).await
}

/// fchownat(2).
pub(super) async fn fchownat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_flags(args.uint(4), AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    let path = cx.read_path(args.address(1))?;
    let (named, who) = find(cx, args.fd(0), &path, args.uint(4)).await?;
    set_owner(&named, &who, args.uint(2), args.uint(3)).await
}

async fn set_owner(named: &Named, who: &Credentials, uid: u32, gid: u32) -> Result<u64> {
    const KEEP: u32 = u32::MAX;
    let file = Kept::of(named)?;
    let owner = file.owner();
    let may_all = who.has(Capabilities::CHOWN);
    let owns = who.fsuid == owner.uid;
    let may_user = uid == KEEP || may_all || owns && uid == owner.uid;
    let may_group = gid == KEEP || may_all || owns && (gid == owner.gid || who.in_group(gid));
    if !may_user || !may_group {
        return Err(Errno::EPERM.because("only user 0 gives files away"));
    }
    let mut mode = owner.mode & PERMISSIONS;
    if file.kind() != Some(Kind::Directory) {
        mode &= !SET_UID;
        if mode & 0o010 != 0 {
            mode &= !SET_GID;
        }
    }
    let given = |id: u32| (id != KEEP).then_some(id);
    file.change(Change::Owner(given(uid), given(gid), mode)).await
}

/// utime(2): two i64 seconds, or no pointer: now.
pub(super) async fn utime(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let times = match args.address(1) {
        0 => [Time::Now; 2],
        address => {
            cx.read::<[i64; 2]>(address)?.map(|seconds| Time::At(seconds.saturating_mul(SECOND)))
        }
    };
    let path = cx.read_path(args.address(0))?;
    set_times_of(cx, AT_FDCWD, &path, times, 0).await
}

/// utimes(2).
pub(super) async fn utimes(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let times = microseconds(cx, args.address(1))?;
    let path = cx.read_path(args.address(0))?;
    set_times_of(cx, AT_FDCWD, &path, times, 0).await
}

/// futimesat(2).
pub(super) async fn futimesat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let times = microseconds(cx, args.address(2))?;
    if args.address(1) == 0 {
        let (named, who) = of_descriptor(cx, args.fd(0))?;
        return set_times(&named, &who, times).await;
    }
    let path = cx.read_path(args.address(1))?;
    set_times_of(cx, args.fd(0), &path, times, 0).await
}

/// utimensat(2).
pub(super) async fn utimensat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let times = match args.address(2) {
        0 => [Time::Now; 2],
        address => {
            let [first, second]: [[i64; 2]; 2] = cx.read(address)?;
            [nanoseconds(first)?, nanoseconds(second)?]
        }
    };
    if times == [Time::Keep; 2] {
        return Ok(0);
    }
    let flags = args.uint(3);
    if args.address(1) == 0 && args.fd(0) != AT_FDCWD {
        check_flags(flags, 0)?;
        let (named, who) = of_descriptor(cx, args.fd(0))?;
        return set_times(&named, &who, times).await;
    }
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    let path = cx.read_path(args.address(1))?;
    set_times_of(cx, args.fd(0), &path, times, flags).await
}

fn nanoseconds([seconds, fraction]: [i64; 2]) -> Result<Time> {
    match fraction {
        UTIME_NOW => Ok(Time::Now),
        UTIME_OMIT => Ok(Time::Keep),
        0..SECOND => Ok(Time::At(seconds.saturating_mul(SECOND).saturating_add(fraction))),
        _ => Err(Errno::EINVAL.because("nanoseconds outside of a second")),
    }
}

fn microseconds(cx: &Context<'_>, address: u64) -> Result<[Time; 2]> {
    if address == 0 {
        return Ok([Time::Now; 2]);
    }
    let pairs: [[i64; 2]; 2] = cx.read(address)?;
    if pairs.iter().any(|[_, micros]| !(0..1_000_000).contains(micros)) {
        return Err(Errno::EINVAL.because("microseconds outside of a second"));
    }
    Ok(pairs.map(|[seconds, micros]| {
        Time::At(seconds.saturating_mul(SECOND).saturating_add(micros * 1000))
    }))
}

async fn set_times_of(
    cx: &Context<'_>,
    dirfd: Fd,
    path: &[u8],
    times: [Time; 2],
    flags: u32,
) -> Result<u64> {
    let (named, who) = find(cx, dirfd, path, flags).await?;
    set_times(&named, &who, times).await
}

async fn set_times(named: &Named, who: &Credentials, times: [Time; 2]) -> Result<u64> {
    let file = Kept::of(named)?;
    let owner = file.owner();
    if !who.owns(owner) {
        if times != [Time::Now; 2] {
            return Err(Errno::EPERM.because("only the owner may set times"));
        }
        who.check(owner, Access::WRITE)?;
    }
    file.change(Change::Times(times[0], times[1])).await
}
