//! Waiting for somebody's word: a queue of listeners, first come, first served.
//!
//! The check that loses no wake-up:
//!
//! ```text
//! loop {
//!     if condition() { break }
//!     let listener = queue.listen();
//!     if condition() { break }
//!     listener.await;
//! }
//! ```
//!
//! and on the other side: make the condition true, then [`WaitQueue::wake`].

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, barrier};

/// So many are woken per hold of the lock.
const BATCH: usize = 16;
/// The number of subscriptions that first makes a queue look for ended ones.
const FIRST_CLEARING: usize = 8;
/// No entry.
const NONE: usize = usize::MAX;

/// Listeners and subscriptions to one event source.
pub struct WaitQueue {
    /// Listeners that wait plus subscriptions; written under the lock only.
    waiting: AtomicUsize,
    entries: Mutex<Entries>,
}

/// The listeners as a doubly linked list in a table, so that each can leave in one step.
struct Entries {
    table: Vec<Entry>,
    /// The first unused entry of the table; linked by `next`.
    unused: usize,
    head: usize,
    tail: usize,
    listeners: usize,
    /// The number of the next listener, counted up for ever.
    next_number: u64,
    /// By number, so that a walk can let go of the lock between two of them.
    subscriptions: BTreeMap<u64, Arc<Subscribed>>,
    /// At this many subscriptions the ended ones are cleared away.
    clear_at: usize,
}

struct Entry {
    previous: usize,
    next: usize,
    number: u64,
    state: State,
}

enum State {
    Unused,
    /// In the list; the waker is there once it was polled.
    Waiting(Option<Waker>),
    /// Out of the list; `alone` when it was chosen by `wake` and nobody else may know.
    Woken {
        alone: bool,
    },
}

struct Subscribed {
    waker: Waker,
    active: AtomicBool,
}

