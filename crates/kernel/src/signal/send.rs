//! Sending signals: into which queue, and who is told.
//!
//! Source: signal(7), kill(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use abi::host::{ExitKind, HostCall, SIGNAL_SENT};

use crate::Kernel;
use crate::process::limits::Resource;
use crate::process::registry::FIRST;
use crate::process::{Process, Thread};
use crate::signal::action::{Action, IGNORE};
use crate::signal::descriptor;
use crate::signal::info::{Info, SI_USER};
use crate::signal::number::{Default, Signal, SignalSet};
use crate::signal::queue::Pushed;

/// Sends a signal to one thread.
///
/// # Errors
/// EAGAIN when a real-time signal finds the queue full.
pub fn send_to_thread(_kernel: &'static Kernel, thread: &Arc<Thread>, info: Info) -> Result<()> {
    let process = &thread.process;
    if !prepare(process, info.signal, Some(thread)) {
        return Ok(());
    }
    let held = thread.signals.with_queue(|queue| queue.len());
    let full = is_full(process, held);
    let pushed = thread.signals.with_queue(|queue| queue.push(info, full));
    descriptor::tell();
    if thread.signals.wants(info.signal) || info.signal == Signal::KILL {
        thread.notify();
    }
    outcome(pushed)
}

/// Sends a signal to a process: to whichever of its threads does not block it, the first one if it
/// can be.
///
/// # Errors
/// EAGAIN when a real-time signal finds the queue full.
pub fn send_to_process(_kernel: &'static Kernel, process: &Arc<Process>, info: Info) -> Result<()> {
    let first = process.threads.lock().get(&process.pid).cloned();
    if !prepare(process, info.signal, first.as_ref()) {
        return Ok(());
    }
    let held = process.signals.with(|shared| shared.queue.len());
    let full = is_full(process, held);
    let pushed = process.signals.push(info, full);
    descriptor::tell();
    tell_one(process, SignalSet::of(&[info.signal]));
    outcome(pushed)
}

/// Hands on a signal that the host reported, as its token's number says: it is the first process's, or
/// acts on the enclave while there is none yet. A number that is none is dropped.
pub fn from_host(kernel: &'static Kernel, number: u32) {
    let sent = number & SIGNAL_SENT != 0;
    let signal = i32::try_from(number & !SIGNAL_SENT).ok().and_then(Signal::new);
    let Some(signal) = signal else { return };
    if let Some(process) = kernel.registry.process(FIRST) {
        // Whoever sent it has no number here.
        let info = if sent { Info::sent(signal, SI_USER, 0, 0) } else { Info::kernel(signal) };
        // Of a real-time signal that finds the queue full, nobody could be told.
        let _ = send_to_process(kernel, &process, info);
        return;
    }
    let kept = kernel.settings.ignored.union(kernel.settings.blocked).contains(signal);
    if kernel.registry.has_begun() || kept {
        return;
    }
    match signal.default_action() {
        Default::Terminate | Default::Core => {
            platform::boot::exit(ExitKind::Signaled, signal.number().into());
        }
        Default::Stop => stop_host(),
        Default::Ignore | Default::Continue => {}
    }
}

/// Makes a fault a signal of the thread that runs this: whatever the program has said, it is
/// delivered, and where the program blocks or ignores it, it ends the process.
pub fn force(thread: &Arc<Thread>, info: Info) {
    let blocked = thread.signals.blocked();
    thread.process.signals.with(|shared| {
        let is_blocked = blocked.contains(info.signal);
        if is_blocked || shared.actions.get(info.signal).handler == IGNORE {
            shared.actions.set(info.signal, Action::DEFAULT);
        }
    });
    if blocked.contains(info.signal) {
        thread.signals.set_blocked(blocked.minus(SignalSet::of(&[info.signal])));
    }
    thread.signals.with_queue(|queue| queue.push(info, false));
}

/// As [`force`], but no handler runs.
pub fn force_fatal(thread: &Arc<Thread>, info: Info) {
    thread.process.signals.with(|shared| shared.actions.set(info.signal, Action::DEFAULT));
    force(thread, info);
}

/// Sets the mask of the thread that runs this; what it blocks newly finds another thread.
pub fn set_mask(thread: &Arc<Thread>, mask: SignalSet) -> SignalSet {
    let old = thread.signals.set_blocked(mask);
    retarget(&thread.process, mask.minus(old));
    old
}

