//! Waiting on words of user memory.
//!
//! Waiters stand in buckets of a hash table, each bucket a list in the order of their arrival. Who
//! waits looks at the word under the bucket's lock and enters the list under it; who wakes changes
//! the word first and takes the lock then; so no wake-up falls between look and entry.
//!
//! A waiter is one [`Waiter`] of its thread, used again and again, whose `place` says where it stands.
//! Only who holds the lock of that bucket may change it: that is how a waiter that was requeued, and
//! gives up, finds the list in which it stands now.
//!
//! Source: futex(2), FUTEX_WAIT and following.

pub mod robust;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::hash::{Hash, Hasher};
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};

use abi::errno::Result as KernelResult;
use platform::sync::{Guard, Mutex};
use platform::user::{Short, UserWord};
use smallvec::SmallVec;

use crate::context;
use crate::memory::{Key, Space};

pub(crate) use robust::{leave_robust_list, wake_address};

/// Buckets of the table; a power of two.
const BUCKETS: usize = 256;
/// So many are woken per hold of a lock without an allocation.
const BATCH: usize = 8;
/// No entry.
const NONE: u32 = u32::MAX;

/// [`Waiter::place`]: stands nowhere and was not woken.
const IDLE: u64 = u64::MAX;
/// [`Waiter::place`]: was woken.
const WOKEN: u64 = u64::MAX - 1;

/// All waits on user words.
pub struct Futexes {
    buckets: Box<[Bucket]>,
}

/// One list. On cache lines of its own, because its lock is written all the time.
#[repr(align(128))]
struct Bucket {
    list: Mutex<List>,
}

/// A doubly linked list within a table, so that each entry can leave in one step.
struct List {
    entries: Vec<Entry>,
    unused: u32,
    head: u32,
    tail: u32,
}

struct Entry {
    previous: u32,
    next: u32,
    /// `None` in an unused entry.
    occupant: Option<Occupant>,
}

struct Occupant {
    key: Key,
    bitset: u32,
    waiter: Arc<Waiter>,
    waker: Waker,
}

/// Where a thread stands in the table. One for each thread, and one for each word of futex_waitv.
#[derive(Debug)]
pub struct Waiter {
    /// Bucket in the upper half and entry in the lower, [`IDLE`] or [`WOKEN`].
    place: AtomicU64,
}

/// Why a wait did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The word has another value.
    Changed,
    /// The word can't be read yet.
    Fault(Short),
}

/// What a wake-up is for.
#[derive(Clone, Copy, Debug)]
pub struct Wake {
    /// The word.
    pub key: Key,
    /// How many at most.
    pub count: usize,
    /// Which waits count.
    pub bitset: u32,
}

/// The bitset of waits that don't name one.
pub const ANY: u32 = u32::MAX;

impl Waiter {
    /// A waiter that stands nowhere.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { place: AtomicU64::new(IDLE) })
    }
}

