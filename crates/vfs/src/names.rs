//! Making, moving and removing names, with the checks that no file system makes for itself.
//!
//! Source: open(2), mkdir(2), link(2), unlink(2), rmdir(2), rename(2), `path_resolution(7)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;

use crate::credentials::{Access, Capabilities, Credentials};
use crate::mount::Place;
use crate::node::{Existing, Kind, New, Node, STICKY};
use crate::notify;
use crate::path::{LastName, Leaf, Name, Start, Walk};

/// Makes a directory, symbolic link, device file or empty file.
///
/// # Errors
/// EEXIST, EROFS, EACCES, ENOENT, and those of the walk.
pub async fn make(start: Start<'_>, path: &[u8], new: New<'_>) -> Result<Place> {
    let mut walk = Walk::new(start, path)?;
    let leaf = walk.to_leaf().await?;
    let LastName::Name(name) = &leaf.name else {
        return Err(Errno::EEXIST.because("the path ends in no name"));
    };
    if walk.look(name).await?.is_some() {
        return Err(Errno::EEXIST.because("the name is taken"));
    }
    if leaf.slash && new.kind != Kind::Directory {
        return Err(Errno::ENOENT.because("only a directory's name may end in a slash"));
    }
    make_in(&leaf.parent, name, start.who, new).await
}

/// Makes something in a directory where the name was not found.
pub(crate) async fn make_in(
    parent: &Place,
    name: &[u8],
    who: &Credentials,
    new: New<'_>,
) -> Result<Place> {
    parent.mount.check_writable()?;
    if parent.dentry.is_removed() {
        return Err(Errno::ENOENT.because("the directory was removed"));
    }
    check_writable(parent, who)?;
    let dentry = parent.node().create(&parent.dentry, name, new).finished().await?;
    notify::created(&parent.dentry, name, &**dentry.node());
    Ok(Place { mount: Arc::clone(&parent.mount), dentry })
}

/// Gives `target` one more name.
///
/// # Errors
/// EEXIST, EXDEV, EPERM for a directory, and as [`make`].
pub async fn link(target: &Place, start: Start<'_>, path: &[u8]) -> Result<()> {
    let mut walk = Walk::new(start, path)?;
    let leaf = walk.to_leaf().await?;
    let LastName::Name(name) = &leaf.name else {
        return Err(Errno::EEXIST.because("the path ends in no name"));
    };
    if walk.look(name).await?.is_some() {
        return Err(Errno::EEXIST.because("the name is taken"));
    }
    if leaf.slash {
        return Err(Errno::ENOENT.because("only a directory's name may end in a slash"));
    }
    let parent = &leaf.parent;
    parent.mount.check_writable()?;
    if !Arc::ptr_eq(&parent.mount, &target.mount) {
        return Err(Errno::EXDEV.because("the new name is on another mount"));
    }
    check_writable(parent, start.who)?;
    if target.node().kind() == Kind::Directory {
        return Err(Errno::EPERM.because("a directory has one name only"));
    }
    if !target.node().may_be_linked() {
        return Err(Errno::ENOENT.because("the file's last name was removed"));
    }
    parent.node().link(&parent.dentry, name, &target.dentry).finished().await?;
    notify::linked(&parent.dentry, name, &**target.node());
    Ok(())
}

/// Removes the name of anything but a directory.
///
/// # Errors
/// EISDIR, ENOENT, EROFS, EACCES, EPERM, EBUSY, and those of the walk.
pub async fn unlink(start: Start<'_>, path: &[u8]) -> Result<()> {
    let mut walk = Walk::new(start, path)?;
    let leaf = walk.to_leaf().await?;
    let LastName::Name(name) = &leaf.name else {
        return Err(Errno::EISDIR.because("the path ends in no name"));
    };
    let place = victim(&mut walk, &leaf, name).await?;
    let directory = place.node().kind() == Kind::Directory;
    if leaf.slash {
        return Err(if directory { Errno::EISDIR } else { Errno::ENOTDIR }.into());
    }
    check_removable(&leaf.parent, &place, start.who)?;
    if directory {
        return Err(Errno::EISDIR.because("a directory is removed by rmdir"));
    }
    remove(&leaf, &place).await
}

/// Removes an empty directory.
///
/// # Errors
/// ENOTEMPTY, ENOTDIR, EBUSY, EINVAL for `.`, ENOENT, EROFS, EACCES, EPERM, and those of the walk.
pub async fn remove_directory(start: Start<'_>, path: &[u8]) -> Result<()> {
    let mut walk = Walk::new(start, path)?;
    let leaf = walk.to_leaf().await?;
    let name = match &leaf.name {
        LastName::Name(name) => name,
        LastName::Dot => return Err(Errno::EINVAL.because("'.' can't be removed")),
        LastName::DotDot => return Err(Errno::ENOTEMPTY.because("'..' can't be removed")),
        LastName::Root => return Err(Errno::EBUSY.because("the root can't be removed")),
    };
    let place = victim(&mut walk, &leaf, name).await?;
    check_removable(&leaf.parent, &place, start.who)?;
    if place.node().kind() != Kind::Directory {
        return Err(Errno::ENOTDIR.because("rmdir removes directories only"));
    }
    remove(&leaf, &place).await
}

async fn remove(leaf: &Leaf, place: &Place) -> Result<()> {
    let parent = &leaf.parent;
    if !Arc::ptr_eq(&place.mount, &parent.mount) || place.dentry.is_mount_point() {
        return Err(Errno::EBUSY.because("something is mounted there"));
    }
    parent.node().remove(&parent.dentry, &place.dentry).finished().await?;
    notify::unlinked(&parent.dentry, &place.dentry);
    Ok(())
}

