//! The tree of mounts: attaching, copying, moving, taking away.
//!
//! Every change is made under the one lock of the list of mounts. What leaves the tree is dropped behind
//! it, because a file system may go with it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;

use super::sharing::{self, Kind as SharingKind};
use super::{Detached, FileSystem, Flags, Mount, Place};
use crate::dentry::Dentry;
use crate::node::Kind;

/// Mounts at most: `fs.mount-max`.
const MOUNTS_MAX: usize = 100_000;

/// Whether a change is meant for a mount alone, or for all that is mounted below too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recursion {
    /// It alone.
    One,
    /// And all below.
    All,
}

/// All mounts of the enclave.
pub struct MountTree {
    pub(super) root: Place,
    pub(super) mounts: Mutex<Vec<Arc<Mount>>>,
}

impl MountTree {
    /// A tree with `root` as its root.
    pub fn new(root: Arc<Dentry>, source: &[u8], flags: Flags) -> Arc<Self> {
        let mount = Mount::new(Arc::clone(&root), Some(FileSystem::new(root)), source, flags);
        mount.visible.store(true, Ordering::Release);
        Arc::new(Self { root: mount.root(), mounts: Mutex::new(alloc::vec![mount]) })
    }

    /// The root of all.
    pub fn root(&self) -> Place {
        self.root.clone().topmost()
    }

    /// Mounts a file system on a place.
    ///
    /// # Errors
    /// ENOTDIR when one is a directory and the other is not, EBUSY when it is mounted just there
    /// already, EINVAL when the place is not in the tree, ENOSPC.
    pub fn mount(
        &self,
        at: &Place,
        system: &Arc<FileSystem>,
        source: &[u8],
        flags: Flags,
    ) -> Result<Arc<Mount>> {
        let root = Arc::clone(&system.root);
        let mount = Mount::new(root, Some(Arc::clone(system)), source, flags);
        let mut mounts = self.mounts.lock();
        let at = at.clone().topmost();
        if !at.mount.is_visible() {
            return Err(Errno::EINVAL.because("the place is in no tree of mounts"));
        }
        let same = at.mount.system.as_ref().is_some_and(|there| Arc::ptr_eq(there, system));
        if same && at.is_mounted() {
            return Err(Errno::EBUSY.because("that file system is mounted just there"));
        }
        attach(&mut mounts, &mount, at)?;
        Ok(mount)
    }

    /// A file system that is mounted nowhere yet.
    pub fn mount_apart(
        self: &Arc<Self>,
        system: &Arc<FileSystem>,
        source: &[u8],
        flags: Flags,
    ) -> Detached {
        let root = Arc::clone(&system.root);
        let mount = Mount::new(root, Some(Arc::clone(system)), source, flags);
        Detached::new(mount, self)
    }

    /// Shows the directory or file `from` at `at` too.
    ///
    /// # Errors
    /// EINVAL (unbindable, or not in the tree), ENOTDIR, ENOENT, ENOSPC.
    pub fn bind(&self, from: &Place, at: &Place, recursion: Recursion) -> Result<()> {
        let mut mounts = self.mounts.lock();
        let at = at.clone().topmost();
        if !at.mount.is_visible() {
            return Err(Errno::EINVAL.because("the place is in no tree of mounts"));
        }
        let copy = copy(from, recursion, room(&mounts))?;
        attach(&mut mounts, &copy, at).inspect_err(|_| take_apart(&copy))
    }

    /// A copy of what is seen at `from` that stands nowhere yet.
    ///
    /// # Errors
    /// As [`MountTree::bind`].
    pub fn copy_apart(self: &Arc<Self>, from: &Place, recursion: Recursion) -> Result<Detached> {
        let mounts = self.mounts.lock();
        let copy = copy(from, recursion, room(&mounts))?;
        Ok(Detached::new(copy, self))
    }