impl Futexes {
    /// Nobody waits.
    pub fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| Bucket { list: Mutex::new(List::new()) }).collect();
        Self { buckets }
    }

    fn bucket_of(key: &Key) -> usize {
        let mut mixer = Mixer(0);
        key.hash(&mut mixer);
        usize::try_from(mixer.finish() >> 56).unwrap_or(0) % BUCKETS
    }

    /// A wait on `word`, named `key`, as long as it holds `expected`; it begins at the first poll.
    pub fn wait<'a>(
        &'a self,
        waiter: &'a Arc<Waiter>,
        key: Key,
        word: UserWord,
        expected: u32,
        bitset: u32,
    ) -> Wait<'a> {
        Wait { futexes: self, waiter, key, word, expected, bitset, begun: false }
    }

    /// Wakes waiters, the longest waiting first; gives how many.
    pub fn wake(&self, wake: Wake) -> usize {
        let mut wakers: SmallVec<[Waker; BATCH]> = SmallVec::new();
        {
            let mut list = self.buckets[Self::bucket_of(&wake.key)].list.lock();
            list.take_matching(&wake, &mut wakers);
        }
        let woken = wakers.len();
        wakers.into_iter().for_each(Waker::wake);
        woken
    }

    /// Wakes up to `wake.count` waiters and moves up to `moved` others over to `target`; gives how
    /// many were woken and how many were moved.
    ///
    /// `check` runs under the locks, before anything happens.
    ///
    /// # Errors
    /// What `check` gives.
    pub fn requeue<E>(
        &self,
        wake: Wake,
        moved: usize,
        target: Key,
        check: impl FnOnce() -> Result<(), E>,
    ) -> Result<(usize, usize), E> {
        let mut wakers: SmallVec<[Waker; BATCH]> = SmallVec::new();
        let (from, to) = (Self::bucket_of(&wake.key), Self::bucket_of(&target));
        let moved_count = {
            let (mut source, mut destination) = self.lock_two(from, to);
            check()?;
            source.take_matching(&wake, &mut wakers);
            match &mut destination {
                None => source.rename(&wake.key, target, moved, to),
                Some(destination) => source.transfer(destination, &wake.key, target, moved, to),
            }
        };
        let woken = wakers.len();
        wakers.into_iter().for_each(Waker::wake);
        Ok((woken, moved_count))
    }

    /// Changes a word and wakes waiters on two, as FUTEX_WAKE_OP does; `change` runs under both locks
    /// and says whether the second wake-up happens.
    ///
    /// # Errors
    /// What `change` gives; nothing was woken then.
    pub fn wake_two<E>(
        &self,
        first: Wake,
        second: Wake,
        change: impl FnOnce() -> Result<bool, E>,
    ) -> Result<usize, E> {
        let mut wakers: SmallVec<[Waker; BATCH]> = SmallVec::new();
        let (one, other) = (Self::bucket_of(&first.key), Self::bucket_of(&second.key));
        {
            let (mut list, mut second_list) = self.lock_two(one, other);
            let both = change()?;
            list.take_matching(&first, &mut wakers);
            if both {
                second_list.as_mut().unwrap_or(&mut list).take_matching(&second, &mut wakers);
            }
        }
        let woken = wakers.len();
        wakers.into_iter().for_each(Waker::wake);
        Ok(woken)
    }

    /// Locks two buckets, in the order of their numbers; one only when they are the same.
    fn lock_two(&self, one: usize, other: usize) -> (Guard<'_, List>, Option<Guard<'_, List>>) {
        if one == other {
            return (self.buckets[one].list.lock(), None);
        }
        if one < other {
            let first = self.buckets[one].list.lock();
            let second = self.buckets[other].list.lock();
            return (first, Some(second));
        }
        let second = self.buckets[other].list.lock();
        let first = self.buckets[one].list.lock();
        (first, Some(second))
    }

    /// Takes a waiter out of whatever list it stands in; true when it had been woken before.
    pub fn leave(&self, waiter: &Waiter) -> bool {
        loop {
            let place = waiter.place.load(Ordering::Acquire);
            if place == WOKEN || place == IDLE {
                waiter.place.store(IDLE, Ordering::Relaxed);
                return place == WOKEN;
            }
            let (bucket, entry) = unpack(place);
            let occupant = {
                let mut list = self.buckets[bucket].list.lock();
                // It may have been woken or requeued before the lock was ours.
                if waiter.place.load(Ordering::Acquire) != place {
                    continue;
                }
                waiter.place.store(IDLE, Ordering::Relaxed);
                list.remove(entry)
            };
            drop(occupant);
            return false;
        }
    }

    fn enter(&self, wait: &Wait<'_>, waker: &Waker) -> Result<(), Refused> {
        let bucket = Self::bucket_of(&wait.key);
        let mut list = self.buckets[bucket].list.lock();
        let value = wait.word.load().map_err(Refused::Fault)?;
        if value != wait.expected {
            return Err(Refused::Changed);
        }
        let occupant = Occupant {
            key: wait.key,
            bitset: wait.bitset,
            waiter: Arc::clone(wait.waiter),
            waker: waker.clone(),
        };
        list.append(occupant, bucket);
        Ok(())
    }

    /// How many waiters stand in the table.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        let occupied = |list: &List| list.entries.iter().filter(|one| one.occupant.is_some()).count();
        self.buckets.iter().map(|bucket| occupied(&bucket.list.lock())).sum()
    }
}

impl Default for Futexes {
    fn default() -> Self {
        Self::new()
    }
}

fn pack(bucket: usize, entry: u32) -> u64 {
    (bucket as u64) << 32 | u64::from(entry)
}

fn unpack(place: u64) -> (usize, u32) {
    let bucket = usize::try_from(place >> 32).unwrap_or(0) % BUCKETS;
    (bucket, u32::try_from(place & 0xffff_ffff).unwrap_or(NONE))
}

impl List {
    const fn new() -> Self {
        Self { entries: Vec::new(), unused: NONE, head: NONE, tail: NONE }
    }

    fn at(&mut self, entry: u32) -> &mut Entry {
        &mut self.entries[entry as usize]
    }

    /// Appends an occupant and tells its waiter where it stands.
    fn append(&mut self, occupant: Occupant, bucket: usize) {
        let entry = self.unused;
        let entry = if entry == NONE {
            self.entries.push(Entry { previous: NONE, next: NONE, occupant: None });
            u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
        } else {
            self.unused = self.at(entry).next;
            entry
        };
        occupant.waiter.place.store(pack(bucket, entry), Ordering::Release);
        let tail = self.tail;
        *self.at(entry) = Entry { previous: tail, next: NONE, occupant: Some(occupant) };
        match tail {
            NONE => self.head = entry,
            tail => self.at(tail).next = entry,
        }
        self.tail = entry;
    }

