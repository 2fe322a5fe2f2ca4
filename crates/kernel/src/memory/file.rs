//! Files as mappings know them.

use alloc::sync::Arc;

use vfs::mount::Place;
use vfs::object::{Object, OpenFile};

use super::contents::{Described, Description};

impl Described for OpenFile {
    fn describe(&self) -> Description {
        let mut all = describe(self.object().as_ref(), self.place());
        if self.downcast::<vfs::secret::Secret>().is_some() {
            all.path = vfs::secret::PATH.into();
        }
        all
    }

    fn place(&self) -> Option<Place> {
        Self::place(self).cloned()
    }
}

/// A file that was mapped by name, without a descriptor: a program and its interpreter.
impl Described for Place {
    fn describe(&self) -> Description {
        describe(self.node().as_ref(), Some(self))
    }

    fn place(&self) -> Option<Place> {
        Some(self.clone())
    }
}

fn describe<T: Object + ?Sized>(object: &T, place: Option<&Place>) -> Description {
    let stat = object.stat().unwrap_or_default();
    let mut path = alloc::vec::Vec::new();
    if let Some(place) = place {
        // Seen from outside of all roots: the whole path.
        let outside = Place::without_path(Arc::clone(&place.dentry));
        let text = place.path(&outside);
        path = text.bytes;
        if text.removed {
            path.extend_from_slice(b" (deleted)");
        }
    }
    Description { device: stat.device, inode: stat.inode, path }
}