    /// Moves a mount, or what stands apart, to another place.
    ///
    /// # Errors
    /// EINVAL, ENOTDIR, ELOOP, ENOENT, ENOSPC.
    pub fn move_to(&self, from: &Place, at: &Place) -> Result<()> {
        let directory = |place: &Place| place.node().kind() == Kind::Directory;
        let mut mounts = self.mounts.lock();
        let at = at.clone().topmost();
        let mount = &from.mount;
        if !from.is_mounted() || directory(from) != directory(&at) {
            return Err(Errno::EINVAL.because("no mount, or not of the kind of its new place"));
        }
        if !at.mount.is_visible() {
            return Err(Errno::EINVAL.because("the place is in no tree of mounts"));
        }
        let old = mount.mount_point();
        let movable = match &old {
            // What stands apart moves as a whole.
            None => !mount.is_visible() && !Arc::ptr_eq(mount, &self.root.mount),
            Some(old) => mount.is_visible() && old.mount.sharing().group == 0,
        };
        if !movable {
            return Err(Errno::EINVAL.because("the mount can't be taken from where it stands"));
        }
        let unbindable = subtree(mount).iter().any(|mount| mount.sharing().unbindable);
        if at.mount.sharing().group != 0 && unbindable {
            return Err(Errno::EINVAL.because("what can't be bound would have to be copied"));
        }
        if at.is_below(&mount.root()) {
            return Err(Errno::ELOOP.because("a mount can't be moved below itself"));
        }
        if let Some(old) = &old {
            unhook(mount);
            let done = attach(&mut mounts, mount, at);
            if done.is_err() {
                hook(mount, old.clone());
            }
            return done;
        }
        attach(&mut mounts, mount, at)
    }

    /// Takes the mount away whose root is `place`.
    ///
    /// # Errors
    /// EINVAL when nothing is mounted there, EBUSY when it is in use or something is mounted below.
    pub fn unmount(&self, place: &Place) -> Result<()> {
        // The list, where it stands, and the caller.
        const IDLE: usize = 3;
        let mut mounts = self.mounts.lock();
        let mount = &place.mount;
        check_removable(place)?;
        if !mount.children.lock().is_empty() || Arc::strong_count(mount) > IDLE {
            return Err(Errno::EBUSY.because("the mount is in use"));
        }
        let others = sharing::copies_of(&mounts, mount);
        if others.iter().any(|other| Arc::strong_count(other) > IDLE) {
            return Err(Errno::EBUSY.because("a copy of the mount is in use"));
        }
        take_away(&mut mounts, mount);
        for other in &others {
            take_away(&mut mounts, other);
        }
        drop(mounts);
        Ok(())
    }

    /// Takes the mount away that nobody used since this was asked for the first time.
    ///
    /// # Errors
    /// EAGAIN the first time, and as [`MountTree::unmount`].
    pub fn unmount_unused(&self, place: &Place) -> Result<()> {
        const IDLE: usize = 3;
        {
            let _mounts = self.mounts.lock();
            check_removable(place)?;
            let mount = &place.mount;
            if !mount.children.lock().is_empty() || Arc::strong_count(mount) > IDLE {
                return Err(Errno::EBUSY.because("the mount is in use"));
            }
            if !mount.unused.swap(true, Ordering::AcqRel) {
                return Err(Errno::EAGAIN.because("the mount was used since"));
            }
        }
        self.unmount(place)
    }

    /// Takes the mount away whose root is `place`, and all below; who uses them may go on.
    ///
    /// # Errors
    /// EINVAL when nothing is mounted there.
    pub fn detach(&self, place: &Place) -> Result<()> {
        let mut mounts = self.mounts.lock();
        check_removable(place)?;
        let mut gone = sharing::copies_of(&mounts, &place.mount);
        gone.push(Arc::clone(&place.mount));
        let all: Vec<_> = gone.iter().flat_map(subtree).collect();
        for mount in all.iter().rev() {
            take_away(&mut mounts, mount);
        }
        drop(mounts);
        Ok(())
    }

