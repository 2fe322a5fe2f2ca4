//! What all inodes of a tree have: owner, permissions, times, links. Read and written without a lock.

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use platform::clock;

use crate::credentials::Owner;
use crate::extended::Extended;
use crate::mount::Flags;
use crate::node::{Change, PERMISSIONS, SET_GID, SET_UID, Seat, TYPE_MASK, Time, Volume};
use crate::object::{OpenFile, Stat, Status};

const DAY: i64 = 24 * 3600 * 1_000_000_000;
/// Blocks are counted, not told by the lower layer.
const COUNTED: u64 = u64::MAX;

/// Attributes of an inode.
pub(crate) struct Attributes {
    pub(crate) inode: u64,
    pub(crate) rdev: u64,
    mode: AtomicU32,
    uid: AtomicU32,
    gid: AtomicU32,
    links: AtomicU32,
    accessed: AtomicI64,
    modified: AtomicI64,
    changed: AtomicI64,
    born: i64,
    /// 512-byte units as the lower layer told, or [`COUNTED`].
    blocks: AtomicU64,
    pub(super) extended: Extended,
    /// Its place in a file system that holds so many inodes only.
    _seat: Option<Seat>,
}

/// The present, ns since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(clock::realtime()).unwrap_or(i64::MAX)
}

impl Attributes {
    /// A new inode, born now.
    pub(crate) fn new(inode: u64, owner: Owner, links: u32, rdev: u64) -> Self {
        let now = now();
        Self {
            inode,
            rdev,
            mode: AtomicU32::new(owner.mode),
            uid: AtomicU32::new(owner.uid),
            gid: AtomicU32::new(owner.gid),
            links: AtomicU32::new(links),
            accessed: AtomicI64::new(now),
            modified: AtomicI64::new(now),
            changed: AtomicI64::new(now),
            born: now,
            blocks: AtomicU64::new(COUNTED),
            extended: Extended::default(),
            _seat: None,
        }
    }

    /// The same with what it takes of its file system.
    pub(crate) fn seated(self, seat: Option<Seat>) -> Self {
        Self { _seat: seat, ..self }
    }

    /// The inode of a lower layer, numbered `inode` here.
    pub(crate) fn lower(inode: u64, stat: &Stat) -> Self {
        Self {
            inode,
            rdev: stat.rdev,
            mode: AtomicU32::new(stat.mode),
            uid: AtomicU32::new(stat.uid),
            gid: AtomicU32::new(stat.gid),
            links: AtomicU32::new(stat.links),
            accessed: AtomicI64::new(stat.accessed),
            modified: AtomicI64::new(stat.modified),
            changed: AtomicI64::new(stat.changed),
            born: stat.born,
            blocks: AtomicU64::new(stat.blocks),
            extended: Extended::default(),
            _seat: None,
        }
    }

    /// Takes over what the lower layer says now.
    pub(crate) fn refresh(&self, stat: &Stat) {
        self.mode.store(stat.mode, Ordering::Relaxed);
        self.uid.store(stat.uid, Ordering::Relaxed);
        self.gid.store(stat.gid, Ordering::Relaxed);
        self.links.store(stat.links, Ordering::Relaxed);
        self.accessed.store(stat.accessed, Ordering::Relaxed);
        self.modified.store(stat.modified, Ordering::Relaxed);
        self.changed.store(stat.changed, Ordering::Relaxed);
        self.blocks.store(stat.blocks, Ordering::Relaxed);
    }

