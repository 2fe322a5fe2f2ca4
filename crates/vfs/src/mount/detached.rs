//! Mounts that stand apart: made or copied, and not attached yet.

use alloc::sync::{Arc, Weak};

use super::tree::take_apart;
use super::{Mount, MountTree};

/// The owner of a tree of mounts that stands apart. Unless it was attached meanwhile, the tree is taken
/// apart when this goes.
pub struct Detached {
    mount: Arc<Mount>,
    tree: Weak<MountTree>,
}

impl Detached {
    pub(super) fn new(mount: Arc<Mount>, tree: &Arc<MountTree>) -> Self {
        Self { mount, tree: Arc::downgrade(tree) }
    }

    /// The topmost mount.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        let Some(tree) = self.tree.upgrade() else { return };
        let mounts = tree.mounts.lock();
        if !self.mount.is_visible() && self.mount.mount_point().is_none() {
            take_apart(&self.mount);
        }
        drop(mounts);
    }
}
