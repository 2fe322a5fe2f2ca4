//! `memfd_create`.
//!
//! Source: `memfd_create(2)`. Differs from Linux: no huge pages.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::sync::{Mutex, Once};
use vfs::credentials::Owner;
use vfs::dentry::Dentry;
use vfs::mount::Place;
use vfs::node::{Answer, Kind, New, Opened};
use vfs::object::{OpenFile, Status, Stop};
use vfs::seal::Seal;
use vfs::tree::{TMPFS_MAGIC, Tree};

use super::objects;
use crate::arguments::Arguments;
use crate::context::Context;

const CLOEXEC: u32 = 1;
const ALLOW_SEALING: u32 = 2;
const HUGE_PAGES: u32 = 4;
const NOT_EXECUTABLE: u32 = 8;
const EXECUTABLE: u32 = 16;

/// Bytes of the longest name, without the prefix and the NUL.
const NAME_MAX: usize = 249;

/// The file system of files without names; no path leads into it.
static FILES: Once<Tree> = Once::new();
/// Held while a file has its name, so that two may be called the same.
static NAMING: Mutex<()> = Mutex::new(());

/// `memfd_create(2)`: name, flags.
pub(super) fn memfd_create(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.uint(1);
    if flags & HUGE_PAGES != 0 {
        return Err(Errno::EINVAL.because("huge pages can't be asked for by file"));
    }
    let known = CLOEXEC | ALLOW_SEALING | NOT_EXECUTABLE | EXECUTABLE;
    if flags & !known != 0 || flags & NOT_EXECUTABLE != 0 && flags & EXECUTABLE != 0 {
        return Err(Errno::EINVAL.because("an unknown flag of memfd_create, or two at odds"));
    }
    let name = cx.read_string(args.address(0), NAME_MAX + 1, Errno::EINVAL)?;
    let permissions = if flags & NOT_EXECUTABLE == 0 { 0o777 } else { 0o666 };
    let file = make(cx, &name, permissions)?;
    if let Some(contents) = file.downcast::<vfs::tree::File>() {
        let exec = if flags & NOT_EXECUTABLE == 0 { Seal::empty() } else { Seal::EXEC };
        let open_to_more = flags & (ALLOW_SEALING | NOT_EXECUTABLE) != 0;
        contents.make_sealable(if open_to_more { exec } else { Seal::SEAL });
    }
    let on_exec = if flags & CLOEXEC == 0 { 0 } else { objects::CLOEXEC };
    cx.process.files.add(file, objects::on_exec(on_exec)).map(u64::from)
}

fn make(cx: &Context<'_>, name: &[u8], permissions: u32) -> Result<Arc<OpenFile>> {
    let owner = objects::owner(cx);
    if FILES.get().is_none() {
        FILES.set(Tree::memory("tmpfs", TMPFS_MAGIC, Owner { mode: 0o700, uid: 0, gid: 0 }));
    }
    let tree = FILES.get().ok_or(Errno::ENOMEM)?;
    let new =
        New { kind: Kind::File, permissions, uid: owner.uid, gid: owner.gid, rdev: 0, target: &[] };
    let dentry = unnamed(tree.root(), name, new)?;
    let place = Place::without_path(dentry);
    let status = Status::READ_WRITE | Status::LARGE;
    match Arc::clone(place.node()).open(&place, status) {
        Ok(Opened::Object(object)) => {
            place.node().opened(true)?;
            Ok(OpenFile::new(object, status, Some(place)))
        }
        Ok(Opened::Description(file)) => Ok(file),
        Err(Stop::Error(error)) => Err(error),
        Err(_) => Err(Errno::EIO.because("a file in memory made its opener wait")),
    }
}

/// A file with a name that is taken away again.
fn unnamed(root: &Arc<Dentry>, name: &[u8], new: New<'_>) -> Result<Arc<Dentry>> {
    let mut full: Vec<u8> = b"memfd:".to_vec();
    full.extend_from_slice(name);
    let _naming = NAMING.lock();
    let dentry = now(root.node().create(root, &full, new))?;
    now(root.node().remove(root, &dentry))?;
    Ok(dentry)
}

/// The answer of a file system in memory, which never has to ask anybody.
fn now<T>(answer: Answer<'_, T>) -> Result<T> {
    match answer {
        Answer::Now(result) => result,
        Answer::Later(_) => Err(Errno::EIO.because("a file system in memory made its user wait")),
    }
}
