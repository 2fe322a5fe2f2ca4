//! Signals that are pending, for a thread or for a process.

use alloc::collections::VecDeque;

use crate::signal::info::{Info, SI_USER};
use crate::signal::number::{Signal, SignalSet};

/// Pending signals: a set, and what is known about each.
///
/// A standard signal is pending once at most; a real-time signal as often as it was sent.
#[derive(Debug, Default)]
pub struct Queue {
    pending: SignalSet,
    infos: VecDeque<Info>,
}

/// What became of a signal that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is pending now.
    Queued,
    /// A standard signal that was pending already.
    Merged,
    /// It is pending, but what came with it is lost, because the queue is full.
    Bare,
    /// A real-time signal with information that doesn't fit: EAGAIN.
    Refused,
}

impl Queue {
    /// Nothing pending.
    pub const fn new() -> Self {
        Self { pending: SignalSet::EMPTY, infos: VecDeque::new() }
    }

    /// Which are pending.
    pub fn pending(&self) -> SignalSet {
        self.pending
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.infos.len()
    }

    /// Whether it holds no entry.
    pub fn is_empty(&self) -> bool {
        self.infos.is_empty()
    }

    /// Makes a signal pending; `full` says that the sender's `RLIMIT_SIGPENDING` is used up.
    ///
    /// Standard signals of the LibOS itself get their entry whatever the limit says.
    pub fn push(&mut self, info: Info, full: bool) -> Pushed {
        let signal = info.signal;
        if !signal.is_realtime() && self.pending.contains(signal) {
            return Pushed::Merged;
        }
        // A timer's signal had its place when the timer was made.
        let exempt = !signal.is_realtime() && info.code >= 0 || info.is_timers();
        if full && !exempt {
            if signal.is_realtime() && info.code != SI_USER {
                return Pushed::Refused;
            }
            self.pending = self.pending.with(signal);
            return Pushed::Bare;
        }
        self.pending = self.pending.with(signal);
        self.infos.push_back(info);
        Pushed::Queued
    }

    /// Takes the signal that is to be delivered next from those in `wanted`: first what an
    /// instruction caused, then such signals whoever sent them, then the lowest number, the oldest first.
    pub fn take_next(&mut self, wanted: SignalSet) -> Option<Info> {
        let candidates = self.pending.intersection(wanted);
        if candidates.is_empty() {
            return None;
        }
        let synchronous = candidates.intersection(SignalSet::SYNCHRONOUS);
        let first = if synchronous.is_empty() { candidates } else { synchronous };
        self.take_synchronous(candidates).or_else(|| self.take(first.first()?))
    }

    /// Takes what an instruction caused, if it is in `wanted`.
    pub fn take_synchronous(&mut self, wanted: SignalSet) -> Option<Info> {
        let candidates = self.pending.intersection(wanted).intersection(SignalSet::SYNCHRONOUS);
        if candidates.is_empty() {
            return None;
        }
        let caused = |info: &Info| info.code > 0 && candidates.contains(info.signal);
        let at = self.infos.iter().position(caused)?;
        let info = self.infos.remove(at)?;
        self.settle(info.signal);
        Some(info)
    }

    /// Takes the oldest entry of a pending signal.
    pub fn take(&mut self, signal: Signal) -> Option<Info> {
        if !self.pending.contains(signal) {
            return None;
        }
        let at = self.infos.iter().position(|info| info.signal == signal);
        let info = at.and_then(|at| self.infos.remove(at));
        self.settle(signal);
        Some(info.unwrap_or_else(|| Info::sent(signal, SI_USER, 0, 0)))
    }

    /// Forgets all signals in `set`.
    pub fn discard(&mut self, set: SignalSet) {
        if !self.pending.intersection(set).is_empty() {
            self.infos.retain(|info| !set.contains(info.signal));
            self.pending = self.pending.minus(set);
        }
    }

    /// Forgets what a POSIX timer sent.
    pub fn discard_timer(&mut self, id: i32) {
        let mut touched = SignalSet::EMPTY;
        self.infos.retain(|info| {
            let gone = info.timer_id() == Some(id);
            if gone {
                touched = touched.with(info.signal);
            }
            !gone
        });
        while let Some(signal) = touched.first() {
            self.settle(signal);
            touched = touched.minus(SignalSet::of(&[signal]));
        }
    }

    /// Whether a signal of this POSIX timer waits here.
    pub fn holds_timer(&self, id: i32) -> bool {
        self.infos.iter().any(|info| info.timer_id() == Some(id))
    }

    fn settle(&mut self, signal: Signal) {
        if !self.infos.iter().any(|info| info.signal == signal) {
            self.pending = self.pending.minus(SignalSet::of(&[signal]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pushed, Queue};
    use crate::signal::info::{Info, SI_QUEUE, SI_TKILL, SI_USER};
    use crate::signal::number::{Signal, SignalSet};

    const ALL: SignalSet = SignalSet::from_bits(u64::MAX);

    fn signal(number: i32) -> Signal {
        Signal::new(number).expect("a signal number")
    }

    fn order(queue: &mut Queue) -> Vec<(u8, u64)> {
        core::iter::from_fn(|| queue.take_next(ALL))
            .map(|info| (info.signal.number(), info.cause() & 0xffff_ffff))
            .collect()
    }

    #[test]
    fn standard_signals_merge_and_realtime_signals_queue() {
        let mut queue = Queue::new();
        for pid in [1, 2] {
            queue.push(Info::sent(signal(10), SI_USER, pid, 0), false);
            queue.push(Info::sent(signal(40), SI_QUEUE, pid, 0), false);
            queue.push(Info::sent(signal(35), SI_QUEUE, pid, 0), false);
        }
        assert_eq!(order(&mut queue), [(10, 1), (35, 1), (35, 2), (40, 1), (40, 2)]);
        assert!(queue.pending().is_empty());
    }

    #[test]
    fn an_instruction_comes_first() {
        let mut queue = Queue::new();
        queue.push(Info::sent(Signal::INT, SI_USER, 1, 0), false);
        queue.push(Info::sent(Signal::ILL, SI_TKILL, 2, 0), false);
        queue.push(Info::fault(Signal::SEGV, 1, 3), false);
        assert_eq!(order(&mut queue), [(11, 3), (4, 2), (2, 1)]);
    }

    #[test]
    fn a_full_queue_keeps_the_signal_or_refuses() {
        let mut queue = Queue::new();
        assert_eq!(queue.push(Info::sent(signal(40), SI_USER, 1, 0), true), Pushed::Bare);
        assert_eq!(queue.push(Info::sent(signal(41), SI_QUEUE, 1, 0), true), Pushed::Refused);
        assert_eq!(queue.push(Info::sent(signal(12), SI_QUEUE, 1, 0), true), Pushed::Bare);
        assert_eq!(queue.push(Info::kernel(signal(13)), true), Pushed::Queued);
        assert_eq!(queue.push(Info::kernel(signal(13)), true), Pushed::Merged);
        assert_eq!(order(&mut queue), [(12, 0), (13, 0), (40, 0)]);
    }

    #[test]
    fn timers_are_forgotten_one_by_one() {
        let mut queue = Queue::new();
        queue.push(Info::timer(signal(40), 1, 0, 0), false);
        queue.push(Info::timer(signal(40), 2, 0, 0), false);
        queue.discard_timer(1);
        assert!(queue.pending().contains(signal(40)));
        assert!(queue.holds_timer(2) && !queue.holds_timer(1));
        queue.discard_timer(2);
        assert!(queue.pending().is_empty());
    }
}
