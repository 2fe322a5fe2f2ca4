//! The table without an executor: wakers that count, words of this process's own memory.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use alloc::collections::BTreeSet;

use super::{ANY, Arc, Futexes, Key, Refused, UserWord, Wait, WaitAny, Waiter, Wake};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

struct Count(AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (Arc::clone(&count), Waker::from(count))
}

fn word(value: &AtomicU32) -> UserWord {
    UserWord::new(std::ptr::from_ref(value) as u64).expect("aligned")
}

fn key(address: u64) -> Key {
    Key::private(1, address)
}

fn poll(wait: &mut Wait<'_>, waker: &Waker) -> Poll<Result<(), Refused>> {
    Pin::new(wait).poll(&mut Context::from_waker(waker))
}

fn wake(key: Key, count: usize) -> Wake {
    Wake { key, count, bitset: ANY }
}

#[test]
fn a_changed_word_is_not_waited_for() {
    let futexes = Futexes::new();
    let (value, waiter) = (AtomicU32::new(5), Waiter::new());
    let (_, waker) = counter();
    let mut wait = futexes.wait(&waiter, key(1), word(&value), 4, ANY);
    assert_eq!(poll(&mut wait, &waker), Poll::Ready(Err(Refused::Changed)));
    assert_eq!(futexes.count(), 0);
}

#[test]
fn the_longest_waiting_is_woken_first() {
    let futexes = Futexes::new();
    let value = AtomicU32::new(5);
    let waiters: Vec<_> = (0..3).map(|_| Waiter::new()).collect();
    let counters: Vec<_> = (0..3).map(|_| counter()).collect();
    let mut waits: Vec<_> =
        waiters.iter().map(|waiter| futexes.wait(waiter, key(1), word(&value), 5, ANY)).collect();
    for (wait, (_, waker)) in waits.iter_mut().zip(&counters) {
        assert_eq!(poll(wait, waker), Poll::Pending);
    }
    assert_eq!(futexes.wake(wake(key(2), 9)), 0);
    assert_eq!(futexes.wake(wake(key(1), 2)), 2);
    let woken: Vec<_> = counters.iter().map(|(count, _)| count.0.load(Ordering::Relaxed)).collect();
    assert_eq!(woken, [1, 1, 0]);
    assert_eq!(poll(&mut waits[1], &counters[1].1), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut waits[2], &counters[2].1), Poll::Pending);
    // One that was woken and gives up says so; one that was not leaves.
    assert!(waits[0].give_up());
    assert!(!waits[2].give_up());
    assert_eq!(futexes.count(), 0);
    assert_eq!(futexes.wake(wake(key(1), 9)), 0);
}

#[test]
fn bitsets_choose() {
    let futexes = Futexes::new();
    let value = AtomicU32::new(0);
    let (one, two) = (Waiter::new(), Waiter::new());
    let (_, waker) = counter();
    let mut first = futexes.wait(&one, key(1), word(&value), 0, 0b01);
    let mut second = futexes.wait(&two, key(1), word(&value), 0, 0b10);
    assert!(poll(&mut first, &waker).is_pending() && poll(&mut second, &waker).is_pending());
    assert_eq!(futexes.wake(Wake { key: key(1), count: 9, bitset: 0b110 }), 1);
    assert!(poll(&mut first, &waker).is_pending());
    assert_eq!(poll(&mut second, &waker), Poll::Ready(Ok(())));
}

#[test]
fn who_was_moved_is_woken_and_leaves_where_it_stands() {
    let futexes = Futexes::new();
    let value = AtomicU32::new(0);
    // Enough targets that some share the source's bucket and some don't.
    for target in 2..600 {
        let waiters: Vec<_> = (0..4).map(|_| Waiter::new()).collect();
        let (_, waker) = counter();
        let mut waits: Vec<_> = waiters
            .iter()
            .map(|waiter| futexes.wait(waiter, key(1), word(&value), 0, ANY))
            .collect();
        for wait in &mut waits {
            assert!(poll(wait, &waker).is_pending());
        }
        let moved: Result<_, ()> = futexes.requeue(wake(key(1), 1), 2, key(target), || Ok(()));
        assert_eq!(moved, Ok((1, 2)));
        assert_eq!(poll(&mut waits[0], &waker), Poll::Ready(Ok(())));
        assert!(!waits[1].give_up());
        assert_eq!(futexes.wake(wake(key(target), 9)), 1);
        assert_eq!(poll(&mut waits[2], &waker), Poll::Ready(Ok(())));
        assert_eq!(futexes.wake(wake(key(1), 9)), 1);
        drop(waits);
        assert_eq!(futexes.count(), 0);
    }
}

