//! The names of a directory, with what is known of the layer below.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use hashbrown::HashMap;

use crate::dentry::Dentry;
use crate::node::Kind;

/// Position of the first entry behind `.` and `..`.
const FIRST: u64 = 2;

/// What is known of a name.
#[derive(Clone)]
pub(crate) enum Child {
    /// It is here.
    Here(Arc<Dentry>),
    /// The layer below listed it, and was not asked for more.
    Listed {
        /// Inode number.
        inode: u64,
        /// Its type.
        kind: Kind,
    },
    /// It is not here, whatever the layer below has.
    Absent,
}

struct Slot {
    child: Child,
    /// Its position in lists; 0 for absent ones.
    position: u64,
}

/// The names of a directory.
#[derive(Default)]
pub(crate) struct Children {
    by_name: HashMap<Arc<[u8]>, Slot>,
    /// Names in the order of lists: a position belongs to a name as long as the name is there.
    order: BTreeMap<u64, Arc<[u8]>>,
    next: u64,
    /// All names of the layer below are in the map.
    pub(crate) complete: bool,
    /// The layer below was listed for a reader that begins now.
    pub(crate) fresh: bool,
    /// The directory was removed: nothing can be made in it.
    pub(crate) dead: bool,
    /// The [`storage::pages::moment`] at which the layer below last showed something new.
    pub(crate) adopted: u64,
}

impl Children {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Child> {
        self.by_name.get(name).map(|slot| &slot.child)
    }

    /// The dentry of a name that is here.
    pub(crate) fn here(&self, name: &[u8]) -> Option<&Arc<Dentry>> {
        match self.get(name) {
            Some(Child::Here(dentry)) => Some(dentry),
            _ => None,
        }
    }

    /// Passes on the dentries of all names that are here.
    pub(crate) fn each_here(&self, mut take: impl FnMut(&Arc<Dentry>)) {
        for slot in self.by_name.values() {
            if let Child::Here(dentry) = &slot.child {
                take(dentry);
            }
        }
    }

    /// Hands over the dentries of all names that are here, and forgets all.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Arc<Dentry>> + use<> {
        self.order.clear();
        self.dead = true;
        core::mem::take(&mut self.by_name).into_values().filter_map(|slot| match slot.child {
            Child::Here(dentry) => Some(dentry),
            _ => None,
        })
    }

    /// Number of names.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Sets what is known of a name; a name that stays keeps its position.
    pub(crate) fn set(&mut self, name: &Arc<[u8]>, child: Child) -> Option<Child> {
        let absent = matches!(child, Child::Absent);
        let old = self.by_name.remove(name);
        let position = match &old {
            Some(slot) if slot.position != 0 && !absent => slot.position,
            _ if absent => 0,
            _ => {
                self.next = self.next.max(FIRST) + 1;
                self.next
            }
        };
        if let Some(old) = &old
            && old.position != position
        {
            self.order.remove(&old.position);
        }
        if position != 0 {
            self.order.insert(position, Arc::clone(name));
        }
        self.by_name.insert(Arc::clone(name), Slot { child, position });
        old.map(|slot| slot.child)
    }

    /// Forgets a name.
    pub(crate) fn forget(&mut self, name: &[u8]) -> Option<Child> {
        let old = self.by_name.remove(name)?;
        self.order.remove(&old.position);
        Some(old.child)
    }

    /// The first name at `position` or behind; its own position and what is known of it.
    pub(crate) fn at_or_behind(&self, position: u64) -> Option<(u64, &Arc<[u8]>, &Child)> {
        let (position, name) = self.order.range(position..).next()?;
        self.by_name.get(name).map(|slot| (*position, name, &slot.child))
    }

    /// Forgets what the layer below said and only it said, before it is listed anew.
    pub(crate) fn forget_listed(&mut self) {
        let names: alloc::vec::Vec<_> = self
            .by_name
            .iter()
            .filter(|(_, slot)| matches!(slot.child, Child::Listed { .. } | Child::Absent))
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in names {
            self.forget(&name);
        }
    }
}
