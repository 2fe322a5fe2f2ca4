//! What mounts share: who mounts below one sees it below the others.
//!
//! Source: `mount_namespaces(7)`, "Shared subtrees".

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::errno::Result;

use super::tree::{self, Recursion, subtree};
use super::{Mount, Place};

/// What a mount shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Number of the group whose mounts tell each other; 0: none.
    pub group: u32,
    /// Number of the group that it hears from; 0: none.
    pub master: u32,
    /// It is never copied.
    pub unbindable: bool,
}

/// What a mount can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It tells and hears.
    Shared,
    /// It only hears, from those that it told before.
    Slave,
    /// Neither.
    Private,
    /// Neither, and it is not copied.
    Unbindable,
}

static NEXT_GROUP: AtomicU32 = AtomicU32::new(1);

fn new_group() -> u32 {
    NEXT_GROUP.fetch_add(1, Ordering::Relaxed)
}

/// Changes what a mount shares.
pub(super) fn change(mounts: &[Arc<Mount>], mount: &Arc<Mount>, kind: Kind) {
    if kind == Kind::Shared {
        let mut sharing = mount.sharing.lock();
        if sharing.group == 0 {
            sharing.group = new_group();
        }
        sharing.unbindable = false;
        return;
    }
    let old = mount.sharing();
    let peers = mounts.iter().any(|other| is_peer(other, mount, old.group));
    leave(mounts, mount);
    let mut sharing = mount.sharing.lock();
    sharing.group = 0;
    if kind == Kind::Slave {
        sharing.master = if old.group != 0 && peers { old.group } else { old.master };
    } else {
        sharing.master = 0;
        sharing.unbindable = kind == Kind::Unbindable;
    }
}

fn is_peer(other: &Arc<Mount>, mount: &Arc<Mount>, group: u32) -> bool {
    group != 0 && !Arc::ptr_eq(other, mount) && other.sharing().group == group
}

/// A mount leaves its group: if it was the last one, who heard from the group hears from its master.
pub(super) fn leave(mounts: &[Arc<Mount>], mount: &Arc<Mount>) {
    let Sharing { group, master, .. } = mount.sharing();
    if group == 0 || mounts.iter().any(|other| is_peer(other, mount, group)) {
        return;
    }
    for other in mounts {
        let mut sharing = other.sharing.lock();
        if sharing.master == group {
            sharing.master = master;
        }
    }
}

/// The mounts that hear of what happens on `mount`, each with the group that it hears it from.
fn listeners(mounts: &[Arc<Mount>], mount: &Arc<Mount>) -> Vec<(Arc<Mount>, u32)> {
    let mut groups = alloc::vec![mount.sharing().group];
    let mut found: Vec<(Arc<Mount>, u32)> = Vec::new();
    let mut next = 0;
    while let Some(&group) = groups.get(next) {
        next += 1;
        if group == 0 {
            continue;
        }
        for other in mounts {
            let sharing = other.sharing();
            let known = Arc::ptr_eq(other, mount)
                || found.iter().any(|(known, _)| Arc::ptr_eq(known, other));
            if known || sharing.group != group && sharing.master != group {
                continue;
            }
            found.push((Arc::clone(other), group));
            if sharing.group != group && !groups.contains(&sharing.group) {
                groups.push(sharing.group);
            }
        }
    }
    found
}

/// A copy of a tree for each mount that hears of what is mounted at `at`, with its place.
///
/// # Errors
/// Those of a copy, of which there may be so many only.
pub(super) fn spread(
    mounts: &[Arc<Mount>],
    tree: &Arc<Mount>,
    at: &Place,
) -> Result<Vec<(Arc<Mount>, Place)>> {
    let group = at.mount.sharing().group;
    if group == 0 {
        return Ok(Vec::new());
    }
    for mount in subtree(tree) {
        change(&[], &mount, Kind::Shared);
    }
    let mut room = tree::room(mounts).saturating_sub(subtree(tree).len());
    // The tree that the mounts of a group show.
    let mut shown = alloc::vec![(group, Arc::clone(tree))];
    let mut copies: Vec<(Arc<Mount>, Place)> = Vec::new();
    for (listener, heard) in listeners(mounts, &at.mount) {
        if !listener.root.is_above(&at.dentry) {
            continue;
        }
        let own = listener.sharing().group;
        let Some((_, source)) = shown.iter().find(|(group, _)| *group == heard) else { continue };
        let made = match tree::copy(&source.root(), Recursion::All, room) {
            Ok(made) => made,
            Err(error) => {
                for (copy, _) in &copies {
                    tree::take_apart(copy);
                }
                return Err(error);
            }
        };
        room = room.saturating_sub(subtree(&made).len());
        if own != heard {
            for mount in subtree(&made) {
                let mut sharing = mount.sharing.lock();
                sharing.master = sharing.group;
                sharing.group = if own == 0 { 0 } else { new_group() };
            }
            if own != 0 && !shown.iter().any(|(group, _)| *group == own) {
                shown.push((own, Arc::clone(&made)));
            }
        }
        copies.push((made, Place { mount: listener, dentry: Arc::clone(&at.dentry) }));
    }
    Ok(copies)
}

/// The copies of a mount that go with it: those at the same place of mounts that hear of its parent, if
/// nothing is mounted on them.
pub(super) fn copies_of(mounts: &[Arc<Mount>], mount: &Arc<Mount>) -> Vec<Arc<Mount>> {
    let Some(at) = mount.mount_point() else { return Vec::new() };
    let heard = listeners(mounts, &at.mount).into_iter();
    heard
        .filter_map(|(listener, _)| listener.on(&at.dentry))
        .filter(|copy| copy.children.lock().is_empty())
        .collect()
}
