//! A vCPU without work: it looks around, spins as long as that has paid, then sleeps in the host.

use alloc::vec::Vec;

use crate::executor::{Executor, Vcpu};
use crate::sync::{Ordering, fence};
use crate::task::Runnable;
use crate::timer::NEVER;

/// A task that waits alone behind a busy vCPU is left to it for so long before a spinner takes it:
/// mostly the running task has woken it and is about to block.
const LONE_PATIENCE: u64 = 5_000;

/// What one vCPU's loop keeps for the times without work.
pub(crate) struct Idler {
    executor: &'static Executor,
    vcpu: usize,
    spin: Spin,
    /// Tasks on their way from one queue to another; kept for its memory.
    moving: Vec<Runnable>,
}

impl Idler {
    pub(crate) fn new(executor: &'static Executor, vcpu: usize) -> Self {
        let spin = Spin::new(executor.spin_limit);
        Self { executor, vcpu, spin, moving: Vec::new() }
    }

    fn me(&self) -> &'static Vcpu {
        &self.executor.vcpus[self.vcpu]
    }

    /// Waits for a task to run; `None` when the executor stops.
    #[cold]
    pub(crate) fn find_work(&mut self) -> Option<Runnable> {
        self.me().free.store(true, Ordering::Relaxed);
        let found = self.search();
        self.me().free.store(false, Ordering::Relaxed);
        // Whoever queued a task while this vCPU was free left the tick alone: the look at the queue that
        // follows must not come before the mark.
        fence(Ordering::SeqCst);
        // If this vCPU watched the timers of the others while it slept, somebody else has to now.
        if found.is_some() {
            let earliest = self.executor.earliest_timer();
            if earliest != NEVER {
                self.executor.watch_over(earliest);
            }
        }
        found
    }

    fn search(&mut self) -> Option<Runnable> {
        while !self.executor.is_stopping() {
            let found = self.look(1).or_else(|| self.spin()).or_else(|| self.sleep());
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Takes in events and timers; takes a task from here, or from a queue that holds `enough`.
    fn look(&mut self, enough: usize) -> Option<Runnable> {
        let executor = self.executor;
        executor.machine.poll_events(self.vcpu);
        for vcpu in &executor.vcpus {
            vcpu.timers.fire_due(executor.machine);
        }
        self.me().queue.pop().or_else(|| self.steal(enough))
    }

    /// Takes half of the longest queue that holds `enough`, at least one task; of another such queue if
    /// nothing there may run here.
    fn steal(&mut self, enough: usize) -> Option<Runnable> {
        let (victim, length) = self.longest()?;
        if length < enough {
            return None;
        }
        self.take(victim, length.div_ceil(2));
        self.me().queue.pop().or_else(|| {
            for vcpu in &self.executor.vcpus {
                if self.me().queue.len() == 0 && vcpu.queue.len() >= enough {
                    self.take(vcpu, 1);
                }
            }
            self.me().queue.pop()
        })
    }

    /// Evens the queues out: takes over half of what the fullest one has more than this one.
    ///
    /// At a preemption (`rotate`) one more task is enough, so that three tasks on two vCPUs take turns.
    #[cold]
    pub(crate) fn even_out(&mut self, rotate: bool) {
        let mine = self.me().queue.len();
        if let Some((victim, length)) = self.longest() {
            let excess = length.saturating_sub(mine);
            let count = if rotate { excess.div_ceil(2) } else { excess / 2 };
            if count != 0 {
                self.take(victim, count);
            }
        }
    }

    fn take(&mut self, victim: &Vcpu, count: usize) {
        victim.queue.take_for(self.vcpu, count, &mut self.moving);
        if !self.moving.is_empty() {
            self.me().tally.steals.add(self.moving.len() as u64);
            self.me().queue.append(&mut self.moving);
        }
    }

    /// The vCPU, other than this one, with the longest queue, if any has a task.
    fn longest(&self) -> Option<(&'static Vcpu, usize)> {
        let others = self.executor.vcpus.iter().enumerate().filter(|(n, _)| *n != self.vcpu);
        others
            .map(|(_, vcpu)| (vcpu, vcpu.queue.len()))
            .max_by_key(|(_, length)| *length)
            .filter(|(_, length)| *length != 0)
    }

    /// Looks for work for as long as that has paid of late.
    fn spin(&mut self) -> Option<Runnable> {
        let budget = self.spin.budget();
        if budget == 0 {
            return None;
        }
        let machine = self.executor.machine;
        let start = machine.now();
        let mut lone = Lone { since: start, polls: u64::MAX };
        loop {
            machine.relax();
            let now = machine.now();
            let enough = if lone.has_waited(self.longest(), now) { 1 } else { 2 };
            let found = self.look(enough);
            if found.is_some() {
                self.spin.hit();
                self.me().tally.spin_hits.add(1);
                return found;
            }
            if now.saturating_sub(start) >= budget || self.executor.is_stopping() {
                self.spin.missed();
                self.me().tally.spin_misses.add(1);
                return None;
            }
        }
    }

    /// Sleeps in the host until somebody calls or a timer is due, then looks again.
    fn sleep(&mut self) -> Option<Runnable> {
        let executor = self.executor;
        let me = self.me();
        let bit = 1_u64 << self.vcpu;
        let event = executor.machine.event(self.vcpu);
        me.sleeps_until.store(NEVER, Ordering::Relaxed);
        executor.asleep.fetch_or(bit, Ordering::SeqCst);
        // Pairs with the fence of who queues a task or arms a timer: it sees the bit, or the look below
        // sees its work.
        fence(Ordering::SeqCst);
        let deadline = self.deadline();
        me.sleeps_until.store(deadline, Ordering::Relaxed);
        let found = self.look(2);
        if found.is_none() && !executor.is_stopping() {
            self.stop_tick_if_last();
            me.tally.sleeps.add(1);
            executor.machine.sleep(self.vcpu, event, (deadline != NEVER).then_some(deadline));
            self.spin.slept();
        }
        executor.asleep.fetch_and(!bit, Ordering::SeqCst);
        found
    }

    /// Until when this vCPU may sleep: its own timers, and the others' unless another sleeper has them.
    fn deadline(&self) -> u64 {
        let own = self.me().timers.earliest();
        if self.executor.timers_are_watched() {
            own
        } else {
            own.min(self.executor.earliest_timer())
        }
    }

    fn stop_tick_if_last(&self) {
        let executor = self.executor;
        let all_asleep =
            || executor.asleep.load(Ordering::SeqCst) == executor.active.load(Ordering::SeqCst);
        if executor.tick.is_on() && all_asleep() {
            executor.tick.disarm(executor.machine, || executor.tick_wanted());
        }
    }
}

/// Watches whether the longest queue stands still.
struct Lone {
    since: u64,
    polls: u64,
}

impl Lone {
    fn has_waited(&mut self, longest: Option<(&Vcpu, usize)>, now: u64) -> bool {
        let polls = longest.map_or(u64::MAX, |(vcpu, _)| vcpu.tally.polls.get());
        if polls == u64::MAX || polls != self.polls {
            self.polls = polls;
            self.since = now;
        }
        now.saturating_sub(self.since) >= LONE_PATIENCE
    }
}

/// How long to spin: doubled by success, halved by failure, given up after four failures in a row and
/// tried again after each hundred sleeps.
struct Spin {
    limit: u64,
    budget: u64,
    misses: u32,
    sleeps: u32,
}

impl Spin {
    const MISSES: u32 = 4;
    const SLEEPS: u32 = 100;

    fn new(limit: u64) -> Self {
        Self { limit, budget: limit / 4, misses: 0, sleeps: 0 }
    }

    fn budget(&self) -> u64 {
        self.budget
    }

    fn hit(&mut self) {
        self.budget = self.budget.saturating_mul(2).min(self.limit);
        self.misses = 0;
    }

    fn missed(&mut self) {
        self.misses += 1;
        self.budget = if self.misses >= Self::MISSES { 0 } else { self.budget / 2 };
    }

    fn slept(&mut self) {
        if self.budget != 0 {
            return;
        }
        self.sleeps += 1;
        if self.sleeps >= Self::SLEEPS {
            *self = Self::new(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spin;

    #[test]
    fn spinning_adapts() {
        let mut spin = Spin::new(50_000);
        spin.hit();
        spin.hit();
        spin.hit();
        assert_eq!(spin.budget(), 50_000);
        spin.missed();
        assert_eq!(spin.budget(), 25_000);
        for _ in 0..3 {
            spin.missed();
        }
        assert_eq!(spin.budget(), 0);
        for _ in 0..99 {
            spin.slept();
            assert_eq!(spin.budget(), 0);
        }
        spin.slept();
        assert_eq!(spin.budget(), 12_500);
    }

    #[test]
    fn without_a_limit_there_is_no_spinning() {
        let mut spin = Spin::new(0);
        spin.hit();
        assert_eq!(spin.budget(), 0);
    }
}
