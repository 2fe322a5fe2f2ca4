//! `pidfd_send_signal(2)`.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::{Error, Result};

use super::sending::{check, no_process, wanted};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::pidfd::PidFd;
use crate::process::{Process, Thread};
use crate::signal::info::{self, Info, SI_TKILL, SI_USER};
use crate::signal::number::Signal;
use crate::signal::send;
use crate::syscalls::process::pidfd;

/// `PIDFD_SELF_THREAD` and `PIDFD_SELF_THREAD_GROUP`: the caller, without a descriptor.
const SELF_THREAD: i32 = -10_000;
const SELF_PROCESS: i32 = -10_001;
/// `PIDFD_SIGNAL_THREAD`, `_THREAD_GROUP`, `_PROCESS_GROUP`.
const TO_THREAD: u32 = 1;
const TO_PROCESS: u32 = 2;
const TO_GROUP: u32 = 4;

/// Who is meant.
enum Target {
    Thread(Arc<Thread>),
    Process(Arc<Process>),
    /// The processes of the group with this number.
    Group(u32),
}

/// `pidfd_send_signal(2)`: descriptor, signal or 0, `siginfo` or null, flags.
///
/// Errors: EINVAL (flags, signal, a `siginfo` of another signal), EBADF, ESRCH, EPERM, EAGAIN, EFAULT.
pub(super) fn pidfd_send_signal(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (number, flags) = (args.int(1), args.uint(3));
    if flags & !(TO_THREAD | TO_PROCESS | TO_GROUP) != 0 || flags.count_ones() > 1 {
        return Err(Errno::EINVAL.because("an unknown flag, or more than one"));
    }
    let (target, own) = find(cx, args.fd(0), flags)?;
    let bytes: Option<[u8; info::SIZE]> = match args.address(2) {
        0 => None,
        address => Some(cx.read(address)?),
    };
    let given = bytes.map(|bytes| given(number, &bytes, own)).transpose()?;
    let targets = match target {
        Target::Group(group) => members(cx, group)?,
        one => alloc::vec![one],
    };
    let mut outcome = Err(no_process());
    for target in targets {
        let sent = send_one(cx, &target, number, given.as_ref());
        if sent.is_ok() || outcome == Err(no_process()) {
            outcome = sent;
        }
    }
    outcome.map(|()| 0)
}

/// Who a descriptor and flags name, and whether that is the calling thread.
fn find(cx: &Context<'_>, fd: i32, flags: u32) -> Result<(Target, bool)> {
    let (process, thread, number) = match fd {
        SELF_THREAD => (Arc::clone(cx.process), Some(Arc::clone(cx.thread)), cx.thread.tid),
        SELF_PROCESS => (Arc::clone(cx.process), None, cx.process.pid),
        _ => {
            let file = pidfd::file_of(cx, fd)?;
            let of = file.downcast::<PidFd>().ok_or(Errno::EBADF)?;
            let number = of.living_number().ok_or(no_process())?;
            let thread = if of.is_of_thread() { Some(of.thread()?) } else { None };
            (of.process()?, thread, number)
        }
    };
    let own = number == cx.thread.tid;
    let target = match flags {
        TO_GROUP => Target::Group(number),
        TO_PROCESS => Target::Process(process),
        TO_THREAD => {
            let first = || process.threads.lock().get(&number).cloned();
            Target::Thread(thread.or_else(first).ok_or(no_process())?)
        }
        _ => thread.map_or(Target::Process(process), Target::Thread),
    };
    Ok((target, own))
}

fn members(cx: &Context<'_>, group: u32) -> Result<alloc::vec::Vec<Target>> {
    let all = cx.kernel.registry.processes().into_iter();
    let members: alloc::vec::Vec<_> = all
        .filter(|process| process.group.load(Ordering::Relaxed) == group)
        .map(Target::Process)
        .collect();
    if members.is_empty() { Err(no_process()) } else { Ok(members) }
}

/// What the program passes along; only to itself may it claim to be the kernel or tkill.
fn given(number: i32, bytes: &[u8; info::SIZE], own: bool) -> Result<Info> {
    let said = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if said != number {
        return Err(Errno::EINVAL.because("the siginfo is another signal's"));
    }
    let info = Info::from_user(Signal::new(number).unwrap_or(Signal::HUP), bytes)?;
    if (info.code >= 0 || info.code == SI_TKILL) && !own {
        return Err(Errno::EPERM.because("si_code claims to come from the kernel or from tkill"));
    }
    Ok(info)
}

fn send_one(
    cx: &Context<'_>,
    target: &Target,
    number: i32,
    given: Option<&Info>,
) -> Result<(), Error> {
    let signal = wanted(number)?;
    let process = match target {
        Target::Thread(thread) => &thread.process,
        Target::Process(process) => process,
        Target::Group(_) => return Err(no_process()),
    };
    check(cx, process, signal)?;
    let Some(signal) = signal else { return Ok(()) };
    let uid = cx.process.credentials.lock().uid;
    let made = |code| Info::sent(signal, code, cx.process.pid, uid);
    if let Target::Thread(thread) = target {
        let info = given.copied().unwrap_or_else(|| made(SI_TKILL));
        return send::send_to_thread(cx.kernel, thread, info);
    }
    let info = given.copied().unwrap_or_else(|| made(SI_USER));
    send::send_to_process(cx.kernel, process, info)
}
