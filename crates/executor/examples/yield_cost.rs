//! Nanoseconds per yield between N tasks, and per ping-pong round trip, on one vCPU.
//!
//! `cargo run --release -p adyton-executor --example yield_cost`

use std::time::Instant;

use executor::wait_queue::WaitQueue;
use executor::yield_now;

#[path = "../tests/machine/mod.rs"]
mod machine;

const YIELDS: u32 = 4_000_000;

fn main() {
    for sleepers in [0, 10_000] {
        for tasks in [2, 4, 8, 16, 32, 64] {
            println!(
                "{tasks:3} tasks, {sleepers} sleepers: {:6.1} ns per yield",
                yields(tasks, sleepers)
            );
        }
    }
    println!("ping-pong: {:6.1} ns per switch", ping_pong());
}

fn yields(tasks: u32, sleepers: u32) -> f64 {
    let running = machine::Running::start(1, 0);
    let executor = running.executor;
    let far = executor.now() + 3_600_000_000_000;
    for n in 0..sleepers {
        executor.spawn(executor.sleep_until(far + u64::from(n)));
    }
    let each = YIELDS / tasks;
    let start = Instant::now();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            executor.spawn(async move {
                for _ in 0..each {
                    yield_now().await;
                }
            })
        })
        .collect();
    running.wait_for(&all);
    let cost = start.elapsed().as_secs_f64() * 1e9 / f64::from(YIELDS);
    running.stop();
    cost
}

fn ping_pong() -> f64 {
    let running = machine::Running::start(1, 0);
    let queues: &'static [WaitQueue; 2] = Box::leak(Box::new([WaitQueue::new(), WaitQueue::new()]));
    let rounds = YIELDS / 4;
    let start = Instant::now();
    let tasks: Vec<_> = [0, 1]
        .map(|me| {
            running.executor.spawn(async move {
                for _ in 0..rounds {
                    let listener = queues[me].listen();
                    queues[1 - me].wake(1);
                    listener.await;
                }
                queues[1 - me].wake(1);
            })
        })
        .into_iter()
        .collect::<Vec<_>>();
    running.wait_for(&tasks);
    let cost = start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds) / 2.0;
    running.stop();
    cost
}
