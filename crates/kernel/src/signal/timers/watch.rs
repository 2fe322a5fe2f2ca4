//! The task that sleeps until a timer is due, and sends.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use executor::timer::NEVER;
use platform::clock;

use super::{Clock, Inner, Notify, State, Which, limit_of_cpu, now_of};
use crate::Kernel;
use crate::process::Process;
use crate::process::limits::Resource;
use crate::signal::info::Info;
use crate::signal::number::Signal;
use crate::signal::send;

/// The shortest sleep while timers on processor time are armed, ns.
const LOOK_AGAIN: u64 = 1_000_000;

/// The task of a process's timers.
pub(super) async fn watch(kernel: &'static Kernel, inner: Arc<Inner>, process: Weak<Process>) {
    loop {
        let listener = inner.changed.listen();
        let Some(process) = process.upgrade() else { return };
        let ended = process.ending.load(Ordering::Relaxed) || inner.closed.load(Ordering::SeqCst);
        let next = if ended { None } else { fire(kernel, &inner, &process) };
        if next.is_none() {
            let mut state = inner.state.lock();
            // Something may have been set since `fire` looked.
            if ended || (!state.is_armed() && limit_of_cpu(&process).is_none()) {
                state.watched = false;
                return;
            }
        }
        drop(process);
        let _ = kernel.executor.timeout(next, listener).await;
    }
}

/// Sends what is due; gives the monotonic time at which to look again.
fn fire(kernel: &'static Kernel, inner: &Inner, process: &Arc<Process>) -> Option<u64> {
    let now = clock::now();
    let cpu = process.cpu_time();
    // With all vCPUs at work for the process, its time passes that much faster than the clock's.
    let lanes = kernel.executor.vcpus() as u64;
    let look_at = |deadline: u64, used: u64, lanes: u64| {
        now.saturating_add((deadline.saturating_sub(used) / lanes).max(LOOK_AGAIN))
    };
    let mut next = NEVER;
    let mut due: Vec<(Notify, Info)> = Vec::new();
    let mut state = inner.state.lock();
    for which in [Which::Real, Which::Virtual, Which::Profile] {
        let time = if which == Which::Real { now } else { cpu };
        let alarm = &mut state.intervals[which as usize];
        if alarm.expire(time) {
            due.push((Notify::Process(which.signal()), Info::kernel(which.signal())));
        }
        match alarm.deadline {
            Some(deadline) if which == Which::Real => next = next.min(deadline),
            Some(deadline) => next = next.min(look_at(deadline, cpu, lanes)),
            None => {}
        }
    }
    for (id, timer) in &mut state.posix {
        let time = now_of(process, &timer.clock);
        let signal = match &timer.notify {
            Notify::Nobody => continue,
            Notify::Process(signal) | Notify::Thread(signal, _) => *signal,
        };
        if timer.alarm.expire(time) {
            timer.sent = true;
            due.push((timer.notify.clone(), Info::timer(signal, *id, 0, timer.value)));
        }
        match (timer.alarm.deadline, &timer.clock) {
            (Some(deadline), Clock::Monotonic | Clock::Realtime) => {
                next = next.min(now.saturating_add(deadline.saturating_sub(time)));
            }
            (Some(deadline), Clock::Process) => next = next.min(look_at(deadline, time, lanes)),
            (Some(deadline), Clock::Thread(_)) => next = next.min(look_at(deadline, time, 1)),
            (None, _) => {}
        }
    }
    if let Some(limit) = limit_of_cpu(process) {
        let at = watch_limit(&mut state, process, cpu, limit, &mut due);
        next = next.min(look_at(at, cpu, lanes));
    }
    drop(state);
    for (notify, info) in due {
        tell(kernel, process, &notify, info);
    }
    (next != NEVER).then_some(next)
}

/// `RLIMIT_CPU`: SIGXCPU at the soft limit and each second after, SIGKILL at the hard one. Gives
/// the processor time of the next step, ns.
fn watch_limit(
    state: &mut State,
    process: &Process,
    cpu: u64,
    soft: u64,
    due: &mut Vec<(Notify, Info)>,
) -> u64 {
    let seconds = cpu / clock::SECOND;
    let hard = process.limits.get(Resource::Cpu).hard;
    if seconds >= hard {
        due.push((Notify::Process(Signal::KILL), Info::kernel(Signal::KILL)));
    } else if seconds >= soft.max(state.next_xcpu) {
        state.next_xcpu = seconds + 1;
        due.push((Notify::Process(Signal::XCPU), Info::kernel(Signal::XCPU)));
    }
    soft.max(state.next_xcpu).min(hard).saturating_mul(clock::SECOND)
}

fn tell(kernel: &'static Kernel, process: &Arc<Process>, notify: &Notify, info: Info) {
    match notify {
        Notify::Nobody => {}
        Notify::Process(_) => {
            let _ = send::send_to_process(kernel, process, info);
        }
        Notify::Thread(_, thread) => {
            // A thread that is gone takes its timer's signals with it, as in Linux.
            if let Some(thread) = thread.upgrade() {
                let _ = send::send_to_thread(kernel, &thread, info);
            }
        }
    }
}
