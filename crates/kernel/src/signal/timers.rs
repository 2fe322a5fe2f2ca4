//! Alarms that send signals: interval timers and POSIX timers.
//!
//! They stand in an agenda, ordered by when they are due; of all of them, the executor knows the
//! earliest, which interrupts user code when it comes. So timers that are far away cost nothing, however
//! many they are. Timers on processor time have no instant: one looks again when the time could have
//! been used up, if all vCPUs had worked for the process.
//!
//! A timer with an interval is armed anew when its signal is delivered, and counts then how often
//! it would have expired meanwhile, so that the smallest interval costs no more than its handler
//! does.
//!
//! Source: setitimer(2), `timer_create(2)`, `timer_getoverrun(2)`.

mod agenda;
mod alarm;
mod due;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use executor::timer::Armed;
use platform::clock;
use platform::sync::Mutex;

use crate::Kernel;
use crate::process::limits::Resource;
use crate::process::{Process, Thread};
use crate::signal::info::Info;
use crate::signal::number::Signal;

use agenda::{Agenda, Entry, Line};
use alarm::Alarm;
pub use alarm::Setting;

/// `DELAYTIMER_MAX`: overruns are counted up to here.
const OVERRUN_MAX: u64 = 0x7fff_ffff;

/// The most timers that a process can have, whatever its limit.
const MOST: u64 = 1 << 20;

/// What a timer counts.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Monotonic time.
    Monotonic,
    /// Time since 1970.
    Realtime,
    /// The process's processor time.
    Process,
    /// A thread's processor time.
    Thread(Weak<Thread>),
}

/// One of the three interval timers of setitimer(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// Real time, SIGALRM.
    Real = 0,
    /// Processor time of the program, SIGVTALRM.
    Virtual = 1,
    /// Processor time, SIGPROF.
    Profile = 2,
}

/// Whom a POSIX timer tells.
#[derive(Clone, Debug)]
pub enum Notify {
    /// Nobody: it is only asked.
    Nobody,
    /// The process.
    Process(Signal),
    /// One thread.
    Thread(Signal, Weak<Thread>),
}

struct Posix {
    clock: Clock,
    notify: Notify,
    value: u64,
    alarm: Alarm,
    overrun: i32,
    /// Counted up when it is set, so that signals of an earlier setting don't arm it.
    sent: bool,
}

/// The timers of a process.
pub struct Timers {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    intervals: [Alarm; 3],
    posix: BTreeMap<i32, Posix>,
    /// Those that are armed, in the order in which they are due.
    agenda: Agenda,
    next_id: i32,
    /// Those whose signal was dropped because it is ignored: they go on when it no longer is.
    ignored: BTreeSet<i32>,
    /// `PR_TIMER_CREATE_RESTORE_IDS`: programs choose ids.
    restore_ids: bool,
    /// Seconds of processor time at which the next SIGXCPU is due.
    next_xcpu: u64,
    /// Whose they are, known once one was armed.
    owner: Option<(&'static Kernel, Weak<Process>)>,
    /// Has the executor come by when the earliest is due.
    armed: Option<Armed>,
}

impl Timers {
    /// None armed.
    pub fn new() -> Self {
        Self { inner: Arc::new(Inner { state: Mutex::new(State::default()) }) }
    }

    /// What execve(2) does: POSIX timers are gone, interval timers go on.
    pub fn reset_for_exec(&self) {
        let mut state = self.inner.state.lock();
        state.ignored.clear();
        for (id, timer) in core::mem::take(&mut state.posix) {
            state.agenda.remove(timer.line(), timer.alarm.deadline, Entry::Posix(id));
        }
    }

    /// What an interval timer is set to.
    pub fn interval(&self, process: &Process, which: Which) -> Setting {
        let now = now_of(process, &which.clock());
        self.inner.state.lock().intervals[which as usize].setting(now)
    }

    /// Sets an interval timer and gives what it was set to.
    pub fn set_interval(
        &self,
        kernel: &'static Kernel,
        process: &Arc<Process>,
        which: Which,
        new: Setting,
    ) -> Setting {
        let now = now_of(process, &which.clock());
        let mut state = self.inner.state.lock();
        let alarm = &mut state.intervals[which as usize];
        let old = alarm.setting(now);
        let before = alarm.deadline;
        let deadline = (new.value != 0).then(|| now.saturating_add(new.value));
        alarm.set(deadline, new.interval);
        state.agenda.move_to(which.line(), before, deadline, Entry::Interval(which));
        self.inner.come_by(&mut state, kernel, process);
        old
    }

