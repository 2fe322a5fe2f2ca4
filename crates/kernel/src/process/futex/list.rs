//! One bucket's list of waiters.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::task::Waker;

use abi::Errno;
use platform::shared::Shared;
use smallvec::SmallVec;

use super::requeue::{LATER, Stopped};
use super::{BATCH, BUCKETS, WOKEN, Waiter, Wake};
use crate::memory::Key;

/// No entry.
const NONE: u32 = u32::MAX;

/// A doubly linked list within a table, so that each entry can leave in one step.
pub(super) struct List {
    pub(super) entries: Vec<Entry>,
    unused: u32,
    head: u32,
    tail: u32,
}

pub(super) struct Entry {
    previous: u32,
    next: u32,
    /// `None` in an unused entry.
    pub(super) occupant: Option<Occupant>,
}

pub(super) struct Occupant {
    pub(super) key: Key,
    pub(super) bitset: u32,
    /// Who waits for a lock and is to own it, with [`LATER`] after it was moved there; 0 for other waits.
    pub(super) owner: u32,
    pub(super) waiter: Shared<Waiter>,
    pub(super) waker: Waker,
}

impl Occupant {
    #[inline]
    fn matches(&self, key: Key, bitset: u32) -> bool {
        self.key == key && self.bitset & bitset != 0
    }

    /// The same, waiting on another word; who waited to be moved is told that it was.
    fn moved(self, target: Key) -> Self {
        if self.owner & LATER != 0 {
            self.waiter.target.store(0, Ordering::Release);
        }
        Self { key: target, owner: self.owner & !LATER, ..self }
    }

    /// Marks its waiter as woken; gives what wakes its task.
    #[inline]
    pub(super) fn woken(self) -> Waker {
        // From here on the waiter may go on, and wait elsewhere.
        self.waiter.place.store(WOKEN, Ordering::Release);
        self.waker
    }
}

pub(super) fn pack(bucket: usize, entry: u32) -> u64 {
    (bucket as u64) << 32 | u64::from(entry)
}

pub(super) fn unpack(place: u64) -> (usize, u32) {
    let bucket = usize::try_from(place >> 32).unwrap_or(0) % BUCKETS;
    (bucket, u32::try_from(place & 0xffff_ffff).unwrap_or(NONE))
}

