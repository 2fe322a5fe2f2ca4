//! Mounts, and places in their tree.
//!
//! [`MountTree`] changes what stands where; [`sharing`] is what it tells other mounts of it. A file system
//! is kept by its mounts ([`FileSystem`]), a mount by where it stands and by whoever holds a [`Place`] in it.
//!
//! Source: `mount_namespaces(7)`, `path_resolution(7)`.

mod detached;
mod root;
pub mod sharing;
#[cfg(test)]
mod tests;
mod tree;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;

pub use detached::Detached;
pub use tree::{MountTree, Recursion};

use crate::dentry::Dentry;
use crate::node::Node;
use sharing::Sharing;

bitflags::bitflags! {
    /// How a file system is mounted, with the bits of statvfs(3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// Nothing can be changed.
        const READ_ONLY = 1;
        /// Set-ID bits have no effect.
        const NO_SUID = 2;
        /// Device files can't be opened.
        const NO_DEVICES = 4;
        /// Nothing can be run.
        const NO_EXEC = 8;
        /// Access times stay.
        const NO_ATIME = 1024;
        /// Access times of directories stay.
        const NO_DIRECTORY_ATIME = 2048;
        /// Access times follow modifications only.
        const RELATIVE_ATIME = 4096;
        /// Symbolic links are not followed.
        const NO_LINKS = 8192;
    }
}

impl Flags {
    /// How access times are kept.
    pub const ATIME: Self =
        Self::NO_ATIME.union(Self::NO_DIRECTORY_ATIME).union(Self::RELATIVE_ATIME);
}

/// A file system that can be mounted, once or several times. When its last mount went, and whoever held
/// a place in one, what lies in it is freed.
pub struct FileSystem {
    root: Arc<Dentry>,
}

/// A file system, or a directory of it, at its place.
pub struct Mount {
    /// Number, as mountinfo shows it.
    pub id: u32,
    /// What is mounted, as mounts show it.
    pub source: Vec<u8>,
    root: Arc<Dentry>,
    system: Option<Arc<FileSystem>>,
    /// Where it stands; `None` for the root of all, for what stands nowhere, and for places without a
    /// path.
    at: Mutex<Option<Place>>,
    /// Whether it stands in the tree that programs see.
    visible: AtomicBool,
    flags: AtomicU32,
    /// Descriptions of regular files that are open for writing.
    writers: AtomicU32,
    /// Nobody used it since it was asked to go if unused (`MNT_EXPIRE`).
    unused: AtomicBool,
    sharing: Mutex<Sharing>,
    /// What is mounted on dentries of this mount.
    children: Mutex<Vec<(Arc<Dentry>, Arc<Mount>)>>,
}

/// A dentry, seen through a mount: where a path leads. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The name in it.
    pub dentry: Arc<Dentry>,
}

/// An absolute path as getcwd(2) and procfs show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The path.
    pub bytes: Vec<u8>,
    /// Whether it leads there from the given root.
    pub reachable: bool,
    /// Whether a name in it was removed.
    pub removed: bool,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

impl FileSystem {
    /// The file system whose root is `root`.
    pub fn new(root: Arc<Dentry>) -> Arc<Self> {
        Arc::new(Self { root })
    }

    /// Its root.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }
}

impl Drop for FileSystem {
    /// Names and their directories own each other: they are taken apart from the root down.
    fn drop(&mut self) {
        if crate::notify::any() {
            crate::notify::unmounted(self.root.node().volume());
        }
        let mut left = alloc::vec![Arc::clone(&self.root)];
        while let Some(at) = left.pop() {
            at.node().take_apart(&mut left);
            at.orphan();
        }
    }
}