    /// Makes a POSIX timer, with the id `wanted` if programs choose ids; a missing value stands for its id.
    ///
    /// # Errors
    /// EAGAIN when `RLIMIT_SIGPENDING` timers and signals are there; with ids that programs choose, EINVAL
    /// for a negative one and EBUSY for one that is in use.
    pub fn create(
        &self,
        process: &Process,
        clock: Clock,
        notify: Notify,
        value: Option<u64>,
        wanted: Option<i32>,
    ) -> Result<i32> {
        let pending = process.signals.with(|shared| shared.queue.len());
        let mut state = self.inner.state.lock();
        let id = match wanted {
            Some(id) if id < 0 => return Err(Errno::EINVAL.because("a negative id")),
            Some(id) if state.posix.contains_key(&id) => {
                return Err(Errno::EBUSY.because("a timer has this id"));
            }
            Some(id) => id,
            None => state.free_id(),
        };
        let limit = process.limits.soft(Resource::PendingSignals).min(MOST);
        if (state.posix.len() + pending) as u64 >= limit {
            return Err(Errno::EAGAIN.because("RLIMIT_SIGPENDING timers and signals are there"));
        }
        let value = value.unwrap_or(u64::from(id.unsigned_abs()));
        let alarm = Alarm::default();
        state.posix.insert(id, Posix { clock, notify, value, alarm, overrun: 0, sent: false });
        Ok(id)
    }

    /// Whether programs choose the ids of their timers.
    pub fn restores_ids(&self) -> bool {
        self.inner.state.lock().restore_ids
    }

    /// Says whether they do.
    pub fn set_restores_ids(&self, on: bool) {
        self.inner.state.lock().restore_ids = on;
    }

    /// Deletes a POSIX timer.
    ///
    /// # Errors
    /// EINVAL when there is no such timer.
    pub fn delete(&self, process: &Process, id: i32) -> Result<()> {
        let mut state = self.inner.state.lock();
        let Some(timer) = state.posix.remove(&id) else { return Err(no_timer()) };
        state.agenda.remove(timer.line(), timer.alarm.deadline, Entry::Posix(id));
        state.ignored.remove(&id);
        drop(state);
        if timer.sent {
            forget_signal(process, &timer.notify, id);
        }
        Ok(())
    }

    /// What a POSIX timer is set to.
    ///
    /// # Errors
    /// EINVAL when there is no such timer.
    pub fn get(&self, process: &Process, id: i32) -> Result<Setting> {
        let mut state = self.inner.state.lock();
        let timer = state.posix.get_mut(&id).ok_or_else(no_timer)?;
        Ok(timer.look(now_of(process, &timer.clock)))
    }

    /// Sets a POSIX timer; with `absolute`, `new.value` is the clock's time. Gives what it was set
    /// to.
    ///
    /// # Errors
    /// EINVAL when there is no such timer.
    pub fn set(
        &self,
        kernel: &'static Kernel,
        process: &Arc<Process>,
        id: i32,
        new: Setting,
        absolute: bool,
    ) -> Result<Setting> {
        let mut state = self.inner.state.lock();
        let timer = state.posix.get_mut(&id).ok_or_else(no_timer)?;
        let now = now_of(process, &timer.clock);
        let old = timer.look(now);
        let before = timer.alarm.deadline;
        let start = if absolute { 0 } else { now };
        let deadline = (new.value != 0).then(|| start.saturating_add(new.value));
        timer.alarm.set(deadline, new.interval);
        timer.overrun = 0;
        let sent = core::mem::take(&mut timer.sent).then(|| timer.notify.clone());
        let line = timer.line();
        state.agenda.move_to(line, before, deadline, Entry::Posix(id));
        state.ignored.remove(&id);
        self.inner.come_by(&mut state, kernel, process);
        drop(state);
        if let Some(notify) = sent {
            forget_signal(process, &notify, id);
        }
        Ok(old)
    }

    /// How often a POSIX timer expired between the last signal and its delivery.
    ///
    /// # Errors
    /// EINVAL when there is no such timer.
    pub fn overrun(&self, id: i32) -> Result<i32> {
        self.inner.state.lock().posix.get(&id).map(|timer| timer.overrun).ok_or_else(no_timer)
    }

    /// The ids of the POSIX timers, for /proc.
    pub fn ids(&self) -> Vec<i32> {
        self.inner.state.lock().posix.keys().copied().collect()
    }

    /// A signal is about to be delivered: if a timer sent it, that timer goes on. Gives the signal
    /// with its overrun count.
    #[inline]
    pub(crate) fn delivered(&self, process: &Arc<Process>, info: Info) -> Info {
        if info.is_timers() {
            return self.posix_delivered(process, info);
        }
        if let Some(which) = Which::of_signal(info.signal) {
            self.interval_delivered(process, which);
        }
        info
    }

    fn posix_delivered(&self, process: &Arc<Process>, info: Info) -> Info {
        let Some(id) = info.timer_id() else { return info };
        let mut state = self.inner.state.lock();
        let Some(timer) = state.posix.get_mut(&id).filter(|timer| timer.sent) else {
            return info;
        };
        timer.sent = false;
        let missed = timer.alarm.delivered(now_of(process, &timer.clock));
        timer.overrun = i32::try_from(missed.min(OVERRUN_MAX)).unwrap_or(i32::MAX);
        let (overrun, line, deadline) = (timer.overrun, timer.line(), timer.alarm.deadline);
        self.inner.go_on(&mut state, line, deadline, Entry::Posix(id), process);
        info.with_overrun(overrun)
    }

