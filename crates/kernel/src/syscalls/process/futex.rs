//! futex(2): the operations' decoding; the waiting itself is in `process::futex`.
//!
//! Priority-inheriting locks are locks as any (all threads have one priority). Source: futex(2).

use core::future::Future;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::user::{Short, UserWord};

use crate::arguments::Arguments;
use crate::context::{self, Context};
use crate::memory::{Access, Key};
use crate::process::futex::{ANY, Refused, Wake, priority, requeue as to_lock};
use crate::signal::Restart;
use crate::signal::state::FutexWait;
use crate::syscalls::time::spec;

const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const LOCK_PI: u32 = 6;
const UNLOCK_PI: u32 = 7;
const TRYLOCK_PI: u32 = 8;
const WAIT_REQUEUE_PI: u32 = 11;
const CMP_REQUEUE_PI: u32 = 12;
const LOCK_PI2: u32 = 13;
const PRIVATE: u32 = 128;
const CLOCK_REALTIME: u32 = 256;

/// What a call asks for.
#[derive(Clone, Copy)]
struct Operation {
    command: u32,
    private: bool,
    realtime: bool,
}

impl Operation {
    fn decode(raw: u32) -> Result<Self> {
        let command = raw & !(PRIVATE | CLOCK_REALTIME);
        let realtime = raw & CLOCK_REALTIME != 0;
        if realtime && !matches!(command, WAIT_BITSET | WAIT_REQUEUE_PI | LOCK_PI2) {
            return Err(Errno::ENOSYS.because("FUTEX_CLOCK_REALTIME without a wait for a bitset"));
        }
        Ok(Self { command, private: raw & PRIVATE != 0, realtime })
    }
}

/// Operations that don't wait; `None`: one that does.
#[expect(clippy::inline_always, reason = "what it gives would go through memory")]
#[inline(always)]
pub(in crate::syscalls) fn at_once(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    match args.uint(1) & !PRIVATE {
        WAIT => None,
        // With it, what locks are made of.
        WAKE if args.int(2) <= 1 => {
            let private = args.uint(1) & PRIVATE != 0;
            Some(wake_one(cx, args.address(0), private, ANY))
        }
        _ => others_at_once(cx, args),
    }
}

/// Apart from those that are made most often, which need neither its registers nor its stack.
#[inline(never)]
fn others_at_once(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    let operation = match Operation::decode(args.uint(1)) {
        Ok(operation) => operation,
        Err(error) => return Some(Err(error)),
    };
    let private = operation.private;
    Some(match operation.command {
        WAIT | WAIT_BITSET | LOCK_PI | LOCK_PI2 | WAIT_REQUEUE_PI => return None,
        WAKE => wake(cx, args, private, ANY),
        WAKE_BITSET => wake(cx, args, private, args.uint(5)),
        REQUEUE => requeue(cx, args, private, None),
        CMP_REQUEUE => requeue(cx, args, private, Some(args.uint(5))),
        WAKE_OP => wake_op(cx, args, private),
        UNLOCK_PI => priority::unlock(cx, args.address(0), private),
        TRYLOCK_PI => priority::try_lock(cx, args.address(0), private),
        CMP_REQUEUE_PI => requeue_to_lock(cx, args, private),
        _ => Err(Errno::ENOSYS.because("no such futex operation")),
    })
}

fn requeue_to_lock(cx: &Context<'_>, args: &Arguments, private: bool) -> Result<u64> {
    let most = usize::try_from(args.int(3)).ok().filter(|_| args.int(2) == 1);
    let most = most.ok_or(Errno::EINVAL.because("not exactly one to wake, or a negative count"))?;
    to_lock::requeue(cx, [args.address(0), args.address(4)], most, private, args.uint(5))
}

