//! Listing directories, and where paths start.
//!
//! Source: getdents(2), getcwd(2), chdir(2), umask(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Access;
use vfs::mount::Place;
use vfs::node::Kind;
use vfs::object::{Attempt, Entry, OpenFile, Stop};

use super::base::{AT_FDCWD, Base};
use super::length::open_file;
use crate::arguments::Arguments;
use crate::context::Context;

/// The most bytes that are gathered for one call.
const GATHERED: usize = 64 << 10;

/// Layout of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `struct linux_dirent`: the type is the last byte.
    Old,
    /// `struct linux_dirent64`: the type stands before the name.
    New,
}

/// getdents(2) and getdents64(2).
pub(super) async fn getdents(cx: &Context<'_>, args: &Arguments, old: bool) -> Result<u64> {
    let file = open_file(cx, args)?;
    if !file.object().node().is_some_and(|node| node.kind() == Kind::Directory) {
        return Err(Errno::ENOTDIR.because("it is no directory"));
    }
    let layout = if old { Layout::Old } else { Layout::New };
    // Linux counts down an int: from below zero, no entry fits.
    let room = usize::try_from(args.int(2)).unwrap_or(0).min(GATHERED);
    let (bytes, position) = loop {
        match gather(&file, layout, room) {
            Ok(gathered) => {
                vfs::notify::accessed(&file);
                break gathered;
            }
            Err(Stop::Error(error)) => {
                vfs::notify::accessed(&file);
                return Err(error);
            }
            Err(Stop::Fill { offset, len }) => file.object().fill(offset, len).await?,
            Err(Stop::WouldBlock | Stop::Paced) => {
                return Err(Errno::EIO.because("a directory blocks"));
            }
        }
    };
    // The position moves only when the entries have arrived.
    cx.write_bytes(args.address(1), &bytes)?;
    *file.position().lock() = position;
    Ok(bytes.len() as u64)
}

fn gather(file: &Arc<OpenFile>, layout: Layout, room: usize) -> Attempt<(Vec<u8>, u64)> {
    let start = *file.position().lock();
    let mut bytes = Vec::new();
    let mut refused = false;
    let position = file.object().list(start, &mut |entry| {
        let taken = put(&mut bytes, layout, room, &entry);
        refused = !taken;
        taken
    })?;
    if refused && bytes.is_empty() {
        return Err(Errno::EINVAL.because("the buffer has no room for one entry").into());
    }
    Ok((bytes, position))
}

/// Appends an entry: inode, next position (8 bytes each), length (2), type and name; padded to 8.
fn put(bytes: &mut Vec<u8>, layout: Layout, room: usize, entry: &Entry<'_>) -> bool {
    let head = if layout == Layout::New { 19 } else { 18 };
    let len = (head + entry.name.len() + 2).next_multiple_of(8);
    let len =
        if layout == Layout::New { (head + entry.name.len() + 1).next_multiple_of(8) } else { len };
    let Ok(written_len) = u16::try_from(len) else { return false };
    if bytes.len() + len > room {
        return false;
    }
    let end = bytes.len() + len;
    bytes.extend_from_slice(&entry.inode.to_le_bytes());
    bytes.extend_from_slice(&entry.next.to_le_bytes());
    bytes.extend_from_slice(&written_len.to_le_bytes());
    if layout == Layout::New {
        bytes.push(entry.kind);
    }
    bytes.extend_from_slice(entry.name);
    bytes.resize(end, 0);
    if layout == Layout::Old {
        bytes[end - 1] = entry.kind;
    }
    true
}

/// getcwd(2).
pub(super) fn getcwd(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let directories = cx.process.directories.lock().clone();
    let text = directories.current.path(&directories.root);
    if text.removed {
        return Err(Errno::ENOENT.because("the working directory was removed"));
    }
    let mut bytes = if text.reachable { Vec::new() } else { b"(unreachable)".to_vec() };
    bytes.extend_from_slice(&text.bytes);
    bytes.push(0);
    if bytes.len() > args.size(1) {
        return Err(Errno::ERANGE.because("the buffer is too short for the path"));
    }
    cx.write_bytes(args.address(0), &bytes)?;
    Ok(bytes.len() as u64)
}

/// chdir(2).
pub(super) async fn chdir(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let place = directory(cx, args.address(0)).await?;
    cx.process.directories.lock().current = place;
    Ok(0)
}

/// fchdir(2).
pub(super) fn fchdir(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = cx.process.files.get(args.fd(0))?;
    let place = file.place().filter(|place| place.node().kind() == Kind::Directory);
    let place = place.ok_or(Errno::ENOTDIR)?.clone();
    let who = Arc::clone(&cx.process.credentials.lock());
    who.check(place.node().owner(), Access::EXECUTE)?;
    cx.process.directories.lock().current = place;
    Ok(0)
}

/// A directory that the caller may search.
pub(in crate::syscalls) async fn directory(cx: &Context<'_>, address: u64) -> Result<Place> {
    let path = cx.read_path(address)?;
    let base = Base::new(cx, AT_FDCWD, &path)?;
    let place = vfs::path::resolve(base.start(), &path, vfs::path::Last::Follow).await?;
    if place.node().kind() != Kind::Directory {
        return Err(Errno::ENOTDIR.because("it is no directory"));
    }
    base.who.check(place.node().owner(), Access::EXECUTE)?;
    Ok(place)
}

/// umask(2).
pub(super) fn umask(cx: &Context<'_>, args: &Arguments) -> u64 {
    let mut directories = cx.process.directories.lock();
    let old = directories.umask;
    directories.umask = args.uint(0) & 0o777;
    old.into()
}
