//! prctl(2) and personality(2): settings of a thread.

use abi::Errno;
use abi::errno::Result;
use core::sync::atomic::Ordering;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::attributes::TIMER_SLACK;

/// prctl(2): option and four arguments.
pub(super) fn prctl(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const SET_PDEATHSIG: u32 = 1;
    const GET_PDEATHSIG: u32 = 2;
    const GET_DUMPABLE: u32 = 3;
    const SET_DUMPABLE: u32 = 4;
    const GET_KEEPCAPS: u32 = 7;
    const SET_KEEPCAPS: u32 = 8;
    const SET_NAME: u32 = 15;
    const GET_NAME: u32 = 16;
    const GET_SECCOMP: u32 = 21;
    const CAPBSET_READ: u32 = 23;
    const SET_TIMERSLACK: u32 = 29;
    const GET_TIMERSLACK: u32 = 30;
    const SET_CHILD_SUBREAPER: u32 = 36;
    const GET_CHILD_SUBREAPER: u32 = 37;
    const SET_NO_NEW_PRIVS: u32 = 38;
    const GET_NO_NEW_PRIVS: u32 = 39;
    const SET_THP_DISABLE: u32 = 41;
    const GET_THP_DISABLE: u32 = 42;
    let values = cx.thread.attributes.get();
    let switch = |value: u64| match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::EINVAL.because("neither 0 nor 1")),
    };
    let (second, address) = (args.raw(1), args.address(1));
    match args.uint(0) {
        SET_PDEATHSIG => {
            let signal = u8::try_from(second).ok().filter(|signal| *signal <= 64);
            let signal = signal.ok_or(Errno::EINVAL.because("no such signal"))?;
            cx.thread.attributes.change(|values| values.parent_death_signal = signal);
            Ok(0)
        }
        GET_PDEATHSIG => cx.write(address, &u32::from(values.parent_death_signal)).map(|()| 0),
        GET_DUMPABLE => Ok(cx.process.dumpable.load(Ordering::Relaxed).into()),
        SET_DUMPABLE => {
            let value = switch(second)?;
            cx.process.dumpable.store(value.into(), Ordering::Relaxed);
            Ok(0)
        }
        GET_KEEPCAPS => Ok(values.keep_capabilities.into()),
        SET_KEEPCAPS => {
            let value = switch(second)?;
            cx.thread.attributes.change(|values| values.keep_capabilities = value);
            Ok(0)
        }
        SET_NAME => set_name(cx, address),
        GET_NAME => cx.write_bytes(address, &*cx.thread.name.lock()).map(|()| 0),
        GET_SECCOMP => Ok(0),
        CAPBSET_READ if second <= 40 => Ok(1),
        SET_TIMERSLACK => {
            let slack = if second == 0 { TIMER_SLACK } else { second };
            cx.thread.attributes.change(|values| values.timer_slack = slack);
            Ok(0)
        }
        GET_TIMERSLACK => Ok(values.timer_slack),
        SET_CHILD_SUBREAPER => {
            cx.thread.attributes.change(|values| values.subreaper = second != 0);
            Ok(0)
        }
        GET_CHILD_SUBREAPER => cx.write(address, &u32::from(values.subreaper)).map(|()| 0),
        SET_NO_NEW_PRIVS if second == 1 && args.0[2..5] == [0; 3] => {
            cx.thread.attributes.change(|values| values.no_new_privileges = true);
            Ok(0)
        }
        GET_NO_NEW_PRIVS => Ok(values.no_new_privileges.into()),
        SET_THP_DISABLE => {
            cx.thread.attributes.change(|values| values.no_huge_pages = second != 0);
            Ok(0)
        }
        GET_THP_DISABLE => Ok(values.no_huge_pages.into()),
        _ => Err(Errno::EINVAL.because("the option is not supported")),
    }
}

/// `PR_SET_NAME`: 15 bytes at most count.
fn set_name(cx: &Context<'_>, address: u64) -> Result<u64> {
    let mut name = [0_u8; 16];
    for (index, place) in name[..15].iter_mut().enumerate() {
        *place = cx.read(address + index as u64)?;
        if *place == 0 {
            break;
        }
    }
    *cx.thread.name.lock() = name;
    Ok(0)
}

/// personality(2): the old value; the new one is remembered and shown.
pub(super) fn personality(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const ASK: u32 = 0xffff_ffff;
    let old = cx.thread.attributes.get().personality;
    let new = args.uint(0);
    if new != ASK {
        cx.thread.attributes.change(|values| values.personality = new);
    }
    Ok(old.into())
}
