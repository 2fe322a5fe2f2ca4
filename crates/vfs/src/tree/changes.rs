//! Making, removing and moving names in directories of a tree.
//!
//! Locks: a directory's names before those of the directories below it; of two unrelated ones by
//! address. Only renames move directories, one at a time in a file system.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use platform::sync::Guard;

use super::attributes::Attributes;
use super::children::{Child, Children};
use super::directory::Directory;
use super::lower::Origin;
use super::{directory, origin_of};
use crate::credentials::Owner;
use crate::dentry::Dentry;
use crate::node::{Existing, Kind, New, SET_GID};

impl Directory {
    /// Makes something new in memory.
    pub(super) fn make(
        &self,
        here: &Arc<Dentry>,
        name: &[u8],
        new: &New<'_>,
    ) -> Result<Arc<Dentry>> {
        let mut children = self.children.lock();
        children.check_free(name)?;
        let owner = self.attributes.owner();
        let inherits = owner.mode & SET_GID != 0;
        let directory = new.kind == Kind::Directory;
        let passed_on = if inherits && directory { SET_GID } else { 0 };
        let owner = Owner {
            mode: new.kind.mode() | new.permissions | passed_on,
            uid: new.uid,
            gid: if inherits { owner.gid } else { new.gid },
        };
        let links = if directory { 2 } else { 1 };
        let seat = self.shared.volume.seat()?;
        let number = self.shared.volume.number();
        let attributes = Attributes::new(number, owner, links, new.rdev).seated(seat);
        let node = self.shared.make(attributes, new, self.attributes.inode);
        let name: Arc<[u8]> = name.into();
        let dentry = Dentry::new(here, Arc::clone(&name), node);
        children.set(&name, Child::Here(Arc::clone(&dentry)));
        drop(children);
        if directory {
            self.attributes.add_links(1);
        }
        self.attributes.touch_modified();
        Ok(dentry)
    }

    /// Makes a file without a name; its contents lie in memory, whatever is below.
    pub(super) fn make_unnamed(
        &self,
        here: &Arc<Dentry>,
        new: &New<'_>,
        linkable: bool,
    ) -> Result<Arc<Dentry>> {
        if self.children.lock().dead {
            return Err(Errno::ENOENT.because("the directory was removed"));
        }
        let above = self.attributes.owner();
        let gid = if above.mode & SET_GID != 0 { above.gid } else { new.gid };
        let owner = Owner { mode: Kind::File.mode() | new.permissions, uid: new.uid, gid };
        let seat = self.shared.volume.seat()?;
        let number = self.shared.volume.number();
        let attributes = Attributes::new(number, owner, 0, 0).seated(seat);
        let file = super::File::new(Arc::clone(&self.shared.volume), attributes);
        if linkable {
            file.make_linkable();
        }
        let name = alloc::format!("#{number}");
        let dentry = Dentry::new(here, name.as_bytes().into(), Arc::new(file));
        dentry.set_removed();
        Ok(dentry)
    }

    /// Makes something new in the layer below.
    pub(super) async fn create_below(
        &self,
        origin: &Arc<Origin>,
        name: &[u8],
        new: &New<'_>,
    ) -> Result<()> {
        let path = origin.path_of(name);
        let lower = origin.lower();
        match new.kind {
            Kind::File => lower.create(&path, new.permissions).await?,
            Kind::Directory => lower.make_directory(&path, new.permissions).await?,
            Kind::Link => lower.make_link(&path, new.target).await?,
            Kind::Pipe => lower.make_fifo(&path, new.permissions).await?,
            _ => return Err(Errno::EPERM.because("special files can't be made on the host")),
        }
        if new.kind == Kind::Directory {
            self.attributes.add_links(1);
        }
        self.attributes.touch_modified();
        Ok(())
    }

    /// Gives an inode one more name.
    pub(super) fn add_name(
        &self,
        here: &Arc<Dentry>,
        name: &[u8],
        target: &Arc<Dentry>,
    ) -> Result<()> {
        let node = target.node();
        let attributes = super::attributes_of(&**node).ok_or(Errno::EPERM)?;
        let mut children = self.children.lock();
        if self.through().is_none() {
            children.check_free(name)?;
        }
        attributes.add_links(1);
        if let Some(file) = node.as_any().downcast_ref::<super::File>() {
            file.was_linked();
        }
        let name: Arc<[u8]> = name.into();
        let dentry = Dentry::new(here, Arc::clone(&name), Arc::clone(node));
        children.set(&name, Child::Here(dentry));
        drop(children);
        self.attributes.touch_modified();
        Ok(())
    }

