//! No lost wake-up, in every order that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p adyton-executor --test loom`
//!
//! A wake-up that is lost leaves a thread asleep for ever, which loom reports as a deadlock.
#![cfg(loom)]

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use executor::wait_queue::WaitQueue;
use executor::{Executor, Machine, Task};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use platform::shared::Shared;

/// One vCPU's event word, with somebody who may sleep on it.
#[derive(Default)]
struct Event {
    word: Mutex<u32>,
    changed: Condvar,
}

impl Event {
    fn wait_beyond(&self, seen: u32) {
        let mut word = self.word.lock().unwrap();
        while *word == seen {
            word = self.changed.wait(word).unwrap();
        }
    }

    fn count_up(&self) {
        *self.word.lock().unwrap() += 1;
        self.changed.notify_all();
    }
}

/// Sleeps are for ever unless somebody wakes; the clock stands still.
struct Model {
    events: Vec<Event>,
    tick: Mutex<bool>,
}

impl Machine for Model {
    fn now(&self) -> u64 {
        0
    }
    fn event(&self, vcpu: usize) -> u32 {
        *self.events[vcpu].word.lock().unwrap()
    }
    fn sleep(&self, vcpu: usize, event: u32, _deadline: Option<u64>) {
        self.events[vcpu].wait_beyond(event);
    }
    fn wake(&self, vcpu: usize) {
        self.events[vcpu].count_up();
    }
    fn poll_events(&self, _vcpu: usize) -> bool {
        false
    }
    fn set_tick(&self, on: bool) {
        *self.tick.lock().unwrap() = on;
    }
    fn set_alarm(&self, _deadline: u64) {}
    fn alarm(&self) -> u64 {
        0
    }
    fn relax(&self) {
        thread::yield_now();
    }
}

fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

fn machine(vcpus: usize) -> &'static Model {
    let events = (0..vcpus).map(|_| Event::default()).collect();
    Box::leak(Box::new(Model { events, tick: Mutex::new(false) }))
}

fn fresh(vcpus: usize) -> &'static Executor {
    Box::leak(Box::new(Executor::new(vcpus, machine(vcpus))))
}

