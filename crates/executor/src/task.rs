//! A task: a future, where it stands, and the one who may run it.
//!
//! The future has exactly one owner at any time: a run queue, the vCPU that polls it, or, while the
//! task waits to be woken, the task's own parking place. So a task cannot be resumed before the poll
//! that suspends it has returned, and a task that yields moves from hand to hand without a lock.

use alloc::boxed::Box;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use platform::shared::{Shared, Wake};

use crate::executor::Executor;
use crate::sync::{AtomicU32, AtomicU64, Byte, Mutex, Ordering};

/// Waits to be woken; its future is parked.
const IDLE: u8 = 0;
/// Woken: in a run queue (without RUNNING), or to be queued when the poll returns (with it).
const NOTIFIED: u8 = 1;
/// A vCPU polls it, or is about to park or queue it.
const RUNNING: u8 = 2;
/// Has ended; its future is dropped.
const DONE: u8 = 4;

/// One task of an [`Executor`].
///
/// It keeps itself alive until it ends: a task that is never woken again is never freed.
pub struct Task {
    state: Byte,
    /// The vCPU where it ran last, or shall run first.
    home: AtomicU32,
    /// The vCPUs that may run it, as a mask.
    allowed: AtomicU64,
    parked: Mutex<Option<Box<Body>>>,
    executor: &'static Executor,
}

/// The part of a task that only its present owner touches.
pub(crate) struct Body {
    waker: Waker,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A task that waits for a vCPU, with its future.
pub(crate) struct Runnable {
    pub(crate) task: Shared<Task>,
    pub(crate) body: Box<Body>,
}

impl Task {
    /// A task that is to be queued by the caller.
    pub(crate) fn create(
        executor: &'static Executor,
        home: u32,
        future: Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> Runnable {
        let task = Shared::new(Self {
            state: Byte::new(NOTIFIED),
            home: AtomicU32::new(home),
            allowed: AtomicU64::new(u64::MAX),
            parked: Mutex::new(None),
            executor,
        });
        let body = Box::new(Body { waker: Shared::clone(&task).into_waker(), future });
        Runnable { task, body }
    }

    /// Makes the task run again: now if it waits, once more after its present poll otherwise.
    ///
    /// What the caller wrote before is seen by the poll that follows.
    pub fn wake(this: &Shared<Self>) {
        if this.notify() {
            Self::release(Shared::clone(this));
        }
    }

    /// Restricts the task to the vCPUs of `mask` (bit n is vCPU n); takes effect when it is next queued
    /// or picked. A mask without any existing vCPU means all.
    pub fn set_allowed(&self, mask: u64) {
        let existing = mask & self.executor.all_vcpus();
        self.allowed.store(if existing == 0 { u64::MAX } else { existing }, Ordering::Relaxed);
    }

    /// The vCPUs that may run the task, as a mask.
    pub fn allowed(&self) -> u64 {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Whether a vCPU may run the task.
    #[inline]
    pub fn may_run(&self, vcpu: usize) -> bool {
        self.allowed() >> vcpu & 1 == 1
    }

    /// Whether the task has ended and its future is dropped.
    pub fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) & DONE != 0
    }

    /// The vCPU where it ran last.
    pub fn last_vcpu(&self) -> usize {
        self.home.load(Ordering::Relaxed) as usize
    }

    /// Marks the task as woken; true if it was parked, and the caller must queue it.
    #[inline]
    fn notify(&self) -> bool {
        // Always a read-modify-write: a mere look at NOTIFIED would order nothing, and the poll that
        // follows could miss what the caller wrote.
        self.state.fetch_or(NOTIFIED, Ordering::AcqRel) == IDLE
    }

    /// Moves a parked task into a run queue.
    #[inline]
    fn release(this: Shared<Self>) {
        let body = this.parked.lock().take();
        if let Some(body) = body {
            let executor = this.executor;
            executor.enqueue(Runnable { task: this, body });
        }
    }
}

impl Runnable {
    /// Runs the task until it ends, blocks or yields; `Some` if it shall be queued again.
    #[inline]
    pub(crate) fn poll(mut self, vcpu: u32) -> Option<Self> {
        self.task.state.swap(RUNNING, Ordering::AcqRel);
        self.task.home.store(vcpu, Ordering::Relaxed);
        let mut cx = Context::from_waker(&self.body.waker);
        match self.body.future.as_mut().poll(&mut cx) {
            Poll::Pending if self.task.state.load(Ordering::Acquire) & NOTIFIED != 0 => Some(self),
            Poll::Pending => self.park(),
            Poll::Ready(()) => {
                let Self { task, body } = self;
                drop(body);
                task.state.swap(DONE, Ordering::AcqRel);
                None
            }
        }
    }

    /// Leaves the future with the task; gives it back if a wake-up came meanwhile.
    fn park(self) -> Option<Self> {
        let Self { task, body } = self;
        *task.parked.lock() = Some(body);
        // From success on the task belongs to whoever wakes it.
        let parked =
            task.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
        if parked.is_ok() {
            return None;
        }
        let body = task.parked.lock().take();
        body.map(|body| Self { task, body })
    }
}

impl Wake for Task {
    fn wake(this: Shared<Self>) {
        if this.notify() {
            Self::release(this);
        }
    }

    fn wake_by_ref(this: &Shared<Self>) {
        Self::wake(this);
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("state", &self.state.load(Ordering::Relaxed))
            .field("vcpu", &self.last_vcpu())
            .finish_non_exhaustive()
    }
}
