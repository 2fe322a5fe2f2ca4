//! Several vCPUs on threads: what must hold whatever the timing.
#![cfg(not(loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use executor::wait_queue::WaitQueue;
use executor::{Task, yield_now};
use platform::shared::Shared;

mod machine;

use machine::Running;

#[test]
fn ten_thousand_sleepers_start_and_end() {
    for vcpus in [1, 2, 5] {
        let running = Running::start(vcpus, 0);
        let executor = running.executor;
        let start = executor.now();
        let tasks: Vec<_> = (0..10_000_u64)
            .map(|n| {
                let deadline = start + 20_000_000 + n * 7_919 % 50_000 * 1_000;
                executor.spawn(async move {
                    executor.sleep_until(deadline).await;
                    assert!(executor.now() >= deadline);
                })
            })
            .collect();
        running.wait_for(&tasks);
        running.stop();
    }
}

#[test]
fn a_thousand_runnable_tasks_share_two_vcpus_fairly() {
    let running = Running::start(2, 0);
    let stop = Arc::new(AtomicBool::new(false));
    let progress: Arc<Vec<AtomicU64>> = Arc::new((0..1_000).map(|_| AtomicU64::new(0)).collect());
    let tasks: Vec<_> = (0..1_000)
        .map(|n| {
            let (stop, progress) = (Arc::clone(&stop), Arc::clone(&progress));
            running.executor.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    progress[n].fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    running.wait_for(&tasks);
    let counts: Vec<_> = progress.iter().map(|n| n.load(Ordering::Relaxed)).collect();
    let least = *counts.iter().min().unwrap();
    let most = *counts.iter().max().unwrap();
    // The two threads themselves get different shares of the machine; within one all are equal.
    assert!(least * 4 >= most, "least {least}, most {most}");
    assert!(least > 0);
    running.stop();
}

#[test]
fn tasks_spread_over_idle_vcpus() {
    let running = Running::start(3, 0);
    let executor = running.executor;
    let first = executor.spawn(async move {
        let busy: Vec<_> = (0..30)
            .map(|_| {
                executor.spawn(async {
                    let end = Instant::now() + Duration::from_millis(5);
                    while Instant::now() < end {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        while !busy.iter().all(|task| task.is_done()) {
            yield_now().await;
        }
    });
    running.wait_for(&[first]);
    let steals: u64 = (0..3).map(|vcpu| executor.counters(vcpu).steals).sum();
    assert!(steals >= 2, "{steals} steals");
    running.stop();
}

#[test]
fn a_tick_sends_a_lone_task_to_a_sleeping_vcpu() {
    let running = Running::start(2, 0);
    let executor = running.executor;
    let machine = running.machine;
    let task = executor.spawn(async move {
        let waiting = executor.spawn(async {});
        // This task computes; a kernel would ask at each tick.
        let end = Instant::now() + Duration::from_secs(20);
        while !waiting.is_done() {
            assert!(Instant::now() < end, "nobody came for the waiting task");
            if machine.tick.load(Ordering::SeqCst) {
                executor.preempt_wanted(waiting.last_vcpu());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    running.wait_for(&[task]);
    running.stop();
}

/// Two tasks that hand a turn back and forth.
fn ping_pong(running: &Running, rounds: usize) -> Vec<Shared<Task>> {
    struct Table {
        turn: AtomicUsize,
        queues: [WaitQueue; 2],
    }
    let table =
        Arc::new(Table { turn: AtomicUsize::new(0), queues: [WaitQueue::new(), WaitQueue::new()] });
    [0, 1]
        .map(|me| {
            let table = Arc::clone(&table);
            running.executor.spawn(async move {
                for round in 0..rounds {
                    let mine = 2 * round + me;
                    while table.turn.load(Ordering::Relaxed) != mine {
                        let listener = table.queues[me].listen();
                        if table.turn.load(Ordering::Relaxed) == mine {
                            break;
                        }
                        listener.await;
                    }
                    table.turn.store(mine + 1, Ordering::Relaxed);
                    table.queues[1 - me].wake(1);
                }
            })
        })
        .into()
}

#[test]
fn ping_pong_loses_no_wake_up() {
    for (vcpus, spin) in [(1, 0), (2, 0), (2, 50_000), (4, 20_000)] {
        let running = Running::start(vcpus, spin);
        let tasks: Vec<_> = (0..4).flat_map(|_| ping_pong(&running, 20_000)).collect();
        running.wait_for(&tasks);
        running.stop();
    }
}

#[test]
fn wake_ups_from_outside_end_every_sleep() {
    const POSTED: usize = 20_000;
    let running = Running::start(2, 0);
    let queue = Arc::new(WaitQueue::new());
    let left = Arc::new(AtomicUsize::new(0));
    let taken = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (queue, left, taken) = (Arc::clone(&queue), Arc::clone(&left), Arc::clone(&taken));
            running.executor.spawn(async move {
                while taken.load(Ordering::SeqCst) < POSTED {
                    let listener = queue.listen();
                    if take_one(&left) {
                        if taken.fetch_add(1, Ordering::SeqCst) + 1 == POSTED {
                            queue.wake_all();
                        }
                    } else if taken.load(Ordering::SeqCst) < POSTED {
                        listener.await;
                    }
                }
            })
        })
        .collect();
    for n in 0..POSTED {
        left.fetch_add(1, Ordering::SeqCst);
        queue.wake(1);
        if n % 64 == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    running.wait_for(&tasks);
    running.stop();
}

fn take_one(from: &AtomicUsize) -> bool {
    from.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

#[test]
fn cancelled_waits_pass_their_wake_ups_on() {
    // Permits go round among tasks of which each gives up at random; none may be lost.
    let running = Running::start(2, 0);
    let executor = running.executor;
    let queue: &'static WaitQueue = Box::leak(Box::new(WaitQueue::new()));
    let permits: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(3)));
    let tasks: Vec<_> = (0..40_u64)
        .map(|n| {
            executor.spawn(async move {
                for round in 0..200 {
                    let patience = 1_000 * (1 + (n * 31 + round * 17) % 50);
                    while !take_one(permits) {
                        let listener = queue.listen();
                        if permits.load(Ordering::SeqCst) == 0 {
                            let deadline = executor.now() + patience;
                            // Either way the loop looks again.
                            let _ = executor.timeout(Some(deadline), listener).await;
                        }
                    }
                    yield_now().await;
                    permits.fetch_add(1, Ordering::SeqCst);
                    queue.wake(1);
                }
            })
        })
        .collect();
    running.wait_for(&tasks);
    assert_eq!(permits.load(Ordering::SeqCst), 3);
    assert!(queue.is_empty());
    running.stop();
}

#[test]
fn a_task_runs_only_where_it_may() {
    let running = Running::start(3, 0);
    let executor = running.executor;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..6)
        .map(|_| {
            let stop = Arc::clone(&stop);
            executor.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    yield_now().await;
                }
            })
        })
        .collect();
    let pinned: Vec<_> = (0..3_usize)
        .map(|vcpu| {
            let (send, receive) = std::sync::mpsc::channel::<Shared<Task>>();
            let task = executor.spawn(async move {
                let me = receive.recv().unwrap();
                me.set_allowed(1 << vcpu);
                yield_now().await;
                for round in 0..2_000_u64 {
                    assert_eq!(me.last_vcpu(), vcpu);
                    if round % 10 == 0 {
                        executor.sleep_until(executor.now() + 10_000).await;
                    } else {
                        yield_now().await;
                    }
                }
            });
            send.send(Shared::clone(&task)).unwrap();
            task
        })
        .collect();
    running.wait_for(&pinned);
    stop.store(true, Ordering::Relaxed);
    running.wait_for(&load);
    running.stop();
}

#[test]
fn an_idle_executor_sleeps() {
    let running = Running::start(2, 50_000);
    let executor = running.executor;
    let far = executor.now() + 3_600_000_000_000;
    for n in 0..10_000 {
        executor.spawn(executor.sleep_until(far + n));
    }
    std::thread::sleep(Duration::from_millis(200));
    let before: u64 = (0..2).map(|vcpu| executor.counters(vcpu).sleeps).sum();
    std::thread::sleep(Duration::from_millis(200));
    let after: u64 = (0..2).map(|vcpu| executor.counters(vcpu).sleeps).sum();
    assert_eq!(before, after, "nobody had a reason to wake");
    assert!(!running.machine.tick.load(Ordering::SeqCst));
    running.stop();
}
