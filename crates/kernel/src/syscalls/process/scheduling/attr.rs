//! Policies and their parameters: `sched_setattr(2)` and the older calls for the same.
//!
//! Source: sched(7), `sched_setattr(2)`. `SCHED_DEADLINE` is refused: what it reserves nobody keeps here.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::{Error, Result};
use vfs::credentials::Capabilities;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{
    BATCH, DEADLINE, FIFO, IDLE, OTHER, RESET_ON_FORK, ROUND_ROBIN, check_nice, check_owner,
    scheduled,
};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::Thread;
use crate::process::attributes::Values;
use crate::process::limits::Resource;

/// The time slice of ordinary threads, the executor's tick, ns.
const SLICE: u64 = 4_000_000;
/// The slice of `SCHED_RR`, which nothing is done with.
const ROUND_ROBIN_SLICE: u64 = 100_000_000;
/// What a program may ask for as its slice, ns.
const SLICES: (u64, u64) = (100_000, 100_000_000);
/// What `sched_rr_get_interval(2)` counts in for ordinary threads, ns.
const JIFFY: u64 = 4_000_000;
/// The highest real-time priority.
const PRIORITY_MAX: u32 = 99;

/// Bytes of `struct sched_attr`, first version and the present one.
const ATTR_MIN: usize = 48;
const ATTR_SIZE: usize = 56;
/// Flags of `struct sched_attr`.
const FLAG_RESET: u64 = 1;
const FLAG_KEEP_POLICY: u64 = 8;
const FLAG_KEEP_PARAMETERS: u64 = 0x10;
const FLAG_CLAMP: u64 = 0x60;
const FLAGS: u64 = 0x7f;

/// `struct sched_attr`.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
struct Attr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    clamp_min: u32,
    clamp_max: u32,
}

/// `sched_setscheduler(2)`: thread, policy, `sched_param`.
pub(in super::super) fn sched_setscheduler(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.int(1) < 0 {
        return Err(Errno::EINVAL.because("a negative policy"));
    }
    let policy = args.uint(1);
    set_old(cx, args.int(0), args.address(2), Some(policy))
}

/// `sched_setparam(2)`: thread, `sched_param`.
pub(in super::super) fn sched_setparam(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    set_old(cx, args.int(0), args.address(1), None)
}

/// What the older calls set: a policy, or that which there is, and a priority.
fn set_old(cx: &Context<'_>, tid: i32, parameters: u64, policy: Option<u32>) -> Result<u64> {
    if parameters == 0 || tid < 0 {
        return Err(Errno::EINVAL.because("no parameters, or a negative number"));
    }
    let priority: u32 = cx.read(parameters)?;
    let thread = scheduled(cx, tid)?;
    let values = thread.attributes.get();
    let raw = policy.unwrap_or(values.policy);
    let reset = match policy {
        Some(policy) => policy & RESET_ON_FORK != 0,
        None => values.reset_on_fork,
    };
    let wanted = Attr {
        policy: raw & !RESET_ON_FORK,
        flags: if reset { FLAG_RESET } else { 0 },
        nice: values.nice,
        priority,
        runtime: values.slice,
        ..Attr::default()
    };
    set(cx, &thread, &wanted)
}

/// `sched_setattr(2)`: thread, `sched_attr`, flags.
pub(in super::super) fn sched_setattr(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (tid, address) = (args.int(0), args.address(1));
    if address == 0 || tid < 0 || args.uint(2) != 0 {
        return Err(Errno::EINVAL.because("a flag, a negative number, or no attributes"));
    }
    let mut wanted = read_attr(cx, address)?;
    if wanted.policy.cast_signed() < 0 {
        return Err(Errno::EINVAL.because("a negative policy"));
    }
    let thread = scheduled(cx, tid)?;
    let values = thread.attributes.get();
    if wanted.flags & FLAG_KEEP_POLICY != 0 {
        wanted.policy = values.policy;
        wanted.flags &= !FLAG_RESET;
        wanted.flags |= if values.reset_on_fork { FLAG_RESET } else { 0 };
    }
    if wanted.flags & FLAG_KEEP_PARAMETERS != 0 {
        match values.policy {
            FIFO | ROUND_ROBIN => wanted.priority = values.priority,
            _ => (wanted.nice, wanted.runtime) = (values.nice, values.slice),
        }
    }
    set(cx, &thread, &wanted)
}

/// Reads the structure, of whatever version; a wrong size is answered with the right one.
fn read_attr(cx: &Context<'_>, address: u64) -> Result<Attr> {
    let told: u32 = cx.read(address)?;
    let size = if told == 0 { ATTR_MIN } else { told as usize };
    let wrong = || {
        // As on Linux, the refusal stands also when this can't be written.
        let _ = cx.write(address, &56_u32);
        Errno::E2BIG.because("sched_attr has another size")
    };
    if !(ATTR_MIN..=4096).contains(&size) {
        return Err(wrong());
    }
    let mut bytes = alloc::vec![0_u8; size];
    cx.read_bytes(address, &mut bytes)?;
    let known = size.min(ATTR_SIZE);
    if bytes[known..].iter().any(|byte| *byte != 0) {
        return Err(wrong());
    }
    let mut attr = Attr::default();
    attr.as_mut_bytes()[..known].copy_from_slice(&bytes[..known]);
    if attr.flags & FLAG_CLAMP != 0 && size < ATTR_SIZE {
        return Err(Errno::EINVAL.because("a flag for fields that are not there"));
    }
    attr.nice = attr.nice.clamp(-20, 19);
    Ok(attr)
}

