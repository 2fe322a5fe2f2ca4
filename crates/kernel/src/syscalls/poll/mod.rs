//! Waiting for several objects: poll, select, epoll.

mod epoll;
pub(super) mod mask;
mod polling;
mod selecting;
pub(super) mod wait;

use abi::errno::Result;
use abi::nr;

use crate::arguments::Arguments;
use crate::context::Context;

/// Calls that finish at once; `None`: not here, or it must wait.
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    match number {
        nr::POLL => polling::poll_at_once(cx, args),
        nr::EPOLL_WAIT => epoll::epoll_wait_at_once(cx, args),
        nr::EPOLL_CREATE => Some(epoll::epoll_create(cx, args)),
        nr::EPOLL_CREATE1 => Some(epoll::epoll_create1(cx, args)),
        nr::EPOLL_CTL => Some(epoll::epoll_ctl(cx, args)),
        _ => None,
    }
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::POLL => polling::poll(cx, args).await,
        nr::PPOLL => polling::ppoll(cx, args).await,
        nr::SELECT => selecting::select(cx, args).await,
        nr::PSELECT6 => selecting::pselect6(cx, args).await,
        nr::EPOLL_WAIT => epoll::epoll_wait(cx, args).await,
        nr::EPOLL_PWAIT => epoll::epoll_pwait(cx, args).await,
        nr::EPOLL_PWAIT2 => epoll::epoll_pwait2(cx, args).await,
        _ => return None,
    })
}
