//! No entry and no completion of a ring is slept over, in every order that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p adyton-platform --features hosted --test loom`
//!
//! The client is the LibOS's own. The other side does what the runner's `poller.rs` and `attendant.rs` do,
//! and a sleep what `mailbox.rs` does: who changes the order there, changes it here. A loss leaves a thread
//! asleep for ever, which loom reports as a deadlock.
#![cfg(loom)]

use std::task::Waker;

use abi::ring::{
    ASYNC_CANCEL, COMPLETIONS, Completion, Places, SQ_NEED_WAKEUP, SUBMISSIONS, Submission,
};
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use platform::ring::{Answer, Client, Ticket};

fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A ring's memory, as the host knows it.
struct Shared {
    sq_head: AtomicU32,
    sq_tail: AtomicU32,
    sq_flags: AtomicU32,
    cq_head: AtomicU32,
    cq_tail: AtomicU32,
    submissions: u64,
    completions: u64,
}

fn ring() -> (Client, &'static Shared) {
    let submissions = vec![Submission::default(); SUBMISSIONS as usize].leak();
    let completions = vec![Completion::default(); COMPLETIONS as usize].leak();
    let shared = leak(Shared {
        sq_head: AtomicU32::new(0),
        sq_tail: AtomicU32::new(0),
        sq_flags: AtomicU32::new(0),
        cq_head: AtomicU32::new(0),
        cq_tail: AtomicU32::new(0),
        submissions: submissions.as_mut_ptr() as u64,
        completions: completions.as_mut_ptr() as u64,
    });
    let places = Places {
        sq_head: &raw const shared.sq_head as u64,
        sq_tail: &raw const shared.sq_tail as u64,
        sq_flags: &raw const shared.sq_flags as u64,
        cq_head: &raw const shared.cq_head as u64,
        cq_tail: &raw const shared.cq_tail as u64,
        submissions: shared.submissions,
        completions: shared.completions,
    };
    // SAFETY: leaked, aligned, of the right sizes; under loom a word is loom's.
    (unsafe { Client::new(places) }, shared)
}

impl Shared {
    /// `Ring::take` of the poller.
    fn take(&self) -> Option<Submission> {
        let head = self.sq_head.load(Ordering::Relaxed);
        if head == self.sq_tail.load(Ordering::Acquire) {
            return None;
        }
        let at = self.submissions + 64 * u64::from(head % SUBMISSIONS);
        // SAFETY: an entry of the ring, complete as the tail says.
        let entry = unsafe { (at as *const Submission).read_volatile() };
        self.sq_head.store(head.wrapping_add(1), Ordering::Release);
        Some(entry)
    }

    /// `Ring::complete` of the poller.
    fn complete(&self, user_data: u64, result: i32) {
        let tail = self.cq_tail.load(Ordering::Relaxed);
        let at = self.completions + 16 * u64::from(tail % COMPLETIONS);
        let completion = Completion { user_data, result, flags: 0 };
        // SAFETY: an entry of the ring that the client does not look at before the tail moves.
        unsafe { (at as *mut Completion).write_volatile(completion) };
        self.cq_tail.store(tail.wrapping_add(1), Ordering::SeqCst);
    }

    /// `Ring::is_seen` of the poller.
    fn is_seen(&self) -> bool {
        self.cq_head.load(Ordering::Acquire) == self.cq_tail.load(Ordering::Relaxed)
    }
}

/// A vCPU's event word, and the bit that says that it may sleep on it.
struct Sleeper {
    event: AtomicU32,
    idle: AtomicU64,
    futex: Mutex<()>,
    woken: Condvar,
}

