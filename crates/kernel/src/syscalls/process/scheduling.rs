//! Scheduling: yielding, affinity, policies, priorities.
//!
//! The executor is fair among all threads. Nice values and policies are kept and told, with the
//! privileges that they need, but weigh nothing. Setting them is in `scheduling::attr`.
//!
//! Source: sched(7), `sched_setaffinity(2)`, getpriority(2), `ioprio_set(2)`.

pub(super) mod attr;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::limits::Resource;
use crate::process::{Process, Thread};

const OTHER: u32 = 0;
const FIFO: u32 = 1;
const ROUND_ROBIN: u32 = 2;
const BATCH: u32 = 3;
const IDLE: u32 = 5;
const DEADLINE: u32 = 6;
/// `SCHED_RESET_ON_FORK`, in the policy's word.
const RESET_ON_FORK: u32 = 0x4000_0000;
/// `SCHED_EXT`, which has bounds but is not configured.
const EXTENSIBLE: u32 = 7;

/// The thread with a number; 0 is the caller.
pub(crate) fn thread_of(cx: &Context<'_>, tid: i32) -> Result<Arc<Thread>> {
    if tid == 0 {
        return Ok(Arc::clone(cx.thread));
    }
    let number = u32::try_from(tid).map_err(|_| Errno::ESRCH.because("no such thread"))?;
    if number == cx.thread.tid {
        return Ok(Arc::clone(cx.thread));
    }
    cx.kernel.registry.thread(number).ok_or(Errno::ESRCH.because("no such thread"))
}

fn scheduled(cx: &Context<'_>, tid: i32) -> Result<Arc<Thread>> {
    if tid < 0 {
        return Err(Errno::EINVAL.because("a negative thread id"));
    }
    thread_of(cx, tid)
}

/// Whether the caller may change how another is scheduled.
fn check_owner(cx: &Context<'_>, target: &Process) -> Result<()> {
    let from = Arc::clone(&cx.process.credentials.lock());
    let to = Arc::clone(&target.credentials.lock());
    if from.euid == to.euid || from.euid == to.uid || from.has(Capabilities::SYS_NICE) {
        Ok(())
    } else {
        Err(Errno::EPERM.because("the thread belongs to another user"))
    }
}

/// `sched_yield(2)`, when nobody else waits; `None`: others do.
#[inline]
pub(super) fn yield_at_once(cx: &Context<'_>) -> Option<Result<u64>> {
    (!cx.kernel.executor.others_wait(platform::vcpu::current())).then_some(Ok(0))
}

/// `sched_yield(2)`, when others wait.
#[inline]
pub(in crate::syscalls) async fn sched_yield() -> Result<u64> {
    executor::yield_now().await;
    Ok(0)
}

/// `sched_getaffinity(2)`: thread, bytes, mask.
pub(super) fn sched_getaffinity(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    // As on Linux, what counts are the bits, of which there are fewer than 2^32.
    let bits = args.uint(1).wrapping_mul(8);
    if bits == 0 || !bits.is_multiple_of(64) {
        return Err(Errno::EINVAL.because("the mask's length is no multiple of 8"));
    }
    let thread = thread_of(cx, args.int(0))?;
    let mask = thread.task().map_or(u64::MAX, |task| task.allowed()) & all_vcpus(cx);
    cx.write(args.address(2), &mask)?;
    Ok(8)
}

/// `sched_setaffinity(2)`: thread, bytes, mask. Gives whether the caller must move.
pub(super) fn set_affinity(cx: &Context<'_>, args: &Arguments) -> Result<bool> {
    let mut mask = [0; 8];
    let len = args.size(1).min(8);
    cx.read_bytes(args.address(2), &mut mask[..len])?;
    let thread = thread_of(cx, args.int(0))?;
    check_owner(cx, &thread.process)?;
    let mask = u64::from_le_bytes(mask) & all_vcpus(cx);
    if mask == 0 {
        return Err(Errno::EINVAL.because("no vCPU of the enclave is in the mask"));
    }
    if let Some(task) = thread.task() {
        task.set_allowed(mask);
    }
    if Arc::ptr_eq(&thread, cx.thread) {
        return Ok(mask >> platform::vcpu::current() & 1 == 0);
    }
    thread.notify();
    Ok(false)
}

fn all_vcpus(cx: &Context<'_>) -> u64 {
    u64::MAX >> (64 - cx.kernel.executor.vcpus().clamp(1, 64))
}

/// `sched_getscheduler(2)`: thread.
pub(super) fn sched_getscheduler(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let values = scheduled(cx, args.int(0))?.attributes.get();
    let reset = if values.reset_on_fork { RESET_ON_FORK } else { 0 };
    Ok((values.policy | reset).into())
}