/// `FUTEX_WAIT`, `FUTEX_WAIT_BITSET`, `FUTEX_LOCK_PI`, `FUTEX_LOCK_PI2`.
#[expect(clippy::manual_async_fn, reason = "an async fn would move its arguments once more")]
#[inline]
pub(in crate::syscalls) fn waiting(
    cx: &Context<'_>,
    args: &Arguments,
) -> impl Future<Output = Result<u64>> + Send {
    async move {
        // The plain wait, without a clock, is what locks are made of.
        if args.uint(1) & !PRIVATE == WAIT && args.address(3) == 0 {
            let private = args.uint(1) & PRIVATE != 0;
            return wait_plainly(cx, args.address(0), args.uint(2), private).await;
        }
        waiting_long(cx, args).await
    }
}

async fn waiting_long(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let operation = Operation::decode(args.uint(1))?;
    let timeout = spec::read_optional(cx, args.address(3))?;
    if matches!(operation.command, LOCK_PI | LOCK_PI2) {
        // The older one knows only the real-time clock.
        let realtime = operation.realtime || operation.command == LOCK_PI;
        let deadline =
            timeout.map(|instant| if realtime { spec::from_realtime(instant) } else { instant });
        return priority::lock(cx, args.address(0), operation.private, deadline).await;
    }
    if operation.command == WAIT_REQUEUE_PI {
        let deadline = if operation.realtime { timeout.map(spec::from_realtime) } else { timeout };
        let words = [args.address(0), args.address(4)];
        return to_lock::wait(cx, words, args.uint(2), operation.private, deadline).await;
    }
    let (deadline, bitset) = if operation.command == WAIT {
        (timeout.map(spec::after), ANY)
    } else if operation.realtime {
        (timeout.map(spec::from_realtime), args.uint(5))
    } else {
        (timeout, args.uint(5))
    };
    let wanted = FutexWait {
        address: args.address(0),
        value: args.uint(2),
        bitset,
        private: operation.private,
        deadline,
    };
    wait(cx, &wanted).await
}

/// Waits on a word for as long as it takes: [`wait`] for everybody, with no timer to look after.
#[expect(clippy::manual_async_fn, reason = "an async fn would move its arguments once more")]
#[inline]
fn wait_plainly(
    cx: &Context<'_>,
    address: u64,
    value: u32,
    private: bool,
) -> impl Future<Output = Result<u64>> + Send {
    async move {
        let word = UserWord::new(address)?;
        loop {
            let key = cx.memory().futex_key(address, private, Access::Read)?;
            let mut wait = cx.kernel.futexes.wait(&cx.thread.futex, key, word, value, ANY);
            match cx.interruptible(&mut wait).await {
                Ok(Ok(())) => return Ok(0),
                Ok(Err(refused)) => begin_again(cx, refused)?,
                // Who is woken and gives up at the same moment was woken.
                Err(_) if wait.give_up() => return Ok(0),
                Err(interrupted) => return Err(interrupted.into()),
            }
        }
    }
}

/// Waits on a word.
///
/// # Errors
/// EAGAIN when it has another value, ETIMEDOUT, EINVAL, EFAULT; when a signal comes first,
/// ERESTARTSYS, or with a deadline `ERESTART_RESTARTBLOCK`.
pub(crate) async fn wait(cx: &Context<'_>, wanted: &FutexWait) -> Result<u64> {
    if wanted.bitset == 0 {
        return Err(Errno::EINVAL.because("an empty bitset"));
    }
    let word = UserWord::new(wanted.address)?;
    loop {
        let key = cx.memory().futex_key(wanted.address, wanted.private, Access::Read)?;
        let futexes = &cx.kernel.futexes;
        let mut wait = futexes.wait(&cx.thread.futex, key, word, wanted.value, wanted.bitset);
        let timed = cx.kernel.executor.timeout(wanted.deadline, &mut wait);
        let error = match cx.interruptible(timed).await {
            Ok(Ok(Ok(()))) => return Ok(0),
            Ok(Ok(Err(refused))) => {
                begin_again(cx, refused)?;
                continue;
            }
            Ok(Err(_)) => Errno::ETIMEDOUT.because("nobody came in time"),
            Err(_) if wanted.deadline.is_none() => Errno::ERESTARTSYS.because("a signal came"),
            Err(_) => Errno::ERESTART_RESTARTBLOCK.because("a signal came"),
        };
        // Who is woken and gives up at the same moment was woken.
        if wait.give_up() {
            return Ok(0);
        }
        if error.errno == Errno::ERESTART_RESTARTBLOCK {
            cx.thread.signals.set_restart(Restart::Futex(*wanted));
        }
        return Err(error);
    }
}