/// Signals of the process that a thread has just blocked are somebody else's to take now.
pub(crate) fn retarget(process: &Arc<Process>, newly_blocked: SignalSet) {
    let left = process.signals.pending().intersection(newly_blocked);
    if !left.is_empty() {
        tell_one(process, left);
    }
}

/// Changes what is done about a signal, and forgets it where it is pending and ignored now.
pub fn set_action(process: &Process, signal: Signal, action: Action) -> Action {
    let old = process.signals.with(|shared| {
        let old = shared.actions.set(signal, action);
        if action.ignores(signal) {
            shared.queue.discard(SignalSet::of(&[signal]));
        }
        old
    });
    if action.ignores(signal) {
        discard_in_threads(process, SignalSet::of(&[signal]));
    }
    old
}

/// Stops the process: its threads stop as they leave the LibOS. When it is the first one, who started
/// the enclave sees it stopped.
pub(crate) fn stop(process: &Process) {
    let before = process.signals.set_stopped(true);
    notify_all(process);
    if !before && process.pid == FIRST {
        stop_host();
    }
}

/// Stops the enclave as the host sees it; comes back when the host lets it go on.
fn stop_host() {
    platform::gate::call(HostCall::Stop, [0; 5]);
}

fn go_on(process: &Process) {
    if process.signals.set_stopped(false) {
        notify_all(process);
    }
}

fn notify_all(process: &Process) {
    for thread in threads_of(process) {
        thread.notify();
    }
}

/// What sending does whether or not the signal is delivered; false when it is to be dropped.
fn prepare(process: &Process, signal: Signal, target: Option<&Arc<Thread>>) -> bool {
    if SignalSet::STOPPING.contains(signal) {
        discard_everywhere(process, SignalSet::of(&[Signal::CONT]));
    } else if signal == Signal::CONT {
        discard_everywhere(process, SignalSet::STOPPING);
        go_on(process);
    } else if signal == Signal::KILL {
        go_on(process);
    }
    !would_drop(process, signal, target)
}

/// Ignored signals are dropped, unless somebody may yet change his mind about them.
fn would_drop(process: &Process, signal: Signal, target: Option<&Arc<Thread>>) -> bool {
    let blocked = target.is_some_and(|thread| thread.signals.blocked().contains(signal));
    !blocked && process.signals.with(|shared| shared.actions.get(signal).ignores(signal))
}

/// Whether a signal sent to a thread, or to the process if there is none, would be dropped.
pub(super) fn is_dropped(process: &Process, signal: Signal, thread: Option<&Arc<Thread>>) -> bool {
    let first = || process.threads.lock().get(&process.pid).cloned();
    match thread {
        Some(_) => would_drop(process, signal, thread),
        None => would_drop(process, signal, first().as_ref()),
    }
}

/// Notifies a thread that takes one of `signals`, if there is any.
fn tell_one(process: &Process, signals: SignalSet) {
    let mut left = signals;
    while let Some(signal) = left.first() {
        left = left.minus(SignalSet::of(&[signal]));
        let chosen = {
            let threads = process.threads.lock();
            let takes =
                |thread: &&Arc<Thread>| signal == Signal::KILL || thread.signals.wants(signal);
            let first = threads.get(&process.pid).filter(takes);
            first.or_else(|| threads.values().find(takes)).cloned()
        };
        if let Some(thread) = chosen {
            thread.notify();
        }
    }
}

fn discard_everywhere(process: &Process, set: SignalSet) {
    process.signals.with(|shared| shared.queue.discard(set));
    discard_in_threads(process, set);
}

fn discard_in_threads(process: &Process, set: SignalSet) {
    for thread in threads_of(process) {
        if !thread.signals.pending().intersection(set).is_empty() {
            thread.signals.with_queue(|queue| queue.discard(set));
        }
    }
}

fn threads_of(process: &Process) -> Vec<Arc<Thread>> {
    process.threads.lock().values().cloned().collect()
}

/// Whether `RLIMIT_SIGPENDING` is used up. Counted for each queue, where Linux counts for each
/// user.
fn is_full(process: &Process, held: usize) -> bool {
    held as u64 >= process.limits.soft(Resource::PendingSignals)
}

fn outcome(pushed: Pushed) -> Result<()> {
    match pushed {
        Pushed::Refused => Err(Errno::EAGAIN.because("RLIMIT_SIGPENDING signals are queued")),
        Pushed::Queued | Pushed::Merged | Pushed::Bare => Ok(()),
    }
}
