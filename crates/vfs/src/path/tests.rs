//! The corner cases of `path_resolution(7)`.

use std::sync::Arc;

use abi::Errno;

use super::{Last, Refuse, Start, parent, resolve};
use crate::credentials::{Credentials, Owner};
use crate::mount::{FileSystem, Flags, MountTree};
use crate::node::{Change, Kind};
use crate::tree::tests::{World, finish};
use crate::tree::{TMPFS_MAGIC, Tree};

fn world() -> World {
    let world = World::memory();
    for directory in ["/d", "/d/e", "/other"] {
        world.make(directory, Kind::Directory, b"").unwrap();
    }
    world.write("/d/f", b"f");
    for (name, target) in [
        ("/to-d", "d"),
        ("/d/up", "../other"),
        ("/abs", "/d/e"),
        ("/loop-a", "loop-b"),
        ("/loop-b", "loop-a"),
        ("/dangling", "nowhere"),
        ("/to-f-slash", "d/f/"),
    ] {
        world.make(name, Kind::Link, target.as_bytes()).unwrap();
    }
    world
}

fn inode(world: &World, path: &str) -> u64 {
    world.find(path).unwrap().node().stat().unwrap().inode
}

#[test]
fn dots_slashes_and_links() {
    let world = world();
    let d = inode(&world, "/d");
    for path in [
        "d",
        "//d",
        "/d/",
        "/d/.",
        "/./d//",
        "/d/e/..",
        "/../../d",
        "/to-d",
        "/to-d/",
        "d/e/../../d",
    ] {
        assert_eq!(inode(&world, path), d, "{path}");
    }
    assert_eq!(inode(&world, "/d/up/../d"), d);
    assert_eq!(inode(&world, "/abs/.."), d);
    assert_eq!(inode(&world, "/.."), inode(&world, "/"));
}

#[test]
fn errors_as_linux_gives_them() {
    let world = world();
    for (path, errno) in [
        ("", Errno::ENOENT),
        ("/none", Errno::ENOENT),
        ("/none/", Errno::ENOENT),
        ("/d/f/", Errno::ENOTDIR),
        ("/d/f/.", Errno::ENOTDIR),
        ("/d/f/..", Errno::ENOTDIR),
        ("/d/f/x", Errno::ENOTDIR),
        ("/to-f-slash", Errno::ENOTDIR),
        ("/dangling", Errno::ENOENT),
        ("/loop-a", Errno::ELOOP),
        ("/loop-a/x", Errno::ELOOP),
    ] {
        assert_eq!(world.errno(path), Some(errno), "{path}");
    }
    let long = "x".repeat(255);
    assert_eq!(world.errno(&long), Some(Errno::ENOENT));
    assert_eq!(world.errno(&(long + "x")), Some(Errno::ENAMETOOLONG));
    let deep = "./".repeat(2047);
    assert_eq!(world.errno(&deep), None);
    assert_eq!(world.errno(&(deep + "./")), Some(Errno::ENAMETOOLONG));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let world = World::memory();
    world.write("/end", b"");
    world.make("/l1", Kind::Link, b"end").unwrap();
    for number in 2..=41 {
        let target = format!("l{}", number - 1);
        world.make(&format!("/l{number}"), Kind::Link, target.as_bytes()).unwrap();
    }
    assert_eq!(world.errno("/l40"), None);
    assert_eq!(world.errno("/l41"), Some(Errno::ELOOP));
}

#[test]
fn a_last_link_is_kept_unless_a_slash_follows() {
    let world = world();
    let kind = |path: &str| {
        finish(resolve(world.start(), path.as_bytes(), Last::Keep)).unwrap().node().kind()
    };
    assert_eq!(kind("/to-d"), Kind::Link);
    assert_eq!(kind("/to-d/"), Kind::Directory);
    assert_eq!(kind("/loop-a"), Kind::Link);
    assert_eq!(kind("/to-d/up"), Kind::Link);
}

#[test]
fn leaves_name_what_is_not_there() {
    let world = world();
    let leaf = |path: &str| {
        let leaf = finish(parent(world.start(), path.as_bytes())).unwrap();
        (leaf.parent.path(&world.root).bytes, format!("{:?}", leaf.name), leaf.slash)
    };
    let name = |name: &str| format!("Name({:?})", name.as_bytes());
    assert_eq!(leaf("/to-d/new"), (b"/d".to_vec(), name("new"), false));
    assert_eq!(leaf("new//"), (b"/".to_vec(), name("new"), true));
    assert_eq!(leaf("/d/."), (b"/d".to_vec(), "Dot".into(), false));
    assert_eq!(leaf("/").1, "Root");
}

