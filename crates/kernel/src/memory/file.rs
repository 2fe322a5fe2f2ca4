//! Open files as mappings know them.

use vfs::mount::Place;
use vfs::object::OpenFile;

use super::contents::{Described, Description};

impl Described for OpenFile {
    fn describe(&self) -> Description {
        let stat = self.object().stat().unwrap_or_default();
        let mut path = alloc::vec::Vec::new();
        if let Some(place) = self.place() {
            // Seen from outside of all roots: the whole path.
            let outside = Place::without_path(alloc::sync::Arc::clone(&place.dentry));
            let text = place.path(&outside);
            path = text.bytes;
            if text.removed {
                path.extend_from_slice(b" (deleted)");
            }
        }
        Description {
            device: stat.device,
            inode: stat.inode,
            path,
        }
    }
}