    /// All mounts, in the order in which they were made.
    pub fn list(&self) -> Vec<Arc<Mount>> {
        self.mounts.lock().clone()
    }

    /// Changes how a mount, or all below it too, is mounted.
    ///
    /// # Errors
    /// EBUSY when it is to be read-only and a file is open for writing.
    pub fn set_flags(
        &self,
        mount: &Arc<Mount>,
        recursion: Recursion,
        change: impl Fn(Flags) -> Flags,
    ) -> Result<()> {
        let _mounts = self.mounts.lock();
        let all = meant(mount, recursion);
        let busy = |mount: &Arc<Mount>| {
            let (old, new) = (mount.flags(), change(mount.flags()));
            let closes = !old.contains(Flags::READ_ONLY) && new.contains(Flags::READ_ONLY);
            closes && mount.writers.load(Ordering::Acquire) > 0
        };
        if all.iter().any(busy) {
            return Err(Errno::EBUSY.because("a file is open for writing"));
        }
        for mount in &all {
            mount.set_flags(change(mount.flags()));
        }
        Ok(())
    }

    /// Makes a whole file system read-only or writable.
    ///
    /// # Errors
    /// EBUSY when a file of it is open for writing.
    pub fn set_read_only(&self, of: &Mount, read_only: bool) -> Result<()> {
        let mounts = self.mounts.lock();
        let volume = of.root.node().volume();
        let writing = |mount: &Arc<Mount>| {
            Arc::ptr_eq(mount.root.node().volume(), volume)
                && mount.writers.load(Ordering::Acquire) > 0
        };
        if read_only && !volume.is_read_only() && mounts.iter().any(writing) {
            return Err(Errno::EBUSY.because("a file is open for writing"));
        }
        volume.set_read_only(read_only);
        Ok(())
    }

    /// Has `to` share what `from` shares (`MOVE_MOUNT_SET_GROUP`).
    ///
    /// # Errors
    /// EINVAL: not both mounts, of one file system, of which only the first one shares something.
    pub fn join(&self, from: &Place, to: &Place) -> Result<()> {
        let _mounts = self.mounts.lock();
        let wrong = |place: &Place| !place.is_mounted() || !place.mount.is_visible();
        let sharing = from.mount.sharing();
        let same = Arc::ptr_eq(from.node().volume(), to.node().volume());
        if wrong(from)
            || wrong(to)
            || !same
            || to.mount.sharing().group != 0
            || sharing.group == 0 && sharing.master == 0
            || !from.dentry.is_above(&to.dentry)
        {
            return Err(Errno::EINVAL.because("the two mounts can't share that"));
        }
        *to.mount.sharing.lock() = sharing;
        Ok(())
    }

    /// Changes what a mount, or all below it too, shares with others.
    pub fn set_sharing(&self, mount: &Arc<Mount>, recursion: Recursion, kind: SharingKind) {
        let mounts = self.mounts.lock();
        for mount in meant(mount, recursion) {
            sharing::change(&mounts, &mount, kind);
        }
    }
}

/// Mounts that may still be made.
pub(super) fn room(mounts: &[Arc<Mount>]) -> usize {
    MOUNTS_MAX.saturating_sub(mounts.len())
}

fn meant(mount: &Arc<Mount>, recursion: Recursion) -> Vec<Arc<Mount>> {
    match recursion {
        Recursion::One => alloc::vec![Arc::clone(mount)],
        Recursion::All => subtree(mount),
    }
}

fn check_removable(place: &Place) -> Result<()> {
    if !place.is_mounted() || !place.mount.is_visible() || place.mount.mount_point().is_none() {
        return Err(Errno::EINVAL.because("nothing is mounted there"));
    }
    Ok(())
}

/// A mount and all below it, each behind the one that it stands on.
pub(super) fn subtree(mount: &Arc<Mount>) -> Vec<Arc<Mount>> {
    let mut all = alloc::vec![Arc::clone(mount)];
    let mut next = 0;
    while let Some(at) = all.get(next).cloned() {
        all.extend(at.children());
        next += 1;
    }
    all
}

