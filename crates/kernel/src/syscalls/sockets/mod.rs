//! Sockets: pairs inside the enclave. Others come with the network.

mod address;
mod control;
mod message;
mod options;
mod pair;
mod transfer;

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
    Some(match number {
        nr::SOCKET => pair::socket(args),
        nr::SOCKETPAIR => pair::socketpair(cx, args),
        nr::SHUTDOWN => pair::shutdown(cx, args),
        nr::BIND => pair::bind(cx, args),
        nr::CONNECT => pair::connect(cx, args),
        nr::LISTEN => pair::listen(cx, args),
        nr::ACCEPT | nr::ACCEPT4 => pair::accept(cx, args),
        nr::GETSOCKNAME | nr::GETPEERNAME => address::name(cx, args),
        nr::GETSOCKOPT => options::getsockopt(cx, args),
        nr::SETSOCKOPT => options::setsockopt(cx, args),
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
        nr::SENDTO => transfer::sendto(cx, args).await,
        nr::RECVFROM => transfer::recvfrom(cx, args).await,
        nr::SENDMSG => message::sendmsg(cx, args).await,
        nr::RECVMSG => message::recvmsg(cx, args).await,
        nr::SENDMMSG => message::sendmmsg(cx, args).await,
        nr::RECVMMSG => message::recvmmsg(cx, args).await,
        _ => return None,
    })
}
