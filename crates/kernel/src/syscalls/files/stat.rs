//! What files are: stat, statx, statfs, access.
//!
//! Source: stat(2), statx(2), statfs(2), access(2).

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::{Access, Credentials};
use vfs::mount::{Flags, Place};
use vfs::node::Kind;
use vfs::object::{OpenFile, Stat};

use super::base::{
    AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, Named, check_flags, find,
    of_open,
};
use crate::arguments::Arguments;
use crate::context::Context;

/// The real identities count (faccessat2).
const AT_EACCESS: u32 = 0x200;
/// Basic fields and the birth time.
const STATX_ALL: u32 = 0xfff;
const STATX_BASIC: u32 = 0x7ff;
const STATX_RESERVED: u32 = 0x8000_0000;
const SECOND: i64 = 1_000_000_000;
/// `AT_STATX_SYNC_TYPE`: what the host says is asked for each time, whatever these say.
const SYNC_TYPE: u32 = 0x6000;

/// stat(2).
pub(super) async fn stat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    let (named, _) = find(cx, AT_FDCWD, &path, 0).await?;
    write_stat(cx, args.address(1), &described(&named)?)
}

/// lstat(2).
pub(super) async fn lstat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    let (named, _) = find(cx, AT_FDCWD, &path, AT_SYMLINK_NOFOLLOW).await?;
    write_stat(cx, args.address(1), &described(&named)?)
}

/// fstat(2).
pub(super) fn fstat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let open = cx.process.files.get(args.fd(0))?;
    write_stat(cx, args.address(1), &of_file(&open)?)
}

/// newfstatat(2).
pub(super) async fn newfstatat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.uint(3);
    let path = optional_path(cx, args.address(1), flags)?;
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | SYNC_TYPE)?;
    let (named, _) = find(cx, args.fd(0), &path, flags).await?;
    write_stat(cx, args.address(2), &described(&named)?)
}

/// statx(2).
pub(super) async fn statx(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const MOUNT_ID: u32 = 0x1000;
    const MOUNT_ID_UNIQUE: u32 = 0x4000;
    let (flags, mask) = (args.uint(2), args.uint(3));
    let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | SYNC_TYPE;
    check_flags(flags, known)?;
    if mask & STATX_RESERVED != 0 || flags & SYNC_TYPE == SYNC_TYPE {
        return Err(
            Errno::EINVAL.because("reserved bits of the mask, or both kinds of synchronisation")
        );
    }
    let path = optional_path(cx, args.address(1), flags)?;
    let (named, _) = find(cx, args.fd(0), &path, flags).await?;
    let stat = described(&named)?;
    let root = matches!(&named, Named::Place(place) if place.is(&place.mount.root()));
    let unique = mask & MOUNT_ID_UNIQUE != 0;
    let id = match &named {
        Named::Place(place) if unique => (MOUNT_ID_UNIQUE, place.mount.unique()),
        Named::Place(place) => (MOUNT_ID, place.mount.id.into()),
        Named::Open(_) => (if unique { MOUNT_ID_UNIQUE } else { MOUNT_ID }, 0),
    };
    cx.write_bytes(args.address(4), &statx_bytes(&stat, root, id))?;
    Ok(0)
}

/// A path that may be missing where it may be empty.
fn optional_path(cx: &Context<'_>, address: u64, flags: u32) -> Result<alloc::vec::Vec<u8>> {
    if address == 0 && flags & AT_EMPTY_PATH != 0 {
        return Ok(alloc::vec::Vec::new());
    }
    cx.read_path(address)
}

/// What is named is.
pub(super) fn described(named: &Named) -> Result<Stat> {
    match named {
        Named::Place(place) => place.node().stat(),
        Named::Open(open) => open.object().stat(),
    }
}

/// What an open file is; a device that was opened by name shows the name's inode.
pub(super) fn of_file(open: &Arc<OpenFile>) -> Result<Stat> {
    match open.place() {
        Some(place) if open.object().node().is_none() => place.node().stat(),
        _ => open.object().stat(),
    }
}

