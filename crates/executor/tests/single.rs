//! One vCPU with a clock of its own: everything happens in a known order.
#![cfg(not(loom))]

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use executor::timer::{Elapsed, NEVER};
use executor::wait_queue::{Subscription, WaitQueue};
use executor::{Executor, Machine, Task, yield_now};
use platform::shared::Shared;

/// A vCPU that sleeps by moving the clock, and ends the run when it would sleep for ever.
#[derive(Default)]
struct Clockwork {
    now: AtomicU64,
    event: AtomicU32,
    sleeps: AtomicU32,
    ticks: Mutex<Vec<bool>>,
    alarms: Mutex<Vec<u64>>,
    executor: OnceLock<&'static Executor>,
}

impl Machine for Clockwork {
    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }
    fn current(&self) -> Option<usize> {
        Some(0)
    }
    fn event(&self, _vcpu: usize) -> u32 {
        self.event.load(Ordering::SeqCst)
    }
    fn sleep(&self, _vcpu: usize, event: u32, deadline: Option<u64>) {
        if self.event(0) != event {
            return;
        }
        self.sleeps.fetch_add(1, Ordering::SeqCst);
        match deadline {
            Some(deadline) => self.now.store(deadline.max(self.now()), Ordering::SeqCst),
            None => self.executor.get().unwrap().shut_down(),
        }
    }
    fn wake(&self, _vcpu: usize) {
        self.event.fetch_add(1, Ordering::SeqCst);
    }
    fn poll_events(&self, _vcpu: usize) -> bool {
        false
    }
    fn set_tick(&self, on: bool) {
        self.ticks.lock().unwrap().push(on);
    }
    fn set_alarm(&self, deadline: u64) {
        self.alarms.lock().unwrap().push(deadline);
    }
    fn alarm(&self) -> u64 {
        let alarms = self.alarms.lock().unwrap();
        alarms.last().copied().filter(|at| *at > self.now()).unwrap_or(NEVER)
    }
    fn relax(&self) {}
}

fn fresh() -> (&'static Executor, &'static Clockwork) {
    let machine: &'static Clockwork = Box::leak(Box::default());
    let executor: &'static Executor = Box::leak(Box::new(Executor::new(1, machine)));
    assert!(machine.executor.set(executor).is_ok());
    (executor, machine)
}

type Log = Arc<Mutex<Vec<u64>>>;

fn note(log: &Log, what: u64) {
    log.lock().unwrap().push(what);
}

fn taken(log: &Log) -> Vec<u64> {
    std::mem::take(&mut log.lock().unwrap())
}

#[test]
fn tasks_that_yield_take_turns() {
    let (executor, _) = fresh();
    let log = Log::default();
    for name in 0..3 {
        let log = Arc::clone(&log);
        executor.spawn(async move {
            for _ in 0..3 {
                note(&log, name);
                yield_now().await;
            }
        });
    }
    assert!(executor.others_wait(0));
    executor.run(0);
    assert_eq!(taken(&log), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert!(!executor.others_wait(0));
    assert_eq!(executor.counters(0).polls, 12);
}

#[test]
fn a_wake_during_the_poll_makes_one_more_poll() {
    let (executor, _) = fresh();
    let polls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&polls);
    let task = executor.spawn(std::future::poll_fn(move |cx| {
        // Several wake-ups while it runs are one.
        cx.waker().wake_by_ref();
        cx.waker().wake_by_ref();
        if seen.fetch_add(1, Ordering::SeqCst) == 4 { Poll::Ready(()) } else { Poll::Pending }
    }));
    executor.run(0);
    assert!(task.is_done());
    assert_eq!(polls.load(Ordering::SeqCst), 5);
    Task::wake(&task);
}

#[test]
fn sleepers_wake_in_the_order_of_their_instants() {
    let (executor, machine) = fresh();
    let log = Log::default();
    for deadline in [300, 100, 200, 100] {
        let log = Arc::clone(&log);
        executor.spawn(async move {
            executor.sleep_until(deadline).await;
            assert!(executor.now() >= deadline);
            note(&log, deadline);
        });
    }
    executor.run(0);
    assert_eq!(taken(&log), [100, 100, 200, 300]);
    assert_eq!(machine.sleeps.load(Ordering::SeqCst), 4, "three deadlines and the end");
    assert_eq!(executor.counters(0).sleeps, 4);
}

#[test]
fn many_armed_timers_do_not_disturb_the_others() {
    let (executor, machine) = fresh();
    let done = Arc::new(AtomicUsize::new(0));
    // Armed in a scattered order, every third cancelled.
    for n in 0..100_000_u64 {
        let done = Arc::clone(&done);
        let deadline = 1_000 + n * 7_919 % 100_003;
        executor.spawn(async move {
            if n % 3 == 0 {
                let outcome = executor.timeout(Some(500), executor.sleep_until(deadline)).await;
                assert_eq!(outcome, Err(Elapsed));
            } else {
                executor.sleep_until(deadline).await;
                assert_eq!(executor.now(), deadline);
            }
            done.fetch_add(1, Ordering::SeqCst);
        });
    }
    executor.run(0);
    assert_eq!(done.load(Ordering::SeqCst), 100_000);
    assert!(machine.now() >= 1_000);
}

