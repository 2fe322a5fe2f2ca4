//! Interval timers and POSIX timers: decoding; the timers themselves are in `signal::timers`.
//!
//! Source: setitimer(2), alarm(2), `timer_create(2)`, `timer_settime(2)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use platform::clock::SECOND;

use super::clocks::Clock;
use super::spec;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::signal::number::Signal;
use crate::signal::timers::{self, Notify, Setting, Which};

/// Parts of a second in a `timeval`.
const MICROSECONDS: u64 = 1_000_000;
/// `TIMER_ABSTIME`.
const ABSOLUTE: i32 = 1;

/// `sigev_notify`: a signal, nothing, a thread of the C library's, a signal to one thread.
const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;
const SIGEV_THREAD: i32 = 2;
const SIGEV_THREAD_ID: i32 = 4;

/// alarm(2): seconds. Gives the seconds that were left of the last one, rounded.
pub(super) fn alarm(cx: &Context<'_>, args: &Arguments) -> u64 {
    let new = Setting { value: u64::from(args.uint(0)) * SECOND, interval: 0 };
    let old = cx.process.signals.timers.set_interval(cx.kernel, cx.process, Which::Real, new).value;
    match old {
        0 => 0,
        _ => ((old + SECOND / 2) / SECOND).max(1),
    }
}

/// getitimer(2): which, `itimerval`.
pub(super) fn getitimer(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let which = Which::from_raw(args.int(0))?;
    write_interval(cx, args.address(1), cx.process.signals.timers.interval(cx.process, which))?;
    Ok(0)
}

/// setitimer(2): which, `itimerval` or null for none, where the old one goes.
pub(super) fn setitimer(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let new = match args.address(1) {
        0 => Setting::default(),
        address => read_setting(cx, address, MICROSECONDS)?,
    };
    let which = Which::from_raw(args.int(0))?;
    let old = cx.process.signals.timers.set_interval(cx.kernel, cx.process, which, new);
    if args.address(2) != 0 {
        write_interval(cx, args.address(2), old)?;
    }
    Ok(0)
}

/// `timer_create(2)`: clock, `sigevent` or null, where the id goes.
pub(super) fn timer_create(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    Clock::check_timers(args.int(0))?;
    let counted = match Clock::from_raw(cx, args.int(0))? {
        Clock::Realtime => timers::Clock::Realtime,
        Clock::Monotonic => timers::Clock::Monotonic,
        Clock::Process(process) if Arc::ptr_eq(&process, cx.process) => timers::Clock::Process,
        Clock::Process(_) => {
            return Err(Errno::EINVAL.because("a timer on another process's time"));
        }
        Clock::Thread(thread) => timers::Clock::Thread(Arc::downgrade(&thread)),
    };
    let (notify, value) = match args.address(1) {
        0 => (Notify::Process(Signal::ALRM), None),
        address => {
            let (notify, value) = read_event(cx, address)?;
            (notify, Some(value))
        }
    };
    let timers = &cx.process.signals.timers;
    let wanted = if timers.restores_ids() { Some(cx.read::<i32>(args.address(2))?) } else { None };
    let id = timers.create(cx.process, counted, notify, value, wanted)?;
    if let Err(error) = cx.write(args.address(2), &id) {
        let _ = timers.delete(cx.process, id);
        return Err(error);
    }
    Ok(0)
}

/// `timer_settime(2)`: id, flags, `itimerspec`, where the old one goes.
pub(super) fn timer_settime(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.address(2) == 0 {
        return Err(Errno::EINVAL.because("no new setting"));
    }
    let new = read_setting(cx, args.address(2), SECOND)?;
    let absolute = args.int(1) & ABSOLUTE != 0;
    let timers = &cx.process.signals.timers;
    let old = timers.set(cx.kernel, cx.process, args.int(0), new, absolute)?;
    if args.address(3) != 0 {
        write_spec(cx, args.address(3), old)?;
    }
    Ok(0)
}

/// `timer_gettime(2)`: id, `itimerspec`.
pub(super) fn timer_gettime(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let setting = cx.process.signals.timers.get(cx.process, args.int(0))?;
    write_spec(cx, args.address(1), setting)?;
    Ok(0)
}

/// `timer_getoverrun(2)`: id.
pub(super) fn timer_getoverrun(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.process.signals.timers.overrun(args.int(0)).map(|count| u64::from(count.unsigned_abs()))
}

/// `timer_delete(2)`: id.
pub(super) fn timer_delete(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.process.signals.timers.delete(cx.process, args.int(0)).map(|()| 0)
}

/// Reads a `sigevent`: whom to tell, and the value that goes with it.
fn read_event(cx: &Context<'_>, address: u64) -> Result<(Notify, u64)> {
    // The whole structure has to be there.
    let [_, _, number, how, tid, ..]: [i32; 16] = cx.read(address)?;
    let value: u64 = cx.read(address)?;
    if how == SIGEV_NONE {
        return Ok((Notify::Nobody, value));
    }
    let signal =
        Signal::new(number).ok_or(Errno::EINVAL.because("sigev_signo is no signal number"))?;
    let notify = match how {
        SIGEV_SIGNAL | SIGEV_THREAD => Notify::Process(signal),
        SIGEV_THREAD_ID => {
            let thread = u32::try_from(tid)
                .ok()
                .and_then(|tid| cx.process.threads.lock().get(&tid).cloned())
                .ok_or(Errno::EINVAL.because("the thread is not one of this process"))?;
            Notify::Thread(signal, Arc::downgrade(&thread))
        }
        _ => return Err(Errno::EINVAL.because("an unknown sigev_notify")),
    };
    Ok((notify, value))
}

/// Reads interval and value, in seconds and a fraction of `parts`.
fn read_setting(cx: &Context<'_>, address: u64, parts: u64) -> Result<Setting> {
    let [a, b, c, d]: [i64; 4] = cx.read(address)?;
    Ok(Setting {
        value: spec::nanoseconds([c, d], parts)?,
        interval: spec::nanoseconds([a, b], parts)?,
    })
}

fn write_spec(cx: &Context<'_>, address: u64, setting: Setting) -> Result<()> {
    let [a, b] = spec::parts_of(setting.interval, SECOND);
    let [c, d] = spec::parts_of(setting.value, SECOND);
    cx.write(address, &[a, b, c, d])
}

/// Writes an `itimerval`; what is armed never shows as 0.
fn write_interval(cx: &Context<'_>, address: u64, setting: Setting) -> Result<()> {
    let [a, b] = spec::parts_of(setting.interval, MICROSECONDS);
    let value = if setting.value == 0 { 0 } else { setting.value.max(1000) };
    let [c, d] = spec::parts_of(value, MICROSECONDS);
    cx.write(address, &[a, b, c, d])
}