    pub(super) async fn link_below(
        &self,
        origin: &Arc<Origin>,
        name: &[u8],
        target: &Arc<Dentry>,
    ) -> Result<()> {
        let from = origin_of(&**target.node())
            .ok_or(Errno::EXDEV.because("the file lies in memory, the directory on the host"))?;
        origin.lower().link(&from.path(), &origin.path_of(name)).await
    }

    /// Removes a name that only the layer below can tell to be removable.
    pub(super) async fn remove_later(&self, child: &Arc<Dentry>) -> Result<()> {
        let below = directory(&**child.node());
        let _turn = self.shared.turns.take().await;
        if let Some(origin) = self.through() {
            self.children.lock().check_here(&child.name(), child)?;
            hold(child).await?;
            origin.lower().remove(&origin.path_of(&child.name()), below.is_some()).await?;
        } else if let Some(below) = below {
            below.list_lower().await?;
        }
        self.take_out(child)
    }

    /// Removes a name.
    pub(super) fn take_out(&self, child: &Arc<Dentry>) -> Result<()> {
        let name = child.name();
        let mut children = self.children.lock();
        children.check_here(&name, child)?;
        self.let_go(child)?;
        self.uncover(&mut children, &name);
        drop(children);
        self.attributes.touch_modified();
        Ok(())
    }

    /// One name of an inode goes; of a directory its only one.
    fn let_go(&self, child: &Arc<Dentry>) -> Result<()> {
        if let Some(below) = directory(&**child.node()) {
            let mut names = below.children.lock();
            // What was carried through was checked by the layer below.
            if names.len() > 0 && self.through().is_none() {
                return Err(Errno::ENOTEMPTY.because("the directory has entries"));
            }
            names.dead = true;
            drop(names);
            below.attributes.unlinked();
            self.attributes.add_links(-1);
        } else if let Some(attributes) = super::attributes_of(&**child.node()) {
            attributes.add_links(-1);
        }
        child.set_removed();
        Ok(())
    }

    /// Takes a name out; what the layer below has under it stays hidden.
    fn uncover(&self, children: &mut Children, name: &Arc<[u8]>) {
        if self.origin.is_some() && self.through().is_none() {
            children.set(name, Child::Absent);
        } else {
            children.forget(name);
        }
    }

    pub(super) async fn rename_later(
        &self,
        here: &Arc<Dentry>,
        child: &Arc<Dentry>,
        to: &Arc<Dentry>,
        name: &[u8],
        existing: Existing,
    ) -> Result<()> {
        let target = directory(&**to.node()).ok_or(Errno::ENOTDIR)?;
        let _turn = self.shared.turns.take().await;
        self.children.lock().check_here(&child.name(), child)?;
        let victim = target.children.lock().here(name).cloned();
        match (self.through(), target.through()) {
            (Some(from), Some(onto)) => {
                if existing == Existing::Refuse && victim.is_some() {
                    return Err(Errno::EEXIST.into());
                }
                if let Some(victim) = &victim {
                    hold(victim).await?;
                }
                let old = from.path_of(&child.name());
                let exchange = existing == Existing::Exchange;
                from.lower().rename(&old, &onto.path_of(name), exchange).await?;
                if let Some(origin) = victim.as_ref().and_then(|other| origin_of(&**other.node()))
                    && exchange
                {
                    origin.move_to(from, child.name());
                }
                if let Some(origin) = origin_of(&**child.node()) {
                    origin.move_to(onto, name.into());
                }
            }
            (None, None) => {
                if let Some(below) = victim.as_ref().and_then(|victim| directory(&**victim.node()))
                {
                    below.list_lower().await?;
                }
            }
            _ => return Err(Errno::EXDEV.because("one side goes through to the host")),
        }
        self.move_name(here, child, to, name, existing)
    }

