//! What stat(2) tells of objects that no file system holds.

use core::sync::atomic::{AtomicU64, Ordering};

use platform::sync::Mutex;

use crate::node::{Change, Time};
use crate::object::Stat;

/// Type bits of a FIFO in `st_mode`.
pub const S_IFIFO: u32 = 0o010_000;
/// Type bits of a character device.
pub const S_IFCHR: u32 = 0o020_000;
/// Type bits of a regular file.
pub const S_IFREG: u32 = 0o100_000;
/// Type bits of a socket.
pub const S_IFSOCK: u32 = 0o140_000;
/// All type bits.
pub const S_IFMT: u32 = 0o170_000;

/// Device number of pipes.
const PIPES: u64 = 0xe;
/// Device number of sockets.
const SOCKETS: u64 = 0x8;
/// Device number of what has neither name nor type: eventfd, epoll, timerfd.
const OTHERS: u64 = 0xf;

static NEXT: AtomicU64 = AtomicU64::new(1024);

/// Who owns an object: the effective user and group of its maker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Identity of an object without a name, from its birth on.
pub struct Identity {
    inode: u64,
    attributes: Mutex<Attributes>,
}

/// What its owner may change, where the object has an inode of its own.
#[derive(Clone, Copy, Debug)]
struct Attributes {
    owner: Owner,
    /// `None`: those that it was born with.
    permissions: Option<u32>,
    /// ns since 1970.
    accessed: i64,
    modified: i64,
    changed: i64,
}

fn now() -> i64 {
    i64::try_from(platform::clock::realtime()).unwrap_or(i64::MAX)
}

impl Identity {
    /// A new inode number, born now.
    pub fn new(owner: Owner) -> Self {
        let inode = NEXT.fetch_add(1, Ordering::Relaxed);
        let born = now();
        let attributes =
            Attributes { owner, permissions: None, accessed: born, modified: born, changed: born };
        Self { inode, attributes: Mutex::new(attributes) }
    }

    /// Makes a change that was checked.
    pub fn change(&self, change: Change) {
        let mut attributes = self.attributes.lock();
        attributes.changed = now();
        match change {
            Change::Permissions(mode) => attributes.permissions = Some(mode),
            Change::Owner(uid, gid, mode) => {
                let before = attributes.owner;
                attributes.owner =
                    Owner { uid: uid.unwrap_or(before.uid), gid: gid.unwrap_or(before.gid) };
                attributes.permissions = Some(mode);
            }
            Change::Times(accessed, modified) => {
                attributes.accessed = at(accessed, attributes.accessed);
                attributes.modified = at(modified, attributes.modified);
            }
        }
    }

    /// Inode number, unique among objects without names.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// As a FIFO on the pipes' device.
    pub(crate) fn pipe(&self) -> Stat {
        self.stat(S_IFIFO | 0o600, PIPES)
    }

    /// As a socket.
    pub(crate) fn socket(&self) -> Stat {
        self.stat(S_IFSOCK | 0o777, SOCKETS)
    }

    /// As a regular file.
    pub(crate) fn regular(&self) -> Stat {
        self.stat(S_IFREG | 0o600, OTHERS)
    }

    /// As an object without a type: Linux gives `st_mode` only permissions.
    pub fn other(&self) -> Stat {
        self.stat(0o600, OTHERS)
    }

    fn stat(&self, mode: u32, device: u64) -> Stat {
        let attributes = *self.attributes.lock();
        let permissions = attributes.permissions.unwrap_or(mode & !S_IFMT);
        Stat {
            device,
            inode: self.inode,
            mode: mode & S_IFMT | permissions,
            links: 1,
            uid: attributes.owner.uid,
            gid: attributes.owner.gid,
            block_size: 4096,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
            ..Stat::default()
        }
    }
}

fn at(time: Time, before: i64) -> i64 {
    match time {
        Time::Now => now(),
        Time::Keep => before,
        Time::At(time) => time,
    }
}