/// `sched_getparam(2)`: thread, `sched_param`.
pub(super) fn sched_getparam(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.address(1) == 0 {
        return Err(Errno::EINVAL.because("nowhere to write to"));
    }
    let priority = scheduled(cx, args.int(0))?.attributes.get().priority;
    cx.write(args.address(1), &priority)?;
    Ok(0)
}

/// `sched_get_priority_max(2)` and `sched_get_priority_min(2)`: policy.
pub(super) fn priority_bound(args: &Arguments, highest: bool) -> Result<u64> {
    match (args.uint(0), highest) {
        (FIFO | ROUND_ROBIN, true) => Ok(99),
        (FIFO | ROUND_ROBIN, false) => Ok(1),
        (OTHER | BATCH | IDLE | DEADLINE | EXTENSIBLE, _) => Ok(0),
        _ => Err(Errno::EINVAL.because("no such policy")),
    }
}

/// The threads that getpriority(2) and its like name.
fn chosen(cx: &Context<'_>, which: i32, who: i32) -> Result<Vec<Arc<Thread>>> {
    let of_processes = |admits: &dyn Fn(&Process) -> bool| -> Vec<Arc<Thread>> {
        let processes = cx.kernel.registry.processes();
        let chosen = processes.iter().filter(|process| admits(process));
        chosen.flat_map(|one| one.threads.lock().values().cloned().collect::<Vec<_>>()).collect()
    };
    let threads = match which {
        0 => thread_of(cx, who).into_iter().collect(),
        1 => {
            let own = cx.process.group.load(Ordering::Relaxed);
            let group = if who == 0 { own } else { who.cast_unsigned() };
            of_processes(&|process| process.group.load(Ordering::Relaxed) == group)
        }
        2 => {
            let own = cx.process.credentials.lock().uid;
            let uid = if who == 0 { own } else { who.cast_unsigned() };
            of_processes(&|process| process.credentials.lock().uid == uid)
        }
        _ => return Err(Errno::EINVAL.because("neither process, group nor user")),
    };
    if threads.is_empty() {
        return Err(Errno::ESRCH.because("nobody is named"));
    }
    Ok(threads)
}

/// getpriority(2): which, who. Gives 20 minus the lowest nice value.
pub(super) fn getpriority(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let threads = chosen(cx, args.int(0), args.int(1))?;
    let nice = threads.iter().map(|thread| thread.attributes.get().nice).min().unwrap_or(0);
    Ok(u64::from((20 - nice).unsigned_abs()))
}

/// setpriority(2): which, who, nice value.
pub(super) fn setpriority(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let nice = args.int(2).clamp(-20, 19);
    for thread in chosen(cx, args.int(0), args.int(1))? {
        check_owner(cx, &thread.process)?;
        check_nice(cx, thread.attributes.get().nice, nice)
            .map_err(|error| Errno::EACCES.because(error.why))?;
        thread.attributes.change(|values| values.nice = nice);
    }
    Ok(0)
}

/// Whether the caller may lower a nice value so far.
fn check_nice(cx: &Context<'_>, old: i32, new: i32) -> Result<()> {
    let lowest =
        20 - i64::try_from(cx.process.limits.soft(Resource::Nice)).unwrap_or(i64::MAX).min(40);
    let privileged = cx.process.credentials.lock().has(Capabilities::SYS_NICE);
    if new >= old || i64::from(new) >= lowest || privileged {
        Ok(())
    } else {
        Err(Errno::EPERM.because("lowering nice needs CAP_SYS_NICE or RLIMIT_NICE"))
    }
}

/// `ioprio_get(2)`: which (1 process, 2 group, 3 user), who.
pub(super) fn ioprio_get(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let threads = chosen(cx, args.int(0).wrapping_sub(1), args.int(1))?;
    let highest = threads.iter().map(|thread| thread.attributes.get().io_priority).max();
    Ok(u64::from(highest.unwrap_or(0)))
}

/// `ioprio_set(2)`: which (1 process, 2 group, 3 user), who, class and level.
pub(super) fn ioprio_set(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    // Sixteen bits: class, ten bits of hints, level.
    let wanted = args.uint(2) & 0xffff;
    match (wanted >> 13, wanted & 7) {
        (0, 0) | (2 | 3, _) => {}
        (1, _) if cx.process.credentials.lock().has(Capabilities::SYS_NICE) => {}
        (1, _) => return Err(Errno::EPERM.because("the real-time class needs CAP_SYS_NICE")),
        _ => return Err(Errno::EINVAL.because("no such class or level")),
    }
    for thread in chosen(cx, args.int(0).wrapping_sub(1), args.int(1))? {
        check_owner(cx, &thread.process)?;
        thread.attributes.change(|values| values.io_priority = wanted);
    }
    Ok(0)
}
