//! signalfd and signalfd4.
//!
//! Source: signalfd(2).

use abi::Errno;
use abi::errno::Result;

use super::objects;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::signal::SignalSet;
use crate::signal::descriptor::{self, SignalFd};
use crate::syscalls::signals::dispositions;

/// signalfd(2) as the old call: descriptor or -1, set, its size.
pub(super) fn signalfd(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    set(cx, args, 0)
}

/// signalfd(2): descriptor or -1, set, its size, flags.
pub(super) fn signalfd4(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    set(cx, args, args.uint(3))
}

fn set(cx: &Context<'_>, args: &Arguments, flags: u32) -> Result<u64> {
    let wanted = dispositions::read_set(cx, args.address(1), args.size(2))?;
    if flags & !(objects::CLOEXEC | objects::NONBLOCK) != 0 {
        return Err(Errno::EINVAL.because("only SFD_CLOEXEC and SFD_NONBLOCK are known"));
    }
    match args.fd(0) {
        -1 => make(cx, wanted, flags),
        fd => {
            let file = cx.process.files.opened(fd)?;
            let signals = file
                .downcast::<SignalFd>()
                .ok_or(Errno::EINVAL.because("the descriptor is no signalfd"))?;
            signals.set_wanted(wanted);
            Ok(u64::from(fd.cast_unsigned()))
        }
    }
}

fn make(cx: &Context<'_>, wanted: SignalSet, flags: u32) -> Result<u64> {
    let status = objects::status(flags);
    let file = descriptor::signalfd(cx.kernel, wanted, status, objects::owner(cx));
    cx.process.files.add(file, objects::on_exec(flags)).map(u64::from)
}