#[test]
fn search_needs_permission() {
    let mut world = world();
    let place = world.find("/d").unwrap();
    finish(place.node().change(Change::Permissions(0o600)).finished()).unwrap();
    world.who = Credentials::new(5, 5, &[]);
    assert_eq!(world.errno("/d"), None);
    for path in ["/d/f", "/d/.", "/d/..", "/d/none", "/to-d/f"] {
        assert_eq!(world.errno(path), Some(Errno::EACCES), "{path}");
    }
}

#[test]
fn mounts_are_crossed_both_ways() {
    let world = world();
    let mounts = MountTree::new(Arc::clone(&world.root.dentry), b"root", Flags::empty());
    let root = mounts.root();
    let who = Credentials::new(0, 0, &[]);
    let start = Start::new(&root, &root, &who);
    let find = |path: &str| finish(resolve(start, path.as_bytes(), Last::Follow));
    let tree = Tree::memory("tmpfs", TMPFS_MAGIC, Owner { mode: 0o755, uid: 0, gid: 0 });
    let system = FileSystem::new(Arc::clone(tree.root()));
    let covered = find("/d/e").unwrap();
    mounts.mount(&covered, &system, b"tmpfs", Flags::empty()).unwrap();
    let inside = find("/d/e").unwrap();
    assert!(!inside.is(&covered));
    assert_eq!(inside.path(&root).bytes, b"/d/e");
    assert!(find("/d/e/..").unwrap().is(&find("/d").unwrap()));
    assert!(find("/d/e/../e").unwrap().is(&inside));
    // Mounted once more on top, and taken away again.
    let second = Tree::memory("tmpfs", TMPFS_MAGIC, Owner { mode: 0o755, uid: 0, gid: 0 });
    let second = FileSystem::new(Arc::clone(second.root()));
    mounts.mount(&inside, &second, b"tmpfs", Flags::empty()).unwrap();
    assert_eq!(
        mounts.mount(&inside, &second, b"", Flags::empty()).unwrap_err().errno,
        Errno::EBUSY
    );
    assert_eq!(mounts.unmount(&inside).unwrap_err().errno, Errno::EBUSY);
    drop(inside);
    mounts.unmount(&find("/d/e").unwrap()).unwrap();
    mounts.unmount(&find("/d/e").unwrap()).unwrap();
    assert!(find("/d/e").unwrap().is(&covered));
    let refused = Start { refuse: Refuse::MOUNTS, ..start };
    mounts.mount(&covered, &second, b"tmpfs", Flags::empty()).unwrap();
    let crossing = finish(resolve(refused, b"/d/e", Last::Follow)).unwrap_err();
    assert_eq!(crossing.errno, Errno::EXDEV);
}

#[test]
fn a_root_is_not_left() {
    let world = world();
    let jail = world.find("/d").unwrap();
    let start = Start::new(&jail, &jail, &world.who);
    let find = |path: &str| finish(resolve(start, path.as_bytes(), Last::Follow));
    assert!(find("/../..").unwrap().is(&jail));
    assert_eq!(find("/f").unwrap().path(&jail).bytes, b"/f");
    // The absolute link leads to the jail's own /d/e, which is not there.
    world.make("/d/link", Kind::Link, b"/e").unwrap();
    assert!(find("link").unwrap().is(&find("/e").unwrap()));
    assert!(!world.find("/other").unwrap().path(&jail).reachable);
}

#[test]
fn openat2_restrictions() {
    let world = world();
    let from = world.find("/d").unwrap();
    let errno = |refuse: Refuse, path: &str| {
        let start = Start { refuse, ..Start::new(&world.root, &from, &world.who) };
        finish(resolve(start, path.as_bytes(), Last::Follow)).err().map(|error| error.errno)
    };
    assert_eq!(errno(Refuse::LEAVING, "e/../f"), None);
    assert_eq!(errno(Refuse::LEAVING, "../d/f"), Some(Errno::EXDEV));
    assert_eq!(errno(Refuse::LEAVING, "/d/f"), Some(Errno::EXDEV));
    assert_eq!(errno(Refuse::LEAVING, "up"), Some(Errno::EXDEV));
    assert_eq!(errno(Refuse::LINKS, "up"), Some(Errno::ELOOP));
    assert_eq!(errno(Refuse::ROOT, "/f"), None);
    assert_eq!(errno(Refuse::ROOT, "../../f"), None);
}
