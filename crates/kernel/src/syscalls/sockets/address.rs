//! Addresses. A pair's sockets have none: only their family is told.
//!
//! Source: getsockname(2), getpeername(2), unix(7), "unnamed".

use abi::Errno;
use abi::errno::Result;

use super::pair;
use crate::arguments::Arguments;
use crate::context::Context;

/// getsockname(2), getpeername(2): socket, buffer, its length in and the address's out.
pub(super) fn name(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    pair::open(cx, args.fd(0))?;
    let address = pair::UNIX.to_le_bytes();
    let room: i32 = cx.read(args.address(2))?;
    let Ok(room) = usize::try_from(room) else {
        return Err(Errno::EINVAL.because("a negative length"));
    };
    cx.write_bytes(args.address(1), &address[..room.min(address.len())])?;
    cx.write(args.address(2), &2_i32)?;
    Ok(0)
}
