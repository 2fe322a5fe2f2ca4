//! Native asynchronous I/O (`io_submit`) and io_uring for programs.
//!
//! Rings are objects of the LibOS: their memory lies in the enclave, and what their entries ask for is
//! done by the same functions as ordinary calls, on the same objects. None of it is the host's ring.

pub(crate) mod ring;
mod shared;

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
        nr::IO_URING_SETUP => ring::setup::setup(cx, args),
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
        nr::IO_URING_ENTER => ring::enter::enter(cx, args).await,
        nr::IO_URING_REGISTER => ring::register::register(cx, args).await,
        _ => return None,
    })
}
