//! The tree of mounts, and places in it.
//!
//! Source: `mount_namespaces(7)`, `path_resolution(7)`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;

use crate::dentry::Dentry;
use crate::node::Node;

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
        /// Access times follow modifications only.
        const RELATIVE_ATIME = 4096;
    }
}

/// A file system at its place.
pub struct Mount {
    /// Number, as mountinfo shows it.
    pub id: u32,
    /// What is mounted, as mounts show it.
    pub source: Vec<u8>,
    root: Arc<Dentry>,
    /// Where it stands; `None` for the root of all and for places without a path.
    at: Option<Place>,
    flags: AtomicU32,
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

/// All mounts of the enclave.
pub struct MountTree {
    root: Place,
    mounts: Mutex<Vec<Arc<Mount>>>,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

impl MountTree {
    /// A tree with `root` as its root.
    pub fn new(root: Arc<Dentry>, source: &[u8], flags: Flags) -> Arc<Self> {
        let mount = Mount::new(root, None, source, flags);
        Arc::new(Self { root: mount.root(), mounts: Mutex::new(alloc::vec![mount]) })
    }

    /// The root of all.
    pub fn root(&self) -> Place {
        self.root.clone().topmost()
    }

    /// Mounts a file system's root on a place.
    ///
    /// # Errors
    /// ENOTDIR when one is a directory and the other is not.
    pub fn mount(
        &self,
        at: Place,
        root: Arc<Dentry>,
        source: &[u8],
        flags: Flags,
    ) -> Result<Arc<Mount>> {
        let at = at.topmost();
        let is_directory =
            |dentry: &Arc<Dentry>| dentry.node().kind() == crate::node::Kind::Directory;
        if is_directory(&at.dentry) != is_directory(&root) {
            return Err(Errno::ENOTDIR.because("a directory can only be mounted on a directory"));
        }
        let mount = Mount::new(root, Some(at.clone()), source, flags);
        at.mount.children.lock().push((Arc::clone(&at.dentry), Arc::clone(&mount)));
        at.dentry.mounted();
        self.mounts.lock().push(Arc::clone(&mount));
        Ok(mount)
    }

    /// Takes the mount away whose root is `place`.
    ///
    /// # Errors
    /// EINVAL when nothing is mounted there, EBUSY when something is mounted below.
    pub fn unmount(&self, place: &Place) -> Result<()> {
        let mount = &place.mount;
        let Some(at) = mount.at.as_ref().filter(|_| Arc::ptr_eq(&mount.root, &place.dentry)) else {
            return Err(Errno::EINVAL.because("nothing is mounted there"));
        };
        if !mount.children.lock().is_empty() {
            return Err(Errno::EBUSY.because("something is mounted below"));
        }
        at.mount.children.lock().retain(|(_, child)| !Arc::ptr_eq(child, mount));
        at.dentry.unmounted();
        self.mounts.lock().retain(|other| !Arc::ptr_eq(other, mount));
        Ok(())
    }

    /// All mounts, in the order in which they were made.
    pub fn list(&self) -> Vec<Arc<Mount>> {
        self.mounts.lock().clone()
    }
}

impl Mount {
    fn new(root: Arc<Dentry>, at: Option<Place>, source: &[u8], flags: Flags) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            source: source.to_vec(),
            root,
            at,
            flags: AtomicU32::new(flags.bits()),
            children: Mutex::new(Vec::new()),
        })
    }

    /// How it is mounted.
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Its root.
    pub fn root(self: &Arc<Self>) -> Place {
        Place { mount: Arc::clone(self), dentry: Arc::clone(&self.root) }
    }

    /// Where it stands; `None` at the root of all.
    pub fn mount_point(&self) -> Option<&Place> {
        self.at.as_ref()
    }

    /// EROFS where nothing can be changed.
    ///
    /// # Errors
    /// EROFS.
    pub fn check_writable(&self) -> Result<()> {
        if self.flags().contains(Flags::READ_ONLY) {
            return Err(Errno::EROFS.because("the file system is mounted read-only"));
        }
        Ok(())
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
        Self { mount: Mount::new(Arc::clone(&dentry), None, b"none", Flags::empty()), dentry }
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
            if let Some(parent) = at.dentry.parent() {
                return Self { mount: at.mount, dentry: parent }.topmost();
            }
            match at.mount.at.clone() {
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
            let same = Arc::ptr_eq(&at.mount, &root.mount);
            if at.dentry.climb(&mut components, same.then_some(&root.dentry)) {
                break true;
            }
            match at.mount.at.clone() {
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