#[test]
fn a_refused_requeue_moves_nobody() {
    let futexes = Futexes::new();
    let (value, waiter) = (AtomicU32::new(0), Waiter::new());
    let (_, waker) = counter();
    let mut wait = futexes.wait(&waiter, key(1), word(&value), 0, ANY);
    assert!(poll(&mut wait, &waker).is_pending());
    assert_eq!(futexes.requeue(wake(key(1), 1), 1, key(9), || Err(7)), Err(7));
    assert_eq!(futexes.wake_two(wake(key(1), 1), wake(key(9), 1), || Err(8)), Err(8));
    assert!(poll(&mut wait, &waker).is_pending());
    let woken: Result<_, ()> = futexes.wake_two(wake(key(9), 1), wake(key(1), 1), || Ok(false));
    assert_eq!(woken, Ok(0));
    let woken: Result<_, ()> = futexes.wake_two(wake(key(9), 1), wake(key(1), 1), || Ok(true));
    assert_eq!(woken, Ok(1));
}

#[test]
fn one_of_several_words() {
    let futexes = Futexes::new();
    let values: Vec<_> = (0..3).map(AtomicU32::new).collect();
    let waiters: Vec<_> = (0..3).map(|_| Waiter::new()).collect();
    let make = |expected: [u32; 3]| {
        let waits = (0..3).map(|index| {
            let at = key(index as u64 + 1);
            futexes.wait(&waiters[index], at, word(&values[index]), expected[index], ANY)
        });
        WaitAny::new(waits.collect())
    };
    let (_, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    let mut refused = make([0, 1, 7]);
    assert_eq!(Pin::new(&mut refused).poll(&mut cx), Poll::Ready(Err(Refused::Changed)));
    assert_eq!(futexes.count(), 0);
    let mut any = make([0, 1, 2]);
    assert!(Pin::new(&mut any).poll(&mut cx).is_pending());
    futexes.wake(wake(key(2), 1));
    assert_eq!(Pin::new(&mut any).poll(&mut cx), Poll::Ready(Ok(1)));
    assert_eq!(any.give_up(), None);
    assert_eq!(futexes.count(), 0);
}

/// Waiters that time out race with wakers and movers: each wake-up is counted exactly once.
#[test]
fn no_wake_up_is_lost_between_threads() {
    const ROUNDS: usize = 20_000;
    let futexes = Futexes::new();
    let value = AtomicU32::new(0);
    let (woken, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let waiting = (0..2).map(|_| {
            scope.spawn(|| {
                let waiter = Waiter::new();
                let (_, waker) = counter();
                for round in 0..ROUNDS {
                    let mut wait = futexes.wait(&waiter, key(1), word(&value), 0, ANY);
                    let mut outcome = poll(&mut wait, &waker);
                    for _ in 0..round % 64 {
                        if outcome.is_ready() {
                            break;
                        }
                        outcome = poll(&mut wait, &waker);
                    }
                    if outcome.is_ready() || wait.give_up() {
                        woken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        let waiting: Vec<_> = waiting.collect();
        let (futexes, told) = (&futexes, &told);
        scope.spawn(move || {
            while !waiting.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                let moved: Result<_, ()> = futexes.requeue(wake(key(1), 0), 1, key(300), || Ok(()));
                let count = futexes.wake(wake(key(300), 1)) + futexes.wake(wake(key(1), 1));
                told.fetch_add(count, Ordering::Relaxed);
                assert!(moved.is_ok());
            }
        });
    });
    assert_eq!(woken.load(Ordering::Relaxed), told.load(Ordering::Relaxed));
    assert_eq!(futexes.count(), 0);
}

/// Words beside one another, at the same place of many pages, of many spaces and of files: each sort is
/// spread over the buckets nearly as well as chance would do it (162 of 256).
#[test]
fn neighbours_are_spread_over_the_buckets() {
    let sorts: [&dyn Fn(u64) -> Key; 4] = [
        &|n| Key::private(1, 0x7f00_0000_0000 + 4 * n),
        &|n| Key::private(1, 0x7f00_0000_0910 + 0x80_1000 * n),
        &|n| Key::private(n, 0x7f00_0000_0910),
        &|n| Key::shared(n / 16, 64 * (n % 16)),
    ];
    for sort in sorts {
        let buckets: BTreeSet<_> = (0..256).map(|n| Futexes::bucket_of(sort(n))).collect();
        assert!(buckets.len() > 100, "{} buckets", buckets.len());
    }
}
