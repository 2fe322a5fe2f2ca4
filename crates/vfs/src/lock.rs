//! Advisory locks on files: records of fcntl(2), whole files of flock(2).
//!
//! Source: fcntl(2), flock(2), `fcntl_locking(2)`, `proc_locks(5)`.

pub mod shown;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::budget;
use platform::sync::{Mutex, Once};

/// With less memory left than this, no more locks are given.
const RESERVE: u64 = 1 << 20;
/// So many waits in a row are looked through for one that waits for the first.
const CHAIN: usize = 10;

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process (`F_SETLK)`: all its locks on a file go when it closes any descriptor of the file.
    Process(u32),
    /// An open file description (`F_OFD_SETLK`, flock), by [`crate::object::OpenFile::identity`].
    Description(u64),
}

/// What a lock admits beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Other shared locks.
    Shared,
    /// Nothing.
    Exclusive,
}

/// A held record lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who holds it.
    pub holder: Holder,
    /// Its bytes; an end of `u64::MAX` reaches beyond any end of the file.
    pub bytes: Range<u64>,
    /// What it admits.
    pub mode: Mode,
    /// Through which description it was taken, to be shown with that.
    pub by: u64,
}

/// A lock on a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Which description holds it.
    pub holder: Holder,
    /// What it admits.
    pub mode: Mode,
    /// The process that took it, to be shown.
    pub pid: u32,
}

/// A lock that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Of some bytes.
    Record(Record),
    /// Of a whole file.
    Whole(Whole),
}

/// The locks of one file; most files never have any.
pub struct Locks {
    inner: Once<Arc<Inner>>,
}

pub(crate) struct Inner {
    held: Mutex<Held>,
    changed: WaitQueue,
}

#[derive(Default)]
struct Held {
    /// Those of one holder stand together, in order of their bytes.
    records: Vec<Record>,
    whole: Vec<Whole>,
    /// What is waited for, by the number of the wait.
    waiting: Vec<(usize, Wanted)>,
    /// Device and inode, once there was a lock.
    file: Option<(u64, u64)>,
}

/// Who waits for a lock of whom, of processes that wait for one of records.
static BLOCKED: Mutex<Vec<(usize, Holder, Holder)>> = Mutex::new(Vec::new());

static NEXT_WAIT: AtomicUsize = AtomicUsize::new(0);

/// Somebody waits, as long as this is there.
pub struct Waiting {
    inner: Arc<Inner>,
    number: usize,
}

impl Locks {
    /// No locks.
    pub const fn new() -> Self {
        Self { inner: Once::new() }
    }

    fn inner(&self) -> &Arc<Inner> {
        loop {
            if let Some(inner) = self.inner.get() {
                return inner;
            }
            let held = Mutex::new(Held::default());
            self.inner.set(Arc::new(Inner { held, changed: WaitQueue::new() }));
        }
    }

    /// Woken when a lock was given up or weakened.
    pub fn changed(&self) -> &WaitQueue {
        &self.inner().changed
    }

    /// Says which device and inode the locks are shown with.
    pub fn set_file(&self, device: u64, inode: u64) {
        let inner = self.inner();
        let new = inner.held.lock().file.replace((device, inode)).is_none();
        if new {
            shown::remember(inner);
        }
    }

    /// The first lock of somebody else that stands in the way of `wanted` (`F_GETLK`).
    pub fn conflict(&self, wanted: &Record) -> Option<Record> {
        self.inner.get()?.held.lock().conflict(wanted).cloned()
    }

    /// Takes a record lock, replacing what the holder has on those bytes; false when somebody else's
    /// stands in the way.
    ///
    /// # Errors
    /// ENOLCK when there is no memory for more locks.
    pub fn take(&self, wanted: Record) -> Result<bool> {
        check_memory()?;
        let inner = self.inner();
        {
            let mut held = inner.held.lock();
            if held.conflict(&wanted).is_some() {
                return Ok(false);
            }
            let bytes = wanted.bytes.clone();
            held.replace(wanted.holder, &bytes, Some(wanted));
        }
        // It may be weaker than what it replaced.
        inner.changed.wake_all();
        Ok(true)
    }

    /// Gives a holder's record locks on some bytes up.
    ///
    /// # Errors
    /// ENOLCK when there is no memory for the parts.
    pub fn release(&self, holder: Holder, bytes: &Range<u64>) -> Result<()> {
        let Some(inner) = self.inner.get() else { return Ok(()) };
        if bytes.end != u64::MAX {
            check_memory()?;
        }
        inner.held.lock().replace(holder, bytes, None);
        inner.changed.wake_all();
        Ok(())
    }

