//! What stat(2) tells of objects that no file system holds.

use core::sync::atomic::{AtomicU64, Ordering};

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
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    inode: u64,
    owner: Owner,
    /// ns since 1970.
    born: i64,
}

impl Identity {
    /// A new inode number, born now.
    pub fn new(owner: Owner) -> Self {
        let inode = NEXT.fetch_add(1, Ordering::Relaxed);
        let born = i64::try_from(platform::clock::realtime()).unwrap_or(i64::MAX);
        Self { inode, owner, born }
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
        Stat {
            device,
            inode: self.inode,
            mode,
            links: 1,
            uid: self.owner.uid,
            gid: self.owner.gid,
            block_size: 4096,
            accessed: self.born,
            modified: self.born,
            changed: self.born,
            ..Stat::default()
        }
    }
}