/// After a refused wait: brings the page in, or says that the word has changed.
pub(super) fn begin_again(cx: &Context<'_>, refused: Refused) -> Result<()> {
    match refused {
        Refused::Changed => Err(Errno::EAGAIN.because("the word has another value")),
        Refused::Fault(short) => context::resolve(cx.memory(), short),
    }
}

#[inline]
pub(super) fn key(
    cx: &Context<'_>,
    address: u64,
    private: bool,
    access: Access,
) -> Result<(UserWord, Key)> {
    let word = UserWord::new(address)?;
    Ok((word, cx.memory().futex_key(address, private, access)?))
}

/// A count as the loop in Linux takes it: it wakes one before it looks.
pub(super) fn at_least_one(raw: i32) -> usize {
    usize::try_from(raw).unwrap_or(0).max(1)
}

fn wake(cx: &Context<'_>, args: &Arguments, private: bool, bitset: u32) -> Result<u64> {
    if bitset == 0 {
        return Err(Errno::EINVAL.because("an empty bitset"));
    }
    if args.int(2) <= 1 {
        return wake_one(cx, args.address(0), private, bitset);
    }
    let (_, key) = key(cx, args.address(0), private, Access::Read)?;
    let woken = cx.kernel.futexes.wake(Wake { key, count: at_least_one(args.int(2)), bitset });
    Ok(woken as u64)
}

#[inline]
fn wake_one(cx: &Context<'_>, address: u64, private: bool, bitset: u32) -> Result<u64> {
    let (_, key) = key(cx, address, private, Access::Read)?;
    Ok(cx.kernel.futexes.wake_one(key, bitset).into())
}

/// Why an operation under the locks did not happen.
pub(super) enum Stopped {
    Fault(Short),
    Error(Error),
}

/// Runs an operation under the locks until no page is missing.
pub(super) fn attempt<T>(
    cx: &Context<'_>,
    mut operation: impl FnMut() -> Result<T, Stopped>,
) -> Result<T> {
    loop {
        match operation() {
            Ok(value) => return Ok(value),
            Err(Stopped::Fault(short)) => context::resolve(cx.memory(), short)?,
            Err(Stopped::Error(error)) => return Err(error),
        }
    }
}

fn requeue(
    cx: &Context<'_>,
    args: &Arguments,
    private: bool,
    expected: Option<u32>,
) -> Result<u64> {
    let negative = Errno::EINVAL.because("a negative count");
    let count = usize::try_from(args.int(2)).map_err(|_| negative)?;
    let most = usize::try_from(args.int(3)).map_err(|_| negative)?;
    let (word, from) = key(cx, args.address(0), private, Access::Read)?;
    let (_, to) = key(cx, args.address(4), private, Access::Read)?;
    let wake = Wake { key: from, count, bitset: ANY };
    let (woken, moved) = attempt(cx, || {
        cx.kernel.futexes.requeue(wake, most, to, || match expected {
            None => Ok(()),
            Some(expected) => match word.load() {
                Err(short) => Err(Stopped::Fault(short)),
                Ok(value) if value == expected => Ok(()),
                Ok(_) => Err(Stopped::Error(Errno::EAGAIN.because("the word has another value"))),
            },
        })
    })?;
    Ok((woken + moved) as u64)
}