    /// Takes the lock on the whole file (flock); false when somebody else's stands in the way.
    ///
    /// As in Linux, a conversion gives the old lock up first, also when it then fails.
    ///
    /// # Errors
    /// ENOLCK when there is no memory for more locks.
    pub fn take_whole(&self, wanted: Whole) -> Result<bool> {
        check_memory()?;
        let Whole { holder, mode, .. } = wanted;
        let inner = self.inner();
        let (taken, changed) = {
            let mut held = inner.held.lock();
            if held.whole.iter().any(|whole| whole.holder == holder && whole.mode == mode) {
                return Ok(true);
            }
            let before = held.whole.len();
            held.whole.retain(|other| other.holder != holder);
            let changed = held.whole.len() < before;
            let shared = |other: &Whole| other.mode == Mode::Shared && mode == Mode::Shared;
            let free = held.whole.iter().all(shared);
            if free {
                held.whole.push(wanted);
            }
            (free, changed)
        };
        // Not for nothing: who waits and tries again would wake itself.
        if changed {
            inner.changed.wake_all();
        }
        Ok(taken)
    }

    /// Gives the lock on the whole file up.
    pub fn release_whole(&self, holder: Holder) {
        let Some(inner) = self.inner.get() else { return };
        inner.held.lock().whole.retain(|other| other.holder != holder);
        inner.changed.wake_all();
    }

    /// Gives all of a holder's locks up: its description or its process let go of the file.
    pub fn release_all(&self, holder: Holder) {
        let Some(inner) = self.inner.get() else { return };
        {
            let mut held = inner.held.lock();
            if held.records.is_empty() && held.whole.is_empty() {
                return;
            }
            held.records.retain(|record| record.holder != holder);
            held.whole.retain(|other| other.holder != holder);
        }
        inner.changed.wake_all();
    }

    /// Notes that somebody is about to wait for a lock, so that it is shown, and others can tell that to
    /// wait for it would be a circle.
    ///
    /// # Errors
    /// EDEADLK when a process would wait for one that waits for it.
    pub fn wait(&self, wanted: Wanted) -> Result<Waiting> {
        let inner = Arc::clone(self.inner());
        let number = NEXT_WAIT.fetch_add(1, Ordering::Relaxed);
        if let Wanted::Record(record) = &wanted
            && let Holder::Process(_) = record.holder
            && let Some(blocker) = inner.held.lock().conflict(record).map(|found| found.holder)
        {
            block(number, record.holder, blocker)?;
        }
        inner.held.lock().waiting.push((number, wanted));
        Ok(Waiting { inner, number })
    }
}

/// Notes that one holder waits for another.
fn block(number: usize, waiter: Holder, blocker: Holder) -> Result<()> {
    let mut blocked = BLOCKED.lock();
    let mut at = blocker;
    for _ in 0..CHAIN {
        let Some((_, _, next)) = blocked.iter().find(|(_, who, _)| *who == at) else { break };
        at = *next;
        if at == waiter {
            return Err(Errno::EDEADLK.because("who holds the lock waits for one of the caller's"));
        }
    }
    blocked.push((number, waiter, blocker));
    Ok(())
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.inner.held.lock().waiting.retain(|(number, _)| *number != self.number);
        BLOCKED.lock().retain(|(number, ..)| *number != self.number);
    }
}

fn check_memory() -> Result<()> {
    if budget::available() < RESERVE {
        return Err(Errno::ENOLCK.because("the memory limit leaves nothing for locks"));
    }
    Ok(())
}

impl Default for Locks {
    fn default() -> Self {
        Self::new()
    }
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

fn in_the_way(held: &Record, wanted: &Record) -> bool {
    held.holder != wanted.holder
        && overlap(&held.bytes, &wanted.bytes)
        && (held.mode == Mode::Exclusive || wanted.mode == Mode::Exclusive)
}

impl Held {
    fn conflict(&self, wanted: &Record) -> Option<&Record> {
        self.records.iter().find(|held| in_the_way(held, wanted))
    }

    /// Takes `bytes` out of the holder's records, splitting those that reach beyond, and puts a new record
    /// there, one with its equal neighbours.
    fn replace(&mut self, holder: Holder, bytes: &Range<u64>, mut new: Option<Record>) {
        let first = self.records.iter().position(|record| record.holder == holder);
        let at = first.unwrap_or(self.records.len());
        let mut rest = Vec::new();
        self.records.retain(|record| {
            if record.holder != holder {
                return true;
            }
            let joins = |new: &mut Record| {
                let touches =
                    record.bytes.start <= new.bytes.end && new.bytes.start <= record.bytes.end;
                if touches && record.mode == new.mode {
                    new.bytes.start = new.bytes.start.min(record.bytes.start);
                    new.bytes.end = new.bytes.end.max(record.bytes.end);
                    return true;
                }
                false
            };
            if new.as_mut().is_some_and(joins) {
                return false;
            }
            if !overlap(&record.bytes, bytes) {
                rest.push(record.clone());
                return false;
            }
            for piece in [record.bytes.start..bytes.start, bytes.end..record.bytes.end] {
                if piece.start < piece.end {
                    rest.push(Record { bytes: piece, ..record.clone() });
                }
            }
            false
        });
        rest.extend(new);
        rest.sort_unstable_by_key(|record| record.bytes.start);
        self.records.splice(at..at, rest);
    }
}
