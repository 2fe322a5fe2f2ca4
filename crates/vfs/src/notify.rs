//! What happens to files, told to those who watch them.
//!
//! A [`Mark`] is the wish of one [`inotify::Inotify`] to hear of one inode. Whatever does something to
//! files calls a function of this module when it is done, after a look at [`any`]: as long as nobody
//! watches anything, that look is all that it costs.
//!
//! Only what programs of this enclave do is seen: what the host does to its files is not.
//!
//! Source: inotify(7).

pub mod inotify;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use platform::sync::Mutex;

use crate::dentry::Dentry;
use crate::node::{Change, Kind, Node, Time, Volume};
use crate::object::OpenFile;
use inotify::Inotify;

bitflags::bitflags! {
    /// Events, and what a watch asks for, with the bits of inotify(7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Mask: u32 {
        /// It was read.
        const ACCESS = 0x1;
        /// It was written or cut.
        const MODIFY = 0x2;
        /// Its attributes changed.
        const ATTRIBUTES = 0x4;
        /// A description that could write was closed.
        const CLOSE_WRITE = 0x8;
        /// Another description was closed.
        const CLOSE_OTHER = 0x10;
        /// It was opened.
        const OPEN = 0x20;
        /// A name was moved out of the directory.
        const MOVED_FROM = 0x40;
        /// A name was moved into the directory.
        const MOVED_TO = 0x80;
        /// A name was made in the directory.
        const CREATE = 0x100;
        /// A name was removed from the directory.
        const DELETE = 0x200;
        /// The inode itself is gone.
        const DELETE_SELF = 0x400;
        /// The inode itself was moved.
        const MOVE_SELF = 0x800;
        /// The file system is gone.
        const UNMOUNT = 0x2000;
        /// Events were lost.
        const OVERFLOW = 0x4000;
        /// The watch ended.
        const IGNORED = 0x8000;
        /// Only a directory can be watched.
        const ONLY_DIRECTORY = 0x0100_0000;
        /// A last symbolic link is watched itself.
        const DONT_FOLLOW = 0x0200_0000;
        /// Nothing of children without a name.
        const EXCLUDE_UNLINKED = 0x0400_0000;
        /// The watch must be a new one.
        const NEW = 0x1000_0000;
        /// Asks for more than before.
        const ADD = 0x2000_0000;
        /// It is about a directory.
        const DIRECTORY = 0x4000_0000;
        /// Ends with its first event.
        const ONCE = 0x8000_0000;
    }
}

impl Mask {
    /// Events that a program can ask for.
    pub const EVENTS: Self = Self::from_bits_retain(0xfff);
    /// What a watch keeps of what it was asked for.
    const KEPT: Self =
        Self::from_bits_retain(0xfff | Self::EXCLUDE_UNLINKED.bits() | Self::ONCE.bits());
}

/// One watch.
pub(crate) struct Mark {
    group: Weak<Inotify>,
    /// Its number in the group.
    descriptor: i32,
    /// Held, so that what is watched stays the same inode.
    node: Arc<dyn Node>,
    mask: AtomicU32,
}

impl Mark {
    fn mask(&self) -> Mask {
        Mask::from_bits_retain(self.mask.load(Ordering::Relaxed))
    }
}

/// An event, apart from who hears of it.
#[derive(Clone, Copy)]
struct Event<'a> {
    mask: Mask,
    /// What the two halves of a move have in common; 0: none.
    cookie: u32,
    name: Option<&'a [u8]>,
    /// It comes through a description of a file whose name was removed.
    unlinked: bool,
}

/// How many marks there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The marks by the address of their inode.
static MARKS: Mutex<BTreeMap<usize, Vec<Arc<Mark>>>> = Mutex::new(BTreeMap::new());

/// Whether anything is watched at all.
#[inline]
pub fn any() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

fn key(node: &dyn Node) -> usize {
    core::ptr::from_ref(node).addr()
}

