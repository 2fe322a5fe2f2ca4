//! What threads and processes remember about signals.
//!
//! Who may write what: a thread's mask, alternate stack and restart only the thread itself; queues
//! anybody, under their lock. Beside each queue stands a word with what is pending in it, so that
//! asking costs two loads. Lock order: process before thread.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use platform::sync::{Guard, Mutex};

use crate::signal::action::Actions;
use crate::signal::alternate::AlternateStack;
use crate::signal::info::Info;
use crate::signal::number::{Default, Signal, SignalSet};
use crate::signal::queue::{Pushed, Queue};
use crate::signal::timers::Timers;
use crate::trace::core::Core;

/// Bits of `errands`: a mask that was set for one call only, and a restartable sequence.
const SAVED_MASK: u8 = 1;
const SEQUENCE: u8 = 2;

/// Signal state of a thread.
pub struct ThreadSignals {
    blocked: AtomicU64,
    /// What sigtimedwait(2) waits for: pending signals of these do not interrupt it, they end it.
    awaited: AtomicU64,
    pending: AtomicU64,
    queue: Mutex<Queue>,
    /// What the thread has to see to before user code goes on: [`SAVED_MASK`], [`SEQUENCE`]. Only it writes them.
    errands: AtomicU8,
    own: Mutex<Own>,
}

/// What only the thread itself looks at.
#[derive(Debug)]
pub(crate) struct Own {
    /// The mask to which the thread returns after a call that has set another for its duration.
    pub(crate) saved: Option<SignalSet>,
    pub(crate) stack: AlternateStack,
    pub(crate) restart: Restart,
    pub(crate) fault: FaultRecord,
    /// A restorer of the program, and what stands for it.
    pub(crate) restorer: Option<(u64, u64)>,
}

/// The last fault, as signal frames show it ever after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRecord {
    /// x86 vector.
    pub vector: u64,
    /// Error code that the processor pushed.
    pub error: u64,
    /// CR2.
    pub address: u64,
}

/// How `restart_syscall` goes on with a wait that a stop or an ignored signal interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Nothing to go on with: EINTR.
    None,
    /// nanosleep or `clock_nanosleep`.
    Sleep {
        /// Monotonic ns at which it ends.
        deadline: u64,
        /// Where the remaining time goes; 0 nowhere.
        remaining: u64,
    },
    /// `FUTEX_WAIT` with a timeout.
    Futex(FutexWait),
}

/// A wait on a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutexWait {
    /// The word.
    pub address: u64,
    /// The value that it must have.
    pub value: u32,
    /// Which wake-ups count.
    pub bitset: u32,
    /// `FUTEX_PRIVATE_FLAG`.
    pub private: bool,
    /// Monotonic ns at which it ends; `None` never.
    pub deadline: Option<u64>,
}

impl ThreadSignals {
    /// A thread with a mask and nothing pending.
    pub fn new(mask: SignalSet) -> Self {
        Self {
            blocked: AtomicU64::new(mask.as_mask().bits()),
            awaited: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            queue: Mutex::new(Queue::new()),
            errands: AtomicU8::new(0),
            own: Mutex::new(Own {
                saved: None,
                stack: AlternateStack::NONE,
                restart: Restart::None,
                fault: FaultRecord::default(),
                restorer: None,
            }),
        }
    }

    /// Whether something waits that the thread must see to: a signal that it does not block, or a
    /// stop.
    #[inline]
    pub fn deliverable(&self, process: &ProcessSignals) -> bool {
        let pending =
            self.pending.load(Ordering::Relaxed) | process.pending.load(Ordering::Relaxed);
        pending & !self.blocked.load(Ordering::Relaxed) != 0 || process.is_stopped()
    }

