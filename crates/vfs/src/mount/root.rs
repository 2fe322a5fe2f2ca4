//! Another root for all (`pivot_root(2)`).

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;

use super::tree::{hook, unhook};
use super::{MountTree, Place};

impl MountTree {
    /// Makes the mount at `new` the root, in place of the one whose root is `root`, which moves to `old`.
    ///
    /// # Errors
    /// EBUSY when two are the same mount, ENOENT, EINVAL for what else is not as it must be.
    pub fn pivot(&self, root: &Place, new: &Place, old: &Place) -> Result<()> {
        let _mounts = self.mounts.lock();
        let shared =
            |place: Option<Place>| place.is_some_and(|place| place.mount.sharing().group != 0);
        let (root_at, new_at) = (root.mount.mount_point(), new.mount.mount_point());
        if old.mount.sharing().group != 0 || shared(new_at.clone()) || shared(root_at.clone()) {
            return Err(Errno::EINVAL.because("a mount concerned is shared"));
        }
        if !root.mount.is_visible() || !new.mount.is_visible() || !old.mount.is_visible() {
            return Err(Errno::EINVAL.because("a mount concerned is in no tree"));
        }
        if new.dentry.is_removed() || old.dentry.is_removed() {
            return Err(Errno::ENOENT.because("the directory was removed"));
        }
        if Arc::ptr_eq(&new.mount, &root.mount) || Arc::ptr_eq(&old.mount, &root.mount) {
            return Err(Errno::EBUSY.because("both are on the mount that is the root"));
        }
        let (Some(root_at), Some(_)) = (root_at, new_at) else {
            return Err(Errno::EINVAL.because("the root of all stays"));
        };
        if !root.is_mounted() || !new.is_mounted() {
            return Err(Errno::EINVAL.because("a root must be a mount's"));
        }
        if !old.is_below(new) || !new.is_below(root) {
            return Err(
                Errno::EINVAL.because("the old root must be below the new, and it below this")
            );
        }
        unhook(&new.mount);
        unhook(&root.mount);
        hook(&root.mount, old.clone());
        hook(&new.mount, root_at);
        Ok(())
    }
}
