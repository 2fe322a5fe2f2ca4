//! Inodes: what a name leads to, and what a file system does with names.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;
use storage::quota::Quota;

use crate::credentials::{Credentials, Owner};
use crate::dentry::Dentry;
use crate::extended::Keeper;
use crate::lock::Locks;
use crate::mount::Place;
use crate::object::{Attempt, Object, OpenFile, Status, Waiting};

/// Type bits of a mode.
pub const TYPE_MASK: u32 = 0o170_000;
/// Permission bits of a mode, with set-ID and sticky bits.
pub const PERMISSIONS: u32 = 0o7777;
/// Set-user-ID.
pub const SET_UID: u32 = 0o4000;
/// Set-group-ID.
pub const SET_GID: u32 = 0o2000;
/// Only owners may remove names from the directory.
pub const STICKY: u32 = 0o1000;

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A named pipe.
    Pipe,
    /// A character device.
    Character,
    /// A directory.
    Directory,
    /// A block device.
    Block,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A Unix socket.
    Socket,
}

impl Kind {
    /// The type that a mode's bits say.
    pub fn of_mode(mode: u32) -> Option<Self> {
        Some(match (mode & TYPE_MASK) >> 12 {
            0o01 => Self::Pipe,
            0o02 => Self::Character,
            0o04 => Self::Directory,
            0o06 => Self::Block,
            0o10 => Self::File,
            0o12 => Self::Link,
            0o14 => Self::Socket,
            _ => return None,
        })
    }

    /// Its bits of a mode.
    pub fn mode(self) -> u32 {
        u32::from(self.entry()) << 12
    }

    /// Its `d_type` in a directory entry.
    pub fn entry(self) -> u8 {
        match self {
            Self::Pipe => 0o01,
            Self::Character => 0o02,
            Self::Directory => 0o04,
            Self::Block => 0o06,
            Self::File => 0o10,
            Self::Link => 0o12,
            Self::Socket => 0o14,
        }
    }
}

/// What a file system may hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Pages of files.
    pub pages: Arc<Quota>,
    /// Inodes.
    pub inodes: Arc<Quota>,
}

/// An inode of a file system with limits: given back when this goes.
pub(crate) struct Seat(Arc<Quota>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.give(1);
    }
}

/// A file system: what its inodes have in common.
pub struct Volume {
    /// Device number, as `st_dev`.
    pub device: u64,
    /// Magic number, as statfs(2) tells it.
    pub magic: u64,
    /// Name of the type, as mounts show it.
    pub name: &'static str,
    /// Nothing in it can be changed, through whatever mount.
    read_only: AtomicBool,
    /// Pages and inodes that it may hold, if it was made with limits.
    pub limits: Option<Limits>,
    /// What else it was made with, as mounts show it: each option behind a comma.
    options: Mutex<String>,
    /// Held while a rename moves a name between directories.
    pub(crate) renaming: Mutex<()>,
    next_inode: AtomicU64,
}

impl Volume {
    /// A file system of its own device number; inodes made in it are numbered from `first_inode` on.
    pub fn new(name: &'static str, magic: u64, first_inode: u64) -> Arc<Self> {
        Self::limited(name, magic, first_inode, None)
    }

    /// The same with limits.
    pub fn limited(
        name: &'static str,
        magic: u64,
        first_inode: u64,
        limits: Option<Limits>,
    ) -> Arc<Self> {
        static NEXT_DEVICE: AtomicU64 = AtomicU64::new(0x15);
        Arc::new(Self {
            device: NEXT_DEVICE.fetch_add(1, Ordering::Relaxed),
            magic,
            name,
            read_only: AtomicBool::new(false),
            limits,
            options: Mutex::new(String::new()),
            renaming: Mutex::new(()),
            next_inode: AtomicU64::new(first_inode),
        })
    }

