//! Opening by name.
//!
//! Source: open(2), openat2(2).

use alloc::sync::Arc;
use core::future::Future;

use abi::Errno;
use abi::errno::Result;

use crate::credentials::{Access, Credentials};
use crate::mount::{Flags, Place};
use crate::node::{Kind, New, Node, Opened};
use crate::object::{Object, OpenFile, Status, Stop};
use crate::path::{Last, LastName, Name, Start, Walk};
use crate::pipe;
use crate::{names, notify, path};

bitflags::bitflags! {
    /// Flags of open(2) that say how to open, and do not stay.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct How: u32 {
        /// Make it when it is not there.
        const CREATE = 0o100;
        /// Refuse when it is there.
        const EXCLUSIVE = 0o200;
        /// It does not become the controlling terminal.
        const NO_CONTROL = 0o400;
        /// Cut it to nothing.
        const TRUNCATE = 0o1000;
        /// It must be a directory.
        const DIRECTORY = 0o200_000;
        /// The last name must not be a symbolic link.
        const NO_FOLLOW = 0o400_000;
        /// Close it at execve(2).
        const CLOSE_ON_EXEC = 0o2_000_000;
        /// An unnamed file in that directory (without the bit of `DIRECTORY`).
        const TEMPORARY = 0o20_000_000;
    }
}

/// What to open, and how.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Access mode and flags that stay.
    pub status: Status,
    /// The other flags.
    pub how: How,
    /// Permissions of a new file, the mask applied.
    pub permissions: u32,
}

/// Opens a path.
///
/// # Errors
/// Those of open(2): ENOENT, EEXIST, EISDIR, ENOTDIR, EACCES, ELOOP, EROFS, EPERM, ETXTBSY, ENXIO,
/// EOPNOTSUPP, and those of the walk.
pub async fn open(start: Start<'_>, path: &[u8], request: Request) -> Result<Arc<OpenFile>> {
    if request.how.contains(How::TEMPORARY) {
        return open_unnamed(start, path, request).await;
    }
    if !request.how.contains(How::CREATE) {
        let last = if request.how.contains(How::NO_FOLLOW) { Last::Keep } else { Last::Follow };
        let mut walk = Walk::new(start, path)?;
        walk.to_end(last).await?;
        return open_place(walk.into_place(), start.who, request).await;
    }
    let mut walk = Walk::new(start, path)?;
    loop {
        let leaf = walk.to_leaf().await?;
        let name: &Name = match &leaf.name {
            LastName::Name(_) if leaf.slash => {
                return Err(Errno::EISDIR
                    .because("a file can't be made under a name with a slash behind it"));
            }
            LastName::Name(name) => name,
            _ => return open_existing(leaf.parent, start.who, request).await,
        };
        match walk.look(name).await? {
            Some(place) if place.node().kind() == Kind::Link => {
                if request.how.contains(How::EXCLUSIVE) {
                    return Err(Errno::EEXIST.because("O_EXCL, and a symbolic link has the name"));
                }
                if request.how.contains(How::NO_FOLLOW) {
                    return Err(Errno::ELOOP.because("the last name is a symbolic link"));
                }
                walk.follow(place).await?;
            }
            Some(place) => return open_existing(place, start.who, request).await,
            None => match create(&leaf.parent, name, start.who, request).await {
                Err(error)
                    if error.errno == Errno::EEXIST && !request.how.contains(How::EXCLUSIVE) =>
                {
                    // Somebody else made it meanwhile.
                    let Some(place) = walk.look(name).await? else { continue };
                    return open_existing(place, start.who, request).await;
                }
                other => return other,
            },
        }
    }
}

/// Opens a new file without a name.
async fn open_unnamed(start: Start<'_>, path: &[u8], request: Request) -> Result<Arc<OpenFile>> {
    let last = if request.how.contains(How::NO_FOLLOW) { Last::Keep } else { Last::Follow };
    let directory = path::resolve(start, path, last).await?;
    if directory.node().kind() != Kind::Directory {
        return Err(Errno::ENOTDIR.because("O_TMPFILE needs a directory"));
    }
    directory.mount.check_writable()?;
    start.who.check(directory.node().owner(), Access::WRITE | Access::EXECUTE)?;
    let new = new_file(start.who, request.permissions);
    let linkable = !request.how.contains(How::EXCLUSIVE);
    let dentry = directory.node().create_unnamed(&directory.dentry, new, linkable)?;
    let open = describe(Place { mount: directory.mount, dentry }, request.status).await?;
    notify::opened(&open);
    Ok(open)
}

fn new_file(who: &Credentials, permissions: u32) -> New<'static> {
    let (uid, gid) = (who.fsuid, who.fsgid);
    New { kind: Kind::File, permissions, uid, gid, rdev: 0, target: b"" }
}

async fn create(
    parent: &Place,
    name: &[u8],
    who: &Credentials,
    request: Request,
) -> Result<Arc<OpenFile>> {
    let new = new_file(who, request.permissions);
    let place = names::make_in(parent, name, who, new).await?;
    // Whoever makes a file may open it in any way, whatever its permissions say.
    let open = describe(place, request.status).await?;
    open.set_created();
    notify::opened(&open);
    Ok(open)
}

