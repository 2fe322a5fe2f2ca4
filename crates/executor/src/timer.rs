//! Timers: sleeping until an instant, and giving up after one.
//!
//! Each vCPU keeps its own, in a heap that knows where each timer stands, so that one is cancelled
//! without a search; the common one, armed last and cancelled soon, costs a step or two. The earliest
//! instant lies beside the lock: whoever checks compares once.

use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::executor::Executor;
use crate::machine::Machine;
use crate::sync::{AtomicU64, Mutex, Ordering, fence};

/// The instant that never comes.
pub const NEVER: u64 = u64::MAX;

/// So many timers fire per hold of the lock.
const BATCH: usize = 16;

/// The timers of one vCPU.
pub(crate) struct Shard {
    /// The earliest instant, [`NEVER`] without timers. Written under the lock only.
    earliest: AtomicU64,
    heap: Mutex<Heap>,
}

impl Shard {
    pub(crate) fn new() -> Self {
        Self { earliest: AtomicU64::new(NEVER), heap: Mutex::new(Heap::default()) }
    }

    #[inline]
    pub(crate) fn earliest(&self) -> u64 {
        self.earliest.load(Ordering::Relaxed)
    }

    /// Wakes those whose instant has come.
    #[inline]
    pub(crate) fn fire_due(&self, machine: &dyn Machine) {
        let earliest = self.earliest();
        if earliest != NEVER {
            let now = machine.now();
            if earliest <= now {
                self.fire(now);
            }
        }
    }

    #[cold]
    fn fire(&self, now: u64) {
        loop {
            let mut due: [Option<Waker>; BATCH] = [const { None }; BATCH];
            let mut count = 0;
            {
                let mut heap = self.heap.lock();
                while count < BATCH && heap.earliest() <= now {
                    due[count] = heap.remove_first();
                    count += 1;
                }
                self.earliest.store(heap.earliest(), Ordering::Relaxed);
            }
            due.into_iter().flatten().for_each(Waker::wake);
            if count < BATCH {
                return;
            }
        }
    }

    /// Arms a timer; true if it is now the earliest.
    fn arm(&self, deadline: u64, waker: Waker) -> (Ticket, bool) {
        let mut heap = self.heap.lock();
        let before = heap.earliest();
        let ticket = heap.insert(deadline, waker);
        self.earliest.store(heap.earliest(), Ordering::Relaxed);
        (ticket, deadline < before)
    }

    /// Exchanges a timer's waker; false if it has fired.
    fn refresh(&self, ticket: Ticket, waker: &Waker) -> bool {
        let mut heap = self.heap.lock();
        let Some(slot) = heap.slot(ticket) else { return false };
        match &mut slot.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        true
    }

    fn cancel(&self, ticket: Ticket) {
        let cancelled = {
            let mut heap = self.heap.lock();
            let cancelled = heap.cancel(ticket);
            self.earliest.store(heap.earliest(), Ordering::Relaxed);
            cancelled
        };
        drop(cancelled);
    }
}

/// Names an armed timer; stale once it has fired.
#[derive(Debug, Clone, Copy)]
struct Ticket {
    slot: usize,
    generation: u64,
}

#[derive(Default)]
struct Heap {
    /// A binary heap of instants, each with its slot.
    entries: Vec<(u64, usize)>,
    slots: Vec<Slot>,
    free: Vec<usize>,
}

struct Slot {
    generation: u64,
    /// Where the timer stands in the heap.
    place: usize,
    waker: Option<Waker>,
}

impl Heap {
    fn earliest(&self) -> u64 {
        self.entries.first().map_or(NEVER, |entry| entry.0)
    }

    fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        self.slots.get_mut(ticket.slot).filter(|slot| slot.generation == ticket.generation)
    }

    fn insert(&mut self, deadline: u64, waker: Waker) -> Ticket {
        let place = self.entries.len();
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot].place = place;
            self.slots[slot].waker = Some(waker);
            slot
        } else {
            self.slots.push(Slot { generation: 0, place, waker: Some(waker) });
            self.slots.len() - 1
        };
        self.entries.push((deadline, slot));
        self.rise(place);
        Ticket { slot, generation: self.slots[slot].generation }
    }

    fn remove_first(&mut self) -> Option<Waker> {
        if self.entries.is_empty() { None } else { self.remove(0) }
    }

    fn cancel(&mut self, ticket: Ticket) -> Option<Waker> {
        let place = self.slot(ticket)?.place;
        self.remove(place)
    }

    fn remove(&mut self, place: usize) -> Option<Waker> {
        let (_, slot) = self.entries.swap_remove(place);
        if place < self.entries.len() {
            self.settle(place);
            self.sink(place);
            self.rise(place);
        }
        self.free.push(slot);
        let slot = &mut self.slots[slot];
        slot.generation = slot.generation.wrapping_add(1);
        slot.waker.take()
    }

    /// Tells the slot of the entry at `place` where it stands.
    fn settle(&mut self, place: usize) {
        let slot = self.entries[place].1;
        self.slots[slot].place = place;
    }

    fn exchange(&mut self, a: usize, b: usize) {
        self.entries.swap(a, b);
        self.settle(a);
        self.settle(b);
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.entries[parent].0 <= self.entries[place].0 {
                return;
            }
            self.exchange(place, parent);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            if left >= self.entries.len() {
                return;
            }
            let right = left + 1;
            let right_first =
                right < self.entries.len() && self.entries[right].0 < self.entries[left].0;
            let child = if right_first { right } else { left };
            if self.entries[place].0 <= self.entries[child].0 {
                return;
            }
            self.exchange(place, child);
            place = child;
        }
    }
}