fn wake_op(cx: &Context<'_>, args: &Arguments, private: bool) -> Result<u64> {
    let (_, first) = key(cx, args.address(0), private, Access::Read)?;
    let (word, second) = key(cx, args.address(4), private, Access::Write)?;
    let change = Change::decode(args.uint(5))?;
    let first = Wake { key: first, count: at_least_one(args.int(2)), bitset: ANY };
    let second = Wake { key: second, count: at_least_one(args.int(3)), bitset: ANY };
    let woken = attempt(cx, || {
        cx.kernel.futexes.wake_two(first, second, || {
            change.apply(word).map(|old| change.holds(old)).map_err(Stopped::Fault)
        })
    })?;
    Ok(woken as u64)
}

/// What `FUTEX_WAKE_OP` does to a word, and what it then asks of its old value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    operation: u32,
    operand: i32,
    comparison: u32,
    bound: i32,
}

impl Change {
    fn decode(encoded: u32) -> Result<Self> {
        let signed = |raw: u32| (raw << 20).cast_signed() >> 20;
        let operand = signed(encoded >> 12 & 0xfff);
        let change = Self {
            operation: encoded >> 28 & 7,
            // With FUTEX_OP_ARG_SHIFT the operand counts a bit; Linux looks at its lowest five
            // bits.
            operand: if encoded >> 31 == 1 { 1 << (operand & 31) } else { operand },
            comparison: encoded >> 24 & 15,
            bound: signed(encoded & 0xfff),
        };
        if change.operation > 4 || change.comparison > 5 {
            return Err(Errno::ENOSYS.because("no such operation or comparison in FUTEX_WAKE_OP"));
        }
        Ok(change)
    }

    fn new_value(self, old: u32) -> u32 {
        let operand = self.operand.cast_unsigned();
        match self.operation {
            0 => operand,
            1 => old.wrapping_add(operand),
            2 => old | operand,
            3 => old & !operand,
            _ => old ^ operand,
        }
    }

    fn holds(self, old: u32) -> bool {
        let old = old.cast_signed();
        match self.comparison {
            0 => old == self.bound,
            1 => old != self.bound,
            2 => old < self.bound,
            3 => old <= self.bound,
            4 => old > self.bound,
            _ => old >= self.bound,
        }
    }

    /// Changes the word in one step; gives what it held.
    fn apply(self, word: UserWord) -> Result<u32, Short> {
        let mut old = word.load()?;
        loop {
            let seen = word.compare_exchange(old, self.new_value(old))?;
            if seen == old {
                return Ok(old);
            }
            old = seen;
        }
    }
}

/// `set_robust_list(2)`: head, bytes of it.
pub(super) fn set_robust_list(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.raw(1) != crate::process::futex::robust::HEAD_SIZE {
        return Err(Errno::EINVAL.because("the list head has another size"));
    }
    cx.thread.robust_list.store(args.address(0), core::sync::atomic::Ordering::Relaxed);
    Ok(0)
}

/// `get_robust_list(2)`: thread or 0, where the head goes, where its size goes.
pub(super) fn get_robust_list(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let thread = super::scheduling::thread_of(cx, args.int(0))?;
    let head = thread.robust_list.load(core::sync::atomic::Ordering::Relaxed);
    cx.write(args.address(2), &crate::process::futex::robust::HEAD_SIZE)?;
    cx.write(args.address(1), &head)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::Change;

    #[test]
    fn wake_op_is_decoded_as_linux_does() {
        // ADD 1, old > 1: glibc's condition variables used this one.
        let change = Change::decode(1 << 28 | 4 << 24 | 1 << 12 | 1).expect("valid");
        assert_eq!(change.new_value(u32::MAX), 0);
        assert!(change.holds(2) && !change.holds(1) && !change.holds(u32::MAX));
        // ANDN with a shifted operand, old == -1.
        let change = Change::decode(0xb << 28 | 5 << 12 | 0xfff).expect("valid");
        assert_eq!(change.new_value(0xff), 0xdf);
        assert!(change.holds(u32::MAX));
        assert_eq!(Change::decode(0).expect("SET 0").new_value(9), 0);
        assert_eq!(Change::decode(0xfff << 12).expect("SET -1").new_value(9), u32::MAX);
        assert!(Change::decode(5 << 28).is_err());
        assert!(Change::decode(6 << 24).is_err());
    }
}
