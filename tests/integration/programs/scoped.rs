//! Rust's std: scoped threads, channels, condition variables, files, panics caught in threads.

use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock, mpsc};
use std::time::{Duration, Instant};

fn main() -> std::io::Result<()> {
    let mut numbers: Vec<u64> = (0..100_000).collect();
    let sum = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for chunk in numbers.chunks_mut(12_500) {
            let sum = &sum;
            scope.spawn(move || {
                for n in chunk.iter_mut() {
                    *n = n.wrapping_mul(*n) % 1009;
                }
                sum.fetch_add(chunk.iter().sum(), Ordering::Relaxed);
            });
        }
    });
    println!("sum {}", sum.into_inner());

    let (sender, receiver) = mpsc::channel();
    for worker in 0..10 {
        let sender = sender.clone();
        std::thread::spawn(move || (0..100).for_each(|n| sender.send(worker * 100 + n).unwrap()));
    }
    drop(sender);
    let mut received: Vec<i32> = receiver.iter().collect();
    received.sort_unstable();
    println!("received {} {:?}", received.len(), &received[997..]);

    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let other = Arc::clone(&pair);
    let counter = std::thread::spawn(move || {
        for _ in 0..1000 {
            *other.0.lock().unwrap() += 1;
            other.1.notify_all();
        }
    });
    let mut guard = pair.0.lock().unwrap();
    while *guard < 1000 {
        guard = pair.1.wait(guard).unwrap();
    }
    println!("counted {}", *guard);
    counter.join().unwrap();
    let (guard, timeout) = pair.1.wait_timeout(guard, Duration::from_millis(20)).unwrap();
    println!("time limit {}", timeout.timed_out());
    drop(guard);

    let map = RwLock::new(BTreeMap::new());
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (map, barrier) = (&map, &barrier);
            scope.spawn(move || {
                barrier.wait();
                map.write().unwrap().insert(n, n * n);
            });
        }
    });
    println!("{:?}", map.read().unwrap());

    std::panic::set_hook(Box::new(|_| {}));
    let panicked = std::thread::spawn(|| assert_eq!(1 + 1, 3)).join();
    println!("panicked {}", panicked.is_err());

    let mut file = std::fs::File::options().create(true).read(true).write(true).open("file")?;
    for n in 0..1000 {
        writeln!(file, "line {n}")?;
    }
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("{} {:?}", text.len(), text.lines().last());
    println!("{:?}", std::fs::File::open("missing").map_err(|e| e.kind()).err());
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    println!("slept {}", start.elapsed() >= Duration::from_millis(20));
    println!("parallelism {}", std::thread::available_parallelism().is_ok());
    std::process::exit(3)
}