impl Sleeper {
    fn fresh() -> &'static Self {
        leak(Self {
            event: AtomicU32::new(0),
            idle: AtomicU64::new(0),
            futex: Mutex::new(()),
            woken: Condvar::new(),
        })
    }

    fn event(&self) -> u32 {
        self.event.load(Ordering::SeqCst)
    }

    /// `mailbox::sleep`; the futex compares the word under its lock.
    fn sleep(&self, seen: u32) {
        self.idle.fetch_or(1, Ordering::SeqCst);
        order();
        if self.event() == seen {
            let mut futex = self.futex.lock().unwrap();
            while self.event() == seen {
                futex = self.woken.wait(futex).unwrap();
            }
        }
        self.idle.fetch_and(!1, Ordering::SeqCst);
    }

    fn is_idle(&self) -> bool {
        order();
        self.idle.load(Ordering::SeqCst) != 0
    }

    /// `mailbox::wake`, and `attendant::ring_has_news` but for the interrupt of who is awake.
    fn wake(&self) {
        self.event.fetch_add(1, Ordering::SeqCst);
        if self.is_idle() {
            drop(self.futex.lock().unwrap());
            self.woken.notify_all();
        }
    }
}

/// Accesses that are SeqCst have one order, in C and on the hardware; in loom only fences have one.
fn order() {
    fence(Ordering::SeqCst);
}

fn submit(client: &mut Client) -> Ticket {
    client
        .submit(Submission::default(), Answer::AtMost(9), None)
        .expect("not broken")
        .expect("a slot")
}

#[test]
fn a_poller_that_falls_asleep_misses_no_entry() {
    model(4, || {
        let (mut client, shared) = ring();
        // Its eventfd.
        let rung = leak((Mutex::new(false), Condvar::new()));
        let poller = thread::spawn(move || {
            loop {
                if let Some(entry) = shared.take() {
                    return entry.user_data;
                }
                shared.sq_flags.store(SQ_NEED_WAKEUP, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                let head = shared.sq_head.load(Ordering::Relaxed);
                if head == shared.sq_tail.load(Ordering::SeqCst) {
                    let mut ready = rung.0.lock().unwrap();
                    while !*ready {
                        ready = rung.1.wait(ready).unwrap();
                    }
                    *ready = false;
                }
                shared.sq_flags.store(0, Ordering::SeqCst);
            }
        });
        submit(&mut client);
        if client.unsubmitted().expect("not broken") > 0 && client.poller_sleeps() {
            *rung.0.lock().unwrap() = true;
            rung.1.notify_all();
        }
        assert_ne!(poller.join().unwrap(), 0);
    });
}

#[test]
fn a_completion_ends_the_sleep_of_its_vcpu() {
    model(4, || {
        let (mut client, shared) = ring();
        let sleeper = Sleeper::fresh();
        let ticket = submit(&mut client);
        let poller = thread::spawn(move || {
            let entry = shared.take().expect("it was queued before");
            shared.complete(entry.user_data, 7);
            // Who is not seen to be idle is reminded, unless it took the completion meanwhile.
            if sleeper.is_idle() || !shared.is_seen() {
                sleeper.wake();
            }
        });
        let result = loop {
            let event = sleeper.event();
            if client.has_completions() {
                client.reap().expect("not broken");
            }
            if let Ok((result, _)) = client.poll(ticket, Waker::noop()) {
                break result;
            }
            sleeper.sleep(event);
        };
        assert_eq!(result.count_at_most(9).expect("a count"), 7);
        poller.join().unwrap();
    });
}

#[test]
fn a_cancellation_by_another_vcpu_is_handed_over() {
    model(3, || {
        let (mut client, shared) = ring();
        let sleeper = Sleeper::fresh();
        let ticket = submit(&mut client);
        let client = leak(Mutex::new(client));
        let other = thread::spawn(move || {
            client.lock().unwrap().cancel(ticket).expect("not broken");
            sleeper.wake();
        });
        // Its own vCPU hands over what stands in the ring, and sleeps, until the operation has ended. The
        // kernel answers within the enter.
        let mut under_way = 0;
        loop {
            let event = sleeper.event();
            let mut ours = client.lock().unwrap();
            if ours.unsubmitted().expect("not broken") > 0 {
                while let Some(entry) = shared.take() {
                    if entry.opcode == ASYNC_CANCEL {
                        assert_eq!(entry.address, under_way);
                        shared.complete(under_way, -125);
                        shared.complete(entry.user_data, 0);
                    } else {
                        under_way = entry.user_data;
                    }
                }
            }
            if ours.has_completions() {
                ours.reap().expect("not broken");
            }
            let over = ours.in_flight() == 0;
            drop(ours);
            if over {
                break;
            }
            sleeper.sleep(event);
        }
        other.join().unwrap();
    });
}
