//! A signal mask for the time of one call.

use abi::errno::{Errno, Error, Result};

use crate::context::Context;
use crate::syscalls::signals::dispositions;

/// Sets the mask at `address`, if there is one.
///
/// # Errors
/// EFAULT; EINVAL for a wrong size.
pub(in crate::syscalls) fn begin(cx: &Context<'_>, address: u64, size: usize) -> Result<()> {
    if address != 0 {
        let mask = dispositions::read_set(cx, address, size)?;
        cx.thread.signals.set_temporary_mask(mask);
    }
    Ok(())
}

/// Goes back to the old mask, unless a signal interrupted the call: then delivery does that.
pub(in crate::syscalls) fn end<T>(cx: &Context<'_>, result: Result<T>) -> Result<T> {
    let interrupted =
        matches!(result, Err(Error { errno: Errno::EINTR | Errno::ERESTARTNOHAND, .. }));
    if !interrupted {
        cx.thread.signals.end_temporary_mask();
    }
    result
}
