//! Names in the tree: a dentry is one name of an inode, in one directory.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use platform::sync::Mutex;

use crate::node::Node;

/// The longest name, bytes.
pub const NAME_MAX: usize = 255;

/// One name of an inode. A directory has exactly one.
pub struct Dentry {
    node: Arc<dyn Node>,
    link: Mutex<Link>,
    /// How many mounts stand on it.
    mounts: AtomicU32,
    removed: AtomicBool,
}

struct Link {
    /// `None` at the root of a file system.
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
}

impl Dentry {
    /// The root of a file system.
    pub fn root(node: Arc<dyn Node>) -> Arc<Self> {
        Self::with(node, Link { parent: None, name: Arc::from(&b"/"[..]) })
    }

    /// A name in `parent`. Making it known there is the file system's business.
    pub fn new(parent: &Arc<Self>, name: Arc<[u8]>, node: Arc<dyn Node>) -> Arc<Self> {
        Self::with(node, Link { parent: Some(Arc::clone(parent)), name })
    }

    fn with(node: Arc<dyn Node>, link: Link) -> Arc<Self> {
        Arc::new(Self {
            node,
            link: Mutex::new(link),
            mounts: AtomicU32::new(0),
            removed: AtomicBool::new(false),
        })
    }

    /// The inode.
    #[inline]
    pub fn node(&self) -> &Arc<dyn Node> {
        &self.node
    }

    /// The directory that it stands in, `None` at the root of the file system.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.link.lock().parent.clone()
    }

    /// Its name.
    pub fn name(&self) -> Arc<[u8]> {
        Arc::clone(&self.link.lock().name)
    }

    /// Gives it another place (rename).
    pub fn move_to(&self, parent: &Arc<Self>, name: Arc<[u8]>) {
        let old = {
            let mut link = self.link.lock();
            core::mem::replace(&mut *link, Link { parent: Some(Arc::clone(parent)), name })
        };
        // The old parent may have been held by this link alone: dropped with no lock held.
        drop(old);
    }

    /// Whether the name was removed while somebody still uses it.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// The name goes away.
    pub fn set_removed(&self) {
        self.removed.store(true, Ordering::Release);
    }

    /// Whether something is mounted on it.
    #[inline]
    pub fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    pub(crate) fn mounted(&self) {
        self.mounts.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn unmounted(&self) {
        self.mounts.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether `self` is `other` or stands somewhere above it, in the same file system.
    pub fn is_above(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut at = Some(Arc::clone(other));
        while let Some(here) = at {
            if Arc::ptr_eq(self, &here) {
                return true;
            }
            at = here.parent();
        }
        false
    }

    /// Appends the path from here up to the first of `stops`, or to the file system's root, last
    /// component first. Gives where it ended.
    pub(crate) fn climb(
        self: &Arc<Self>,
        components: &mut Vec<Arc<[u8]>>,
        stops: &[&Arc<Self>],
    ) -> Arc<Self> {
        let mut at = Arc::clone(self);
        loop {
            if stops.iter().any(|stop| Arc::ptr_eq(stop, &at)) {
                return at;
            }
            let Some(parent) = at.parent() else { return at };
            components.push(at.name());
            at = parent;
        }
    }

    /// The path from the file system's root to here.
    pub fn path(self: &Arc<Self>) -> Vec<u8> {
        let mut components = Vec::new();
        self.climb(&mut components, &[]);
        let mut bytes = Vec::new();
        for component in components.iter().rev() {
            bytes.push(b'/');
            bytes.extend_from_slice(component);
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes
    }

    /// Forgets the directory that it stands in: its file system goes.
    pub(crate) fn orphan(&self) {
        let parent = self.link.lock().parent.take();
        drop(parent);
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        if *self.removed.get_mut() {
            crate::notify::dropped(&*self.node);
        }
    }
}

impl fmt::Debug for Dentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        f.debug_struct("Dentry")
            .field("name", &format_args!("{}", name.escape_ascii()))
            .finish_non_exhaustive()
    }
}
