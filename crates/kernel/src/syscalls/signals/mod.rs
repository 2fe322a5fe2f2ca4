//! Signals: dispositions, masks, sending, waiting.

mod descriptors;
pub mod dispositions;
mod sending;
mod waiting;

use abi::errno::Result;
use abi::nr;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::signal::deliver;

/// Calls that finish at once; `None`: not here, or it must wait.
#[inline]
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::RT_SIGACTION => dispositions::rt_sigaction(cx, args),
        nr::RT_SIGPROCMASK => dispositions::rt_sigprocmask(cx, args),
        nr::RT_SIGPENDING => dispositions::rt_sigpending(cx, args),
        nr::SIGALTSTACK => dispositions::sigaltstack(cx, args),
        nr::RT_SIGRETURN => Ok(deliver::signal_return(cx)),
        nr::KILL => sending::kill(cx, args),
        nr::TGKILL => sending::tgkill(cx, args),
        nr::TKILL => sending::tkill(cx, args),
        nr::RT_SIGQUEUEINFO => sending::rt_sigqueueinfo(cx, args),
        nr::PIDFD_SEND_SIGNAL => descriptors::pidfd_send_signal(cx, args),
        nr::RT_TGSIGQUEUEINFO => sending::rt_tgsigqueueinfo(cx, args),
        _ => return None,
    })
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::RT_SIGSUSPEND => waiting::rt_sigsuspend(cx, args).await,
        nr::PAUSE => waiting::pause(cx).await,
        nr::RT_SIGTIMEDWAIT => waiting::rt_sigtimedwait(cx, args).await,
        nr::RESTART_SYSCALL => waiting::restart_syscall(cx).await,
        _ => return None,
    })
}
