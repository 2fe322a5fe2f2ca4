//! prctl(2) and personality(2).

pub(crate) mod machine;

use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::attributes::TIMER_SLACK;
use crate::signal::number::Signal;
use crate::syscalls::security::seccomp;

const SET_PDEATHSIG: i32 = 1;
const GET_PDEATHSIG: i32 = 2;
const GET_DUMPABLE: i32 = 3;
const SET_DUMPABLE: i32 = 4;
const GET_KEEPCAPS: i32 = 7;
const SET_KEEPCAPS: i32 = 8;
/// Programs choose the ids of their timers.
const TIMER_CREATE_RESTORE_IDS: i32 = 77;
const SET_NAME: i32 = 15;
const GET_NAME: i32 = 16;
const GET_SECCOMP: i32 = 21;
const SET_SECCOMP: i32 = 22;
const CAPBSET_READ: i32 = 23;
const GET_TSC: i32 = 25;
const SET_TSC: i32 = 26;
const GET_SECUREBITS: i32 = 27;
const SET_TIMERSLACK: i32 = 29;
const GET_TIMERSLACK: i32 = 30;
const SET_NO_NEW_PRIVS: i32 = 38;
const GET_NO_NEW_PRIVS: i32 = 39;
const GET_TID_ADDRESS: i32 = 40;

/// The timestamp counter can be read: `PR_TSC_ENABLE`.
const TSC_ENABLE: u64 = 1;
/// The highest capability.
const LAST_CAPABILITY: u64 = 40;
/// personality(2): "only tell".
const TELL: u32 = 0xffff_ffff;

/// `PR_TIMER_CREATE_RESTORE_IDS`: whether programs choose the ids of their timers; 2 asks.
fn restore_ids(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let timers = &cx.process.signals.timers;
    if [2, 3, 4].iter().any(|index| args.raw(*index) != 0) {
        return Err(Errno::EINVAL.because("words that have to be 0"));
    }
    match args.raw(1) {
        2 => return Ok(timers.restores_ids().into()),
        how @ (0 | 1) => timers.set_restores_ids(how == 1),
        _ => return Err(Errno::EINVAL.because("neither off, on nor a question")),
    }
    Ok(0)
}

/// prctl(2): option and four arguments.
pub(super) fn prctl(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let value = args.raw(1);
    let attributes = &cx.thread.attributes;
    match args.int(0) {
        SET_NAME => set_name(cx, value),
        GET_NAME => cx.write_bytes(value, &*cx.thread.name.lock()).map(|()| 0),
        SET_PDEATHSIG => {
            let number = i32::try_from(value).unwrap_or(-1);
            let signal = Signal::new(number).map_or(0, Signal::number);
            if signal == 0 && number != 0 {
                return Err(Errno::EINVAL.because("no such signal"));
            }
            attributes.change(|values| values.parent_death_signal = signal);
            Ok(0)
        }
        GET_PDEATHSIG => {
            cx.write(value, &i32::from(attributes.get().parent_death_signal)).map(|()| 0)
        }
        GET_DUMPABLE => Ok(cx.process.dumpable.load(Ordering::Relaxed).into()),
        SET_DUMPABLE => {
            let value = u32::from(switch(value)?);
            cx.process.dumpable.store(value, Ordering::Relaxed);
            Ok(0)
        }
        TIMER_CREATE_RESTORE_IDS => restore_ids(cx, args),
        GET_KEEPCAPS => Ok(attributes.get().keep_capabilities.into()),
        SET_KEEPCAPS => {
            let on = switch(value)?;
            attributes.change(|values| values.keep_capabilities = on);
            Ok(0)
        }
        CAPBSET_READ if value <= LAST_CAPABILITY => Ok(1),
        GET_SECCOMP => Ok(cx.thread.seccomp.get().shown().0.into()),
        SET_SECCOMP => seccomp::by_prctl(cx, args),
        GET_SECUREBITS => Ok(0),
        GET_TSC => cx.write(value, &1_i32).map(|()| 0),
        SET_TSC if value == TSC_ENABLE => Ok(0),
        SET_TSC => Err(Errno::EINVAL.because("reading the timestamp counter can't be forbidden")),
        SET_TIMERSLACK => {
            let slack = if value == 0 { TIMER_SLACK } else { value };
            attributes.change(|values| values.timer_slack = slack);
            Ok(0)
        }
        GET_TIMERSLACK => Ok(attributes.get().timer_slack),
        SET_NO_NEW_PRIVS | GET_NO_NEW_PRIVS => one_way(cx, args),
        GET_TID_ADDRESS => {
            cx.write(value, &cx.thread.clear_child_tid.load(Ordering::Relaxed)).map(|()| 0)
        }
        _ => machine::prctl(cx, args),
    }
}

/// The options that refuse arguments which they don't have.
fn one_way(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let attributes = &cx.thread.attributes;
    let rest_is_empty = args.0[2..5].iter().all(|argument| *argument == 0);
    let option = args.int(0);
    let asks = option == GET_NO_NEW_PRIVS;
    if !rest_is_empty || asks && args.raw(1) != 0 {
        return Err(Errno::EINVAL.because("an argument that the option doesn't have"));
    }
    match option {
        SET_NO_NEW_PRIVS if args.raw(1) == 1 => {
            attributes.change(|values| values.no_new_privileges = true);
            Ok(0)
        }
        SET_NO_NEW_PRIVS => Err(Errno::EINVAL.because("it can only be set")),
        _ => Ok(attributes.get().no_new_privileges.into()),
    }
}

fn switch(value: u64) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::EINVAL.because("neither 0 nor 1")),
    }
}

/// Names the thread: at most 15 bytes, what is longer is cut.
fn set_name(cx: &Context<'_>, address: u64) -> Result<u64> {
    let mut name = [0_u8; 16];
    for (index, byte) in name.iter_mut().take(15).enumerate() {
        *byte = cx.read(address.wrapping_add(index as u64))?;
        if *byte == 0 {
            break;
        }
    }
    *cx.thread.name.lock() = name;
    Ok(0)
}

/// personality(2): the new one, or 0xffffffff. Gives the old one.
///
/// Of its flags only the address layout's would mean something here, and layouts are not random.
pub(super) fn personality(cx: &Context<'_>, args: &Arguments) -> u64 {
    let wanted = args.uint(0);
    let old = cx.thread.attributes.change(|values| {
        let old = values.personality;
        if wanted != TELL {
            values.personality = wanted;
        }
        old
    });
    old.into()
}
