//! The mount tree: mounts, roots.

use abi::errno::Result;

use crate::arguments::Arguments;
use crate::context::Context;

/// Calls that finish at once; `None`: not here, or it must wait.
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    let _ = (cx, number, args);
    None
}

/// Calls that may wait; `None`: not here.
#[expect(clippy::unused_async, reason = "every family has this function")]
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    let _ = (cx, number, args);
    None
}