    /// The layer below told how many 512-byte units are in use.
    pub(crate) fn set_blocks(&self, blocks: u64) {
        self.blocks.store(blocks, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn owner(&self) -> Owner {
        Owner {
            mode: self.mode.load(Ordering::Relaxed),
            uid: self.uid.load(Ordering::Relaxed),
            gid: self.gid.load(Ordering::Relaxed),
        }
    }

    /// What stat(2) tells; `blocks` counts where the lower layer's word no longer holds.
    pub(crate) fn stat(&self, volume: &Volume, size: u64, blocks: impl FnOnce() -> u64) -> Stat {
        let owner = self.owner();
        let told = self.blocks.load(Ordering::Relaxed);
        Stat {
            device: volume.device,
            inode: self.inode,
            mode: owner.mode,
            links: self.links.load(Ordering::Relaxed),
            uid: owner.uid,
            gid: owner.gid,
            rdev: self.rdev,
            size,
            block_size: 4096,
            blocks: if told == COUNTED { blocks() } else { told },
            accessed: self.accessed.load(Ordering::Relaxed),
            modified: self.modified.load(Ordering::Relaxed),
            changed: self.changed.load(Ordering::Relaxed),
            born: self.born,
        }
    }

    pub(crate) fn modified(&self) -> i64 {
        self.modified.load(Ordering::Relaxed)
    }

    pub(crate) fn links(&self) -> u32 {
        self.links.load(Ordering::Relaxed)
    }

    /// One link more or fewer; how many there are then.
    pub(crate) fn add_links(&self, change: i32) -> u32 {
        self.changed.store(now(), Ordering::Relaxed);
        self.links.fetch_add(change.cast_unsigned(), Ordering::Relaxed).wrapping_add_signed(change)
    }

    /// The last name of a directory went.
    pub(crate) fn unlinked(&self) {
        self.changed.store(now(), Ordering::Relaxed);
        self.links.store(0, Ordering::Relaxed);
    }

    /// The inode itself changed.
    pub(crate) fn touch_changed(&self) {
        self.changed.store(now(), Ordering::Relaxed);
    }

    /// The contents changed.
    pub(crate) fn touch_modified(&self) {
        let now = now();
        self.modified.store(now, Ordering::Relaxed);
        self.changed.store(now, Ordering::Relaxed);
        self.blocks.store(COUNTED, Ordering::Relaxed);
        let mode = self.mode.load(Ordering::Relaxed);
        // Whoever writes a program takes its privileges away; set-GID without group execution is not one.
        let group = if mode & 0o010 == 0 { 0 } else { SET_GID };
        if mode & TYPE_MASK == 0o100_000 && mode & (SET_UID | group) != 0 {
            self.mode.fetch_and(!(SET_UID | group), Ordering::Relaxed);
        }
    }

    /// Whether the contents were made or changed here, and not only brought in.
    pub(super) fn is_changed_here(&self) -> bool {
        self.blocks.load(Ordering::Relaxed) == COUNTED
    }

    /// The contents were read through `open`: access times follow modifications, and days (relatime).
    pub(crate) fn touch_accessed(&self, open: &OpenFile) {
        let flags = open.place().map_or(Flags::RELATIVE_ATIME, |place| place.mount.flags());
        if open.status().contains(Status::NOATIME) || flags.contains(Flags::NO_ATIME) {
            return;
        }
        if flags.contains(Flags::RELATIVE_ATIME) {
            self.touch_accessed_always();
        } else {
            self.accessed.store(now(), Ordering::Relaxed);
        }
    }

    /// The same for a symbolic link that was followed.
    pub(crate) fn touch_accessed_always(&self) {
        let accessed = self.accessed.load(Ordering::Relaxed);
        let now = now();
        if accessed <= self.modified.load(Ordering::Relaxed)
            || accessed <= self.changed.load(Ordering::Relaxed)
            || now.saturating_sub(accessed) >= DAY
        {
            self.accessed.store(now, Ordering::Relaxed);
        }
    }

    /// Makes a change whose permission was checked.
    pub(crate) fn change(&self, change: Change) {
        match change {
            Change::Permissions(permissions) => self.set_permissions(permissions),
            Change::Owner(uid, gid, permissions) => {
                if let Some(uid) = uid {
                    self.uid.store(uid, Ordering::Relaxed);
                }
                if let Some(gid) = gid {
                    self.gid.store(gid, Ordering::Relaxed);
                }
                self.set_permissions(permissions);
            }
            Change::Times(accessed, modified) => {
                set_time(&self.accessed, accessed);
                set_time(&self.modified, modified);
            }
        }
        self.touch_changed();
    }

    fn set_permissions(&self, permissions: u32) {
        let kind = self.mode.load(Ordering::Relaxed) & TYPE_MASK;
        self.mode.store(kind | permissions & PERMISSIONS, Ordering::Relaxed);
    }
}

fn set_time(cell: &AtomicI64, time: Time) {
    match time {
        Time::Keep => {}
        Time::Now => cell.store(now(), Ordering::Relaxed),
        Time::At(at) => cell.store(at, Ordering::Relaxed),
    }
}