/// Sets a thread's policy and parameters.
fn set(cx: &Context<'_>, thread: &Arc<Thread>, wanted: &Attr) -> Result<u64> {
    check(wanted)?;
    check_privilege(cx, thread, wanted)?;
    if wanted.flags & FLAG_CLAMP != 0 {
        return Err(Errno::EOPNOTSUPP.because("utilisation can't be clamped"));
    }
    if wanted.policy == DEADLINE {
        return Err(Errno::EPERM.because("the enclave's scheduler keeps no deadlines"));
    }
    thread.attributes.change(|values| {
        values.reset_on_fork = wanted.flags & FLAG_RESET != 0;
        if wanted.flags & FLAG_KEEP_PARAMETERS != 0 {
            return;
        }
        values.policy = wanted.policy;
        values.priority = wanted.priority;
        if matches!(wanted.policy, OTHER | BATCH) {
            values.nice = wanted.nice;
            let slice = wanted.runtime;
            values.slice = if slice == 0 { 0 } else { slice.clamp(SLICES.0, SLICES.1) };
        }
    });
    Ok(0)
}

/// Whether policy, flags and priority go together.
fn check(wanted: &Attr) -> Result<()> {
    let realtime = match wanted.policy {
        OTHER | BATCH | IDLE => false,
        FIFO | ROUND_ROBIN => true,
        DEADLINE => {
            let period = if wanted.period == 0 { wanted.deadline } else { wanted.period };
            let ordered = wanted.runtime <= wanted.deadline && wanted.deadline <= period;
            if wanted.runtime < 1024 || !ordered {
                return Err(Errno::EINVAL.because("runtime, deadline and period are not in order"));
            }
            false
        }
        _ => return Err(Errno::EINVAL.because("no such policy")),
    };
    if wanted.flags & !FLAGS != 0 {
        return Err(Errno::EINVAL.because("an unknown flag"));
    }
    if wanted.priority > PRIORITY_MAX || realtime != (wanted.priority != 0) {
        return Err(Errno::EINVAL.because("a priority that the policy lacks"));
    }
    Ok(())
}

/// Whether the caller may; who has `CAP_SYS_NICE` may all.
fn check_privilege(cx: &Context<'_>, thread: &Thread, wanted: &Attr) -> Result<()> {
    if cx.process.credentials.lock().has(Capabilities::SYS_NICE) {
        return Ok(());
    }
    let refused = |why| -> Result<(), Error> { Err(Errno::EPERM.because(why)) };
    let values: Values = thread.attributes.get();
    match wanted.policy {
        OTHER | BATCH => check_nice(cx, values.nice, wanted.nice)?,
        FIFO | ROUND_ROBIN => {
            let limit = cx.process.limits.soft(Resource::RealtimePriority);
            let raised = wanted.priority > values.priority && u64::from(wanted.priority) > limit;
            if raised || wanted.policy != values.policy && limit == 0 {
                return refused("real-time policies need CAP_SYS_NICE or RLIMIT_RTPRIO");
            }
        }
        DEADLINE => return refused("deadlines need CAP_SYS_NICE"),
        _ => {}
    }
    if values.policy == IDLE && wanted.policy != IDLE {
        // Idle threads stand below the highest nice value.
        check_nice(cx, 20, values.nice)?;
    }
    check_owner(cx, &thread.process)?;
    if values.reset_on_fork && wanted.flags & FLAG_RESET == 0 {
        return refused("SCHED_RESET_ON_FORK is taken back with CAP_SYS_NICE only");
    }
    Ok(())
}

/// `sched_getattr(2)`: thread, `sched_attr`, bytes, flags.
pub(in super::super) fn sched_getattr(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let size = args.uint(2) as usize;
    let sized = (ATTR_MIN..=4096).contains(&size);
    if args.address(1) == 0 || args.int(0) < 0 || !sized || args.uint(3) != 0 {
        return Err(Errno::EINVAL.because("a size, a flag, or nowhere to write to"));
    }
    let values = scheduled(cx, args.int(0))?.attributes.get();
    let known = size.min(ATTR_SIZE);
    let mut attr = Attr {
        size: u32::try_from(known).unwrap_or(0),
        policy: values.policy,
        flags: if values.reset_on_fork { FLAG_RESET } else { 0 },
        ..Attr::default()
    };
    match values.policy {
        FIFO | ROUND_ROBIN => attr.priority = values.priority,
        _ => (attr.nice, attr.runtime) = (values.nice, slice_of(&values)),
    }
    let mut bytes = alloc::vec![0_u8; size];
    bytes[..known].copy_from_slice(&attr.as_bytes()[..known]);
    cx.write_bytes(args.address(1), &bytes)?;
    Ok(0)
}

fn slice_of(values: &Values) -> u64 {
    if values.slice == 0 { SLICE } else { values.slice }
}

/// `sched_rr_get_interval(2)`: thread, `timespec`.
pub(in super::super) fn sched_rr_get_interval(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let values = scheduled(cx, args.int(0))?.attributes.get();
    let interval = match values.policy {
        FIFO => 0,
        ROUND_ROBIN => ROUND_ROBIN_SLICE,
        _ => slice_of(&values) / JIFFY * JIFFY,
    };
    crate::syscalls::time::spec::write(cx, args.address(1), interval)?;
    Ok(0)
}