/// Waits for a flag that is set, without any ordering, before the task is woken.
fn until(flag: &'static AtomicBool, then: impl Fn()) -> impl Future<Output = ()> {
    poll_fn(move |_| {
        if flag.load(Ordering::Relaxed) {
            then();
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

fn flag() -> &'static AtomicBool {
    Box::leak(Box::new(AtomicBool::new(false)))
}

#[test]
fn a_wake_up_reaches_a_task_that_runs_parks_or_waits_in_the_queue() {
    model(3, || {
        let executor = fresh(1);
        let flag = flag();
        let task = executor.spawn(until(flag, || executor.shut_down()));
        let waker = thread::spawn(move || {
            flag.store(true, Ordering::Relaxed);
            Task::wake(&task);
        });
        executor.run(0);
        waker.join().unwrap();
    });
}

#[test]
fn two_wakers_queue_a_task_once() {
    model(2, || {
        let executor = fresh(1);
        let polls: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
        let sum: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
        let task = executor.spawn(poll_fn(move |_| {
            polls.fetch_add(1, Ordering::Relaxed);
            if sum.load(Ordering::Relaxed) == 2 {
                executor.shut_down();
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let wakers = [0, 1].map(|_| {
            let task = Shared::clone(&task);
            thread::spawn(move || {
                sum.fetch_add(1, Ordering::Relaxed);
                Task::wake(&task);
            })
        });
        executor.run(0);
        for waker in wakers {
            waker.join().unwrap();
        }
        assert!(polls.load(Ordering::Relaxed) <= 3);
        assert!(task.is_done());
    });
}

#[test]
fn a_task_spawned_from_outside_ends_the_sleep() {
    model(3, || {
        let executor = fresh(1);
        let spawner = thread::spawn(move || {
            executor.spawn(async { executor.shut_down() });
        });
        executor.run(0);
        spawner.join().unwrap();
    });
}

#[test]
fn a_shut_down_ends_the_sleep() {
    model(3, || {
        let executor = fresh(2);
        let other = thread::spawn(move || executor.run(1));
        let stopper = thread::spawn(move || executor.shut_down());
        executor.run(0);
        other.join().unwrap();
        stopper.join().unwrap();
    });
}

#[test]
fn a_task_wakes_one_on_another_vcpu() {
    model(2, || {
        let executor = fresh(2);
        let flag = flag();
        let waiting = executor.spawn(until(flag, || executor.shut_down()));
        executor.spawn(async move {
            flag.store(true, Ordering::Relaxed);
            Task::wake(&waiting);
        });
        let other = thread::spawn(move || executor.run(1));
        executor.run(0);
        other.join().unwrap();
    });
}

#[test]
fn a_tick_that_is_switched_off_leaves_nobody_waiting() {
    model(4, || {
        let machine = machine(1);
        let executor: &'static Executor = Box::leak(Box::new(Executor::new(1, machine)));
        executor.spawn(async move {
            executor.spawn(async {});
            assert!(*machine.tick.lock().unwrap());
            executor::yield_now().await;
            let spawner = thread::spawn(move || {
                executor.spawn(async { executor.shut_down() });
            });
            for _ in 0..4 {
                executor.preempt_wanted(0);
            }
            spawner.join().unwrap();
            assert!(executor.others_wait(0));
            assert!(*machine.tick.lock().unwrap(), "a task waits behind this one");
        });
        executor.run(0);
    });
}

/// Wakes a thread that blocks on a future.
#[derive(Default)]
struct Parker(Event);

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.0.count_up();
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    let mut future = pin!(future);
    loop {
        let seen = *parker.0.word.lock().unwrap();
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return;
        }
        parker.0.wait_beyond(seen);
    }
}

#[test]
fn a_listener_that_checks_twice_misses_nothing() {
    model(4, || {
        let queue = Arc::new(WaitQueue::new());
        let flag = flag();
        let waker = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                queue.wake(1);
            })
        };
        while !flag.load(Ordering::Relaxed) {
            let listener = queue.listen();
            if flag.load(Ordering::Relaxed) {
                break;
            }
            block_on(listener);
        }
        waker.join().unwrap();
        assert!(queue.is_empty());
    });
}

#[test]
fn a_wake_up_of_a_dropped_listener_goes_to_the_next() {
    model(4, || {
        let queue: &'static WaitQueue = Box::leak(Box::new(WaitQueue::new()));
        let mut first = queue.listen();
        let second = queue.listen();
        let waker = thread::spawn(move || queue.wake(1));
        let dropper = thread::spawn(move || {
            let parker = Waker::from(Arc::new(Parker::default()));
            let ready = Pin::new(&mut first).poll(&mut Context::from_waker(&parker)).is_ready();
            drop(first);
            ready
        });
        let mut second = second;
        if dropper.join().unwrap() {
            // The first one took the wake-up, so the second still waits.
            waker.join().unwrap();
            let parker = Waker::from(Arc::new(Parker::default()));
            assert!(Pin::new(&mut second).poll(&mut Context::from_waker(&parker)).is_pending());
        } else {
            block_on(&mut second);
            waker.join().unwrap();
        }
        drop(second);
        assert!(queue.is_empty());
    });
}

#[test]
fn wake_all_reaches_every_listener() {
    model(3, || {
        let queue: &'static WaitQueue = Box::leak(Box::new(WaitQueue::new()));
        let (first, second) = (queue.listen(), queue.listen());
        let other = thread::spawn(move || block_on(second));
        let waker = thread::spawn(move || queue.wake_all());
        block_on(first);
        other.join().unwrap();
        assert_eq!(waker.join().unwrap(), 2);
    });
}

#[test]
fn a_subscription_hears_what_its_check_missed() {
    model(4, || {
        let queue: &'static WaitQueue = Box::leak(Box::new(WaitQueue::new()));
        let flag = flag();
        let waker = thread::spawn(move || {
            flag.store(true, Ordering::Relaxed);
            queue.wake(1);
        });
        let parker = Arc::new(Parker::default());
        let subscription = queue.subscribe(Waker::from(Arc::clone(&parker)));
        if !flag.load(Ordering::Relaxed) {
            parker.0.wait_beyond(0);
            assert!(flag.load(Ordering::Relaxed));
        }
        drop(subscription);
        waker.join().unwrap();
    });
}
