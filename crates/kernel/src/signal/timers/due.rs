//! What happens when a timer is due: it is taken off the agenda, and its signal is sent.
//!
//! The executor comes by here at the earliest instant, as a waker that it wakes: no task stands between
//! a timer and its signal.

use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::task::Waker;

use executor::timer::NEVER;
use platform::clock;

use super::agenda::{Entry, Line};
use super::{Clock, Inner, Notify, State, limit_of_cpu, now_of};
use crate::Kernel;
use crate::process::Process;
use crate::process::limits::Resource;
use crate::signal::info::Info;
use crate::signal::number::Signal;
use crate::signal::send;

/// The shortest time between two looks at timers on processor time, ns.
const LOOK_AGAIN: u64 = 1_000_000;

type Sent = (Notify, Info);

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.armed = None;
        let Some((kernel, owner)) = state.owner.clone() else { return };
        let Some(process) = owner.upgrade() else { return };
        if process.ending.load(Ordering::Relaxed) {
            return;
        }
        let due = state.fire(&process);
        self.come_by(&mut state, kernel, &process);
        drop(state);
        for (notify, info) in due {
            self.tell(kernel, &process, &notify, info);
        }
    }
}

impl Inner {
    /// Has the executor come by when the earliest timer is due.
    pub(super) fn come_by(
        self: &Arc<Self>,
        state: &mut State,
        kernel: &'static Kernel,
        process: &Arc<Process>,
    ) {
        let next = state.next(kernel, process);
        if state.owner.is_none() {
            state.owner = Some((kernel, Arc::downgrade(process)));
        }
        // One that comes too early costs a look; one that is armed for later would be late.
        let armed = state.armed.as_ref().map_or(NEVER, executor::timer::Armed::deadline);
        if next < armed {
            let waker = Waker::from(Arc::clone(self));
            state.armed = Some(kernel.executor.wake_at(next, waker));
        } else if next == NEVER {
            state.armed = None;
        }
    }

    /// Sends a timer's signal. One that would be dropped is kept in mind.
    pub(super) fn tell(
        &self,
        kernel: &'static Kernel,
        process: &Arc<Process>,
        notify: &Notify,
        info: Info,
    ) {
        let thread = match notify {
            Notify::Nobody => return,
            Notify::Process(_) => None,
            // A thread that is gone takes its timer's signals with it, as in Linux.
            Notify::Thread(_, thread) => match thread.upgrade() {
                Some(thread) => Some(thread),
                None => return,
            },
        };
        if let Some(id) = info.timer_id()
            && send::is_dropped(process, info.signal, thread.as_ref())
        {
            self.state.lock().ignored.insert(id);
            return;
        }
        // The signal of a timer has its place in the queue whatever the limit says.
        let _ = match thread {
            Some(thread) => send::send_to_thread(kernel, &thread, info),
            None => send::send_to_process(kernel, process, info),
        };
    }

    /// A timer that was delivered is armed anew, if it goes on.
    pub(super) fn go_on(
        self: &Arc<Self>,
        state: &mut State,
        line: Line,
        deadline: Option<u64>,
        entry: Entry,
        process: &Arc<Process>,
    ) {
        let kernel = state.owner.as_ref().map(|(kernel, _)| *kernel);
        if let (Some(_), Some(kernel)) = (deadline, kernel) {
            state.agenda.move_to(line, None, deadline, entry);
            self.come_by(state, kernel, process);
        }
    }
}

impl State {
    /// The monotonic time at which the next timer is due, or one on processor time could be.
    fn next(&mut self, kernel: &'static Kernel, process: &Arc<Process>) -> u64 {
        let mut next = self.agenda.earliest(Line::Monotonic).unwrap_or(NEVER);
        if let Some(deadline) = self.agenda.earliest(Line::Realtime) {
            let ahead = deadline.saturating_sub(clock::realtime());
            next = next.min(clock::now().saturating_add(ahead));
        }
        // With all vCPUs at work for the process, its time passes that much faster than the clock's.
        let lanes = kernel.executor.vcpus() as u64;
        let mut look_at = |left: u64, lanes: u64| {
            next = next.min(clock::now().saturating_add((left / lanes).max(LOOK_AGAIN)));
        };
        let limit = limit_of_cpu(process).map(|soft| self.limit_due(process, soft));
        let used = self.agenda.earliest(Line::Process).into_iter().chain(limit).min();
        if let Some(deadline) = used {
            look_at(deadline.saturating_sub(process.cpu_time()), lanes);
        }
        for (deadline, entry) in self.agenda.of_threads() {
            let Entry::Posix(id) = entry else { continue };
            if let Some(timer) = self.posix.get(&id) {
                look_at(deadline.saturating_sub(now_of(process, &timer.clock)), 1);
            }
        }
        next
    }

    /// Takes what is due off the agenda; gives whom to tell.
    fn fire(&mut self, process: &Arc<Process>) -> Vec<Sent> {
        let mut due = Vec::new();
        for (line, clock) in [
            (Line::Monotonic, Clock::Monotonic),
            (Line::Realtime, Clock::Realtime),
            (Line::Process, Clock::Process),
        ] {
            let now = now_of(process, &clock);
            while let Some(entry) = self.agenda.take_due(line, now) {
                due.extend(self.expire(entry, now));
            }
        }
        let of_threads: Vec<_> = self.agenda.of_threads().collect();
        for (deadline, entry) in of_threads {
            let Entry::Posix(id) = entry else { continue };
            let now = self.posix.get(&id).map_or(0, |timer| now_of(process, &timer.clock));
            if deadline <= now {
                self.agenda.remove(Line::Thread, Some(deadline), entry);
                due.extend(self.expire(entry, now));
            }
        }
        if let Some(soft) = limit_of_cpu(process) {
            due.extend(self.watch_limit(process, soft));
        }
        due
    }

    /// A timer has expired.
    fn expire(&mut self, entry: Entry, now: u64) -> Option<Sent> {
        match entry {
            Entry::Interval(which) => {
                let signal = which.signal();
                let expired = self.intervals[which as usize].expire(now);
                expired.then(|| (Notify::Process(signal), Info::kernel(signal)))
            }
            Entry::Posix(id) => {
                let timer = self.posix.get_mut(&id)?;
                let signal = timer.signal()?;
                if !timer.alarm.expire(now) {
                    return None;
                }
                timer.sent = true;
                Some((timer.notify.clone(), Info::timer(signal, id, 0, timer.value)))
            }
        }
    }

    /// The processor time, ns, of the next step of `RLIMIT_CPU`.
    fn limit_due(&self, process: &Process, soft: u64) -> u64 {
        let hard = process.limits.get(Resource::Cpu).hard;
        soft.max(self.next_xcpu).min(hard).saturating_mul(clock::SECOND)
    }

    /// `RLIMIT_CPU`: SIGXCPU at the soft limit and each second after, SIGKILL at the hard one.
    fn watch_limit(&mut self, process: &Process, soft: u64) -> Option<Sent> {
        let seconds = process.cpu_time() / clock::SECOND;
        let signal = if seconds >= process.limits.get(Resource::Cpu).hard {
            Signal::KILL
        } else if seconds >= soft.max(self.next_xcpu) {
            self.next_xcpu = seconds + 1;
            Signal::XCPU
        } else {
            return None;
        };
        Some((Notify::Process(signal), Info::kernel(signal)))
    }
}