impl WaitQueue {
    /// A queue in which nobody waits.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { waiting: AtomicUsize::new(0), entries: Mutex::new(Entries::new()) }
    }

    /// A queue in which nobody waits.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { waiting: AtomicUsize::new(0), entries: Mutex::new(Entries::new()) }
    }

    /// Registers a listener; a wake-up from now on counts for it, even before it is first polled.
    pub fn listen(&self) -> Listener<'_> {
        let entry = {
            let mut entries = self.entries.lock();
            let entry = entries.add();
            self.publish(&entries);
            entry
        };
        // The caller's second look at its condition must not come before the registration.
        barrier();
        Listener { queue: self, entry: Some(entry) }
    }

    /// Wakes up to `count` listeners, the longest waiting first, and all subscriptions.
    ///
    /// Returns how many listeners it woke. With nobody waiting it is a fence and a load.
    pub fn wake(&self, count: usize) -> usize {
        if self.is_empty() { 0 } else { self.wake_everybody(count, true) }
    }

    /// Wakes all who listen now, and all subscriptions; returns how many listeners it woke.
    pub fn wake_all(&self) -> usize {
        if self.is_empty() { 0 } else { self.wake_everybody(usize::MAX, false) }
    }

    /// Has `waker` woken at each wake-up from now on, until the subscription is dropped.
    pub fn subscribe(&self, waker: Waker) -> Subscription {
        let subscribed = Arc::new(Subscribed { waker, active: AtomicBool::new(true) });
        {
            let mut entries = self.entries.lock();
            entries.subscribe(Arc::clone(&subscribed));
            self.publish(&entries);
        }
        barrier();
        Subscription(subscribed)
    }

    /// Whether nobody listens and nobody has subscribed.
    ///
    /// What the caller changed before is seen by the second look of whoever it does not see here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        barrier();
        self.waiting.load(Ordering::Relaxed) == 0
    }

    fn publish(&self, entries: &Entries) {
        let waiting = entries.listeners + entries.subscriptions.len();
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    fn wake_everybody(&self, count: usize, alone: bool) -> usize {
        let (woken, subscribed) = match count {
            1 => self.wake_first(alone),
            _ => self.wake_listeners(count, alone),
        };
        if subscribed {
            self.wake_subscriptions();
        }
        woken
    }

    /// Wakes the first listener; how many it woke, and whether there are subscriptions.
    fn wake_first(&self, alone: bool) -> (usize, bool) {
        let (waker, woken, subscribed) = {
            let mut entries = self.entries.lock();
            let first = entries.first_before(u64::MAX);
            let waker = first.and_then(|first| entries.choose(first, alone));
            self.publish(&entries);
            (waker, usize::from(first.is_some()), !entries.subscriptions.is_empty())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        (woken, subscribed)
    }

    /// Wakes the first listeners; how many it woke, and whether there are subscriptions.
    #[cold]
    fn wake_listeners(&self, count: usize, alone: bool) -> (usize, bool) {
        let mut woken = 0;
        let mut limit = None;
        loop {
            let mut wakers: [Option<Waker>; BATCH] = [const { None }; BATCH];
            let mut taken = 0;
            let subscribed = {
                let mut entries = self.entries.lock();
                let limit = *limit.get_or_insert(entries.next_number);
                while taken < BATCH.min(count - woken) {
                    let Some(first) = entries.first_before(limit) else { break };
                    wakers[taken] = entries.choose(first, alone);
                    taken += 1;
                }
                self.publish(&entries);
                !entries.subscriptions.is_empty()
            };
            wakers.into_iter().flatten().for_each(Waker::wake);
            woken += taken;
            if taken < BATCH || woken == count {
                return (woken, subscribed);
            }
        }
    }

    #[cold]
    fn wake_subscriptions(&self) {
        let mut from = 0;
        loop {
            let subscribed = {
                let mut entries = self.entries.lock();
                let Some((&number, one)) = entries.subscriptions.range(from..).next() else {
                    return;
                };
                from = number + 1;
                if one.active.load(Ordering::Relaxed) {
                    Some(Arc::clone(one))
                } else {
                    entries.subscriptions.remove(&number);
                    self.publish(&entries);
                    None
                }
            };
            if let Some(subscribed) = subscribed {
                subscribed.waker.wake_by_ref();
            }
        }
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting.load(Ordering::Relaxed);
        f.debug_struct("WaitQueue").field("waiting", &waiting).finish_non_exhaustive()
    }
}

impl Entries {
    const fn new() -> Self {
        Self {
            table: Vec::new(),
            unused: NONE,
            head: NONE,
            tail: NONE,
            listeners: 0,
            next_number: 0,
            subscriptions: BTreeMap::new(),
            clear_at: FIRST_CLEARING,
        }
    }

    fn subscribe(&mut self, subscribed: Arc<Subscribed>) {
        if self.subscriptions.len() >= self.clear_at {
            self.subscriptions.retain(|_, one| one.active.load(Ordering::Relaxed));
            self.clear_at = FIRST_CLEARING.max(2 * self.subscriptions.len());
        }
        self.subscriptions.insert(self.next_number, subscribed);
        self.next_number += 1;
    }

    /// Appends a listener to the list.
    fn add(&mut self) -> usize {
        let entry = Entry {
            previous: self.tail,
            next: NONE,
            number: self.next_number,
            state: State::Waiting(None),
        };
        self.next_number += 1;
        let at = if self.unused == NONE {
            self.table.push(entry);
            self.table.len() - 1
        } else {
            let at = self.unused;
            self.unused = self.table[at].next;
            self.table[at] = entry;
            at
        };
        match self.tail {
            NONE => self.head = at,
            tail => self.table[tail].next = at,
        }
        self.tail = at;
        self.listeners += 1;
        at
    }

    /// Takes an entry out of the list, but leaves it in the table.
    fn unlink(&mut self, at: usize) {
        let Entry { previous, next, .. } = self.table[at];
        match previous {
            NONE => self.head = next,
            previous => self.table[previous].next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => self.table[next].previous = previous,
        }
        self.listeners -= 1;
    }

    /// The first listener, if it registered before number `limit`.
    fn first_before(&self, limit: u64) -> Option<usize> {
        self.table.get(self.head).filter(|first| first.number < limit).map(|_| self.head)
    }

    /// Takes a waiting listener out of the list as woken, and its waker if it was polled.
    fn choose(&mut self, at: usize, alone: bool) -> Option<Waker> {
        self.unlink(at);
        match core::mem::replace(&mut self.table[at].state, State::Woken { alone }) {
            State::Waiting(waker) => waker,
            State::Unused | State::Woken { .. } => None,
        }
    }

    /// Gives an entry back to the table and returns what it was.
    fn release(&mut self, at: usize) -> State {
        if matches!(self.table[at].state, State::Waiting(_)) {
            self.unlink(at);
        }
        let state = core::mem::replace(&mut self.table[at].state, State::Unused);
        self.table[at].next = self.unused;
        self.unused = at;
        state
    }
}

/// One wait on a [`WaitQueue`], registered from its creation.
///
/// Dropped before it was awaited to its end, it leaves the queue; a wake-up that had chosen it goes to
/// the next listener.
#[must_use = "a listener that is not awaited waits for nothing"]
pub struct Listener<'a> {
    queue: &'a WaitQueue,
    entry: Option<usize>,
}

impl Listener<'_> {
    /// Leaves the queue; the state that the entry had.
    fn leave(&mut self) -> Option<State> {
        let entry = self.entry.take()?;
        let mut entries = self.queue.entries.lock();
        let state = entries.release(entry);
        self.queue.publish(&entries);
        Some(state)
    }
}

impl Future for Listener<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.entry else { return Poll::Ready(()) };
        {
            let mut entries = self.queue.entries.lock();
            if let State::Waiting(waker) = &mut entries.table[at].state {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            entries.release(at);
        }
        self.entry = None;
        Poll::Ready(())
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        if let Some(State::Woken { alone: true }) = self.leave() {
            self.queue.wake_first(true);
        }
    }
}

impl fmt::Debug for Listener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// A standing wish to hear of every wake-up; ends when dropped.
///
/// It does not borrow the queue, and outlives it harmlessly.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription(Arc<Subscribed>);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.active.store(false, Ordering::Relaxed);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
