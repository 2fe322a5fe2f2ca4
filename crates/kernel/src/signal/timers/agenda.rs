//! Which timers are due when.

use alloc::collections::BTreeSet;

use super::Which;

/// One timer of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    /// Of setitimer(2).
    Interval(Which),
    /// Of `timer_create(2)`, by its id.
    Posix(i32),
}

/// Timers that count the same: within a line, instants can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Never due: nobody is told.
    Nobody,
    /// Monotonic time.
    Monotonic,
    /// Time since 1970.
    Realtime,
    /// The process's processor time.
    Process,
    /// Threads' processor time, each its own: here the order says nothing.
    Thread,
}

/// The armed timers of a process, each with the time of its clock at which it is due.
#[derive(Debug, Default)]
pub(super) struct Agenda([BTreeSet<(u64, Entry)>; 4]);

impl Agenda {
    fn line(&mut self, line: Line) -> Option<&mut BTreeSet<(u64, Entry)>> {
        let index = match line {
            Line::Nobody => return None,
            Line::Monotonic => 0,
            Line::Realtime => 1,
            Line::Process => 2,
            Line::Thread => 3,
        };
        self.0.get_mut(index)
    }

    /// Takes a timer off that was due at `deadline`.
    pub(super) fn remove(&mut self, line: Line, deadline: Option<u64>, entry: Entry) {
        if let (Some(line), Some(deadline)) = (self.line(line), deadline) {
            line.remove(&(deadline, entry));
        }
    }

    /// Moves a timer from one time to another.
    pub(super) fn move_to(
        &mut self,
        line: Line,
        before: Option<u64>,
        deadline: Option<u64>,
        entry: Entry,
    ) {
        self.remove(line, before, entry);
        if let (Some(line), Some(deadline)) = (self.line(line), deadline) {
            line.insert((deadline, entry));
        }
    }

    /// The earliest time of a line.
    pub(super) fn earliest(&mut self, line: Line) -> Option<u64> {
        self.line(line)?.first().map(|(deadline, _)| *deadline)
    }

    /// Takes off the first of a line if it is due at `now`.
    pub(super) fn take_due(&mut self, line: Line, now: u64) -> Option<Entry> {
        let line = self.line(line)?;
        let (deadline, _) = line.first()?;
        if *deadline > now {
            return None;
        }
        line.pop_first().map(|(_, entry)| entry)
    }

    /// The timers on threads' processor time, with the time at which each is due.
    pub(super) fn of_threads(&self) -> impl Iterator<Item = (u64, Entry)> {
        let [.., threads] = &self.0;
        threads.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Agenda, Entry, Line};

    #[test]
    fn lines_are_kept_apart_and_in_order() {
        let mut agenda = Agenda::default();
        for (id, at) in [(1, 30), (2, 10), (3, 20)] {
            agenda.move_to(Line::Monotonic, None, Some(at), Entry::Posix(id));
        }
        agenda.move_to(Line::Process, None, Some(5), Entry::Posix(4));
        agenda.move_to(Line::Nobody, None, Some(1), Entry::Posix(5));
        agenda.move_to(Line::Monotonic, Some(10), Some(40), Entry::Posix(2));
        assert_eq!(agenda.earliest(Line::Monotonic), Some(20));
        assert_eq!(agenda.take_due(Line::Monotonic, 19), None);
        assert_eq!(agenda.take_due(Line::Monotonic, 35), Some(Entry::Posix(3)));
        assert_eq!(agenda.take_due(Line::Monotonic, 35), Some(Entry::Posix(1)));
        assert_eq!(agenda.take_due(Line::Monotonic, 35), None);
        agenda.remove(Line::Monotonic, Some(40), Entry::Posix(2));
        assert_eq!(agenda.earliest(Line::Monotonic), None);
        assert_eq!(agenda.earliest(Line::Process), Some(5));
        assert_eq!(agenda.earliest(Line::Nobody), None);
    }
}
