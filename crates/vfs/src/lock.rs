//! Advisory locks on files: records of fcntl(2), whole files of flock(2).
//!
//! Source: fcntl(2), flock(2), `fcntl_locking(2)`.

use alloc::vec::Vec;
use core::ops::Range;

use executor::wait_queue::WaitQueue;
use platform::sync::Mutex;

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
}

/// The locks of one file.
pub struct Locks {
    held: Mutex<Held>,
    changed: WaitQueue,
}

struct Held {
    records: Vec<Record>,
    whole: Vec<(Holder, Mode)>,
}

impl Locks {
    /// No locks.
    pub const fn new() -> Self {
        Self {
            held: Mutex::new(Held { records: Vec::new(), whole: Vec::new() }),
            changed: WaitQueue::new(),
        }
    }

    /// Woken when a lock was given up or weakened.
    pub fn changed(&self) -> &WaitQueue {
        &self.changed
    }

    /// The first lock of somebody else that stands in the way of `wanted` (`F_GETLK`).
    pub fn conflict(&self, wanted: &Record) -> Option<Record> {
        self.held.lock().conflict(wanted).cloned()
    }

    /// Takes a record lock, replacing what the holder has on those bytes; false when somebody else's
    /// stands in the way.
    pub fn take(&self, wanted: Record) -> bool {
        {
            let mut held = self.held.lock();
            if held.conflict(&wanted).is_some() {
                return false;
            }
            held.cut(wanted.holder, &wanted.bytes);
            held.records.push(wanted);
        }
        // It may be weaker than what it replaced.
        self.changed.wake_all();
        true
    }

    /// Gives a holder's record locks on some bytes up.
    pub fn release(&self, holder: Holder, bytes: &Range<u64>) {
        self.held.lock().cut(holder, bytes);
        self.changed.wake_all();
    }

    /// Takes the lock on the whole file (flock); false when somebody else's stands in the way.
    ///
    /// As in Linux, a conversion gives the old lock up first, also when it then fails.
    pub fn take_whole(&self, holder: Holder, mode: Mode) -> bool {
        let taken = {
            let mut held = self.held.lock();
            if held.whole.contains(&(holder, mode)) {
                return true;
            }
            held.whole.retain(|(other, _)| *other != holder);
            let free = held
                .whole
                .iter()
                .all(|(_, theirs)| *theirs == Mode::Shared && mode == Mode::Shared);
            if free {
                held.whole.push((holder, mode));
            }
            free
        };
        self.changed.wake_all();
        taken
    }

    /// Gives the lock on the whole file up.
    pub fn release_whole(&self, holder: Holder) {
        self.held.lock().whole.retain(|(other, _)| *other != holder);
        self.changed.wake_all();
    }

    /// Gives all of a holder's locks up: its description or its process let go of the file.
    pub fn release_all(&self, holder: Holder) {
        {
            let mut held = self.held.lock();
            if held.records.is_empty() && held.whole.is_empty() {
                return;
            }
            held.records.retain(|record| record.holder != holder);
            held.whole.retain(|(other, _)| *other != holder);
        }
        self.changed.wake_all();
    }
}

impl Default for Locks {
    fn default() -> Self {
        Self::new()
    }
}

impl Held {
    fn conflict(&self, wanted: &Record) -> Option<&Record> {
        self.records
            .iter()
            .filter(|held| {
                held.holder != wanted.holder
                    && held.bytes.start < wanted.bytes.end
                    && wanted.bytes.start < held.bytes.end
                    && (held.mode == Mode::Exclusive || wanted.mode == Mode::Exclusive)
            })
            .min_by_key(|held| held.bytes.start)
    }

    /// Takes `bytes` out of the holder's records, splitting those that reach beyond.
    fn cut(&mut self, holder: Holder, bytes: &Range<u64>) {
        let mut rest = Vec::new();
        self.records.retain(|record| {
            let apart = record.bytes.end <= bytes.start || bytes.end <= record.bytes.start;
            if record.holder != holder || apart {
                return true;
            }
            for piece in [record.bytes.start..bytes.start, bytes.end..record.bytes.end] {
                if piece.start < piece.end {
                    rest.push(Record { bytes: piece, ..record.clone() });
                }
            }
            false
        });
        self.records.append(&mut rest);
    }
}

#[cfg(test)]
mod tests {
    use super::{Holder, Locks, Mode, Record};

    const A: Holder = Holder::Process(1);
    const B: Holder = Holder::Process(2);

    fn record(holder: Holder, bytes: core::ops::Range<u64>, mode: Mode) -> Record {
        Record { holder, bytes, mode }
    }

    #[test]
    fn records_split_and_convert() {
        let locks = Locks::new();
        assert!(locks.take(record(A, 0..100, Mode::Exclusive)));
        assert!(!locks.take(record(B, 50..60, Mode::Shared)));
        locks.release(A, &(40..60));
        assert!(locks.take(record(B, 40..60, Mode::Shared)));
        assert!(!locks.take(record(B, 39..41, Mode::Shared)));
        assert!(!locks.take(record(A, 0..100, Mode::Exclusive)));
        assert!(locks.take(record(A, 0..100, Mode::Shared)));
        let found = locks.conflict(&record(B, 0..u64::MAX, Mode::Exclusive));
        assert_eq!(found, Some(record(A, 0..100, Mode::Shared)));
        locks.release_all(A);
        assert!(locks.take(record(B, 0..u64::MAX, Mode::Exclusive)));
    }

    #[test]
    fn whole_files_are_shared_or_not() {
        let locks = Locks::new();
        let (one, two) = (Holder::Description(1), Holder::Description(2));
        assert!(locks.take_whole(one, Mode::Shared));
        assert!(locks.take_whole(two, Mode::Shared));
        assert!(!locks.take_whole(one, Mode::Exclusive));
        locks.release_whole(two);
        assert!(locks.take_whole(one, Mode::Exclusive));
        assert!(!locks.take_whole(two, Mode::Shared));
    }
}
