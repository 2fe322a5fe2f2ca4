//! Waiting on words of user memory.
//!
//! Waiters stand in buckets of a hash table, each bucket a list in the order of their arrival. Who
//! waits looks at the word under the bucket's lock and enters the list under it; who wakes changes
//! the word first and takes the lock then; so no wake-up falls between look and entry.
//!
//! A waiter is one [`Waiter`] of its thread, used again and again, whose `place` says where it
//! stands. Only who holds the lock of that bucket may change it: that is how a waiter that was
//! requeued, and gives up, finds the list in which it stands now.
//!
//! Source: futex(2), `FUTEX_WAIT` and following.

mod list;
pub mod priority;
pub mod requeue;
pub mod robust;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};

use abi::errno::Result as KernelResult;
use platform::shared::Shared;
use platform::sync::{Guard, Mutex};
use platform::user::{Short, UserWord};
use smallvec::SmallVec;

use crate::context;
use crate::memory::{Key, Space};

use list::{List, Occupant, unpack};

pub(crate) use robust::{leave_robust_list, wake_address};

/// Buckets of the table; a power of two.
const BUCKETS: usize = 256;
/// So many are woken per hold of a lock without an allocation.
const BATCH: usize = 8;

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

/// Where a thread stands in the table. One for each thread, and one for each word of `futex_waitv`.
#[derive(Debug)]
pub struct Waiter {
    /// Bucket in the upper half and entry in the lower, [`IDLE`] or [`WOKEN`].
    place: AtomicU64,
    /// The lock that it waits to be moved to, as far as this can tell; 0 once it was.
    target: AtomicU64,
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
    pub fn new() -> Shared<Self> {
        Shared::new(Self { place: AtomicU64::new(IDLE), target: AtomicU64::new(0) })
    }
}

impl Futexes {
    /// Nobody waits.
    pub fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| Bucket { list: Mutex::new(List::new()) }).collect();
        Self { buckets }
    }

    #[inline]
    fn bucket_of(key: Key) -> usize {
        usize::try_from(key.mixed() >> 56).unwrap_or(0) % BUCKETS
    }

    /// A wait on `word`, named `key`, as long as it holds `expected`; it begins at the first poll.
    #[inline]
    pub fn wait<'a>(
        &'a self,
        waiter: &'a Shared<Waiter>,
        key: Key,
        word: UserWord,
        expected: u32,
        bitset: u32,
    ) -> Wait<'a> {
        Wait { futexes: self, waiter, key, word, expected, bitset, owner: 0, begun: false }
    }

    /// Wakes waiters, the longest waiting first; gives how many.
    pub fn wake(&self, wake: Wake) -> usize {
        if wake.count == 1 {
            return usize::from(self.wake_one(wake.key, wake.bitset));
        }
        let bucket = &self.buckets[Self::bucket_of(wake.key)];
        let mut wakers: SmallVec<[Waker; BATCH]> = SmallVec::new();
        {
            let mut list = bucket.list.lock();
            list.take_matching(&wake, &mut wakers);
        }
        let woken = wakers.len();
        wakers.into_iter().for_each(Waker::wake);
        woken
    }

    /// Wakes the longest waiting; whether there was one.
    #[inline]
    pub fn wake_one(&self, key: Key, bitset: u32) -> bool {
        let waker = self.buckets[Self::bucket_of(key)].list.lock().take_first(key, bitset);
        let found = waker.is_some();
        if let Some(waker) = waker {
            waker.wake();
        }
        found
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
        let (from, to) = (Self::bucket_of(wake.key), Self::bucket_of(target));
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

    /// Changes a word and wakes waiters on two, as `FUTEX_WAKE_OP` does; `change` runs under both
    /// locks and says whether the second wake-up happens.
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
        let (one, other) = (Self::bucket_of(first.key), Self::bucket_of(second.key));
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

    /// Gives a lock to the waiter that is to own it next: `change` writes the word, and is told
    /// whose it is (0: nobody waits) and whether others go on waiting. True when there was one.
    ///
    /// # Errors
    /// What `change` gives; nobody was woken then.
    pub fn hand_over<E>(
        &self,
        key: Key,
        change: impl FnOnce(u32, bool) -> Result<(), E>,
    ) -> Result<bool, E> {
        let occupant = {
            let mut list = self.buckets[Self::bucket_of(key)].list.lock();
            let Some((entry, owner, more)) = list.next_owner(&key) else {
                change(0, false)?;
                return Ok(false);
            };
            change(owner, more)?;
            let occupant = list.remove(entry);
            if let Some(occupant) = &occupant {
                occupant.waiter.place.store(WOKEN, Ordering::Release);
            }
            occupant
        };
        if let Some(occupant) = occupant {
            occupant.waker.wake();
        }
        Ok(true)
    }

    /// Whether somebody waits to own the lock named `key`.
    pub fn somebody_waits(&self, key: Key) -> bool {
        self.buckets[Self::bucket_of(key)].list.lock().next_owner(&key).is_some()
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

    #[inline]
    fn enter(&self, wait: &Wait<'_>, waker: &Waker) -> Result<(), Refused> {
        let bucket = Self::bucket_of(wait.key);
        let mut list = self.buckets[bucket].list.lock();
        let value = wait.word.load().map_err(Refused::Fault)?;
        if value != wait.expected {
            return Err(Refused::Changed);
        }
        let entry = list.add(wait.waiter, bucket);
        // In place: whole, it would be copied around before its parts have reached the cache.
        list.entries[entry as usize].occupant = Some(Occupant {
            key: wait.key,
            bitset: wait.bitset,
            owner: wait.owner,
            waiter: Shared::clone(wait.waiter),
            waker: waker.clone(),
        });
        Ok(())
    }

    /// How many waiters stand in the table.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        let occupied =
            |list: &List| list.entries.iter().filter(|one| one.occupant.is_some()).count();
        self.buckets.iter().map(|bucket| occupied(&bucket.list.lock())).sum()
    }
}

impl Default for Futexes {
    fn default() -> Self {
        Self::new()
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
/// Who gives up (timeout, signal) asks [`Wait::give_up`], which may say that the wake-up came
/// first.
#[must_use = "a future does nothing until it is awaited"]
pub struct Wait<'a> {
    futexes: &'a Futexes,
    waiter: &'a Shared<Waiter>,
    key: Key,
    word: UserWord,
    expected: u32,
    bitset: u32,
    owner: u32,
    begun: bool,
}

impl Wait<'_> {
    /// A wait for a lock, after which `owner` is to own it.
    pub fn to_own(mut self, owner: u32) -> Self {
        self.owner = owner;
        self
    }

    /// Leaves the table; true when the wait was woken all the same.
    pub fn give_up(&mut self) -> bool {
        core::mem::take(&mut self.begun) && self.futexes.leave(self.waiter)
    }
}

impl Future for Wait<'_> {
    type Output = Result<(), Refused>;

    #[expect(clippy::inline_always, reason = "what it gives would go through memory")]
    #[inline(always)]
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