/// Moves a name, over what has the new one as `existing` says.
///
/// # Errors
/// EXDEV, EEXIST, EBUSY, EINVAL, EISDIR, ENOTDIR, ENOTEMPTY, ENOENT, EROFS, EACCES, EPERM, and those
/// of the walk.
pub async fn rename(
    from: Start<'_>,
    old: &[u8],
    to: Start<'_>,
    new: &[u8],
    existing: Existing,
) -> Result<()> {
    let mut old_walk = Walk::new(from, old)?;
    let mut new_walk = Walk::new(to, new)?;
    let old_leaf = old_walk.to_leaf().await?;
    let new_leaf = new_walk.to_leaf().await?;
    if !Arc::ptr_eq(&old_leaf.parent.mount, &new_leaf.parent.mount) {
        return Err(Errno::EXDEV.because("the new name is on another mount"));
    }
    let LastName::Name(old_name) = &old_leaf.name else {
        return Err(Errno::EBUSY.because("the old path ends in no name"));
    };
    let LastName::Name(new_name) = &new_leaf.name else {
        let errno = if existing == Existing::Refuse { Errno::EEXIST } else { Errno::EBUSY };
        return Err(errno.because("the new path ends in no name"));
    };
    old_leaf.parent.mount.check_writable()?;
    let moved = old_walk.look(old_name).await?.ok_or(Errno::ENOENT)?;
    let there = new_walk.look(new_name).await?;
    match (&there, existing) {
        (Some(_), Existing::Refuse) => {
            return Err(Errno::EEXIST.because("RENAME_NOREPLACE, and the name is taken"));
        }
        (None, Existing::Exchange) => {
            return Err(Errno::ENOENT.because("RENAME_EXCHANGE, and one is missing"));
        }
        _ => {}
    }
    let is_directory = |place: &Place| place.node().kind() == Kind::Directory;
    if !is_directory(&moved) {
        let slash = new_leaf.slash && existing != Existing::Exchange;
        if old_leaf.slash || slash {
            return Err(Errno::ENOTDIR.because("a slash follows what is no directory"));
        }
    }
    if moved.dentry.is_above(&new_leaf.parent.dentry) {
        return Err(Errno::EINVAL.because("a directory can't be moved into itself"));
    }
    if there.as_ref().is_some_and(|there| there.dentry.is_above(&old_leaf.parent.dentry)) {
        let errno = if existing == Existing::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY };
        return Err(errno.into());
    }
    check_removable(&old_leaf.parent, &moved, from.who)?;
    match &there {
        None => check_writable(&new_leaf.parent, to.who)?,
        Some(there) => {
            check_removable(&new_leaf.parent, there, to.who)?;
            if existing != Existing::Exchange {
                match (is_directory(&moved), is_directory(there)) {
                    (true, false) => {
                        return Err(Errno::ENOTDIR.because("a directory replaces only directories"));
                    }
                    (false, true) => {
                        return Err(Errno::EISDIR.because("only a directory replaces one"));
                    }
                    _ => {}
                }
            }
        }
    }
    if new_leaf.parent.dentry.is_removed() {
        return Err(Errno::ENOENT.because("the directory was removed"));
    }
    // A directory that changes its parent changes its own "..".
    let same_parent = Arc::ptr_eq(&old_leaf.parent.dentry, &new_leaf.parent.dentry);
    if is_directory(&moved) && !same_parent {
        from.who.check(moved.node().owner(), Access::WRITE)?;
    }
    let busy = |place: &Place, leaf: &Leaf| {
        !Arc::ptr_eq(&place.mount, &leaf.parent.mount) || place.dentry.is_mount_point()
    };
    if busy(&moved, &old_leaf) || there.as_ref().is_some_and(|there| busy(there, &new_leaf)) {
        return Err(Errno::EBUSY.because("something is mounted there"));
    }
    let parent = &old_leaf.parent;
    let target = &new_leaf.parent.dentry;
    parent
        .node()
        .rename(&parent.dentry, &moved.dentry, target, new_name, existing)
        .finished()
        .await?;
    let victim = there.as_ref().map(Place::node);
    if notify::any() && !victim.is_some_and(|victim| is_same(victim, moved.node())) {
        let (from, to) = ((&parent.dentry, &**old_name), (target, &**new_name));
        let exchanged = victim.filter(|_| existing == Existing::Exchange);
        let victim = victim.filter(|_| exchanged.is_none()).map(|victim| &**victim);
        notify::moved(from, to, &**moved.node(), victim);
        if let Some(other) = exchanged {
            notify::moved(to, from, &**other, None);
        }
    }
    Ok(())
}

fn is_same(one: &Arc<dyn Node>, other: &Arc<dyn Node>) -> bool {
    core::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

/// What has the name that is to be removed.
async fn victim(walk: &mut Walk<'_>, leaf: &Leaf, name: &Name) -> Result<Place> {
    let found = walk.look(name).await?;
    leaf.parent.mount.check_writable()?;
    found.ok_or(Errno::ENOENT.because("nothing has that name"))
}

fn check_writable(parent: &Place, who: &Credentials) -> Result<()> {
    who.check(parent.node().owner(), Access::WRITE | Access::EXECUTE)
}

/// Whether a name may be taken out of its directory.
fn check_removable(parent: &Place, victim: &Place, who: &Credentials) -> Result<()> {
    check_writable(parent, who)?;
    let directory = parent.node().owner();
    let sticky = directory.mode & STICKY != 0
        && who.fsuid != victim.node().owner().uid
        && who.fsuid != directory.uid
        && !who.has(Capabilities::FOWNER);
    if sticky {
        return Err(
            Errno::EPERM.because("the directory is sticky, and the file is somebody else's")
        );
    }
    Ok(())
}
