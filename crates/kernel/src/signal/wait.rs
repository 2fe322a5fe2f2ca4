//! Waiting for signals.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

use abi::Errno;
use abi::errno::{Error, Result};

use crate::context::Context;
use crate::process::{Process, Thread};
use crate::signal::info::Info;
use crate::signal::number::SignalSet;

/// Takes a pending signal out of `wanted`, the thread's own before the process's.
pub(crate) fn take(thread: &Thread, process: &Arc<Process>, wanted: SignalSet) -> Option<Info> {
    let signals = &thread.signals;
    let own = if signals.pending().intersection(wanted).is_empty() {
        None
    } else {
        signals.with_queue(|queue| queue.take_next(wanted))
    };
    let info = own.or_else(|| {
        if process.signals.pending().intersection(wanted).is_empty() {
            return None;
        }
        process.signals.with(|shared| shared.queue.take_next(wanted))
    })?;
    Some(process.signals.timers.delivered(process, info))
}

/// Waits until a signal can be delivered: sigsuspend (after its mask is set) and pause.
pub async fn any(cx: &Context<'_>) -> Error {
    let thread: &Thread = cx.thread;
    poll_fn(|_| if thread.must_attend() { Poll::Ready(()) } else { Poll::Pending }).await;
    Errno::ERESTARTNOHAND.because("a signal came")
}

/// Takes a signal of `wanted`, waiting for one until `deadline` (monotonic ns; `None` for ever).
///
/// # Errors
/// EAGAIN at the deadline; EINTR when another signal comes first.
pub async fn one_of(cx: &Context<'_>, wanted: SignalSet, deadline: Option<u64>) -> Result<Info> {
    let thread: &Arc<Thread> = cx.thread;
    let process: &Arc<Process> = cx.process;
    let wanted = wanted.as_mask();
    let _awaiting = Awaiting::begin(thread, wanted);
    let wait = poll_fn(|_| match take(thread, process, wanted) {
        Some(info) => Poll::Ready(Ok(info)),
        None if thread.must_attend() => {
            Poll::Ready(Err(Errno::EINTR.because("a signal came that isn't waited for")))
        }
        None => Poll::Pending,
    });
    match cx.kernel.executor.timeout(deadline, wait).await {
        Ok(result) => result,
        Err(_) => Err(Errno::EAGAIN.because("no signal came in time")),
    }
}

/// While it lives, the thread is told of signals that it blocks.
struct Awaiting<'a>(&'a Thread);

impl<'a> Awaiting<'a> {
    fn begin(thread: &'a Thread, wanted: SignalSet) -> Self {
        thread.signals.set_awaited(wanted);
        Self(thread)
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.signals.set_awaited(SignalSet::EMPTY);
        // One that came at the last moment is somebody else's.
        let blocked = self.0.signals.blocked();
        super::send::retarget(&self.0.process, blocked);
    }
}