#[test]
fn a_timeout_ends_the_wait_and_a_result_cancels_the_timer() {
    let (executor, machine) = fresh();
    let task = executor.spawn(async move {
        let queue = WaitQueue::new();
        assert_eq!(executor.timeout(Some(50), queue.listen()).await, Err(Elapsed));
        assert!(queue.is_empty());
        assert_eq!(executor.timeout(Some(1_000_000), pin!(async { 7 })).await, Ok(7));
        assert_eq!(executor.timeout(None, yield_now()).await, Ok(()));
        let quick = executor.timeout(Some(1_000_000), executor.sleep_until(60));
        assert_eq!(quick.await, Ok(()));
        assert_eq!(executor.timeout(Some(NEVER), pin!(async { 1 })).await, Ok(1));
    });
    executor.run(0);
    assert!(task.is_done());
    assert_eq!(machine.now(), 60, "the cancelled timers must not have been waited for");
}

#[test]
fn the_tick_runs_only_while_somebody_waits() {
    let (executor, machine) = fresh();
    let ticks = || std::mem::take(&mut *machine.ticks.lock().unwrap());
    executor.spawn(async move {
        assert_eq!(ticks(), [], "alone: no tick");
        assert!(!executor.preempt_wanted(0));
        let other = executor.spawn(async {
            yield_now().await;
        });
        assert_eq!(ticks(), [true], "somebody waits now");
        executor.spawn(async {});
        assert_eq!(ticks(), [], "told once");
        assert!(executor.preempt_wanted(0));
        while !other.is_done() {
            yield_now().await;
        }
        let mut asked = 0;
        while ticks() != [false] {
            assert!(!executor.preempt_wanted(0));
            asked += 1;
            assert!(asked < 10);
        }
        assert!(asked > 1, "not at the first calm tick");
    });
    executor.run(0);
    assert_eq!(ticks(), [], "asleep: no tick");
}

#[test]
fn a_timer_of_somebody_else_is_served_by_an_alarm_and_no_tick() {
    let (executor, machine) = fresh();
    let alarms = || machine.alarms.lock().unwrap().clone();
    executor.spawn(async move {
        for deadline in [1000, 10, 500] {
            executor.spawn(executor.sleep_until(deadline));
            yield_now().await;
        }
        machine.ticks.lock().unwrap().clear();
        assert_eq!(alarms(), [1000, 10], "told of what comes earlier, once");
        assert!(!executor.preempt_wanted(0));
        machine.now.store(20, Ordering::SeqCst);
        assert!(executor.preempt_wanted(0));
        yield_now().await;
        assert_eq!(alarms(), [1000, 10, 500], "the next one, when the first has come");
        machine.ticks.lock().unwrap().clear();
        // Who goes on at once, without a turn of the loop, is interrupted as well.
        let woken = Arc::new(Chime::default());
        let armed = executor.wake_at(30, Waker::from(Arc::clone(&woken)));
        assert_eq!(armed.deadline(), 30);
        assert_eq!(alarms().last(), Some(&30));
        assert_eq!(*machine.ticks.lock().unwrap(), [], "no tick for timers");
        machine.now.store(40, Ordering::SeqCst);
        assert!(executor.preempt_wanted(0));
        yield_now().await;
        assert!(woken.0.load(Ordering::SeqCst));
        drop(executor.wake_at(50, Waker::from(Arc::clone(&woken))));
        assert_eq!(Arc::strong_count(&woken), 1, "a dropped one is forgotten");
    });
    executor.run(0);
}

/// A waker that remembers.
#[derive(Default)]
struct Chime(AtomicBool);

impl Wake for Chime {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_mask_without_a_vcpu_means_all() {
    let (executor, _) = fresh();
    let task = executor.spawn(async {});
    task.set_allowed(0b110);
    assert!(task.may_run(0));
    task.set_allowed(0b011);
    assert!(task.may_run(0) && !task.may_run(1));
    executor.run(0);
    assert!(task.is_done());
}

/// A waker that counts.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    (bell, waker)
}

fn is_ready(future: Pin<&mut impl Future>, waker: &Waker) -> bool {
    future.poll(&mut Context::from_waker(waker)).is_ready()
}

fn rung(bell: &Bell) -> usize {
    bell.0.swap(0, Ordering::SeqCst)
}

#[test]
fn listeners_are_served_in_their_order() {
    let queue = WaitQueue::new();
    assert!(queue.is_empty());
    assert_eq!(queue.wake(3), 0);
    let bells: [_; 3] = std::array::from_fn(|_| bell());
    let [mut a, mut b, mut c] = [(); 3].map(|()| queue.listen());
    for (listener, (_, waker)) in [&mut a, &mut b, &mut c].into_iter().zip(&bells) {
        assert!(!is_ready(Pin::new(listener), waker));
    }
    assert_eq!(queue.wake(2), 2);
    assert_eq!(bells.each_ref().map(|(bell, _)| rung(bell)), [1, 1, 0]);
    assert!(is_ready(Pin::new(&mut b), &bells[1].1));
    assert!(is_ready(Pin::new(&mut a), &bells[0].1));
    drop((a, b));
    assert_eq!(rung(&bells[2].0), 0, "both had their wake-up");
    drop(c);
    assert!(queue.is_empty());
}