    /// Whether a signal waits that ends the process, whatever the thread is at.
    pub fn ends_process(&self, process: &ProcessSignals) -> bool {
        let pending = self.pending().union(process.pending()).minus(self.blocked());
        let actions = process.actions();
        let mut waiting =
            (1..=64).filter_map(Signal::new).filter(|signal| pending.contains(*signal));
        waiting.any(|signal| {
            let action = actions.get(signal);
            let ends = matches!(signal.default_action(), Default::Terminate | Default::Core);
            ends && !action.is_handler() && !action.ignores(signal)
        })
    }

    /// The signals that are blocked.
    #[inline]
    pub fn blocked(&self) -> SignalSet {
        SignalSet::from_bits(self.blocked.load(Ordering::Relaxed))
    }

    /// Sets the mask; only for the thread itself, which afterwards calls
    /// [`super::send::retarget`] with what it blocks newly.
    pub(crate) fn set_blocked(&self, mask: SignalSet) -> SignalSet {
        // Ordered against a sender, who enters the signal first and then looks for a thread that
        // does not block it: one of the two sees the other.
        SignalSet::from_bits(self.blocked.swap(mask.as_mask().bits(), Ordering::SeqCst))
    }

    /// What is pending for this thread alone.
    pub fn pending(&self) -> SignalSet {
        SignalSet::from_bits(self.pending.load(Ordering::Relaxed))
    }

    /// Whether the thread would take `signal`.
    pub(crate) fn wants(&self, signal: Signal) -> bool {
        let refused = self.blocked.load(Ordering::SeqCst) & !self.awaited.load(Ordering::SeqCst);
        !SignalSet::from_bits(refused).contains(signal)
    }

    /// What the thread waits for in sigtimedwait(2).
    pub(crate) fn set_awaited(&self, set: SignalSet) {
        self.awaited.store(set.bits(), Ordering::SeqCst);
    }

    /// Works on the queue, and publishes what is pending in it.
    pub(crate) fn with_queue<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.lock();
        let result = work(&mut queue);
        self.pending.store(queue.pending().bits(), Ordering::SeqCst);
        result
    }

    /// What only the thread itself looks at.
    pub(crate) fn own(&self) -> Guard<'_, Own> {
        self.own.lock()
    }

    /// Sets the mask for the duration of one call (sigsuspend, ppoll, pselect6, `epoll_pwait`).
    ///
    /// The caller ends it with [`Self::end_temporary_mask`], unless a signal interrupted the call:
    /// then it is ended after the signal's frame has been made, as those calls promise.
    pub fn set_temporary_mask(&self, mask: SignalSet) {
        let old = self.set_blocked(mask);
        self.own.lock().saved = Some(old);
        self.set_errand(SAVED_MASK, true);
    }

    /// Goes back to the mask that [`Self::set_temporary_mask`] replaced, if any.
    pub fn end_temporary_mask(&self) {
        if let Some(saved) = self.take_saved() {
            self.set_blocked(saved);
        }
    }

    /// Whether there is something besides signals to be seen to before user code goes on.
    #[inline]
    pub(crate) fn has_errand(&self) -> bool {
        self.errands.load(Ordering::Relaxed) != 0
    }

    /// Whether a temporary mask is set.
    #[inline]
    pub(crate) fn has_saved(&self) -> bool {
        self.errands.load(Ordering::Relaxed) & SAVED_MASK != 0
    }

    /// The thread's restartable sequence has to be looked at; only for the thread itself.
    pub(crate) fn ask_for_sequence(&self) {
        self.set_errand(SEQUENCE, true);
    }

    /// Whether it has to, which this forgets.
    pub(crate) fn takes_sequence(&self) -> bool {
        let asked = self.errands.load(Ordering::Relaxed) & SEQUENCE != 0;
        if asked {
            self.set_errand(SEQUENCE, false);
        }
        asked
    }

    fn set_errand(&self, errand: u8, wanted: bool) {
        // Nobody else writes it, so it needs no locked instruction.
        let others = self.errands.load(Ordering::Relaxed) & !errand;
        self.errands.store(others | if wanted { errand } else { 0 }, Ordering::Relaxed);
    }

    pub(crate) fn take_saved(&self) -> Option<SignalSet> {
        if !self.has_saved() {
            return None;
        }
        self.set_errand(SAVED_MASK, false);
        self.own.lock().saved.take()
    }

    /// Leaves word how `restart_syscall` is to go on; the call itself gives
    /// `ERESTART_RESTARTBLOCK`.
    pub fn set_restart(&self, restart: Restart) {
        self.own.lock().restart = restart;
    }

    /// Takes that word.
    pub(crate) fn take_restart(&self) -> Restart {
        core::mem::replace(&mut self.own.lock().restart, Restart::None)
    }

    /// What execve(2) does to a thread: no alternate stack, nothing to restart; mask and pending
    /// signals stay.
    pub fn reset_for_exec(&self) {
        let mut own = self.own.lock();
        own.stack = AlternateStack::NONE;
        own.restart = Restart::None;
        own.fault = FaultRecord::default();
        own.restorer = None;
    }

    /// Takes over what is pending for a thread that ends (execve(2) in another than the first).
    pub(crate) fn take_over(&self, old: &Self) {
        let taken = old.with_queue(|queue| core::mem::replace(queue, Queue::new()));
        self.with_queue(|queue| *queue = taken);
    }

    /// The alternate stack, for a thread that inherits it (fork).
    pub fn alternate_stack(&self) -> AlternateStack {
        self.own.lock().stack
    }

    /// Gives the thread an alternate stack (fork).
    pub fn set_alternate_stack(&self, stack: AlternateStack) {
        self.own.lock().stack = stack;
    }
}