/// Writes a `struct stat`.
fn write_stat(cx: &Context<'_>, address: u64, stat: &Stat) -> Result<u64> {
    let mut bytes = Bytes::<144>::new();
    bytes.put(0, stat.device.to_le_bytes());
    bytes.put(8, stat.inode.to_le_bytes());
    bytes.put(16, u64::from(stat.links).to_le_bytes());
    bytes.put(24, stat.mode.to_le_bytes());
    bytes.put(28, stat.uid.to_le_bytes());
    bytes.put(32, stat.gid.to_le_bytes());
    bytes.put(40, stat.rdev.to_le_bytes());
    bytes.put(48, stat.size.to_le_bytes());
    bytes.put(56, u64::from(stat.block_size).to_le_bytes());
    bytes.put(64, stat.blocks.to_le_bytes());
    for (at, time) in [(72, stat.accessed), (88, stat.modified), (104, stat.changed)] {
        bytes.put(at, time.div_euclid(SECOND).to_le_bytes());
        bytes.put(at + 8, time.rem_euclid(SECOND).to_le_bytes());
    }
    cx.write_bytes(address, &bytes.0)?;
    Ok(0)
}

/// A `struct statx`.
fn statx_bytes(stat: &Stat, root: bool, (told, mount): (u32, u64)) -> [u8; 256] {
    const ATTRIBUTE_MOUNT_ROOT: u64 = 0x2000;
    let mut bytes = Bytes::<256>::new();
    let known = if stat.born == 0 { STATX_BASIC } else { STATX_ALL };
    bytes.put(0, (known | told).to_le_bytes());
    bytes.put(4, stat.block_size.to_le_bytes());
    bytes.put(8, (if root { ATTRIBUTE_MOUNT_ROOT } else { 0 }).to_le_bytes());
    bytes.put(16, stat.links.to_le_bytes());
    bytes.put(20, stat.uid.to_le_bytes());
    bytes.put(24, stat.gid.to_le_bytes());
    bytes.put(28, u16::try_from(stat.mode).unwrap_or(u16::MAX).to_le_bytes());
    bytes.put(32, stat.inode.to_le_bytes());
    bytes.put(40, stat.size.to_le_bytes());
    bytes.put(48, stat.blocks.to_le_bytes());
    bytes.put(56, ATTRIBUTE_MOUNT_ROOT.to_le_bytes());
    let times = [(64, stat.accessed), (80, stat.born), (96, stat.changed), (112, stat.modified)];
    for (at, time) in times {
        bytes.put(at, time.div_euclid(SECOND).to_le_bytes());
        let fraction = u32::try_from(time.rem_euclid(SECOND)).unwrap_or(0);
        bytes.put(at + 8, fraction.to_le_bytes());
    }
    for (at, device) in [(128, stat.rdev), (136, stat.device)] {
        bytes.put(at, major(device).to_le_bytes());
        bytes.put(at + 4, minor(device).to_le_bytes());
    }
    bytes.put(144, mount.to_le_bytes());
    bytes.0
}

/// Major number of a device, as makedev(3) packs it.
fn major(device: u64) -> u32 {
    u32::try_from(device >> 8 & 0xfff | device >> 32 & 0xffff_f000).unwrap_or(u32::MAX)
}

/// Minor number of a device.
fn minor(device: u64) -> u32 {
    u32::try_from(device & 0xff | device >> 12 & 0xffff_ff00).unwrap_or(u32::MAX)
}

/// A structure of the ABI being filled in.
struct Bytes<const LEN: usize>([u8; LEN]);

impl<const LEN: usize> Bytes<LEN> {
    fn new() -> Self {
        Self([0; LEN])
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&bytes);
    }
}

/// access(2).
pub(super) async fn access(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let wanted = wanted(args.uint(1))?;
    let path = cx.read_path(args.address(0))?;
    check_access(cx, AT_FDCWD, &path, wanted, 0).await
}

/// faccessat(2) without flags.
pub(super) async fn faccessat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let wanted = wanted(args.uint(2))?;
    let path = cx.read_path(args.address(1))?;
    check_access(cx, args.fd(0), &path, wanted, 0).await
}

/// faccessat2(2).
pub(super) async fn faccessat2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let wanted = wanted(args.uint(2))?;
    let flags = args.uint(3);
    check_flags(flags, AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    let path = optional_path(cx, args.address(1), flags)?;
    check_access(cx, args.fd(0), &path, wanted, flags).await
}

/// What an access mode asks for.
fn wanted(mode: u32) -> Result<Access> {
    Access::from_bits(mode).ok_or(Errno::EINVAL.because("unknown bits of the access mode"))
}

async fn check_access(
    cx: &Context<'_>,
    dirfd: i32,
    path: &[u8],
    wanted: Access,
    flags: u32,
) -> Result<u64> {
    let effective = Arc::clone(&cx.process.credentials.lock());
    let real = || Arc::new(effective.with_real_identities());
    let who = if flags & AT_EACCESS != 0 { Arc::clone(&effective) } else { real() };
    let Some(place) = place_as(cx, dirfd, path, flags, &who).await? else { return Ok(0) };
    permit(&place, &who, wanted)?;
    Ok(0)
}

