//! The family `process`: threads, identity, scheduling, limits, futexes.

mod clone;
mod exit;
pub(crate) mod futex;
mod scheduling;

use abi::errno::Result;
use abi::nr;

use crate::arguments::Arguments;
use crate::context::Context;

/// Calls that finish at once; `None`: not here, or it must wait.
pub(crate) fn at_once(cx: &mut Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    Some(match number {
        nr::GETPID => Ok(cx.process.pid.into()),
        nr::GETPPID => Ok(0),
        nr::EXIT => exit::exit(cx, args),
        nr::EXIT_GROUP => exit::exit_group(cx, args),
        nr::ARCH_PRCTL => exit::arch_prctl(cx, args),
        nr::CLONE => clone::clone(cx, args),
        nr::CLONE3 => clone::clone3(cx, args),
        _ => return None,
    })
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(cx: &mut Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    let _ = (cx, number, args);
    None
}