    /// Takes an entry out; its waiter's place is the caller's to set.
    fn remove(&mut self, entry: u32) -> Option<Occupant> {
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

    /// Takes out up to `wake.count` waiters that match, and marks them as woken.
    fn take_matching(&mut self, wake: &Wake, wakers: &mut SmallVec<[Waker; BATCH]>) {
        let mut left = wake.count;
        let mut entry = self.head;
        while entry != NONE && left > 0 {
            let this = self.at(entry);
            let next = this.next;
            let matches = this
                .occupant
                .as_ref()
                .is_some_and(|one| one.key == wake.key && one.bitset & wake.bitset != 0);
            if matches && let Some(occupant) = self.remove(entry) {
                // From here on the waiter may go on, and wait elsewhere.
                occupant.waiter.place.store(WOKEN, Ordering::Release);
                wakers.push(occupant.waker);
                left -= 1;
            }
            entry = next;
        }
    }

    /// Moves waiters on `key` behind all others of this same list, as waiters on `target`.
    fn rename(&mut self, key: &Key, target: Key, most: usize, bucket: usize) -> usize {
        let last = self.tail;
        let mut moved = 0;
        let mut entry = self.head;
        while entry != NONE && moved < most {
            let next = self.at(entry).next;
            if self.at(entry).occupant.as_ref().is_some_and(|one| one.key == *key)
                && let Some(occupant) = self.remove(entry)
            {
                self.append(Occupant { key: target, ..occupant }, bucket);
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
    fn transfer(
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
                destination.append(Occupant { key: target, ..occupant }, bucket);
                moved += 1;
            }
            entry = next;
        }
        moved
    }
}

/// Reads a word, bringing its page in if need be.
///
/// # Errors
/// EFAULT.
pub fn load(space: &Arc<Space>, word: UserWord) -> KernelResult<u32> {
    loop {
        match word.load() {
            Ok(value) => return Ok(value),
            Err(short) => context::resolve(space, short)?,
        }
    }
}

/// One wait. Dropped, it leaves the table.
///
/// Who gives up (timeout, signal) asks [`Wait::give_up`], which may say that the wake-up came first.
#[must_use = "a future does nothing until it is awaited"]
pub struct Wait<'a> {
    futexes: &'a Futexes,
    waiter: &'a Arc<Waiter>,
    key: Key,
    word: UserWord,
    expected: u32,
    bitset: u32,
    begun: bool,
}

impl Wait<'_> {
    /// Leaves the table; true when the wait was woken all the same.
    pub fn give_up(&mut self) -> bool {
        core::mem::take(&mut self.begun) && self.futexes.leave(self.waiter)
    }
}

impl Future for Wait<'_> {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The waker is the task's, the same at each poll, so what was entered stays right.
        if !self.begun {
            return match self.futexes.enter(&self, cx.waker()) {
                Ok(()) => {
                    self.begun = true;
                    Poll::Pending
                }
                Err(refused) => Poll::Ready(Err(refused)),
            };
        }
        if self.waiter.place.load(Ordering::Acquire) == WOKEN {
            self.waiter.place.store(IDLE, Ordering::Relaxed);
            self.begun = false;
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Waits on several words at once; gives the index of one that was woken.
#[must_use = "a future does nothing until it is awaited"]
pub struct WaitAny<'a> {
    waits: Vec<Wait<'a>>,
}

impl<'a> WaitAny<'a> {
    /// All of `waits`, each with a waiter of its own.
    pub fn new(waits: Vec<Wait<'a>>) -> Self {
        Self { waits }
    }

    /// Ends all waits; the first that was woken all the same.
    pub fn give_up(&mut self) -> Option<usize> {
        let mut first = None;
        for (index, wait) in self.waits.iter_mut().enumerate() {
            if wait.give_up() {
                first = first.or(Some(index));
            }
        }
        first
    }
}

impl Future for WaitAny<'_> {
    type Output = Result<usize, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        for index in 0..self.waits.len() {
            match Pin::new(&mut self.waits[index]).poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(index)),
                // An earlier word may have been woken while the later ones were entered.
                Poll::Ready(Err(refused)) => {
                    return Poll::Ready(self.give_up().ok_or(refused));
                }
            }
        }
        Poll::Pending
    }
}

/// A multiplicative hash: keys are addresses and counters, and nobody's secret.
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.cast_unsigned() as u64);
    }
}