/// Makes a mark known.
fn insert(mark: &Arc<Mark>) {
    MARKS.lock().entry(key(&*mark.node)).or_default().push(Arc::clone(mark));
    COUNT.fetch_add(1, Ordering::Relaxed);
}

/// Forgets a mark, if it is known.
fn remove(mark: &Arc<Mark>) {
    let mut marks = MARKS.lock();
    let key = key(&*mark.node);
    let Some(of_node) = marks.get_mut(&key) else { return };
    let before = of_node.len();
    of_node.retain(|other| !Arc::ptr_eq(other, mark));
    let removed = before - of_node.len();
    if of_node.is_empty() {
        marks.remove(&key);
    }
    drop(marks);
    COUNT.fetch_sub(removed, Ordering::Relaxed);
}

/// The marks of an inode.
fn marks_of(node: &dyn Node) -> Vec<Arc<Mark>> {
    MARKS.lock().get(&key(node)).cloned().unwrap_or_default()
}

/// Tells those who watch `node`.
fn tell(node: &dyn Node, event: Event<'_>) {
    for mark in marks_of(node) {
        let mask = mark.mask();
        let excluded = event.unlinked && mask.contains(Mask::EXCLUDE_UNLINKED);
        if mask.intersects(event.mask & Mask::EVENTS)
            && !excluded
            && let Some(group) = mark.group.upgrade()
        {
            group.hear(&mark, event);
        }
    }
}

/// Tells those who watch the directory of a name, then those who watch its inode.
fn tell_both(dentry: &Arc<Dentry>, mask: Mask, unlinked: bool) {
    let node = dentry.node();
    let mask = with_kind(&**node, mask);
    let event = Event { mask, cookie: 0, name: None, unlinked };
    // Who may see a directory must not learn how the devices and pipes in it are used.
    let special = !matches!(node.kind(), Kind::File | Kind::Directory | Kind::Link);
    let hidden = special && mask.intersects(Mask::ACCESS | Mask::MODIFY);
    if let Some(parent) = dentry.parent().filter(|_| !hidden) {
        let name = dentry.name();
        tell(&**parent.node(), Event { name: Some(&name), ..event });
    }
    tell(&**node, event);
}

fn with_kind(node: &dyn Node, mask: Mask) -> Mask {
    if node.kind() == Kind::Directory { mask | Mask::DIRECTORY } else { mask }
}

/// Tells those who watch an inode itself.
fn tell_inode(node: &dyn Node, mask: Mask) {
    tell(node, Event { mask: with_kind(node, mask), cookie: 0, name: None, unlinked: false });
}

/// Tells those who watch a directory of one of its names.
fn tell_name(directory: &Arc<Dentry>, mask: Mask, name: &[u8], of: &dyn Node, cookie: u32) {
    let mask = with_kind(of, mask);
    tell(&**directory.node(), Event { mask, cookie, name: Some(name), unlinked: false });
}

/// Something happened through an open description.
fn through(file: &OpenFile, mask: Mask) {
    if file.is_told()
        && let Some(place) = file.place()
    {
        tell_both(&place.dentry, mask, place.dentry.is_removed());
    }
}

/// Bytes or names were read through a description.
pub fn accessed(file: &OpenFile) {
    if any() {
        through(file, Mask::ACCESS);
    }
}

/// Contents were changed through a description.
pub fn modified(file: &OpenFile) {
    if any() {
        through(file, Mask::MODIFY);
    }
}

/// A description was made.
pub fn opened(file: &OpenFile) {
    if any() {
        through(file, Mask::OPEN);
    }
}

/// The last descriptor of a description went.
pub(crate) fn closed(file: &OpenFile) {
    let mask = if file.writable() { Mask::CLOSE_WRITE } else { Mask::CLOSE_OTHER };
    through(file, mask);
}

