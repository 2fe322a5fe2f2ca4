//! Letting the others go first.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Goes to the end of the vCPU's queue, once.
///
/// Ask [`crate::Executor::others_wait`] first: with nobody else it costs a turn of the loop for nothing.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
