//! timerfd.
//!
//! Source: `timerfd_create(2)`. The clock of an enclave is never set, so nothing is ever cancelled by
//! `TFD_TIMER_CANCEL_ON_SET`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use platform::clock::SECOND;
use vfs::credentials::Capabilities;
use vfs::object::OpenFile;
use vfs::timerfd::{Clock, First, Setting, TimerFd};

use super::objects;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::time::spec;

const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;
const BOOTTIME: i32 = 7;
const REALTIME_ALARM: i32 = 8;
const BOOTTIME_ALARM: i32 = 9;
/// `CAP_WAKE_ALARM`.
const WAKE_ALARM: Capabilities = Capabilities::from_bits_retain(1 << 35);

/// `TFD_TIMER_ABSTIME` and `TFD_TIMER_CANCEL_ON_SET`.
const ABSOLUTE: u32 = 1;
const CANCEL_ON_SET: u32 = 2;

/// `timerfd_create(2)`: clock, flags.
pub(super) fn timerfd_create(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let clock_id = args.int(0);
    let flags = args.uint(1);
    if flags & !(objects::CLOEXEC | objects::NONBLOCK) != 0 {
        return Err(Errno::EINVAL.because("only TFD_CLOEXEC and TFD_NONBLOCK are known"));
    }
    let clock = match clock_id {
        REALTIME | REALTIME_ALARM => Clock::Realtime,
        MONOTONIC | BOOTTIME | BOOTTIME_ALARM => Clock::Monotonic,
        _ => return Err(Errno::EINVAL.because("a timerfd can't use this clock")),
    };
    let is_alarm = matches!(clock_id, REALTIME_ALARM | BOOTTIME_ALARM);
    if is_alarm && !cx.process.credentials.lock().effective.contains(WAKE_ALARM) {
        return Err(Errno::EPERM.because("alarm clocks need CAP_WAKE_ALARM"));
    }
    let status = objects::status(flags);
    let executor = cx.kernel.executor;
    let file = vfs::timerfd::timerfd(executor, clock, clock_id, status, objects::owner(cx));
    cx.process.files.add(file, objects::on_exec(flags)).map(u64::from)
}

/// `timerfd_settime(2)`: timer, flags, new `itimerspec`, where the old one goes or null.
pub(super) fn timerfd_settime(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.uint(1);
    let [interval, value]: [[i64; 2]; 2] = {
        let raw: [i64; 4] = cx.read(args.address(2))?;
        [[raw[0], raw[1]], [raw[2], raw[3]]]
    };
    if flags & !(ABSOLUTE | CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL.because("an unknown flag of timerfd_settime"));
    }
    let interval = spec::nanoseconds(interval, SECOND)?;
    let value = spec::nanoseconds(value, SECOND)?;
    let first = match value {
        0 => First::Never,
        at if flags & ABSOLUTE != 0 => First::At(at),
        after => First::After(after),
    };
    let file = cx.process.files.opened(args.fd(0))?;
    let before = timer(&file)?.set(first, interval);
    if args.address(3) != 0 {
        write(cx, args.address(3), before)?;
    }
    Ok(0)
}

/// `timerfd_gettime(2)`: timer, where its `itimerspec` goes.
pub(super) fn timerfd_gettime(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = cx.process.files.opened(args.fd(0))?;
    write(cx, args.address(1), timer(&file)?.setting())?;
    Ok(0)
}

fn timer(file: &Arc<OpenFile>) -> Result<&TimerFd> {
    file.downcast::<TimerFd>().ok_or(Errno::EINVAL.because("the descriptor is no timerfd"))
}

fn write(cx: &Context<'_>, address: u64, setting: Setting) -> Result<()> {
    let [interval, value] =
        [setting.interval, setting.remaining].map(|time| spec::parts_of(time, SECOND));
    cx.write(address, &[interval[0], interval[1], value[0], value[1]])
}
