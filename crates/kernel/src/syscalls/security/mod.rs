//! What a program gives up or is kept from: seccomp filters, landlock, keys.

mod modules;
pub(crate) mod seccomp;

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
        nr::SECCOMP => seccomp::seccomp(cx, args),
        nr::LSM_LIST_MODULES => modules::lsm_list_modules(cx, args),
        nr::LSM_GET_SELF_ATTR => modules::lsm_get_self_attr(cx, args),
        nr::LSM_SET_SELF_ATTR => modules::lsm_set_self_attr(cx, args),
        _ => return None,
    })
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