/// A wait until an instant. Dropping it cancels the timer.
#[must_use = "a future does nothing until it is awaited"]
pub struct Sleep {
    executor: &'static Executor,
    deadline: u64,
    armed: Option<(usize, Ticket)>,
}

/// A waker that is woken at an instant; made by [`Executor::wake_at`]. Dropping it cancels that.
#[must_use = "a waker that nobody keeps is woken by nobody"]
pub struct Armed {
    executor: &'static Executor,
    deadline: u64,
    vcpu: usize,
    ticket: Ticket,
}

/// A wait that an instant ends; made by [`Executor::timeout`].
///
/// Without an instant it is the wait alone: nothing of a timer is touched.
#[must_use = "a future does nothing until it is awaited"]
pub struct Timeout<F> {
    future: F,
    sleep: Option<Sleep>,
}

/// The instant came before the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl Executor {
    /// Waits until [`Machine::now`] is `deadline` or later; for ever at [`NEVER`].
    pub fn sleep_until(&'static self, deadline: u64) -> Sleep {
        Sleep { executor: self, deadline, armed: None }
    }

    /// Awaits `future`, but not beyond `deadline`; without a deadline, as long as it takes.
    ///
    /// A future that is ready is never `Elapsed`, however late.
    ///
    /// # Errors
    /// [`Elapsed`] when the instant came first; `future` is dropped.
    pub fn timeout<F: Future + Unpin>(
        &'static self,
        deadline: Option<u64>,
        future: F,
    ) -> Timeout<F> {
        Timeout { future, sleep: deadline.map(|deadline| self.sleep_until(deadline)) }
    }

    /// Wakes `waker` at `deadline`, or soon after, if that has come already. For those who go on running
    /// meanwhile: user code is interrupted for it.
    pub fn wake_at(&'static self, deadline: u64, waker: Waker) -> Armed {
        let (vcpu, ticket) = self.arm(deadline, waker);
        self.watch_over(deadline);
        Armed { executor: self, deadline, vcpu, ticket }
    }

    /// Arms a timer on the present vCPU.
    fn arm(&self, deadline: u64, waker: Waker) -> (usize, Ticket) {
        let here = self.machine.current().filter(|&vcpu| vcpu < self.vcpus.len());
        let vcpu = here.unwrap_or(0);
        let (ticket, earliest) = self.vcpus[vcpu].timers.arm(deadline, waker);
        // On its own vCPU the loop comes by before it sleeps. Elsewhere its owner may sleep too long.
        if earliest && here.is_none() {
            fence(Ordering::SeqCst);
            self.wake_one(self.asleep.load(Ordering::Relaxed) & 1, None);
        }
        (vcpu, ticket)
    }
}

impl Armed {
    /// The instant, in nanoseconds of [`Machine::now`].
    pub fn deadline(&self) -> u64 {
        self.deadline
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.executor.vcpus[self.vcpu].timers.cancel(self.ticket);
    }
}

impl fmt::Debug for Armed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Armed").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Sleep {
    /// The instant, in nanoseconds of [`Machine::now`].
    pub fn deadline(&self) -> u64 {
        self.deadline
    }

    fn disarm(&mut self) {
        if let Some((vcpu, ticket)) = self.armed.take() {
            self.executor.vcpus[vcpu].timers.cancel(ticket);
        }
    }
}

impl<F: Future + Unpin> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => match &mut self.sleep {
                Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Err(Elapsed)),
                None => Poll::Pending,
            },
        }
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("sleep", &self.sleep).finish_non_exhaustive()
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline == NEVER {
            return Poll::Pending;
        }
        if self.deadline <= self.executor.now() {
            self.disarm();
            return Poll::Ready(());
        }
        let refreshed = self.armed.is_some_and(|(vcpu, ticket)| {
            self.executor.vcpus[vcpu].timers.refresh(ticket, cx.waker())
        });
        if !refreshed {
            self.armed = Some(self.executor.arm(self.deadline, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