#[test]
fn a_wake_before_the_first_poll_counts() {
    let queue = WaitQueue::new();
    let (_, waker) = bell();
    let mut listener = pin!(queue.listen());
    assert_eq!(queue.wake(1), 1);
    assert!(is_ready(listener.as_mut(), &waker));
}

#[test]
fn a_dropped_listener_passes_its_wake_up_on() {
    let queue = WaitQueue::new();
    let (second_bell, waker) = bell();
    let first = queue.listen();
    let mut second = pin!(queue.listen());
    assert!(!is_ready(second.as_mut(), &waker));
    assert_eq!(queue.wake(1), 1);
    drop(first);
    assert_eq!(rung(&second_bell), 1);
    assert!(is_ready(second.as_mut(), &waker));
}

#[test]
fn wake_all_reaches_those_present_and_is_not_passed_on() {
    let queue = WaitQueue::new();
    let (late_bell, waker) = bell();
    let present: Vec<_> = (0..100).map(|_| queue.listen()).collect();
    assert_eq!(queue.wake_all(), 100);
    let mut late = pin!(queue.listen());
    assert!(!is_ready(late.as_mut(), &waker));
    drop(present);
    assert_eq!(rung(&late_bell), 0);
    assert_eq!(queue.wake_all(), 1);
    assert!(is_ready(late.as_mut(), &waker));
}

#[test]
fn listeners_leave_from_the_middle() {
    let queue = WaitQueue::new();
    let mut listeners: Vec<_> = (0..10).map(Some).map(|n| (n, queue.listen())).collect();
    let mut kept = Vec::new();
    for (n, listener) in listeners.drain(..) {
        if n.unwrap() % 3 == 0 {
            kept.push(listener);
        }
    }
    assert_eq!(queue.wake(3), 3);
    assert_eq!(queue.wake(3), 1);
    drop(kept);
    assert!(queue.is_empty());
    // The table's entries are used again.
    let again: Vec<_> = (0..10).map(|_| queue.listen()).collect();
    assert_eq!(queue.wake_all(), 10);
    drop(again);
}

#[test]
fn a_subscription_hears_each_wake_up_until_it_is_dropped() {
    let queue = WaitQueue::new();
    let (bell, waker) = bell();
    let subscription = queue.subscribe(waker.clone());
    assert!(!queue.is_empty());
    assert_eq!(queue.wake(1), 0, "subscriptions are not counted");
    assert_eq!(queue.wake_all(), 0);
    assert_eq!(rung(&bell), 2);
    drop(subscription);
    queue.wake(1);
    assert_eq!(rung(&bell), 0);
    assert!(queue.is_empty(), "the ended subscription is cleared away at a wake-up");

    let ended: Vec<Subscription> = (0..1_000).map(|_| queue.subscribe(waker.clone())).collect();
    drop(ended);
    let many: Vec<Subscription> = (0..1_000).map(|_| queue.subscribe(waker.clone())).collect();
    queue.wake_all();
    assert_eq!(rung(&bell), 1_000);
    drop(many);
}

#[test]
fn a_subscription_may_outlive_its_queue() {
    let queue = WaitQueue::new();
    let subscription = queue.subscribe(bell().1);
    drop(queue);
    drop(subscription);
}

#[test]
fn a_task_that_ends_drops_its_future_first() {
    struct Signal(Arc<AtomicBool>);
    impl Drop for Signal {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (executor, _) = fresh();
    let dropped = Arc::new(AtomicBool::new(false));
    let signal = Signal(Arc::clone(&dropped));
    let kept = Cell::new(0);
    let task = executor.spawn(async move {
        yield_now().await;
        drop(signal);
        kept.set(1);
    });
    executor.run(0);
    assert!(task.is_done() && dropped.load(Ordering::SeqCst));
    assert_eq!(Shared::references(&task), 1, "nothing keeps an ended task");
}

#[test]
fn a_task_is_known_before_it_can_run() {
    let (executor, _) = fresh();
    let known: Arc<Mutex<Option<Shared<Task>>>> = Arc::default();
    let seen = Arc::clone(&known);
    let queued = Arc::clone(&known);
    let task = executor.spawn_known(
        async move {
            assert!(seen.lock().unwrap().is_some());
            executor.shut_down();
        },
        |task| {
            // Woken so early, it is queued once all the same.
            Task::wake(task);
            *queued.lock().unwrap() = Some(Shared::clone(task));
        },
    );
    executor.run(0);
    assert!(task.is_done());
    assert_eq!(executor.counters(0).polls, 1);
}
