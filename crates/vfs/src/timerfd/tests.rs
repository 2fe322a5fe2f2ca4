use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use executor::{Executor, Machine};

use super::{Clock, First, Setting, TimerFd, timerfd};
use crate::anonymous::Owner;
use crate::object::{Events, OpenFile, Status};
use crate::testing::{Count, read, stopped};

/// A clock that a test sets. Nothing runs on it: expirations are computed when asked for.
struct Still(AtomicU64);

impl Machine for Still {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    fn event(&self, _vcpu: usize) -> u32 {
        0
    }
    fn sleep(&self, _vcpu: usize, _event: u32, _deadline: Option<u64>) {}
    fn wake(&self, _vcpu: usize) {}
    fn poll_events(&self, _vcpu: usize) -> bool {
        false
    }
    fn set_tick(&self, _on: bool) {}
    fn set_alarm(&self, _deadline: u64) {}
    fn alarm(&self) -> u64 {
        0
    }
    fn relax(&self) {}
}

fn make() -> (&'static Still, alloc::sync::Arc<OpenFile>) {
    let machine: &'static Still = Box::leak(Box::new(Still(AtomicU64::new(1000))));
    let executor = Box::leak(Box::new(Executor::new(1, machine)));
    (machine, timerfd(executor, Clock::Monotonic, 1, Status::NONBLOCK, Owner::default()))
}

fn timer(open: &OpenFile) -> &TimerFd {
    open.downcast().unwrap()
}

fn count(open: &OpenFile) -> u64 {
    u64::from_le_bytes(read(open, 8).unwrap().try_into().unwrap())
}

#[test]
fn expires_once() {
    let (machine, open) = make();
    assert_eq!(timer(&open).setting(), Setting::default());
    assert_eq!(timer(&open).set(First::After(500), 0), Setting::default());
    machine.0.store(1400, Ordering::Relaxed);
    assert_eq!(timer(&open).setting(), Setting { remaining: 100, interval: 0 });
    assert_eq!(open.poll(), Events::empty());
    assert_eq!(stopped(read(&open, 8)), None);
    machine.0.store(9000, Ordering::Relaxed);
    assert_eq!(open.poll(), Events::IN);
    assert_eq!(stopped(read(&open, 7)), Some(Errno::EINVAL));
    assert_eq!(count(&open), 1);
    assert_eq!(stopped(read(&open, 8)), None);
    assert_eq!(timer(&open).setting(), Setting::default());
}

#[test]
fn counts_periods() {
    let (machine, open) = make();
    timer(&open).set(First::At(1100), 50);
    machine.0.store(1230, Ordering::Relaxed);
    assert_eq!(timer(&open).setting(), Setting { remaining: 20, interval: 50 });
    assert_eq!(count(&open), 3);
    assert_eq!(stopped(read(&open, 8)), None);
    machine.0.store(1250, Ordering::Relaxed);
    assert_eq!(count(&open), 1);
    assert_eq!(timer(&open).set(First::Never, 0), Setting { remaining: 50, interval: 50 });
    machine.0.store(9999, Ordering::Relaxed);
    assert_eq!(open.poll(), Events::empty());
}

#[test]
fn an_instant_that_has_passed_wakes_at_once() {
    let (_machine, open) = make();
    let (wakes, _subscription) = Count::of(open.object().readiness().unwrap());
    timer(&open).set(First::At(10), 100);
    assert_eq!(wakes.take(), 1);
    assert_eq!(count(&open), 10);
}