/// Opens what `O_CREAT` found to be there.
async fn open_existing(place: Place, who: &Credentials, request: Request) -> Result<Arc<OpenFile>> {
    if request.how.contains(How::EXCLUSIVE) {
        return Err(Errno::EEXIST.because("O_EXCL, and the name is taken"));
    }
    if place.node().kind() == Kind::Directory {
        return Err(Errno::EISDIR.because("O_CREAT makes no directories"));
    }
    open_place(place, who, request).await
}

/// Makes a description of a place for the LibOS's own use: nobody is told that it was opened.
///
/// # Errors
/// As [`open`].
pub async fn open_unseen(
    place: Place,
    who: &Credentials,
    request: Request,
) -> Result<Arc<OpenFile>> {
    check_access(&place, who, request)?;
    let open = describe(place, request.status).await?;
    open.set_unseen();
    Ok(open)
}

/// Opens a place that a walk gave.
async fn open_place(place: Place, who: &Credentials, request: Request) -> Result<Arc<OpenFile>> {
    let kind = place.node().kind();
    let status = request.status;
    if request.how.contains(How::DIRECTORY) && kind != Kind::Directory {
        return Err(Errno::ENOTDIR.because("O_DIRECTORY, and it is none"));
    }
    if status.contains(Status::PATH) {
        let object: Arc<dyn Object> = Arc::<dyn Node>::clone(place.node());
        return Ok(OpenFile::new(object, status, Some(place)));
    }
    if kind == Kind::Link {
        return Err(Errno::ELOOP.because("the last name is a symbolic link"));
    }
    check_access(&place, who, request)?;
    if status.contains(Status::DIRECT) && kind != Kind::File {
        return Err(Errno::EINVAL.because("it has no way around the page cache"));
    }
    let open = describe(place, status).await?;
    if kind != Kind::Pipe {
        // A named pipe is open when both sides are: who waits for that tells it.
        notify::opened(&open);
    }
    if request.how.contains(How::TRUNCATE) && kind == Kind::File {
        truncate(open.object(), 0).await?;
        notify::modified(&open);
    }
    Ok(open)
}

fn check_access(place: &Place, who: &Credentials, request: Request) -> Result<()> {
    let kind = place.node().kind();
    let writes = request.status.intersects(Status::WRITE | Status::READ_WRITE);
    let reads = !request.status.contains(Status::WRITE);
    let mut wanted = Access::empty();
    wanted.set(Access::READ, reads);
    wanted.set(Access::WRITE, writes || request.how.contains(How::TRUNCATE));
    let has_contents = matches!(kind, Kind::File | Kind::Directory);
    if wanted.contains(Access::WRITE) {
        if kind == Kind::Directory {
            return Err(Errno::EISDIR.because("a directory can't be opened for writing"));
        }
        if has_contents {
            place.mount.check_writable()?;
        }
    }
    let owner = place.node().owner();
    who.check(owner, wanted)?;
    if request.status.contains(Status::NOATIME) && !who.owns(owner) {
        return Err(Errno::EPERM.because("only the owner may leave the access time alone"));
    }
    Ok(())
}

/// Makes the description.
async fn describe(place: Place, status: Status) -> Result<Arc<OpenFile>> {
    let writable = status.intersects(Status::WRITE | Status::READ_WRITE);
    let opened = loop {
        match Arc::clone(place.node()).open(&place, status) {
            Ok(opened) => break opened,
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { offset, len }) => place.node().fill(offset, len).await?,
            Err(Stop::WouldBlock | Stop::Paced) => return Err(Errno::EAGAIN.into()),
        }
    };
    match opened {
        Opened::Description(open) => Ok(open),
        Opened::Object(object) => {
            place.node().opened(writable)?;
            Ok(OpenFile::new(object, status, Some(place)))
        }
    }
}

/// The other side of a named pipe that was just opened, unless nobody is to wait for it: open(2) of a
/// FIFO returns when both sides are open.
pub fn other_side(open: &OpenFile) -> Option<impl Future<Output = ()> + Send + '_> {
    let end = open.downcast::<pipe::End>().filter(|end| !open.nonblocking() && !end.has_met())?;
    Some(async move {
        let queue = end.pipe().queue(open.status());
        loop {
            let listener = queue.listen();
            if end.has_met() {
                return;
            }
            listener.await;
        }
    })
}

/// Sets the length of an object, contents brought in and carried to the host as needed.
///
/// # Errors
/// Those of ftruncate(2).
pub async fn truncate(object: &Arc<dyn Object>, len: u64) -> Result<()> {
    loop {
        match object.truncate(len) {
            Ok(()) => break,
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { offset, len }) => object.fill(offset, len).await?,
            Err(Stop::WouldBlock | Stop::Paced) => return Err(Errno::EAGAIN.into()),
        }
    }
    match object.settle() {
        Some(settled) => settled.await,
        None => Ok(()),
    }
}

/// Whether a place may be run (execve(2)).
///
/// # Errors
/// EACCES: not a regular file, no permission, or a mount that forbids it.
pub fn check_runnable(place: &Place, who: &Credentials) -> Result<()> {
    if place.node().kind() != Kind::File {
        return Err(Errno::EACCES.because("only regular files can be run"));
    }
    if place.mount.flags().contains(Flags::NO_EXEC) {
        return Err(Errno::EACCES.because("nothing can be run from this mount"));
    }
    who.check(place.node().owner(), Access::EXECUTE)
}