    fn interval_delivered(&self, process: &Arc<Process>, which: Which) {
        let now = now_of(process, &which.clock());
        let mut state = self.inner.state.lock();
        let alarm = &mut state.intervals[which as usize];
        if alarm.undelivered.is_none() {
            return; // it comes from somebody else
        }
        alarm.delivered(now);
        let deadline = alarm.deadline;
        self.inner.go_on(&mut state, which.line(), deadline, Entry::Interval(which), process);
    }

    /// A signal is no longer ignored: timers whose signals were dropped send them now.
    pub(crate) fn unignored(
        &self,
        kernel: &'static Kernel,
        process: &Arc<Process>,
        signal: Signal,
    ) {
        let mut state = self.inner.state.lock();
        let mut due = Vec::new();
        let State { ignored, posix, .. } = &mut *state;
        ignored.retain(|id| {
            let Some(timer) = posix.get(id) else { return false };
            let again = timer.signal() == Some(signal);
            if again {
                due.push((timer.notify.clone(), Info::timer(signal, *id, 0, timer.value)));
            }
            !again
        });
        drop(state);
        for (notify, info) in due {
            self.inner.tell(kernel, process, &notify, info);
        }
    }

    /// Looks anew at when something is due: the limit on processor time has changed.
    pub(crate) fn rearm(&self, kernel: &'static Kernel, process: &Arc<Process>) {
        self.inner.come_by(&mut self.inner.state.lock(), kernel, process);
    }
}

impl core::default::Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.inner.state.lock().armed = None;
    }
}

impl State {
    /// The next id that no timer has.
    fn free_id(&mut self) -> i32 {
        while self.posix.contains_key(&self.next_id) {
            self.next_id = self.next_id.checked_add(1).unwrap_or(0);
        }
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(0);
        id
    }
}

impl Posix {
    fn line(&self) -> Line {
        match (&self.notify, &self.clock) {
            (Notify::Nobody, _) => Line::Nobody,
            (_, Clock::Monotonic) => Line::Monotonic,
            (_, Clock::Realtime) => Line::Realtime,
            (_, Clock::Process) => Line::Process,
            (_, Clock::Thread(_)) => Line::Thread,
        }
    }

    fn signal(&self) -> Option<Signal> {
        match &self.notify {
            Notify::Nobody => None,
            Notify::Process(signal) | Notify::Thread(signal, _) => Some(*signal),
        }
    }

    /// What it is set to at `now`; one that tells nobody goes on without a delivery.
    fn look(&mut self, now: u64) -> Setting {
        if matches!(self.notify, Notify::Nobody) && self.alarm.expire(now) {
            self.alarm.delivered(now);
        }
        self.alarm.setting(now)
    }
}

impl Which {
    /// The interval timer with a number.
    ///
    /// # Errors
    /// EINVAL.
    pub fn from_raw(raw: i32) -> Result<Self> {
        match raw {
            0 => Ok(Self::Real),
            1 => Ok(Self::Virtual),
            2 => Ok(Self::Profile),
            _ => Err(Errno::EINVAL.because("no such interval timer")),
        }
    }

    fn clock(self) -> Clock {
        if self == Self::Real { Clock::Monotonic } else { Clock::Process }
    }

    fn line(self) -> Line {
        if self == Self::Real { Line::Monotonic } else { Line::Process }
    }

    fn signal(self) -> Signal {
        match self {
            Self::Real => Signal::ALRM,
            Self::Virtual => Signal::VTALRM,
            Self::Profile => Signal::PROF,
        }
    }

    fn of_signal(signal: Signal) -> Option<Self> {
        [Self::Real, Self::Virtual, Self::Profile]
            .into_iter()
            .find(|which| which.signal() == signal)
    }
}

fn no_timer() -> abi::errno::Error {
    Errno::EINVAL.because("no such timer")
}

fn now_of(process: &Process, counted: &Clock) -> u64 {
    match counted {
        Clock::Monotonic => clock::now(),
        Clock::Realtime => clock::realtime(),
        Clock::Process => process.cpu_time(),
        Clock::Thread(thread) => thread.upgrade().map_or(0, |thread| thread.cpu_used()),
    }
}

fn forget_signal(process: &Process, notify: &Notify, id: i32) {
    match notify {
        Notify::Nobody => {}
        Notify::Process(_) => process.signals.with(|shared| shared.queue.discard_timer(id)),
        Notify::Thread(_, thread) => {
            if let Some(thread) = thread.upgrade() {
                thread.signals.with_queue(|queue| queue.discard_timer(id));
            }
        }
    }
}

/// The soft limit on processor time in seconds, if there is one.
fn limit_of_cpu(process: &Process) -> Option<u64> {
    Some(process.limits.soft(Resource::Cpu)).filter(|seconds| *seconds < u64::MAX)
}
