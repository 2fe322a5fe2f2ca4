//! Waiting for signals, and going on after one.
//!
//! Source: sigsuspend(2), pause(2), sigtimedwait(2), `restart_syscall(2)`.

use abi::Errno;
use abi::errno::Result;

use super::dispositions;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::signal::{Restart, wait};
use crate::syscalls::{process, time};

/// `rt_sigsuspend(2)`: mask, `sigsetsize`.
pub(super) async fn rt_sigsuspend(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mask = dispositions::read_set(cx, args.address(0), args.size(1))?;
    cx.thread.signals.set_temporary_mask(mask);
    Err(wait::any(cx).await)
}

/// pause(2).
pub(super) async fn pause(cx: &Context<'_>) -> Result<u64> {
    Err(wait::any(cx).await)
}

/// `rt_sigtimedwait(2)`: set, where the `siginfo` goes or null, timeout or null, `sigsetsize`.
pub(super) async fn rt_sigtimedwait(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let wanted = dispositions::read_set(cx, args.address(0), args.size(3))?;
    let timeout = time::spec::read_optional(cx, args.address(2))?;
    let info = wait::one_of(cx, wanted, timeout.map(time::spec::after)).await?;
    if args.address(1) != 0 {
        cx.write_bytes(args.address(1), &info.to_user())?;
    }
    Ok(info.signal.number().into())
}

/// `restart_syscall(2)`: goes on with the wait that a signal interrupted.
pub(super) async fn restart_syscall(cx: &Context<'_>) -> Result<u64> {
    match cx.thread.signals.take_restart() {
        Restart::None => Err(Errno::EINTR.because("no call is to be restarted")),
        Restart::Sleep { deadline, remaining } => time::sleep::until(cx, deadline, remaining).await,
        Restart::Futex(wait) => process::futex::wait(cx, &wait).await,
    }
}
