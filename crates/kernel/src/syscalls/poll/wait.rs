//! The wait that poll and select share.

use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;

use executor::wait_queue::{Listener, WaitQueue};
use smallvec::SmallVec;
use vfs::object::OpenFile;

use crate::context::{Context, Interrupted};

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::syscalls) enum Patience {
    /// Not at all.
    None,
    /// Until a monotonic instant, ns.
    Until(u64),
    /// For ever.
    Endless,
}

impl Patience {
    /// So many ns from now on; `None`: for ever.
    pub(in crate::syscalls) fn lasting(time: Option<u64>) -> Self {
        match time {
            None => Self::Endless,
            Some(0) => Self::None,
            Some(time) => Self::Until(crate::syscalls::time::spec::after(time)),
        }
    }

    /// Milliseconds as poll(2) takes them: negative means for ever.
    pub(in crate::syscalls) fn from_milliseconds(time: i32) -> Self {
        Self::lasting(u64::try_from(time).ok().map(|time| time * 1_000_000))
    }

    /// The instant; `None`: for ever.
    pub(in crate::syscalls) fn deadline(self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Until(deadline) => Some(deadline),
            Self::Endless => None,
        }
    }

    /// What is left of it, ns; `None`: for ever.
    pub(in crate::syscalls) fn left(self) -> Option<u64> {
        self.deadline().map(|deadline| deadline.saturating_sub(platform::clock::now()))
    }
}

/// Asks `look` until it gives something, each time one of `files` may have changed.
///
/// `None` when patience ends first.
///
/// # Errors
/// [`Interrupted`] by a signal.
pub(in crate::syscalls) async fn wait<T>(
    cx: &Context<'_>,
    files: &[Arc<OpenFile>],
    patience: Patience,
    mut look: impl FnMut() -> Option<T>,
) -> Result<Option<T>, Interrupted> {
    loop {
        if let Some(found) = look() {
            return Ok(Some(found));
        }
        if patience == Patience::None {
            // As in Linux, a signal that a temporary mask lets through ends also what doesn't wait.
            return if cx.thread.must_attend() { Err(Interrupted) } else { Ok(None) };
        }
        let mut listening: SmallVec<[(&WaitQueue, Listener<'_>); 4]> = files
            .iter()
            .filter_map(|file| file.object().readiness())
            .map(|queue| (queue, queue.listen()))
            .collect();
        if let Some(found) = look() {
            return Ok(Some(found));
        }
        let woken = one_wake_up(&mut listening);
        let outcome =
            cx.interruptible(cx.kernel.executor.timeout(patience.deadline(), woken)).await?;
        if outcome.is_err() {
            return Ok(look());
        }
    }
}

/// Waits until the task is woken, by whichever of the queues.
///
/// Who merely polls takes nothing out of the object, so a wake-up that chose it belongs to the next in
/// that queue: the listeners are dropped instead of being awaited to their end.
pub(in crate::syscalls) fn one_wake_up<'a>(
    listening: &'a mut [(&WaitQueue, Listener<'_>)],
) -> impl Future<Output = ()> + Unpin + 'a {
    let mut registered = false;
    poll_fn(move |cx| {
        if registered {
            return Poll::Ready(());
        }
        registered = true;
        for (queue, listener) in listening.iter_mut() {
            if Pin::new(listener).poll(cx).is_ready() {
                queue.wake(1);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
}
