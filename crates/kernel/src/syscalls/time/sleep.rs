//! Sleeping.
//!
//! Source: nanosleep(2), `clock_nanosleep(2)`, `restart_syscall(2)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use platform::clock;

use super::clocks::Clock;
use super::spec;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::signal::Restart;

/// `TIMER_ABSTIME`: the time is an instant.
const ABSOLUTE: i32 = 1;
/// While it waits for processor time to be used, a sleeper looks this often, ns.
const LOOK_AGAIN: u64 = 1_000_000;

/// nanosleep(2): how long, where what remains goes.
pub(super) async fn nanosleep(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let time = spec::read(cx, args.address(0))?;
    if time == 0 {
        moment(cx).await;
        return Ok(0);
    }
    until(cx, spec::after(time), args.address(1)).await
}

/// `clock_nanosleep(2)`: clock, flags, time, where what remains goes.
pub(super) async fn clock_nanosleep(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let id = args.int(0);
    Clock::check_sleep(id)?;
    let absolute = args.int(1) & ABSOLUTE != 0;
    let time = spec::read(cx, args.address(2))?;
    match (Clock::from_raw(cx, id)?, absolute) {
        (Clock::Realtime | Clock::Monotonic, false) => {
            until(cx, spec::after(time), args.address(3)).await
        }
        (Clock::Realtime, true) => until_instant(cx, spec::from_realtime(time)).await,
        (Clock::Monotonic, true) => until_instant(cx, time).await,
        (Clock::Thread(thread), _) if Arc::ptr_eq(&thread, cx.thread) => {
            Err(Errno::EINVAL.because("a sleeping thread uses no processor time"))
        }
        (clock, _) => {
            let start = if absolute { 0 } else { clock.now() };
            until_used(cx, &clock, start.saturating_add(time), absolute, args.address(3)).await
        }
    }
}

/// Sleeps until `deadline` (monotonic ns). When a signal comes first, what remains is written to
/// `remaining` and `restart_syscall` goes on here.
pub(crate) async fn until(cx: &Context<'_>, deadline: u64, remaining: u64) -> Result<u64> {
    if cx.interruptible(cx.kernel.executor.sleep_until(deadline)).await.is_ok() {
        return Ok(0);
    }
    let left = deadline.saturating_sub(clock::now());
    if left == 0 {
        return Ok(0);
    }
    if remaining != 0 {
        spec::write(cx, remaining, left)?;
    }
    cx.thread.signals.set_restart(Restart::Sleep { deadline, remaining });
    Err(Errno::ERESTART_RESTARTBLOCK.because("a signal came"))
}

async fn until_instant(cx: &Context<'_>, deadline: u64) -> Result<u64> {
    match cx.interruptible(cx.kernel.executor.sleep_until(deadline)).await {
        Ok(()) => Ok(0),
        Err(_) => Err(Errno::ERESTARTNOHAND.because("a signal came")),
    }
}

/// Sleeps until a process or thread has used `target` ns of processor time.
async fn until_used(
    cx: &Context<'_>,
    clock: &Clock,
    target: u64,
    absolute: bool,
    remaining: u64,
) -> Result<u64> {
    let vcpus = match clock {
        Clock::Thread(_) => 1,
        _ => cx.kernel.executor.vcpus() as u64,
    };
    loop {
        let left = target.saturating_sub(clock.now());
        if left == 0 {
            return Ok(0);
        }
        let look = spec::after((left / vcpus).max(LOOK_AGAIN));
        if cx.interruptible(cx.kernel.executor.sleep_until(look)).await.is_ok() {
            continue;
        }
        if absolute {
            return Err(Errno::ERESTARTNOHAND.because("a signal came"));
        }
        if remaining != 0 {
            spec::write(cx, remaining, target.saturating_sub(clock.now()))?;
        }
        return Err(Errno::EINTR.because("a signal came"));
    }
}

/// Lets others run for a moment: a sleep of no length.
async fn moment(cx: &Context<'_>) {
    if cx.kernel.executor.others_wait(platform::vcpu::current()) {
        executor::yield_now().await;
    }
}
