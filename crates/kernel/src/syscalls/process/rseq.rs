//! rseq: registering a thread's area for restartable sequences.
//!
//! Source: rseq(2).

use abi::Errno;
use abi::errno::Result;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::rseq::{ALIGN, SIZE, clear_sequence, write_nowhere};

/// `RSEQ_FLAG_UNREGISTER`.
const UNREGISTER: u32 = 1;

/// rseq(2): area, its bytes, flags, signature.
pub(super) fn rseq(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (address, len, flags, signature) =
        (args.address(0), args.uint(1), args.uint(2), args.uint(3));
    let registration = cx.thread.rseq.registration();
    if flags & UNREGISTER != 0 {
        let known = registration
            .filter(|known| flags == UNREGISTER && (known.0, known.1) == (address, len));
        let Some((_, _, known)) = known else {
            return Err(Errno::EINVAL.because("not what is registered, or unknown flags"));
        };
        check_signature(known, signature)?;
        write_nowhere(cx, address)?;
        cx.thread.rseq.set(0, 0, 0);
        return Ok(0);
    }
    if flags != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    if let Some((known_address, known_len, known)) = registration {
        if (known_address, known_len) != (address, len) {
            return Err(Errno::EINVAL.because("another area is registered"));
        }
        check_signature(known, signature)?;
        return Err(Errno::EBUSY.because("the area is registered already"));
    }
    if len < SIZE || !address.is_multiple_of(ALIGN.into()) {
        return Err(Errno::EINVAL.because("the area is too small or not aligned"));
    }
    if !platform::user::is_below_end(address, len as usize) {
        return Err(Errno::EFAULT.because("the area lies outside user memory"));
    }
    if address == 0 {
        return Err(Errno::EFAULT.because("the area lies at address 0"));
    }
    clear_sequence(cx, address)?;
    cx.thread.rseq.set(address, len, signature);
    cx.thread.signals.ask_for_sequence();
    Ok(0)
}

fn check_signature(known: u32, signature: u32) -> Result<()> {
    if known != signature {
        return Err(Errno::EPERM.because("another signature than the registered one"));
    }
    Ok(())
}
