//! What a tree in memory takes along when it goes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{File, directory};
use crate::dentry::Dentry;

/// Files whose contents are nowhere else.
#[derive(Debug, Default)]
pub struct Unkept {
    /// How many.
    pub files: usize,
    /// The path of one in its file system, empty when there is none.
    pub example: Vec<u8>,
}

/// Finds the files of the tree at `root` that were made or changed in memory and are not empty. What is
/// mounted on the tree is not part of it.
pub fn unkept(root: &Arc<Dentry>) -> Unkept {
    let mut found = Unkept::default();
    let mut left = alloc::vec![Arc::clone(root)];
    while let Some(at) = left.pop() {
        if at.is_mount_point() && !Arc::ptr_eq(&at, root) {
            continue;
        }
        if let Some(directory) = directory(&**at.node()) {
            directory.children.lock().each_here(|child| left.push(Arc::clone(child)));
        } else if let Some(file) = at.node().as_any().downcast_ref::<File>()
            && file.lies_here()
        {
            if found.files == 0 {
                found.example = path(&at);
            }
            found.files += 1;
        }
    }
    found
}

fn path(of: &Arc<Dentry>) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = Arc::clone(of);
    while let Some(parent) = at.parent() {
        names.push(at.name());
        at = parent;
    }
    names.iter().rev().flat_map(|name| core::iter::once(&b'/').chain(&**name)).copied().collect()
}
