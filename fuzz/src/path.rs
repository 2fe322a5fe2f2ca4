//! The path walk, over a tree that the input builds.
//!
//! Steps make, move and remove names and mounts; each path that they use is walked as well. Whatever
//! the tree looks like, a walk ends, with a place or with an errno that `path_resolution(7)` knows;
//! what was found is found again under its own name; and a walk that may not leave its directory
//! does not.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use abi::Errno;
use arbitrary::{Arbitrary, Unstructured};
use vfs::credentials::{Credentials, Owner};
use vfs::mount::{FileSystem, Flags, MountTree, Place};
use vfs::names;
use vfs::node::{Change, Existing, Kind, New};
use vfs::path::{self, Last, Refuse, Start};
use vfs::tree::{TMPFS_MAGIC, Tree};

/// Steps of one run; trees grow no further.
const STEPS_MAX: usize = 64;

/// One step; names are short, so that the same ones come up again.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Directory(Words<'a>),
    File(Words<'a>),
    Link(Words<'a>, Words<'a>),
    HardLink(Words<'a>, Words<'a>),
    Unlink(Words<'a>),
    RemoveDirectory(Words<'a>),
    Rename(Words<'a>, Words<'a>, u8),
    Mount(Words<'a>),
    Unmount(Words<'a>),
    Permissions(Words<'a>, u16),
    /// Walks as another user, from another directory, with something refused.
    Walk {
        from: Words<'a>,
        to: Words<'a>,
        refuse: u8,
        root: bool,
    },
    /// Walks any bytes.
    Bytes(&'a [u8]),
}

/// A path, component by component.
#[derive(Arbitrary, Debug)]
struct Words<'a> {
    absolute: bool,
    words: Vec<Word<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Word<'a> {
    Known(u8),
    Dot,
    DotDot,
    Empty,
    Name(&'a [u8]),
}

impl Words<'_> {
    fn path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        if self.absolute {
            path.push(b'/');
        }
        for (index, word) in self.words.iter().enumerate() {
            if index > 0 {
                path.push(b'/');
            }
            match word {
                Word::Known(which) => path.push(b'a' + which % 4),
                Word::Dot => path.push(b'.'),
                Word::DotDot => path.extend(b".."),
                Word::Empty => {}
                Word::Name(bytes) => path.extend(*bytes),
            }
        }
        path
    }
}

/// The tree, and who walks.
struct World {
    mounts: Arc<MountTree>,
    root: Place,
    administrator: Credentials,
    user: Credentials,
}

/// Runs the steps.
///
/// # Panics
/// When a rule is broken.
pub fn run(data: &[u8]) {
    let Ok(steps) = Vec::<Step<'_>>::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let tree = memory();
    let mounts = MountTree::new(Arc::clone(tree.root()), b"root", Flags::empty());
    let root = mounts.root();
    let administrator = Credentials::new(0, 0, &[]);
    let mut world = World { mounts, root, administrator, user: Credentials::new(5, 5, &[]) };
    for step in steps.iter().take(STEPS_MAX) {
        world.advance(step);
        // Whoever was at a root that is covered by a mount sees what lies below it: no news here.
        world.root = world.mounts.root();
    }
    // A mount and the one that it stands on own each other until it is taken away.
    for mount in world.mounts.list().iter().rev() {
        let _ = world.mounts.detach(&mount.root());
    }
}

fn memory() -> Tree {
    Tree::memory("tmpfs", TMPFS_MAGIC, Owner { mode: 0o755, uid: 0, gid: 0 })
}

impl World {
    fn start(&self) -> Start<'_> {
        Start::new(&self.root, &self.root, &self.administrator)
    }

    fn advance(&self, step: &Step<'_>) {
        let start = self.start();
        match step {
            Step::Directory(path) => self.make(path, Kind::Directory, b""),
            Step::File(path) => self.make(path, Kind::File, b""),
            Step::Link(path, target) => self.make(path, Kind::Link, &target.path()),
            Step::HardLink(old, new) => {
                if let Some(place) = self.walk(start, &old.path()) {
                    let _ = finish(names::link(&place, start, &new.path()));
                }
            }
            Step::Unlink(path) => {
                let _ = finish(names::unlink(start, &path.path()));
            }
            Step::RemoveDirectory(path) => {
                let _ = finish(names::remove_directory(start, &path.path()));
            }
            Step::Rename(old, new, existing) => {
                let choices = [Existing::Replace, Existing::Refuse, Existing::Exchange];
                let existing = choices[usize::from(existing % 3)];
                let (old, new) = (old.path(), new.path());
                let _ = finish(names::rename(start, &old, start, &new, existing));
            }
            Step::Mount(path) => {
                if let Some(place) = self.walk(start, &path.path()) {
                    let tree = memory();
                    let system = FileSystem::new(Arc::clone(tree.root()));
                    let _ = self.mounts.mount(&place, &system, b"tmpfs", Flags::empty());
                }
            }
            Step::Unmount(path) => {
                if let Some(place) = self.walk(start, &path.path()) {
                    let _ = self.mounts.unmount(&place);
                }
            }
            Step::Permissions(path, bits) => {
                if let Some(place) = self.walk(start, &path.path()) {
                    let change = Change::Permissions(u32::from(*bits) & 0o7777);
                    let _ = finish(place.node().change(change).finished());
                }
            }
            Step::Walk { from, to, refuse, root } => {
                let Some(from) = self.walk(start, &from.path()) else { return };
                let refuse = Refuse::from_bits_truncate(u64::from(*refuse));
                let root = if *root { &from } else { &self.root };
                let restricted = Start { refuse, ..Start::new(root, &from, &self.user) };
                let found = self.walk(restricted, &to.path());
                if let Some(place) = found
                    && refuse.contains(Refuse::LEAVING)
                {
                    assert!(is_below(&place, &from, &self.root), "a walk left its directory");
                }
            }
            Step::Bytes(path) => drop(self.walk(start, path)),
        }
    }

    fn make(&self, path: &Words<'_>, kind: Kind, target: &[u8]) {
        let path = path.path();
        let new = New { kind, permissions: 0o755, uid: 0, gid: 0, rdev: 0, target };
        if finish(names::make(self.start(), &path, new)).is_ok() {
            let made = finish(path::resolve(self.start(), &path, Last::Keep)).expect("just made");
            assert_eq!(made.node().kind(), kind);
        }
    }

    /// Walks both ways, and back by the name of what was found.
    fn walk(&self, start: Start<'_>, path: &[u8]) -> Option<Place> {
        let kept = finish(path::resolve(start, path, Last::Keep));
        let followed = finish(path::resolve(start, path, Last::Follow));
        let _ = finish(path::parent(start, path));
        for errno in [&kept, &followed].into_iter().filter_map(|walk| walk.as_ref().err()) {
            assert!(is_known(errno.errno), "{errno:?}");
        }
        if let Ok(place) = &kept {
            assert!(!place.dentry.is_removed(), "a walk found what was removed");
            let text = place.path(&self.root);
            if text.reachable && text.bytes.len() < path::PATH_MAX {
                let again = finish(path::resolve(self.start(), &text.bytes, Last::Keep))
                    .expect("what was found is found again");
                assert!(again.is(place), "another under the same name");
            }
        }
        if let Ok(place) = &followed {
            assert_ne!(place.node().kind(), Kind::Link, "a link was not followed");
            let _ = finish(path::read_link(place, start.who));
        }
        followed.ok()
    }
}

/// Whether `place` is `top` or lies below it.
fn is_below(place: &Place, top: &Place, root: &Place) -> bool {
    let mut at = place.clone();
    loop {
        if at.is(top) {
            return true;
        }
        let up = at.up(root);
        if up.is(&at) {
            return false;
        }
        at = up;
    }
}

fn is_known(errno: Errno) -> bool {
    [Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES, Errno::ELOOP, Errno::ENAMETOOLONG, Errno::EXDEV]
        .contains(&errno)
}

/// Runs a future that has nothing to wait for: all of the tree is in memory.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..10_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("a walk without an end");
}