/// The place that a path names when `who` walks; `None` for an open file without one.
async fn place_as(
    cx: &Context<'_>,
    dirfd: i32,
    path: &[u8],
    flags: u32,
    who: &Arc<Credentials>,
) -> Result<Option<Place>> {
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        let (named, _) = find(cx, dirfd, path, flags).await?;
        return Ok(match named {
            Named::Place(place) => Some(place),
            Named::Open(_) => None,
        });
    }
    let base = super::base::Base::new(cx, dirfd, path)?;
    let start = vfs::path::Start { who, ..base.start() };
    let last = if flags & AT_SYMLINK_NOFOLLOW != 0 {
        vfs::path::Last::Keep
    } else {
        vfs::path::Last::Follow
    };
    vfs::path::resolve(start, path, last).await.map(Some)
}

fn permit(place: &Place, who: &Credentials, wanted: Access) -> Result<()> {
    let kind = place.node().kind();
    let no_exec = place.mount.flags().contains(Flags::NO_EXEC);
    if wanted.contains(Access::EXECUTE) && kind == Kind::File && no_exec {
        return Err(Errno::EACCES.because("nothing can be run from this mount"));
    }
    who.check(place.node().owner(), wanted)?;
    if wanted.contains(Access::WRITE) && matches!(kind, Kind::File | Kind::Directory | Kind::Link) {
        place.mount.check_writable()?;
    }
    Ok(())
}

/// statfs(2).
pub(super) async fn statfs(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    let (named, _) = find(cx, AT_FDCWD, &path, 0).await?;
    write_statfs(cx, args.address(1), &named)
}

/// fstatfs(2).
pub(super) fn fstatfs(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let open = cx.process.files.get(args.fd(0))?;
    write_statfs(cx, args.address(1), &of_open(open))
}

/// Writes a `struct statfs`: sizes are the enclave's memory, which all file systems share.
fn write_statfs(cx: &Context<'_>, address: u64, named: &Named) -> Result<u64> {
    /// Pipes, sockets, and other objects without names.
    const PIPES: u64 = 0x5049_5045;
    const SOCKETS: u64 = 0x534f_434b;
    const ANONYMOUS: u64 = 0x0904_1934;
    const BLOCK: u64 = 4096;
    const FLAGS_VALID: u64 = 0x20;
    let limit = platform::budget::limit();
    let left = platform::budget::available();
    let mut bytes = Bytes::<120>::new();
    let (magic, device, flags) = match named {
        Named::Place(place) => {
            let volume = place.node().volume();
            let flags = place.mount.flags();
            let read_only = if volume.is_read_only() { Flags::READ_ONLY } else { flags };
            (volume.magic, volume.device, (flags | read_only).bits())
        }
        Named::Open(open) => match Kind::of_mode(open.object().stat()?.mode) {
            Some(Kind::Pipe) => (PIPES, 0, 0),
            Some(Kind::Socket) => (SOCKETS, 0, 0),
            _ => (ANONYMOUS, 0, 0),
        },
    };
    bytes.put(0, magic.to_le_bytes());
    bytes.put(8, BLOCK.to_le_bytes());
    let limits = match named {
        Named::Place(place) => place.node().volume().limits.as_ref(),
        Named::Open(_) => None,
    };
    if let Some(limits) = limits {
        let left = |quota: &storage::quota::Quota| quota.most().saturating_sub(quota.used());
        bytes.put(16, limits.pages.most().to_le_bytes());
        bytes.put(24, left(&limits.pages).to_le_bytes());
        bytes.put(32, left(&limits.pages).to_le_bytes());
        bytes.put(40, limits.inodes.most().to_le_bytes());
        bytes.put(48, left(&limits.inodes).to_le_bytes());
    } else if matches!(named, Named::Place(_)) {
        bytes.put(16, (limit / BLOCK).to_le_bytes());
        bytes.put(24, (left / BLOCK).to_le_bytes());
        bytes.put(32, (left / BLOCK).to_le_bytes());
        bytes.put(40, (limit / BLOCK).to_le_bytes());
        bytes.put(48, (left / BLOCK).to_le_bytes());
    }
    bytes.put(56, device.to_le_bytes());
    bytes.put(64, 255_u64.to_le_bytes());
    bytes.put(72, BLOCK.to_le_bytes());
    bytes.put(80, (u64::from(flags) | FLAGS_VALID).to_le_bytes());
    cx.write_bytes(address, &bytes.0)?;
    Ok(0)
}
