//! A machine of ordinary threads: each vCPU is one, its sleep a condition variable.
#![allow(dead_code, reason = "each test program uses its part")]

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use executor::{Executor, Machine, Task};
use platform::shared::Shared;

thread_local! {
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// One vCPU's event word.
#[derive(Default)]
pub(crate) struct Event {
    word: AtomicU32,
    sleeping: Mutex<()>,
    changed: Condvar,
}

/// vCPUs on threads.
pub(crate) struct Threads {
    start: Instant,
    events: Vec<Event>,
    pub(crate) tick: AtomicBool,
    pub(crate) alarm: AtomicU64,
    pub(crate) tick_switches: AtomicU64,
    pub(crate) wakes: AtomicU64,
}

impl Threads {
    pub(crate) fn new(vcpus: usize) -> &'static Self {
        Box::leak(Box::new(Self {
            start: Instant::now(),
            events: (0..vcpus).map(|_| Event::default()).collect(),
            tick: AtomicBool::new(false),
            alarm: AtomicU64::new(u64::MAX),
            tick_switches: AtomicU64::new(0),
            wakes: AtomicU64::new(0),
        }))
    }
}

impl Machine for Threads {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap()
    }

    fn current(&self) -> Option<usize> {
        CURRENT.get()
    }

    fn event(&self, vcpu: usize) -> u32 {
        self.events[vcpu].word.load(Ordering::SeqCst)
    }

    fn sleep(&self, vcpu: usize, event: u32, deadline: Option<u64>) {
        let own = &self.events[vcpu];
        let mut sleeping = own.sleeping.lock().unwrap();
        while own.word.load(Ordering::SeqCst) == event {
            let Some(deadline) = deadline else {
                sleeping = own.changed.wait(sleeping).unwrap();
                continue;
            };
            let left = deadline.saturating_sub(self.now());
            if left == 0 {
                return;
            }
            sleeping = own.changed.wait_timeout(sleeping, Duration::from_nanos(left)).unwrap().0;
        }
    }

    fn wake(&self, vcpu: usize) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        let own = &self.events[vcpu];
        own.word.fetch_add(1, Ordering::SeqCst);
        drop(own.sleeping.lock().unwrap());
        own.changed.notify_all();
    }

    fn poll_events(&self, _vcpu: usize) -> bool {
        false
    }

    fn set_tick(&self, on: bool) {
        self.tick.store(on, Ordering::SeqCst);
        self.tick_switches.fetch_add(1, Ordering::Relaxed);
    }

    fn set_alarm(&self, deadline: u64) {
        self.alarm.store(deadline, Ordering::SeqCst);
    }

    fn alarm(&self) -> u64 {
        let alarm = self.alarm.load(Ordering::SeqCst);
        if alarm > self.now() { alarm } else { u64::MAX }
    }

    fn relax(&self) {
        std::hint::spin_loop();
    }
}

/// An executor whose vCPUs run on threads until it is stopped.
pub(crate) struct Running {
    pub(crate) executor: &'static Executor,
    pub(crate) machine: &'static Threads,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(vcpus: usize, spin_limit: u64) -> Self {
        let machine = Threads::new(vcpus);
        let executor: &'static Executor =
            Box::leak(Box::new(Executor::new(vcpus, machine).with_spin_limit(spin_limit)));
        Self { executor, machine, threads: Vec::new() }.started(vcpus)
    }

    fn started(mut self, vcpus: usize) -> Self {
        let executor = self.executor;
        self.threads = (0..vcpus)
            .map(|vcpu| {
                std::thread::spawn(move || {
                    CURRENT.set(Some(vcpu));
                    executor.run(vcpu);
                })
            })
            .collect();
        self
    }

    /// Waits for all tasks to end.
    pub(crate) fn wait_for(&self, tasks: &[Shared<Task>]) {
        let limit = Instant::now() + Duration::from_mins(2);
        while !tasks.iter().all(|task| task.is_done()) {
            let done = tasks.iter().filter(|task| task.is_done()).count();
            let counters = self.executor.counters(0);
            assert!(Instant::now() < limit, "{done} of {} done, {counters:?}", tasks.len());
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Stops the vCPUs and waits for their threads.
    pub(crate) fn stop(self) {
        self.executor.shut_down();
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}
