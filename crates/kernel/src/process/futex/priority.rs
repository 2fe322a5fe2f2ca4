//! Locks whose owner the LibOS knows: `FUTEX_LOCK_PI` and its kin.
//!
//! The word holds the owner's thread id, and the bit that others wait. Priorities weigh nothing here, so
//! nothing is inherited; what remains is that a lock is handed to the longest waiting thread, that
//! threads which would wait for each other are told, and that a dead owner's lock goes on.
//!
//! Source: futex(2), "Priority-inheritance futexes".

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::errno::{Error, Result};
use platform::sync::Mutex;
use platform::user::{Short, UserWord};

use super::requeue::Stopped;
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
        let Some(held) = try_take(cx, word, private)? else { return Ok(0) };
        let expected = held | WAITERS;
        if held != expected && exchange(cx, word, held, expected)? != held {
            continue;
        }
        check_owner(cx, held & TID)?;
        let _waits = Waits::on(cx, word)?;
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
pub(crate) fn try_lock(cx: &Context<'_>, address: u64, private: bool) -> Result<u64> {
    let word = UserWord::new(address)?;
    match try_take(cx, word, private)? {
        None => Ok(0),
        Some(held) if check_owner(cx, held & TID).is_err() => {
            let _ = exchange(cx, word, held, held | WAITERS)?;
            Err(Errno::ESRCH.because("the lock's owner is no thread"))
        }
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
fn try_take(cx: &Context<'_>, word: UserWord, private: bool) -> Result<Option<u32>> {
    loop {
        let held = super::load(cx.memory(), word)?;
        if held & TID == cx.thread.tid {
            return Err(Errno::EDEADLK.because("the caller owns the lock"));
        }
        if held & TID != 0 {
            return Ok(Some(held));
        }
        // That its owner died stays in the word; that others wait as long as it is true.
        let mut kept = held & OWNER_DIED;
        if held & WAITERS != 0 {
            let key = cx.memory().futex_key(word.address(), private, Access::Write)?;
            kept |= if cx.kernel.futexes.somebody_waits(key) { WAITERS } else { 0 };
        }
        if exchange(cx, word, held, kept | cx.thread.tid)? == held {
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

/// Whether a lock could be had for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was free and is that one's now.
    Free,
    /// Somebody has it, and is told that others wait.
    Held,
}

/// Takes a lock for the thread `owner`, which waits elsewhere; `others`: more will wait for it.
pub(super) fn take_for(
    cx: &Context<'_>,
    word: UserWord,
    owner: u32,
    others: bool,
) -> Result<Taken, Stopped> {
    loop {
        let held = word.load()?;
        if held & TID == owner {
            let own = Errno::EDEADLK.because("who waits to be moved owns the lock");
            return Err(Stopped::Error(own));
        }
        let (new, taken) = if held & TID == 0 {
            let waiters = if others { WAITERS } else { 0 };
            (held & OWNER_DIED | owner | waiters, Taken::Free)
        } else {
            check_owner(cx, held & TID).map_err(Stopped::Error)?;
            (held | WAITERS, Taken::Held)
        };
        if word.compare_exchange(held, new)? == held {
            return Ok(taken);
        }
    }
}

/// So far is looked whether threads would wait for each other, as in Linux.
const CHAIN_MAX: usize = 1024;
/// Held while a thread says what it waits for and looks whether that leads back to it: of threads that
/// close a ring, the last is told.
static CHAIN: Mutex<()> = Mutex::new(());

/// A thread's word that it waits for a lock; dropped, it waits no more.
struct Waits<'a>(&'a AtomicU64);

impl<'a> Waits<'a> {
    /// # Errors
    /// EDEADLK when the lock's owner waits, over however many others, for the caller.
    fn on(cx: &'a Context<'_>, word: UserWord) -> Result<Self> {
        let chain = CHAIN.lock();
        let mut at = word;
        let mut before = 0;
        for _ in 0..CHAIN_MAX {
            // What can't be read, or is no lock, leads nowhere.
            let Ok(held) = at.load() else { break };
            if held & TID == cx.thread.tid {
                return Err(Errno::EDEADLK.because("the lock's owner waits for the caller"));
            }
            // Who was given the lock that it waited for need not have noticed yet.
            if held & TID == core::mem::replace(&mut before, held & TID) {
                break;
            }
            let Some(owner) = cx.kernel.registry.thread(held & TID) else { break };
            let next = owner.waits_on.load(Ordering::Relaxed);
            if next == 0 || !Arc::ptr_eq(&owner.process, cx.process) {
                break;
            }
            let Ok(next) = UserWord::new(next) else { break };
            at = next;
        }
        cx.thread.waits_on.store(word.address(), Ordering::Relaxed);
        drop(chain);
        Ok(Self(&cx.thread.waits_on))
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

pub(super) fn interrupted() -> Error {
    let errno = Errno::from_raw(RESTART_ALWAYS).unwrap_or(Errno::ERESTARTSYS);
    errno.because("a signal came")
}
