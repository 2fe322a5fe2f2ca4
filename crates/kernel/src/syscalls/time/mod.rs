//! Clocks, sleeping and alarms.

pub mod alarms;
pub mod clocks;
pub mod sleep;
pub mod spec;

use abi::errno::Result;
use abi::nr;

use crate::arguments::Arguments;
use crate::context::Context;

/// Calls that finish at once; `None`: not here, or it must wait.
#[inline]
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::CLOCK_GETTIME => clocks::clock_gettime(cx, args),
        nr::CLOCK_GETRES => clocks::clock_getres(cx, args),
        nr::CLOCK_SETTIME => clocks::clock_settime(cx, args),
        nr::GETTIMEOFDAY => clocks::gettimeofday(cx, args),
        nr::SETTIMEOFDAY => clocks::settimeofday(cx, args),
        nr::TIME => clocks::time(cx, args),
        nr::ADJTIMEX => clocks::adjtimex(cx, args.address(0)),
        nr::CLOCK_ADJTIME => clocks::clock_adjtime(cx, args),
        nr::ALARM => Ok(alarms::alarm(cx, args)),
        nr::GETITIMER => alarms::getitimer(cx, args),
        nr::SETITIMER => alarms::setitimer(cx, args),
        nr::TIMER_CREATE => alarms::timer_create(cx, args),
        nr::TIMER_SETTIME => alarms::timer_settime(cx, args),
        nr::TIMER_GETTIME => alarms::timer_gettime(cx, args),
        nr::TIMER_GETOVERRUN => alarms::timer_getoverrun(cx, args),
        nr::TIMER_DELETE => alarms::timer_delete(cx, args),
        _ => return None,
    })
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::NANOSLEEP => sleep::nanosleep(cx, args).await,
        nr::CLOCK_NANOSLEEP => sleep::clock_nanosleep(cx, args).await,
        _ => return None,
    })
}