    /// Moves a name.
    pub(super) fn move_name(
        &self,
        here: &Arc<Dentry>,
        child: &Arc<Dentry>,
        to: &Arc<Dentry>,
        name: &[u8],
        existing: Existing,
    ) -> Result<()> {
        let target = directory(&**to.node()).ok_or(Errno::ENOTDIR)?;
        let _renaming = self.shared.volume.renaming.lock();
        if child.is_above(to) {
            return Err(Errno::EINVAL.because("a directory can't be moved into itself"));
        }
        let (mut ours, mut theirs) = self.lock_both(here, target, to);
        let old = child.name();
        ours.check_here(&old, child)?;
        let theirs_now = theirs.as_deref().unwrap_or(&ours);
        if theirs_now.dead {
            return Err(Errno::ENOENT.into());
        }
        let victim = theirs_now.here(name).cloned();
        let name: Arc<[u8]> = name.into();
        match (victim, existing) {
            (Some(_), Existing::Refuse) => return Err(Errno::EEXIST.into()),
            (None, Existing::Exchange) => return Err(Errno::ENOENT.into()),
            (Some(victim), _) if same_node(&victim, child) => return Ok(()),
            (Some(victim), Existing::Exchange) => {
                if victim.is_above(here) {
                    return Err(Errno::EINVAL.because("a directory can't be moved into itself"));
                }
                theirs
                    .as_deref_mut()
                    .unwrap_or(&mut ours)
                    .set(&name, Child::Here(Arc::clone(child)));
                ours.set(&old, Child::Here(Arc::clone(&victim)));
                victim.move_to(here, old);
                target.moved(&victim, self);
            }
            (victim, _) => {
                if let Some(victim) = victim {
                    check_kinds(child, &victim)?;
                    if victim.is_above(here) {
                        return Err(Errno::ENOTEMPTY.because("the directory holds what is moved"));
                    }
                    target.let_go(&victim)?;
                }
                self.uncover(&mut ours, &old);
                theirs
                    .as_deref_mut()
                    .unwrap_or(&mut ours)
                    .set(&name, Child::Here(Arc::clone(child)));
            }
        }
        child.move_to(to, name);
        drop((ours, theirs));
        self.moved(child, target);
        self.attributes.touch_modified();
        target.attributes.touch_modified();
        if let Some(attributes) = super::attributes_of(&**child.node()) {
            attributes.touch_changed();
        }
        Ok(())
    }

    /// Counts the `..` of a directory that moved from here to `target`.
    fn moved(&self, child: &Arc<Dentry>, target: &Self) {
        if core::ptr::eq(self, target) {
            return;
        }
        if let Some(below) = directory(&**child.node()) {
            below.parent.store(target.attributes.inode, Ordering::Relaxed);
            self.attributes.add_links(-1);
            target.attributes.add_links(1);
        }
    }

    /// Locks the names of two directories, or of one.
    fn lock_both<'a>(
        &'a self,
        here: &Arc<Dentry>,
        target: &'a Self,
        to: &Arc<Dentry>,
    ) -> (Guard<'a, Children>, Option<Guard<'a, Children>>) {
        if core::ptr::eq(self, target) {
            return (self.children.lock(), None);
        }
        let related = here.is_above(to) || to.is_above(here);
        let ours_first = if related {
            here.is_above(to)
        } else {
            core::ptr::from_ref(self).addr() < core::ptr::from_ref(target).addr()
        };
        if ours_first {
            let ours = self.children.lock();
            let theirs = target.children.lock();
            (ours, Some(theirs))
        } else {
            let theirs = target.children.lock();
            (self.children.lock(), Some(theirs))
        }
    }
}

impl Children {
    /// Whether a name can be made.
    fn check_free(&self, name: &[u8]) -> Result<()> {
        if self.dead {
            return Err(Errno::ENOENT.because("the directory was removed"));
        }
        match self.get(name) {
            Some(Child::Here(_) | Child::Listed { .. }) => Err(Errno::EEXIST.into()),
            Some(Child::Absent) | None => Ok(()),
        }
    }

    /// Whether a name still means `child`.
    fn check_here(&self, name: &[u8], child: &Arc<Dentry>) -> Result<()> {
        match self.here(name) {
            Some(known) if Arc::ptr_eq(known, child) => Ok(()),
            _ => Err(Errno::ENOENT.because("the name was changed meanwhile")),
        }
    }
}

/// Keeps an open file usable whose name is about to go below.
async fn hold(child: &Arc<Dentry>) -> Result<()> {
    match child.node().as_any().downcast_ref::<super::File>() {
        Some(file) => file.hold().await,
        None => Ok(()),
    }
}

fn same_node(one: &Arc<Dentry>, other: &Arc<Dentry>) -> bool {
    core::ptr::addr_eq(Arc::as_ptr(one.node()), Arc::as_ptr(other.node()))
}

/// A directory replaces only directories, anything else never one.
fn check_kinds(child: &Arc<Dentry>, victim: &Arc<Dentry>) -> Result<()> {
    let is_directory = |dentry: &Arc<Dentry>| dentry.node().kind() == Kind::Directory;
    match (is_directory(child), is_directory(victim)) {
        (true, false) => Err(Errno::ENOTDIR.into()),
        (false, true) => Err(Errno::EISDIR.into()),
        _ => Ok(()),
    }
}
