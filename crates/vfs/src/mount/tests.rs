//! Mounts without names: what stands where, and what is freed.

use alloc::sync::Arc;

use abi::Errno;

use super::sharing::Kind;
use super::{FileSystem, Flags, MountTree, Place, Recursion};
use crate::credentials::Owner;
use crate::dentry::Dentry;
use crate::node::{Answer, New};
use crate::tree::{TMPFS_MAGIC, Tree};

fn memory() -> Arc<Dentry> {
    let owner = Owner { mode: 0o755, uid: 0, gid: 0 };
    Arc::clone(Tree::memory("tmpfs", TMPFS_MAGIC, owner).root())
}

fn directory(at: &Place, name: &str) -> Place {
    let kind = crate::node::Kind::Directory;
    let new = New { kind, permissions: 0o755, uid: 0, gid: 0, rdev: 0, target: b"" };
    let Answer::Now(made) = at.node().create(&at.dentry, name.as_bytes(), new) else {
        unreachable!()
    };
    Place { mount: Arc::clone(&at.mount), dentry: made.unwrap() }
}

fn on(tree: &MountTree, at: &Place) -> Place {
    let system = FileSystem::new(memory());
    tree.mount(at, &system, b"none", Flags::empty()).unwrap().root()
}

#[test]
fn what_lies_in_a_file_system_goes_with_its_last_mount() {
    let tree = MountTree::new(memory(), b"root", Flags::empty());
    let at = directory(&tree.root(), "a");
    let top = on(&tree, &at);
    let mut deepest = directory(&top, "d");
    for _ in 0..20_000 {
        deepest = directory(&deepest, "d");
    }
    let witness = Arc::downgrade(&deepest.dentry);
    drop(deepest);
    tree.unmount(&top).unwrap();
    drop(top);
    assert!(witness.upgrade().is_none());
}

#[test]
fn a_used_mount_stays_unless_it_is_detached() {
    let tree = MountTree::new(memory(), b"root", Flags::empty());
    let at = directory(&tree.root(), "a");
    let top = on(&tree, &at);
    let user = directory(&top, "d");
    assert_eq!(tree.unmount(&top).unwrap_err().errno, Errno::EBUSY);
    tree.detach(&top).unwrap();
    assert!(!user.dentry.is_removed() && !user.mount.is_visible());
    assert!(at.clone().topmost().is(&at));
    assert_eq!(tree.detach(&top).unwrap_err().errno, Errno::EINVAL);
}

#[test]
fn shared_mounts_hear_of_each_other_and_slaves_only_hear() {
    let tree = MountTree::new(memory(), b"root", Flags::empty());
    let [a, b, c] = ["a", "b", "c"].map(|name| directory(&tree.root(), name));
    let first = on(&tree, &a);
    let inner = directory(&first, "x");
    tree.set_sharing(&first.mount, Recursion::One, Kind::Shared);
    tree.bind(&first, &b, Recursion::One).unwrap();
    tree.bind(&first, &c, Recursion::One).unwrap();
    let (second, third) = (b.topmost(), c.topmost());
    tree.set_sharing(&third.mount, Recursion::One, Kind::Slave);
    let seen = |through: &Place| {
        let place = Place { mount: Arc::clone(&through.mount), dentry: Arc::clone(&inner.dentry) };
        place.topmost().is_mounted()
    };
    let new = on(&tree, &inner);
    assert!(seen(&first) && seen(&second) && seen(&third));
    let total = tree.list().len();
    tree.unmount(&new).unwrap();
    assert!(!seen(&first) && !seen(&second) && !seen(&third));
    assert_eq!(tree.list().len(), total - 3);
    // What is mounted on a slave stays there.
    let there = Place { mount: Arc::clone(&third.mount), dentry: Arc::clone(&inner.dentry) };
    on(&tree, &there);
    assert!(!seen(&first) && !seen(&second) && seen(&third));
}
