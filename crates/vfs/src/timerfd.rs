//! timerfd: a timer that is read and polled.
//!
//! Expirations are computed when somebody asks; the executor's timer only wakes who waits, once for
//! each time that the timer was set or read (as Linux does, a periodic timer that nobody reads makes
//! no further noise).
//!
//! Source: `timerfd_create(2)`.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::any::Any;
use core::task::Waker;

use abi::Errno;
use abi::errno::Result;
use executor::Executor;
use executor::timer::Armed;
use executor::wait_queue::WaitQueue;
use platform::sync::Mutex;
use platform::user::Sink;

use crate::anonymous::{Identity, Owner};
use crate::object::{Attempt, Events, Object, OpenFile, Stat, Status, Stop};

/// Bytes of a read.
const WORD: usize = 8;

/// The clock that instants are read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time since 1970.
    Realtime,
    /// Time that only goes forward (also `CLOCK_BOOTTIME`: the enclave is never suspended on its own).
    Monotonic,
}

/// When a timer first expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Never: disarms it.
    Never,
    /// So many ns from now.
    After(u64),
    /// At an instant of the timer's clock, ns.
    At(u64),
}

/// How a timer stands: `itimerspec` in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Until the next expiration; 0: disarmed.
    pub remaining: u64,
    /// Between two expirations; 0: it expires once.
    pub interval: u64,
}

/// A timer.
pub struct TimerFd {
    executor: &'static Executor,
    clock: Clock,
    clock_id: i32,
    state: Mutex<State>,
    alarm: Arc<Alarm>,
    identity: Identity,
}

struct State {
    /// First expiration that was not read, on the executor's clock.
    deadline: Option<u64>,
    interval: u64,
    /// Wakes the queue at `deadline`.
    armed: Option<Armed>,
}

/// What the executor's timer wakes.
struct Alarm {
    queue: WaitQueue,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.queue.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue.wake_all();
    }
}

/// Makes a disarmed timer; `status` may hold NONBLOCK, `clock_id` is the number the program gave.
pub fn timerfd(
    executor: &'static Executor,
    clock: Clock,
    clock_id: i32,
    status: Status,
    owner: Owner,
) -> Arc<OpenFile> {
    let object = Arc::new(TimerFd {
        executor,
        clock,
        clock_id,
        state: Mutex::new(State { deadline: None, interval: 0, armed: None }),
        alarm: Arc::new(Alarm { queue: WaitQueue::new() }),
        identity: Identity::new(owner),
    });
    OpenFile::new(object, status | Status::READ_WRITE, None)
}

impl TimerFd {
    /// Sets the timer and gives how it stood; expirations that were not read are forgotten.
    pub fn set(&self, first: First, interval: u64) -> Setting {
        let now = self.executor.now();
        let mut state = self.state.lock();
        let before = state.setting(now);
        state.deadline = match first {
            First::Never => None,
            First::After(ns) => Some(now.saturating_add(ns)),
            First::At(instant) => Some(self.to_executor_clock(instant, now)),
        };
        state.interval = interval;
        let due = self.arm(&mut state, now);
        drop(state);
        if due {
            self.alarm.queue.wake_all();
        }
        before
    }

    /// How the timer stands.
    pub fn setting(&self) -> Setting {
        self.state.lock().setting(self.executor.now())
    }

    /// Number of its clock, as the program gave it.
    pub fn clock_id(&self) -> i32 {
        self.clock_id
    }

    /// Expirations that were not read.
    pub fn expirations(&self) -> u64 {
        self.state.lock().expirations(self.executor.now())
    }

    fn to_executor_clock(&self, instant: u64, now: u64) -> u64 {
        match self.clock {
            Clock::Monotonic => instant,
            Clock::Realtime => {
                let today = platform::clock::realtime();
                match instant.checked_sub(today) {
                    Some(ahead) => now.saturating_add(ahead),
                    None => now.saturating_sub(today - instant),
                }
            }
        }
    }

    /// Has the executor wake the queue at the deadline; true if it has passed already.
    fn arm(&self, state: &mut State, now: u64) -> bool {
        state.armed = None;
        let Some(deadline) = state.deadline else { return false };
        if deadline <= now {
            return true;
        }
        let waker = Waker::from(Arc::clone(&self.alarm));
        state.armed = Some(self.executor.wake_at(deadline, waker));
        false
    }
}

impl State {
    fn expirations(&self, now: u64) -> u64 {
        match self.deadline {
            Some(deadline) if deadline <= now => match self.interval {
                0 => 1,
                interval => 1 + (now - deadline) / interval,
            },
            _ => 0,
        }
    }

    fn setting(&self, now: u64) -> Setting {
        let remaining = match self.deadline {
            None => 0,
            Some(deadline) if deadline > now => deadline - now,
            Some(_) if self.interval == 0 => 0,
            Some(deadline) => self.interval - (now - deadline) % self.interval,
        };
        Setting { remaining, interval: self.interval }
    }
}

impl Object for TimerFd {
    fn read(&self, _open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        if sink.room() < WORD {
            return Err(Errno::EINVAL.because("a timerfd is read in 8 bytes").into());
        }
        let now = self.executor.now();
        let mut state = self.state.lock();
        let count = state.expirations(now);
        if count == 0 {
            return Err(Stop::WouldBlock);
        }
        if sink.put(&count.to_le_bytes()) < WORD {
            return Ok(0);
        }
        state.deadline = match state.interval {
            0 => None,
            interval => state
                .deadline
                .map(|deadline| deadline.saturating_add(count.saturating_mul(interval))),
        };
        let due = self.arm(&mut state, now);
        drop(state);
        if due {
            self.alarm.queue.wake_all();
        }
        Ok(WORD)
    }

    fn seeks_in_vain(&self) -> bool {
        true
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.identity.other())
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let mut events = Events::empty();
        events.set(Events::IN, self.expirations() > 0);
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&self.alarm.queue)
    }

    fn released(&self, _open: &OpenFile) {
        self.state.lock().armed = None;
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