/// Signal state of a process.
pub struct ProcessSignals {
    pending: AtomicU64,
    shared: Mutex<Shared>,
    stopped: AtomicBool,
    /// What its threads leave for a core file, once a signal has ended it.
    pub(crate) core: Mutex<Option<Core>>,
    /// Interval timers and POSIX timers.
    pub timers: Timers,
}

/// What a process's lock protects.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) actions: Actions,
    pub(crate) queue: Queue,
}

impl ProcessSignals {
    /// A process that ignores some signals and has said nothing about the others.
    pub fn new(ignored: SignalSet) -> Self {
        Self::with_actions(Actions::ignoring(ignored))
    }

    /// A process with dispositions, as fork(2) passes them on: nothing pending, no timers.
    pub fn with_actions(actions: Actions) -> Self {
        Self {
            pending: AtomicU64::new(0),
            shared: Mutex::new(Shared { actions, queue: Queue::new() }),
            stopped: AtomicBool::new(false),
            core: Mutex::new(None),
            timers: Timers::new(),
        }
    }

    /// The dispositions.
    pub fn actions(&self) -> Actions {
        self.shared.lock().actions.clone()
    }

    /// What execve(2) does to a process: handlers and POSIX timers are gone.
    pub fn reset_for_exec(&self) {
        self.shared.lock().actions.reset_for_exec();
        self.timers.reset_for_exec();
    }

    /// What is pending for the process.
    pub fn pending(&self) -> SignalSet {
        SignalSet::from_bits(self.pending.load(Ordering::SeqCst))
    }

    /// Works on dispositions and queue, and publishes what is pending.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Shared) -> T) -> T {
        let mut shared = self.shared.lock();
        let result = work(&mut shared);
        self.pending.store(shared.queue.pending().bits(), Ordering::SeqCst);
        result
    }

    /// Adds a signal to the process's queue.
    pub(crate) fn push(&self, info: Info, full: bool) -> Pushed {
        self.with(|shared| shared.queue.push(info, full))
    }

    /// Whether its threads are stopped.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Stops its threads, or lets them go on; who calls notifies them. Gives what it was.
    pub(crate) fn set_stopped(&self, stopped: bool) -> bool {
        self.stopped.swap(stopped, Ordering::SeqCst)
    }
}