impl List {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), unused: NONE, head: NONE, tail: NONE }
    }

    fn at(&mut self, entry: u32) -> &mut Entry {
        &mut self.entries[entry as usize]
    }

    /// Appends an occupant and tells its waiter where it stands.
    fn append(&mut self, occupant: Occupant, bucket: usize) {
        let entry = self.add(&occupant.waiter, bucket);
        self.at(entry).occupant = Some(occupant);
    }

    /// Appends an entry for a waiter and tells it where it stands; its occupant is the caller's to set.
    #[inline]
    pub(super) fn add(&mut self, waiter: &Waiter, bucket: usize) -> u32 {
        let entry = self.unused;
        let entry = if entry == NONE {
            self.entries.push(Entry { previous: NONE, next: NONE, occupant: None });
            u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
        } else {
            self.unused = self.at(entry).next;
            entry
        };
        waiter.place.store(pack(bucket, entry), Ordering::Release);
        let tail = self.tail;
        let this = self.at(entry);
        this.previous = tail;
        this.next = NONE;
        match tail {
            NONE => self.head = entry,
            tail => self.at(tail).next = entry,
        }
        self.tail = entry;
        entry
    }

    /// Takes an entry out; its waiter's place is the caller's to set.
    #[inline]
    pub(super) fn remove(&mut self, entry: u32) -> Option<Occupant> {
        let unused = self.unused;
        let this = self.at(entry);
        let (previous, next) = (this.previous, this.next);
        let occupant = this.occupant.take();
        this.next = unused;
        self.unused = entry;
        match previous {
            NONE => self.head = next,
            previous => self.at(previous).next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => self.at(next).previous = previous,
        }
        occupant
    }

    /// Takes out the first waiter that matches, and marks it as woken.
    #[inline]
    pub(super) fn take_first(&mut self, key: Key, bitset: u32) -> Option<Waker> {
        let mut entry = self.head;
        while let Some(this) = self.entries.get(entry as usize) {
            if this.occupant.as_ref().is_some_and(|one| one.matches(key, bitset)) {
                return self.remove(entry).map(Occupant::woken);
            }
            entry = this.next;
        }
        None
    }

    /// Takes out up to `wake.count` waiters that match, and marks them as woken.
    pub(super) fn take_matching(&mut self, wake: &Wake, wakers: &mut SmallVec<[Waker; BATCH]>) {
        let mut left = wake.count;
        let mut entry = self.head;
        while entry != NONE && left > 0 {
            let this = self.at(entry);
            let next = this.next;
            let matches =
                this.occupant.as_ref().is_some_and(|one| one.matches(wake.key, wake.bitset));
            if matches && let Some(occupant) = self.remove(entry) {
                wakers.push(occupant.woken());
                left -= 1;
            }
            entry = next;
        }
    }

    /// The first waiter on `key` that is to own a lock, and whether there is another.
    pub(super) fn next_owner(&self, key: &Key) -> Option<(u32, u32, bool)> {
        let mut found = None;
        let mut entry = self.head;
        while let Some(this) = self.entries.get(entry as usize) {
            let owner =
                this.occupant.as_ref().filter(|one| one.key == *key).map_or(0, |one| one.owner);
            let owner = if owner & LATER == 0 { owner } else { 0 };
            match found {
                None if owner != 0 => found = Some((entry, owner)),
                Some((first, next)) if owner != 0 => return Some((first, next, true)),
                _ => {}
            }
            entry = this.next;
        }
        found.map(|(first, next)| (first, next, false))
    }

    /// The first waiter on `key`, which must wait to be moved to the lock that `target` stands for, and
    /// who it is.
    pub(super) fn first_to_move(
        &self,
        key: &Key,
        target: u64,
    ) -> Result<Option<(u32, u32)>, Stopped> {
        let mut entry = self.head;
        while let Some(this) = self.entries.get(entry as usize) {
            if let Some(one) = this.occupant.as_ref().filter(|one| one.key == *key) {
                let meant =
                    one.owner & LATER != 0 && one.waiter.target.load(Ordering::Relaxed) == target;
                let other = Errno::EINVAL.because("who waits there is to be moved elsewhere");
                let found = meant.then_some((entry, one.owner & !LATER));
                return found.map(Some).ok_or(Stopped::Error(other));
            }
            entry = this.next;
        }
        Ok(None)
    }

    /// Moves waiters on `key` behind all others of this same list, as waiters on `target`.
    pub(super) fn rename(&mut self, key: &Key, target: Key, most: usize, bucket: usize) -> usize {
        let last = self.tail;
        let mut moved = 0;
        let mut entry = self.head;
        while entry != NONE && moved < most {
            let next = self.at(entry).next;
            if self.at(entry).occupant.as_ref().is_some_and(|one| one.key == *key)
                && let Some(occupant) = self.remove(entry)
            {
                self.append(occupant.moved(target), bucket);
                moved += 1;
            }
            if entry == last {
                break; // what comes now was moved
            }
            entry = next;
        }
        moved
    }

    /// Moves waiters on `key` into another list, as waiters on `target`.
    pub(super) fn transfer(
        &mut self,
        destination: &mut Self,
        key: &Key,
        target: Key,
        most: usize,
        bucket: usize,
    ) -> usize {
        let mut moved = 0;
        let mut entry = self.head;
        while entry != NONE && moved < most {
            let next = self.at(entry).next;
            if self.at(entry).occupant.as_ref().is_some_and(|one| one.key == *key)
                && let Some(occupant) = self.remove(entry)
            {
                destination.append(occupant.moved(target), bucket);
                moved += 1;
            }
            entry = next;
        }
        moved
    }
}
