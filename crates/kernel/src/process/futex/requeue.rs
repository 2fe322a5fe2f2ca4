//! Moving waiters from a word on to a priority-inheriting lock: `FUTEX_WAIT_REQUEUE_PI` and
//! `FUTEX_CMP_REQUEUE_PI`.
//!
//! Who waits to be moved says at its waiter which lock it is to be moved to. It is woken as the lock's
//! owner, by who moves it when the lock is free or by who unlocks it later.
//!
//! Source: futex(2).

use core::sync::atomic::Ordering;
use core::task::Waker;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::user::{Short, UserWord};

use super::priority::{Taken, interrupted, take_for};
use super::robust::TID;
use super::{ANY, Futexes, Refused};
use crate::context::{self, Context};
use crate::memory::{Access, Key};

/// Bit of [`super::list::Occupant::owner`]: it is to own a lock only after it was moved there.
pub(super) const LATER: u32 = 0x8000_0000;
/// [`super::Waiter::target`]: it was moved.
const MOVED: u64 = 0;

/// Why an operation under the locks did not happen.
#[derive(Debug)]
pub enum Stopped {
    /// A page is missing.
    Fault(Short),
    /// It can't be.
    Error(Error),
}

impl From<Short> for Stopped {
    fn from(short: Short) -> Self {
        Self::Fault(short)
    }
}

impl Futexes {
    /// Gives the lock on `target` to the first waiter on `from` if `take` gets it for that one, and moves
    /// up to `most` others over to the lock. Gives how many were woken or moved.
    fn requeue_to_lock(
        &self,
        from: Key,
        target: Key,
        most: usize,
        check: impl FnOnce() -> Result<(), Stopped>,
        take: impl FnOnce(u32) -> Result<Taken, Stopped>,
    ) -> Result<usize, Stopped> {
        let (source_bucket, bucket) = (Self::bucket_of(from), Self::bucket_of(target));
        let mut woken: Option<Waker> = None;
        let moved = {
            let (mut source, mut destination) = self.lock_two(source_bucket, bucket);
            check()?;
            let Some((entry, owner)) = source.first_to_move(&from, target.mixed() | 1)? else {
                return Ok(0);
            };
            let mut most = most;
            match take(owner)? {
                Taken::Free => {
                    let occupant = source.remove(entry);
                    woken = occupant.map(super::list::Occupant::woken);
                }
                // The one that was to be woken is moved instead.
                Taken::Held => most = most.saturating_add(1),
            }
            match &mut destination {
                None => source.rename(&from, target, most, bucket),
                Some(destination) => source.transfer(destination, &from, target, most, bucket),
            }
        };
        let count = moved + usize::from(woken.is_some());
        if let Some(waker) = woken {
            waker.wake();
        }
        Ok(count)
    }
}

/// Waits on a word, to be moved on to a lock and to own that.
///
/// # Errors
/// EAGAIN (another value, or woken without the lock), ETIMEDOUT, EINVAL, EFAULT; when a signal comes
/// before the thread was moved the call begins anew, later it ends with EAGAIN.
pub(crate) async fn wait(
    cx: &Context<'_>,
    [address, target]: [u64; 2],
    value: u32,
    private: bool,
    deadline: Option<u64>,
) -> Result<u64> {
    let same = Errno::EINVAL.because("a word and the lock that comes after it are the same");
    if address == target {
        return Err(same);
    }
    let word = UserWord::new(address)?;
    let lock = UserWord::new(target)?;
    loop {
        let target = cx.memory().futex_key(target, private, Access::Write)?;
        let key = cx.memory().futex_key(address, private, Access::Read)?;
        if key == target {
            return Err(same);
        }
        let waiter = &cx.thread.futex;
        waiter.target.store(target.mixed() | 1, Ordering::Relaxed);
        let wait = cx.kernel.futexes.wait(waiter, key, word, value, ANY);
        let mut wait = wait.to_own(cx.thread.tid | LATER);
        let timed = cx.kernel.executor.timeout(deadline, &mut wait);
        let ended = match cx.interruptible(timed).await {
            Ok(Ok(Ok(()))) => Errno::EAGAIN.because("woken without the lock"),
            Ok(Ok(Err(Refused::Changed))) => {
                return Err(Errno::EAGAIN.because("the word has another value"));
            }
            Ok(Ok(Err(Refused::Fault(short)))) => {
                context::resolve(cx.memory(), short)?;
                continue;
            }
            Ok(Err(_)) => Errno::ETIMEDOUT.because("nobody came in time"),
            Err(_) => interrupted(),
        };
        wait.give_up();
        if super::load(cx.memory(), lock)? & TID == cx.thread.tid {
            return Ok(0);
        }
        let moved = waiter.target.load(Ordering::Acquire) == MOVED;
        if moved && ended.errno != Errno::ETIMEDOUT {
            return Err(Errno::EAGAIN.because("a signal came after the thread was moved"));
        }
        return Err(ended);
    }
}

/// Moves waiters from a word on to a lock; gives how many, the one included that got it.
///
/// # Errors
/// EAGAIN when the word has another value, EINVAL when somebody waits there for something else, ESRCH
/// when the lock's owner is gone, EDEADLK when the waiter owns it, EFAULT.
pub(crate) fn requeue(
    cx: &Context<'_>,
    [address, target]: [u64; 2],
    most: usize,
    private: bool,
    expected: u32,
) -> Result<u64> {
    let same = Errno::EINVAL.because("a word and the lock that comes after it are the same");
    if address == target {
        return Err(same);
    }
    let word = UserWord::new(address)?;
    let lock = UserWord::new(target)?;
    let from = cx.memory().futex_key(address, private, Access::Read)?;
    let to = cx.memory().futex_key(target, private, Access::Write)?;
    if from == to {
        return Err(same);
    }
    loop {
        let check = || match word.load()? {
            value if value == expected => Ok(()),
            _ => Err(Stopped::Error(Errno::EAGAIN.because("the word has another value"))),
        };
        let take = |owner| take_for(cx, lock, owner, most > 0);
        match cx.kernel.futexes.requeue_to_lock(from, to, most, check, take) {
            Ok(count) => return Ok(count as u64),
            Err(Stopped::Fault(short)) => context::resolve(cx.memory(), short)?,
            Err(Stopped::Error(error)) => return Err(error),
        }
    }
}
