//! Handlers, masks, alternate stacks.
//!
//! Source: `rt_sigaction(2)`, `rt_sigprocmask(2)`, sigpending(2), sigaltstack(2).

use abi::Errno;
use abi::errno::Result;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::signal::action::Action;
use crate::signal::number::{Signal, SignalSet};
use crate::signal::send;

/// Bytes of a `sigset_t` as the kernel has it.
const SET_SIZE: usize = 8;

const SIG_BLOCK: i32 = 0;
const SIG_UNBLOCK: i32 = 1;
const SIG_SETMASK: i32 = 2;

/// Checks the size of a signal set that a call names.
///
/// # Errors
/// EINVAL.
pub(crate) fn check_set_size(size: usize) -> Result<()> {
    if size == SET_SIZE { Ok(()) } else { Err(Errno::EINVAL.because("sigsetsize is not 8")) }
}

/// Reads a signal set.
///
/// # Errors
/// EINVAL for another size than 8, EFAULT.
pub(crate) fn read_set(cx: &Context<'_>, address: u64, size: usize) -> Result<SignalSet> {
    check_set_size(size)?;
    Ok(SignalSet::from_bits(cx.read(address)?))
}

/// `rt_sigaction(2)`: signal, new or null, where the old one goes or null, `sigsetsize`.
pub(super) fn rt_sigaction(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_set_size(args.size(3))?;
    let (new, old) = (args.address(1), args.address(2));
    let action = if new == 0 { None } else { Some(Action::from_words(cx.read(new)?)) };
    let signal = Signal::new(args.int(0))
        .filter(|signal| action.is_none() || !signal.is_unstoppable())
        .ok_or(Errno::EINVAL.because("no such signal, or one that can't be handled"))?;
    let before = match action {
        Some(action) => {
            let before = send::set_action(cx.process, signal, action);
            if before.ignores(signal) && !action.ignores(signal) {
                cx.process.signals.timers.unignored(cx.kernel, cx.process, signal);
            }
            before
        }
        None => cx.process.signals.with(|shared| shared.actions.get(signal)),
    };
    if old != 0 {
        cx.write(old, &before.to_words())?;
    }
    Ok(0)
}

/// `rt_sigprocmask(2)`: how, set or null, where the old mask goes or null, `sigsetsize`.
#[inline]
pub(super) fn rt_sigprocmask(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_set_size(args.size(3))?;
    let old = cx.thread.signals.blocked();
    if args.address(1) != 0 {
        let set = SignalSet::from_bits(cx.read(args.address(1))?);
        let new = match args.int(0) {
            SIG_BLOCK => old.union(set.as_mask()),
            SIG_UNBLOCK => old.minus(set),
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.because("an unknown way to change the mask")),
        };
        send::set_mask(cx.thread, new);
    }
    if args.address(2) != 0 {
        cx.write(args.address(2), &old.bits())?;
    }
    Ok(0)
}

/// `rt_sigpending(2)`: where the set goes, its size at most 8.
pub(super) fn rt_sigpending(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let size = args.size(1);
    if size > SET_SIZE {
        return Err(Errno::EINVAL.because("sigsetsize is above 8"));
    }
    let signals = &cx.thread.signals;
    let pending = signals.pending().union(cx.process.signals.pending());
    let set = pending.intersection(signals.blocked());
    cx.write_bytes(args.address(0), &set.bits().to_le_bytes()[..size])?;
    Ok(0)
}

/// sigaltstack(2): `stack_t` or null, where the old one goes or null.
pub(super) fn sigaltstack(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let sp = cx.registers.registers.rsp;
    let new = match args.address(0) {
        0 => None,
        address => Some(cx.read::<[u64; 3]>(address)?),
    };
    let before = {
        let mut own = cx.thread.signals.own();
        let before = own.stack.to_words(sp);
        if let Some(words) = new {
            own.stack = own.stack.replaced(words, sp, 0)?;
        }
        before
    };
    if args.address(1) != 0 {
        // The four bytes behind the flags are padding; Linux leaves them as they are.
        let [start, flags, size] = before.map(u64::to_le_bytes);
        cx.write_bytes(args.address(1), &start)?;
        cx.write_bytes(args.address(1).wrapping_add(8), &flags[..4])?;
        cx.write_bytes(args.address(1).wrapping_add(16), &size)?;
    }
    Ok(0)
}