/// The length was set by name.
pub fn cut(dentry: &Arc<Dentry>) {
    if any() {
        tell_both(dentry, Mask::MODIFY, false);
    }
}

/// Extended attributes changed.
pub fn attributes(dentry: &Arc<Dentry>) {
    if any() {
        tell_both(dentry, Mask::ATTRIBUTES, false);
    }
}

/// Attributes were changed as `change` says.
pub fn changed(dentry: &Arc<Dentry>, change: Change) {
    if !any() {
        return;
    }
    let mask = match change {
        Change::Owner(None, None, _) | Change::Times(Time::Keep, Time::Keep) => return,
        // Both times are set by touch(1) and its like, one of them as if it had been used.
        Change::Times(_, Time::Keep) => Mask::ACCESS,
        Change::Times(Time::Keep, _) => Mask::MODIFY,
        Change::Permissions(_) | Change::Owner(..) | Change::Times(..) => Mask::ATTRIBUTES,
    };
    tell_both(dentry, mask, false);
}

/// A name was made.
pub(crate) fn created(parent: &Arc<Dentry>, name: &[u8], node: &dyn Node) {
    if any() {
        tell_name(parent, Mask::CREATE, name, node, 0);
    }
}

/// An inode got one more name.
pub(crate) fn linked(parent: &Arc<Dentry>, name: &[u8], node: &dyn Node) {
    if any() {
        tell_inode(node, Mask::ATTRIBUTES);
        tell_name(parent, Mask::CREATE, name, node, 0);
    }
}

/// A name was removed; the caller holds `child`.
pub(crate) fn unlinked(parent: &Arc<Dentry>, child: &Arc<Dentry>) {
    if !any() {
        return;
    }
    let node = &**child.node();
    if node.kind() != Kind::Directory {
        tell_inode(node, Mask::ATTRIBUTES);
    }
    // Nobody but the caller has it: it goes with its name.
    if Arc::strong_count(child) == 1 {
        dropped(node);
    }
    tell_name(parent, Mask::DELETE, &child.name(), node, 0);
}

/// The last user of a removed name went: so does the inode, if it has no other.
pub(crate) fn dropped(node: &dyn Node) {
    if any() && node.stat().is_ok_and(|stat| stat.links == 0) {
        end(node, Mask::DELETE_SELF);
    }
}

/// A name was moved, over `victim` if that had the new one.
pub(crate) fn moved(
    (from, old): (&Arc<Dentry>, &[u8]),
    (to, new): (&Arc<Dentry>, &[u8]),
    node: &dyn Node,
    victim: Option<&dyn Node>,
) {
    static COOKIE: AtomicU32 = AtomicU32::new(0);
    if !any() {
        return;
    }
    let cookie = COOKIE.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    tell_name(from, Mask::MOVED_FROM, old, node, cookie);
    tell_name(to, Mask::MOVED_TO, new, node, cookie);
    if let Some(victim) = victim {
        tell_inode(victim, Mask::ATTRIBUTES);
    }
    tell_inode(node, Mask::MOVE_SELF);
}

/// A file system is mounted nowhere any more.
pub(crate) fn unmounted(volume: &Arc<Volume>) {
    let marks: Vec<_> = MARKS.lock().values().flatten().cloned().collect();
    for mark in marks.iter().filter(|mark| Arc::ptr_eq(mark.node.volume(), volume)) {
        end(&*mark.node, Mask::UNMOUNT);
    }
}

/// Tells the last that can be told of an inode, and ends its watches.
fn end(node: &dyn Node, mask: Mask) {
    let event = Event { mask: with_kind(node, mask), cookie: 0, name: None, unlinked: false };
    for mark in marks_of(node) {
        let Some(group) = mark.group.upgrade() else { continue };
        if (mark.mask() | Mask::UNMOUNT).intersects(mask) {
            group.hear(&mark, event);
        }
        group.end(&mark);
    }
}
