//! Where the paths of a call start, and who walks.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Credentials;
use vfs::mount::Place;
use vfs::node::Kind;
use vfs::object::OpenFile;
use vfs::path::{Last, Refuse, Start};

use crate::arguments::Fd;
use crate::context::Context;

/// `dirfd`: the working directory.
pub(in crate::syscalls) const AT_FDCWD: Fd = -100;
/// A last symbolic link is not followed.
pub(in crate::syscalls) const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
/// A last symbolic link is followed.
pub(in crate::syscalls) const AT_SYMLINK_FOLLOW: u32 = 0x400;
/// Nothing is mounted on the way; nothing ever is here.
pub(in crate::syscalls) const AT_NO_AUTOMOUNT: u32 = 0x800;
/// An empty path means `dirfd` itself.
pub(in crate::syscalls) const AT_EMPTY_PATH: u32 = 0x1000;

/// Where a path starts, and who walks: what [`Start`] borrows.
pub(in crate::syscalls) struct Base {
    root: Place,
    from: Place,
    pub(in crate::syscalls) umask: u32,
    pub(in crate::syscalls) who: Arc<Credentials>,
}

impl Base {
    /// The base of `path` below `dirfd`.
    ///
    /// # Errors
    /// ENOENT for an empty path; EBADF, and ENOTDIR when `dirfd` is no directory, both only for
    /// relative paths.
    pub(in crate::syscalls) fn new(cx: &Context<'_>, dirfd: Fd, path: &[u8]) -> Result<Self> {
        if path.is_empty() {
            return Err(Errno::ENOENT.because("the path is empty"));
        }
        let directories = cx.process.directories.lock().clone();
        let from = if dirfd == AT_FDCWD || path.first() == Some(&b'/') {
            directories.current
        } else {
            let open = cx.process.files.get(dirfd)?;
            let place = open
                .place()
                .filter(|place| place.node().kind() == Kind::Directory)
                .ok_or(Errno::ENOTDIR.because("the descriptor is no directory"))?;
            place.clone()
        };
        let who = Arc::clone(&cx.process.credentials.lock());
        Ok(Self { root: directories.root, from, umask: directories.umask, who })
    }

    /// A walk from there.
    pub(in crate::syscalls) fn start(&self) -> Start<'_> {
        Start::new(&self.root, &self.from, &self.who)
    }

    /// The same that refuses some ways.
    pub(in crate::syscalls) fn start_refusing(&self, refuse: Refuse) -> Start<'_> {
        Start { refuse, ..self.start() }
    }
}

/// What a `dirfd`, a path and AT_ flags name.
pub(in crate::syscalls) enum Named {
    /// A place.
    Place(Place),
    /// An open file that no path leads to: a pipe, a socket.
    Open(Arc<OpenFile>),
}

/// Follows `path` below `dirfd`; with `AT_EMPTY_PATH` an empty path is `dirfd` itself.
///
/// # Errors
/// Those of the walk; EBADF.
pub(in crate::syscalls) async fn find(
    cx: &Context<'_>,
    dirfd: Fd,
    path: &[u8],
    flags: u32,
) -> Result<(Named, Arc<Credentials>)> {
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        let who = Arc::clone(&cx.process.credentials.lock());
        if dirfd == AT_FDCWD {
            let current = cx.process.directories.lock().current.clone();
            return Ok((Named::Place(current), who));
        }
        let open = cx.process.files.get(dirfd)?;
        return Ok((of_open(open), who));
    }
    let base = Base::new(cx, dirfd, path)?;
    let last = if flags & AT_SYMLINK_NOFOLLOW != 0 { Last::Keep } else { Last::Follow };
    let place = vfs::path::resolve(base.start(), path, last).await?;
    Ok((Named::Place(place), base.who))
}

/// What an open file names.
pub(in crate::syscalls) fn of_open(open: Arc<OpenFile>) -> Named {
    match open.place() {
        Some(place) => Named::Place(place.clone()),
        None => Named::Open(open),
    }
}

/// Whether `flags` has none but `known` bits.
///
/// # Errors
/// EINVAL.
pub(in crate::syscalls) fn check_flags(flags: u32, known: u32) -> Result<()> {
    if flags & !known != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    Ok(())
}