    /// Whether nothing in it can be changed.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::Relaxed);
    }

    /// What it was made with, each option behind a comma.
    pub fn options(&self) -> String {
        self.options.lock().clone()
    }

    /// Sets what [`Volume::options`] tells.
    pub fn set_options(&self, options: String) {
        *self.options.lock() = options;
    }

    /// Takes what one more inode needs; `None`: nothing is counted.
    ///
    /// # Errors
    /// ENOSPC.
    pub(crate) fn seat(&self) -> Result<Option<Seat>> {
        let Some(limits) = &self.limits else { return Ok(None) };
        if !limits.inodes.take(1) {
            return Err(Errno::ENOSPC.because("the file system has no inode left"));
        }
        Ok(Some(Seat(Arc::clone(&limits.inodes))))
    }

    /// A new inode number.
    pub fn number(&self) -> u64 {
        self.next_inode.fetch_add(1, Ordering::Relaxed)
    }
}

/// What is to be made.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Its type.
    pub kind: Kind,
    /// Permissions, the mask applied.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group, unless the directory's set-group-ID bit passes its own on.
    pub gid: u32,
    /// Device number of a device file.
    pub rdev: u64,
    /// Where a symbolic link leads.
    pub target: &'a [u8],
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Leave it.
    Keep,
    /// The present.
    Now,
    /// Nanoseconds since 1970.
    At(i64),
}

/// A change of an inode's attributes; permissions to make it were checked.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Permissions.
    Permissions(u32),
    /// Owner and group (`None`: leave), and the permissions that result.
    Owner(Option<u32>, Option<u32>, u32),
    /// Last access, last modification.
    Times(Time, Time),
}

/// How a rename treats a name that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// EEXIST.
    Refuse,
    /// The two change places.
    Exchange,
}

/// The outcome of a change: there at once, or later.
pub enum Answer<'a, T> {
    /// Done.
    Now(Result<T>),
    /// The host must be asked.
    Later(Waiting<'a, Result<T>>),
}

impl<T> Answer<'_, T> {
    /// Waits for it.
    ///
    /// # Errors
    /// The change's.
    pub async fn finished(self) -> Result<T> {
        match self {
            Self::Now(result) => result,
            Self::Later(future) => future.await,
        }
    }
}

impl<T> From<Errno> for Answer<'_, T> {
    fn from(errno: Errno) -> Self {
        Self::Now(Err(errno.into()))
    }
}

/// Where a symbolic link leads.
pub enum Followed {
    /// To a path, seen from the directory of the link.
    Path(Arc<[u8]>),
    /// Straight to a place, as the links of /proc/self/fd do.
    Place(Place),
}

/// What opening gives.
pub enum Opened {
    /// Something to make a description of.
    Object(Arc<dyn Object>),
    /// A description that is there already.
    Description(Arc<OpenFile>),
}

/// An inode. Its object side ([`Object`]) reads, writes and lists; this side has names and attributes.
///
/// Permissions, name lengths, mount flags and the like were checked by [`crate::names`]; a file system
/// only answers for what it holds. The defaults refuse as Linux does.
pub trait Node: Object {
    /// Its type, which never changes.
    fn kind(&self) -> Kind;

    /// Whose it is and what its permission bits say.
    fn owner(&self) -> Owner;

    /// Its file system.
    fn volume(&self) -> &Arc<Volume>;

    /// Its record and whole-file locks; `None`: it has no use for them.
    fn locks(&self) -> Option<&Locks> {
        None
    }

