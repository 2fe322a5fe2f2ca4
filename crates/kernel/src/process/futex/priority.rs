//! Locks whose owner the LibOS knows: `FUTEX_LOCK_PI` and its kin.
//!
//! The word holds the owner's thread id, and the bit that others wait. All threads have the same
//! priority here, so nothing is inherited; what remains is that a lock is handed to the longest
//! waiting thread, that a thread which waits for itself is told, and that a dead owner's lock goes
//! on.
//!
//! Source: futex(2), "Priority-inheritance futexes".

use abi::Errno;
use abi::errno::{Error, Result};
use platform::user::{Short, UserWord};

use super::robust::{OWNER_DIED, TID, WAITERS};
use super::{ANY, Refused};
use crate::context::{self, Context};
use crate::memory::Access;
use crate::signal::restart::RESTART_ALWAYS;

/// Takes a lock, waiting until `deadline` (monotonic ns; `None` for ever).
///
/// # Errors
/// EDEADLK when the caller owns it, ESRCH when its owner is gone, ETIMEDOUT, EFAULT, EINVAL.
pub(crate) async fn lock(
    cx: &Context<'_>,
    address: u64,
    private: bool,
    deadline: Option<u64>,
) -> Result<u64> {
    let word = UserWord::new(address)?;
    loop {
        let Some(held) = try_take(cx, word)? else { return Ok(0) };
        check_owner(cx, held & TID)?;
        let expected = held | WAITERS;
        if held != expected && exchange(cx, word, held, expected)? != held {
            continue;
        }
        let key = cx.memory().futex_key(address, private, Access::Write)?;
        let futexes = &cx.kernel.futexes;
        let wait = futexes.wait(&cx.thread.futex, key, word, expected, ANY);
        let mut wait = wait.to_own(cx.thread.tid);
        let timed = cx.kernel.executor.timeout(deadline, &mut wait);
        let error = match cx.interruptible(timed).await {
            // Woken by a hand-over it owns the lock; by a plain wake-up it looks again.
            Ok(Ok(Ok(()) | Err(Refused::Changed))) => None,
            Ok(Ok(Err(Refused::Fault(short)))) => {
                context::resolve(cx.memory(), short)?;
                None
            }
            Ok(Err(_)) => Some(Errno::ETIMEDOUT.because("nobody came in time")),
            Err(_) => Some(interrupted()),
        };
        wait.give_up();
        if super::load(cx.memory(), word)? & TID == cx.thread.tid {
            return Ok(0);
        }
        if let Some(error) = error {
            return Err(error);
        }
    }
}

/// Takes a lock if it is free.
///
/// # Errors
/// EAGAIN when it isn't, EDEADLK when the caller owns it, EFAULT, EINVAL.
pub(crate) fn try_lock(cx: &Context<'_>, address: u64) -> Result<u64> {
    match try_take(cx, UserWord::new(address)?)? {
        None => Ok(0),
        Some(_) => Err(Errno::EAGAIN.because("another thread owns the lock")),
    }
}

/// Gives up a lock: to the longest waiting thread, if one waits.
///
/// # Errors
/// EPERM when the caller does not own it, EFAULT, EINVAL.
pub(crate) fn unlock(cx: &Context<'_>, address: u64, private: bool) -> Result<u64> {
    let word = UserWord::new(address)?;
    if super::load(cx.memory(), word)? & TID != cx.thread.tid {
        return Err(Errno::EPERM.because("the caller does not own the lock"));
    }
    let key = cx.memory().futex_key(address, private, Access::Write)?;
    hand_over(cx, word, key, 0)?;
    Ok(0)
}

/// Gives up a lock of the calling thread, which ends: its next owner learns that it died.
///
/// # Errors
/// EFAULT.
pub(crate) fn leave(cx: &Context<'_>, word: UserWord) -> Result<()> {
    let key = cx.memory().futex_key(word.address(), false, Access::Write)?;
    hand_over(cx, word, key, OWNER_DIED)
}

fn hand_over(cx: &Context<'_>, word: UserWord, key: crate::memory::Key, mark: u32) -> Result<()> {
    loop {
        let passed = cx.kernel.futexes.hand_over(key, |next, more| {
            let waiters = if more { WAITERS } else { 0 };
            replace(word, next | waiters | mark)
        });
        match passed {
            Ok(_) => return Ok(()),
            Err(short) => context::resolve(cx.memory(), short)?,
        }
    }
}

/// Writes a word that others may set bits in meanwhile.
fn replace(word: UserWord, new: u32) -> Result<(), Short> {
    let mut old = word.load()?;
    loop {
        let seen = word.compare_exchange(old, new)?;
        if seen == old {
            return Ok(());
        }
        old = seen;
    }
}

/// Takes a free lock; otherwise gives the word as it was.
fn try_take(cx: &Context<'_>, word: UserWord) -> Result<Option<u32>> {
    loop {
        let held = super::load(cx.memory(), word)?;
        if held & TID == cx.thread.tid {
            return Err(Errno::EDEADLK.because("the caller owns the lock"));
        }
        if held & TID != 0 {
            return Ok(Some(held));
        }
        // Whether its owner died, and whether others wait, stays in the word.
        if exchange(cx, word, held, held | cx.thread.tid)? == held {
            return Ok(None);
        }
    }
}

fn exchange(cx: &Context<'_>, word: UserWord, old: u32, new: u32) -> Result<u32> {
    loop {
        match word.compare_exchange(old, new) {
            Ok(seen) => return Ok(seen),
            Err(short) => context::resolve(cx.memory(), short)?,
        }
    }
}

fn check_owner(cx: &Context<'_>, owner: u32) -> Result<()> {
    match cx.kernel.registry.thread(owner) {
        Some(_) => Ok(()),
        None => Err(Errno::ESRCH.because("the lock's owner is no thread")),
    }
}

fn interrupted() -> Error {
    let errno = Errno::from_raw(RESTART_ALWAYS).unwrap_or(Errno::ERESTARTSYS);
    errno.because("a signal came")
}
