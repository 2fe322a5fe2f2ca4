//! Sending signals to processes and threads.
//!
//! Source: kill(2), tgkill(2), `rt_sigqueueinfo(2)`.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::{Error, Result};
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::{Process, Thread};
use crate::signal::info::{self, Info, SI_TKILL, SI_USER};
use crate::signal::number::Signal;
use crate::signal::send;

/// kill(2): process, group or all; signal or 0.
pub(super) fn kill(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let pid = args.int(0);
    if pid > 0 {
        let process = process_of(cx, pid)?;
        let signal = wanted(args.int(1))?;
        check(cx, &process, signal)?;
        deliver(cx, &process, signal)?;
        return Ok(0);
    }
    let group = match pid {
        0 => Some(cx.process.group.load(Ordering::Relaxed)),
        -1 => None,
        i32::MIN => return Err(no_process()),
        _ => Some(pid.unsigned_abs()),
    };
    let mut outcome = Err(no_process());
    let signal = wanted(args.int(1));
    for process in cx.kernel.registry.processes() {
        let chosen = match group {
            Some(group) => process.group.load(Ordering::Relaxed) == group,
            None => process.pid != 1 && process.pid != cx.process.pid,
        };
        if !chosen {
            continue;
        }
        let sent = signal.and_then(|signal| {
            check(cx, &process, signal)?;
            deliver(cx, &process, signal)
        });
        if sent.is_ok() || outcome == Err(no_process()) {
            outcome = sent;
        }
    }
    outcome.map(|()| 0)
}

/// tgkill(2): process, thread, signal or 0.
pub(super) fn tgkill(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (tgid, tid) = (args.int(0), args.int(1));
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.because("ids are positive"));
    }
    to_thread(cx, Some(tgid), tid, args.int(2))
}

/// tkill(2): thread, signal or 0.
pub(super) fn tkill(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.int(0) <= 0 {
        return Err(Errno::EINVAL.because("ids are positive"));
    }
    to_thread(cx, None, args.int(0), args.int(1))
}

/// `rt_sigqueueinfo(2)`: process, signal, `siginfo`.
pub(super) fn rt_sigqueueinfo(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (pid, number) = (args.int(0), args.int(1));
    let bytes = read_info(cx, args.address(2))?;
    let own = u32::try_from(pid) == Ok(cx.process.pid);
    let info = claimed(number, &bytes, own)?;
    let process = process_of(cx, pid)?;
    let signal = wanted(number)?;
    check(cx, &process, signal)?;
    if signal.is_some() {
        send::send_to_process(cx.kernel, &process, info)?;
    }
    Ok(0)
}

/// `rt_tgsigqueueinfo(2)`: process, thread, signal, `siginfo`.
pub(super) fn rt_tgsigqueueinfo(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (tgid, tid, number) = (args.int(0), args.int(1), args.int(2));
    let bytes = read_info(cx, args.address(3))?;
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.because("ids are positive"));
    }
    let own = u32::try_from(tid) == Ok(cx.thread.tid);
    let info = claimed(number, &bytes, own)?;
    let thread = thread_of(cx, Some(tgid), tid)?;
    let signal = wanted(number)?;
    check(cx, &thread.process, signal)?;
    if signal.is_some() {
        send::send_to_thread(cx.kernel, &thread, info)?;
    }
    Ok(0)
}

/// Reads a `siginfo`: what is known, and what lies behind it only for codes that Linux does not know.
fn read_info(cx: &Context<'_>, address: u64) -> Result<[u8; info::SIZE]> {
    let mut bytes = [0; info::SIZE];
    cx.read_bytes(address, &mut bytes[..info::USED])?;
    if info::is_unknown(&bytes) {
        cx.read_bytes(address, &mut bytes)?;
    }
    Ok(bytes)
}

/// What a program passes; only to itself may it claim to be the kernel or tkill.
fn claimed(number: i32, bytes: &[u8; info::SIZE], own: bool) -> Result<Info> {
    let stand_in = Signal::new(number).unwrap_or(Signal::HUP);
    let info = Info::from_user(stand_in, bytes)?;
    if (info.code >= 0 || info.code == SI_TKILL) && !own {
        return Err(Errno::EPERM.because("si_code claims to come from the kernel or from tkill"));
    }
    Ok(info)
}

fn to_thread(cx: &Context<'_>, tgid: Option<i32>, tid: i32, number: i32) -> Result<u64> {
    let thread = thread_of(cx, tgid, tid)?;
    let signal = wanted(number)?;
    check(cx, &thread.process, signal)?;
    if let Some(signal) = signal {
        let uid = cx.process.credentials.lock().uid;
        let info = Info::sent(signal, SI_TKILL, cx.process.pid, uid);
        send::send_to_thread(cx.kernel, &thread, info)?;
    }
    Ok(0)
}

/// The signal that a call names; 0 is none, only the permission is checked.
pub(super) fn wanted(number: i32) -> Result<Option<Signal>> {
    if number == 0 {
        return Ok(None);
    }
    Signal::new(number).map(Some).ok_or(Errno::EINVAL.because("no such signal"))
}

pub(super) fn no_process() -> Error {
    Errno::ESRCH.because("no such process")
}

/// The process with a number; as in Linux, the number of any of its threads will do.
fn process_of(cx: &Context<'_>, pid: i32) -> Result<Arc<Process>> {
    let pid = u32::try_from(pid).map_err(|_| no_process())?;
    if pid == cx.process.pid {
        return Ok(Arc::clone(cx.process));
    }
    let registry = &cx.kernel.registry;
    let of_thread = || registry.thread(pid).map(|thread| Arc::clone(&thread.process));
    registry.process(pid).or_else(of_thread).ok_or(no_process())
}

fn thread_of(cx: &Context<'_>, tgid: Option<i32>, tid: i32) -> Result<Arc<Thread>> {
    let missing = Errno::ESRCH.because("no such thread");
    let tid = u32::try_from(tid).map_err(|_| missing)?;
    let thread = if tid == cx.thread.tid {
        Some(Arc::clone(cx.thread))
    } else {
        cx.kernel.registry.thread(tid)
    };
    let belongs = |thread: &Arc<Thread>| match tgid {
        Some(tgid) => u32::try_from(tgid) == Ok(thread.process.pid),
        None => true,
    };
    thread.filter(belongs).ok_or(missing)
}

/// Whether the caller may signal a process.
pub(super) fn check(cx: &Context<'_>, target: &Arc<Process>, signal: Option<Signal>) -> Result<()> {
    if Arc::ptr_eq(cx.process, target) {
        return Ok(());
    }
    let from = Arc::clone(&cx.process.credentials.lock());
    let to = Arc::clone(&target.credentials.lock());
    let same = [from.euid, from.uid].iter().any(|uid| *uid == to.suid || *uid == to.uid);
    let session = |process: &Process| process.session.load(Ordering::Relaxed);
    let continues = signal == Some(Signal::CONT) && session(cx.process) == session(target);
    if same || continues || from.has(Capabilities::KILL) {
        Ok(())
    } else {
        Err(Errno::EPERM.because("the process belongs to another user"))
    }
}

fn deliver(cx: &Context<'_>, process: &Arc<Process>, signal: Option<Signal>) -> Result<()> {
    let Some(signal) = signal else { return Ok(()) };
    let uid = cx.process.credentials.lock().uid;
    send::send_to_process(cx.kernel, process, Info::sent(signal, SI_USER, cx.process.pid, uid))
}