/// Puts a mount at its place, under no name that programs see yet.
pub(super) fn hook(mount: &Arc<Mount>, at: Place) {
    at.mount.children.lock().push((Arc::clone(&at.dentry), Arc::clone(mount)));
    at.dentry.mounted();
    *mount.at.lock() = Some(at);
}

/// Takes a mount from its place.
pub(super) fn unhook(mount: &Arc<Mount>) {
    let at = mount.at.lock().take();
    if let Some(at) = at {
        at.mount.children.lock().retain(|(_, child)| !Arc::ptr_eq(child, mount));
        at.dentry.unmounted();
    }
}

/// Takes a tree apart that stands nowhere.
pub(super) fn take_apart(root: &Arc<Mount>) {
    for mount in subtree(root).iter().rev() {
        unhook(mount);
    }
}

/// Takes a mount out of the tree that programs see.
fn take_away(mounts: &mut Vec<Arc<Mount>>, mount: &Arc<Mount>) {
    sharing::leave(mounts, mount);
    unhook(mount);
    mount.visible.store(false, Ordering::Release);
    mounts.retain(|other| !Arc::ptr_eq(other, mount));
}

/// Copies what is seen at a place; at most `room` mounts.
pub(super) fn copy(from: &Place, recursion: Recursion, room: usize) -> Result<Arc<Mount>> {
    if from.mount.sharing().unbindable {
        return Err(Errno::EINVAL.because("the mount is unbindable"));
    }
    if room == 0 {
        return Err(Errno::ENOSPC.because("too many mounts"));
    }
    let root = copy_one(&from.mount, &from.dentry);
    let mut left = alloc::vec![(Arc::clone(&from.mount), Arc::clone(&root))];
    let mut made = 1;
    while let Some((old, new)) = left.pop() {
        if recursion == Recursion::One {
            break;
        }
        let children = old.children.lock().clone();
        for (at, child) in children {
            if child.sharing().unbindable || !new.root.is_above(&at) {
                continue;
            }
            made += 1;
            if made > room {
                take_apart(&root);
                return Err(Errno::ENOSPC.because("too many mounts"));
            }
            let copy = copy_one(&child, &child.root);
            hook(&copy, Place { mount: Arc::clone(&new), dentry: at });
            left.push((child, copy));
        }
    }
    Ok(root)
}

fn copy_one(old: &Arc<Mount>, root: &Arc<Dentry>) -> Arc<Mount> {
    let copy = Mount::new(Arc::clone(root), old.system.clone(), &old.source, old.flags());
    *copy.sharing.lock() = old.sharing();
    copy
}

/// Puts a tree that stands nowhere at its place, and copies of it wherever what is mounted there is
/// shared.
fn attach(mounts: &mut Vec<Arc<Mount>>, mount: &Arc<Mount>, at: Place) -> Result<()> {
    let directory = |dentry: &Arc<Dentry>| dentry.node().kind() == Kind::Directory;
    if directory(&at.dentry) != directory(&mount.root) {
        return Err(Errno::ENOTDIR.because("a directory can only be mounted on a directory"));
    }
    if at.dentry.is_removed() {
        return Err(Errno::ENOENT.because("the directory was removed"));
    }
    if subtree(mount).len() > room(mounts) {
        return Err(Errno::ENOSPC.because("too many mounts"));
    }
    let copies = sharing::spread(mounts, mount, &at)?;
    appear(mounts, mount, at);
    for (copy, at) in copies {
        appear(mounts, &copy, at.topmost());
    }
    Ok(())
}

fn appear(mounts: &mut Vec<Arc<Mount>>, mount: &Arc<Mount>, at: Place) {
    hook(mount, at);
    for mount in subtree(mount) {
        if !mount.visible.swap(true, Ordering::AcqRel) {
            mounts.push(mount);
        }
    }
}