    /// Its extended attributes; `None`: it can have none.
    fn extended(&self) -> Option<Keeper<'_>> {
        None
    }

    /// How long lives what is written to it (`F_SET_RW_HINT`), if it remembers that.
    fn write_hint(&self) -> Option<&AtomicU8> {
        None
    }

    /// Its attributes were changed by who uses [`Node::extended`].
    fn touch_changed(&self) {}

    /// Flushes its whole file system to where it lasts.
    fn sync_all(&self) -> Waiting<'_, Result<()>> {
        Box::pin(core::future::ready(Ok(())))
    }

    /// Looks a name up (never `.` or `..`); `None`: not there. `Stop::Fill`: only
    /// [`Node::fetch`] can tell.
    fn lookup(&self, here: &Arc<Dentry>, name: &[u8]) -> Attempt<Option<Arc<Dentry>>> {
        let _ = (here, name);
        Err(Errno::ENOTDIR.into())
    }

    /// Looks a name up, asking whoever knows.
    fn fetch<'a>(
        &'a self,
        here: &'a Arc<Dentry>,
        name: &'a [u8],
    ) -> Waiting<'a, Result<Option<Arc<Dentry>>>> {
        let _ = (here, name);
        Box::pin(core::future::ready(Err(Errno::ENOTDIR.into())))
    }

    /// Makes something new. EEXIST when the name is taken.
    fn create<'a>(
        &'a self,
        here: &'a Arc<Dentry>,
        name: &'a [u8],
        new: New<'a>,
    ) -> Answer<'a, Arc<Dentry>> {
        let _ = (here, name, new);
        Errno::EPERM.into()
    }

    /// Makes a regular file without a name, seen from this directory (`O_TMPFILE`); `linkable`: it may
    /// be given a name later.
    fn create_unnamed(
        &self,
        here: &Arc<Dentry>,
        new: New<'_>,
        linkable: bool,
    ) -> Result<Arc<Dentry>> {
        let _ = (here, new, linkable);
        Err(Errno::EOPNOTSUPP.because("the file system makes no files without names"))
    }

    /// Gives `target`, of the same file system, one more name.
    fn link<'a>(
        &'a self,
        here: &'a Arc<Dentry>,
        name: &'a [u8],
        target: &'a Arc<Dentry>,
    ) -> Answer<'a, ()> {
        let _ = (here, name, target);
        Errno::EPERM.into()
    }

    /// Takes the name `child` away; ENOTEMPTY for a directory with entries.
    fn remove<'a>(&'a self, here: &'a Arc<Dentry>, child: &'a Arc<Dentry>) -> Answer<'a, ()> {
        let _ = (here, child);
        Errno::EPERM.into()
    }

    /// Moves the name `child` to directory `to`, of the same file system.
    fn rename<'a>(
        &'a self,
        here: &'a Arc<Dentry>,
        child: &'a Arc<Dentry>,
        to: &'a Arc<Dentry>,
        name: &'a [u8],
        existing: Existing,
    ) -> Answer<'a, ()> {
        let _ = (here, child, to, name, existing);
        Errno::EPERM.into()
    }

    /// Hands the names over that it holds: its file system goes.
    fn take_apart(&self, names: &mut Vec<Arc<Dentry>>) {
        let _ = names;
    }

    /// Whether it may get one more name: it has one, or was made to get one later.
    fn may_be_linked(&self) -> bool {
        true
    }

    /// Where a symbolic link leads.
    fn follow(&self, who: &Credentials) -> Attempt<Followed> {
        let _ = who;
        Err(Errno::EINVAL.because("not a symbolic link"))?
    }

    /// The text of a symbolic link, as readlink(2) shows it.
    fn read_link(&self, who: &Credentials) -> Attempt<Arc<[u8]>> {
        match self.follow(who)? {
            Followed::Path(path) => Ok(path),
            Followed::Place(_) => Err(Errno::EINVAL.into()),
        }
    }

    /// Changes attributes.
    fn change(&self, change: Change) -> Answer<'_, ()> {
        let _ = change;
        Errno::EPERM.into()
    }

    /// What a descriptor for it refers to. Permissions were checked.
    fn open(self: Arc<Self>, place: &Place, status: Status) -> Attempt<Opened>;

    /// A description of it is about to be made, with the object that [`Node::open`] gave. Taken back by
    /// [`Object::released`]. ETXTBSY for a writable one while the file runs.
    fn opened(&self, writable: bool) -> Result<()> {
        let _ = writable;
        Ok(())
    }
}