impl Mount {
    fn new(
        root: Arc<Dentry>,
        system: Option<Arc<FileSystem>>,
        source: &[u8],
        flags: Flags,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            source: source.to_vec(),
            root,
            system,
            at: Mutex::new(None),
            visible: AtomicBool::new(false),
            flags: AtomicU32::new(flags.bits()),
            writers: AtomicU32::new(0),
            unused: AtomicBool::new(false),
            sharing: Mutex::new(Sharing::default()),
            children: Mutex::new(Vec::new()),
        })
    }

    /// A number that no mount has after it.
    pub fn unique(&self) -> u64 {
        /// Where Linux begins, so that nobody takes one for the other.
        const FIRST: u64 = 1 << 31;
        FIRST + u64::from(self.id)
    }

    /// How it is mounted.
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    pub(crate) fn set_flags(&self, flags: Flags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// Its root.
    pub fn root(self: &Arc<Self>) -> Place {
        Place { mount: Arc::clone(self), dentry: Arc::clone(&self.root) }
    }

    /// The file system that it shows.
    pub fn system(&self) -> Option<&Arc<FileSystem>> {
        self.system.as_ref()
    }

    /// Where it stands; `None` at the root of all.
    pub fn mount_point(&self) -> Option<Place> {
        self.at.lock().clone()
    }

    /// Whether it stands in the tree that programs see.
    pub fn is_visible(&self) -> bool {
        self.visible.load(Ordering::Acquire)
    }

    /// What it shares with other mounts.
    pub fn sharing(&self) -> Sharing {
        *self.sharing.lock()
    }

    /// What is mounted on it, in order.
    pub fn children(&self) -> Vec<Arc<Self>> {
        self.children.lock().iter().map(|(_, child)| Arc::clone(child)).collect()
    }

    /// EROFS where nothing can be changed.
    ///
    /// # Errors
    /// EROFS.
    pub fn check_writable(&self) -> Result<()> {
        if self.flags().contains(Flags::READ_ONLY) || self.root.node().volume().is_read_only() {
            return Err(Errno::EROFS.because("the file system is mounted read-only"));
        }
        Ok(())
    }

    /// A regular file was opened for writing, or is no longer.
    pub(crate) fn count_writer(&self, one_more: bool) {
        if one_more {
            self.writers.fetch_add(1, Ordering::AcqRel);
        } else {
            self.writers.fetch_sub(1, Ordering::AcqRel);
        }
    }

    #[cold]
    fn on(&self, dentry: &Arc<Dentry>) -> Option<Arc<Self>> {
        let children = self.children.lock();
        let found = children.iter().rev().find(|(at, _)| Arc::ptr_eq(at, dentry));
        found.map(|(_, mount)| Arc::clone(mount))
    }
}

impl Place {
    /// A place that no path leads to: for what was opened without a name.
    pub fn without_path(dentry: Arc<Dentry>) -> Self {
        let mut root = Arc::clone(&dentry);
        while let Some(above) = root.parent() {
            root = above;
        }
        Self { mount: Mount::new(root, None, b"none", Flags::RELATIVE_ATIME), dentry }
    }

    /// The inode.
    #[inline]
    pub fn node(&self) -> &Arc<dyn Node> {
        self.dentry.node()
    }

    /// Whether both are the same name seen through the same mount.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }

    /// Whether it is the root of its mount.
    pub fn is_mounted(&self) -> bool {
        Arc::ptr_eq(&self.dentry, &self.mount.root)
    }

    /// What is mounted on top of it, or itself.
    #[inline]
    #[must_use]
    pub fn topmost(mut self) -> Self {
        while self.dentry.is_mount_point() {
            let Some(mount) = self.mount.on(&self.dentry) else { break };
            self = mount.root();
        }
        self
    }

    /// The directory above (`..`), not beyond `root`.
    #[must_use]
    pub fn up(&self, root: &Self) -> Self {
        let mut at = self.clone();
        loop {
            if at.is(root) {
                return at;
            }
            if !at.is_mounted()
                && let Some(parent) = at.dentry.parent()
            {
                return Self { mount: at.mount, dentry: parent }.topmost();
            }
            match at.mount.mount_point() {
                Some(point) => at = point,
                None => return at,
            }
        }
    }

    /// The absolute path seen from `root`.
    pub fn path(&self, root: &Self) -> Text {
        let mut components = Vec::new();
        let mut at = self.clone();
        let removed = at.dentry.is_removed();
        let reachable = loop {
            let top = &at.mount.root;
            let same = Arc::ptr_eq(&at.mount, &root.mount);
            let end =
                at.dentry.climb(&mut components, &[top, if same { &root.dentry } else { top }]);
            if same && Arc::ptr_eq(&end, &root.dentry) {
                break true;
            }
            match at.mount.mount_point() {
                Some(point) => at = point,
                None => break false,
            }
        };
        let mut bytes = Vec::new();
        for component in components.iter().rev() {
            bytes.push(b'/');
            bytes.extend_from_slice(component);
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        Text { bytes, reachable, removed }
    }

    /// Whether one comes here by going down from `root`.
    pub fn is_below(&self, root: &Self) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at.mount, &root.mount) {
                return root.dentry.is_above(&at.dentry);
            }
            match at.mount.mount_point() {
                Some(point) => at = point,
                None => return false,
            }
        }
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("mount", &self.mount.id)
            .field("dentry", &self.dentry)
            .finish()
    }
}
