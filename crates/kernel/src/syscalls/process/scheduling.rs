//! Scheduling: yielding, affinity, policies, priorities.
//!
//! The executor is fair among all threads. Nice values, `SCHED_BATCH` and `SCHED_IDLE` are kept and
//! told, but weigh nothing; the real-time policies are refused, because a program relies on what
//! they promise.
//!
//! Source: sched(7), `sched_setaffinity(2)`, getpriority(2), `ioprio_set(2)`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::{Error, Result};
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
/// What `sched_rr_get_interval(2)` tells: the executor's tick, ns.
const SLICE: u64 = 4_000_000;

/// Bytes of `struct sched_attr`, first version and the present one.
const ATTR_MIN: u32 = 48;
const ATTR_SIZE: u32 = 56;
/// `SCHED_FLAG_RESET_ON_FORK`.
const ATTR_RESET: u64 = 1;

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
    let len = args.size(1);
    if len == 0 || !len.is_multiple_of(8) {
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

/// `sched_setscheduler(2)`: thread, policy, `sched_param`.
pub(super) fn sched_setscheduler(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.address(2) == 0 || args.int(0) < 0 || args.int(1) < 0 {
        return Err(Errno::EINVAL.because("no parameters, or a negative number"));
    }
    let priority: i32 = cx.read(args.address(2))?;
    let thread = scheduled(cx, args.int(0))?;
    let policy = args.uint(1);
    let reset = policy & RESET_ON_FORK != 0;
    set_policy(cx, &thread, policy & !RESET_ON_FORK, priority, reset)
}

/// `sched_setparam(2)`: thread, `sched_param`.
pub(super) fn sched_setparam(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.address(1) == 0 || args.int(0) < 0 {
        return Err(Errno::EINVAL.because("no parameters, or a negative number"));
    }
    let priority: i32 = cx.read(args.address(1))?;
    let thread = scheduled(cx, args.int(0))?;
    let values = thread.attributes.get();
    set_policy(cx, &thread, values.policy, priority, values.reset_on_fork)
}

fn set_policy(
    cx: &Context<'_>,
    thread: &Arc<Thread>,
    policy: u32,
    priority: i32,
    reset: bool,
) -> Result<u64> {
    match policy {
        OTHER | BATCH | IDLE if priority == 0 => {}
        FIFO | ROUND_ROBIN if (1..=99).contains(&priority) => return Err(no_realtime()),
        DEADLINE => return Err(no_realtime()),
        _ => return Err(Errno::EINVAL.because("no such policy, or a priority that it lacks")),
    }
    check_owner(cx, &thread.process)?;
    thread.attributes.change(|values| {
        values.policy = policy;
        values.reset_on_fork = reset;
    });
    Ok(0)
}

fn no_realtime() -> Error {
    Errno::EPERM.because("the enclave's scheduler has no real-time policies")
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
        (OTHER | BATCH | IDLE | DEADLINE, _) => Ok(0),
        _ => Err(Errno::EINVAL.because("no such policy")),
    }
}

/// `sched_rr_get_interval(2)`: thread, `timespec`.
pub(super) fn sched_rr_get_interval(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    scheduled(cx, args.int(0))?;
    crate::syscalls::time::spec::write(cx, args.address(1), SLICE)?;
    Ok(0)
}

/// `sched_getattr(2)`: thread, `sched_attr`, bytes, flags.
pub(super) fn sched_getattr(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let size = args.uint(2);
    if args.address(1) == 0 || !(ATTR_MIN..=4096).contains(&size) || args.uint(3) != 0 {
        return Err(Errno::EINVAL.because("a size, a flag, or nowhere to write to"));
    }
    let values = scheduled(cx, args.int(0))?.attributes.get();
    let mut attr = [0_u8; ATTR_SIZE as usize];
    let told = size.min(ATTR_SIZE);
    attr[0..4].copy_from_slice(&told.to_le_bytes());
    attr[4..8].copy_from_slice(&values.policy.to_le_bytes());
    attr[8] = u8::from(values.reset_on_fork);
    attr[16..20].copy_from_slice(&values.nice.to_le_bytes());
    cx.write_bytes(args.address(1), &attr[..told as usize])?;
    Ok(0)
}

/// `sched_setattr(2)`: thread, `sched_attr`, flags.
pub(super) fn sched_setattr(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.address(1) == 0 || args.int(0) < 0 || args.uint(2) != 0 {
        return Err(Errno::EINVAL.because("a flag, a negative number, or no attributes"));
    }
    let mut attr = [0_u8; ATTR_MIN as usize];
    cx.read_bytes(args.address(1), &mut attr)?;
    let word = |at: usize| u32::from_le_bytes([attr[at], attr[at + 1], attr[at + 2], attr[at + 3]]);
    let flags = u64::from(word(8)) | u64::from(word(12)) << 32;
    let size = word(0);
    if size != 0 && size < ATTR_MIN || size > 4096 {
        return Err(Errno::E2BIG.because("sched_attr has another size"));
    }
    if flags & !ATTR_RESET != 0 {
        return Err(Errno::EINVAL.because("a flag of deadlines or utilisation"));
    }
    let thread = scheduled(cx, args.int(0))?;
    let nice = word(16).cast_signed();
    if !(-20..=19).contains(&nice) {
        return Err(Errno::EINVAL.because("nice is outside -20 to 19"));
    }
    if matches!(word(4), OTHER | BATCH) {
        check_nice(cx, thread.attributes.get().nice, nice)?;
    }
    set_policy(cx, &thread, word(4), word(20).cast_signed(), flags & ATTR_RESET != 0)?;
    if word(4) != IDLE {
        thread.attributes.change(|values| values.nice = nice);
    }
    Ok(0)
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
    let wanted = args.uint(2);
    match (wanted >> 13, wanted & 0x1fff) {
        (0, 0) | (2, 0..=7) | (3, _) => {}
        (1, 0..=7) if cx.process.credentials.lock().has(Capabilities::SYS_NICE) => {}
        (1, 0..=7) => return Err(Errno::EPERM.because("the real-time class needs CAP_SYS_NICE")),
        _ => return Err(Errno::EINVAL.because("no such class or level")),
    }
    for thread in chosen(cx, args.int(0).wrapping_sub(1), args.int(1))? {
        check_owner(cx, &thread.process)?;
        thread.attributes.change(|values| values.io_priority = wanted);
    }
    Ok(0)
}
