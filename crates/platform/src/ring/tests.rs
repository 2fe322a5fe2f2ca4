//! A hostile host: whatever it writes into the rings, nothing wild happens.

use core::task::Waker;

use abi::ring::{COMPLETIONS, Completion, Places, SUBMISSIONS, Submission, UNAWAITED};

use super::{Answer, Broken, Client};

/// The shared memory, as the host sees it.
#[repr(C, align(64))]
struct Shared {
    sq_head: u32,
    sq_tail: u32,
    sq_flags: u32,
    cq_head: u32,
    cq_tail: u32,
    submissions: [Submission; SUBMISSIONS as usize],
    completions: [Completion; COMPLETIONS as usize],
}

fn ring() -> (Client, *mut Shared) {
    // SAFETY: zeros are valid for all fields.
    let shared: &'static mut Shared = Box::leak(unsafe { Box::new_zeroed().assume_init() });
    let host: *mut Shared = shared;
    let places = Places {
        sq_head: &raw const shared.sq_head as u64,
        sq_tail: &raw const shared.sq_tail as u64,
        sq_flags: &raw const shared.sq_flags as u64,
        cq_head: &raw const shared.cq_head as u64,
        cq_tail: &raw const shared.cq_tail as u64,
        submissions: shared.submissions.as_ptr() as u64,
        completions: shared.completions.as_ptr() as u64,
    };
    // SAFETY: leaked, aligned, of the right sizes.
    (unsafe { Client::new(places) }, host)
}

fn host(shared: *mut Shared, act: impl FnOnce(&mut Shared)) {
    // SAFETY: leaked, and the client does not run meanwhile.
    act(unsafe { &mut *shared });
}

fn complete(shared: *mut Shared, user_data: u64, result: i32) {
    complete_with(shared, user_data, result, 0);
}

fn complete_with(shared: *mut Shared, user_data: u64, result: i32, flags: u32) {
    host(shared, |s| {
        let at = (s.cq_tail % COMPLETIONS) as usize;
        s.completions[at] = Completion { user_data, result, flags };
        s.cq_tail = s.cq_tail.wrapping_add(1);
    });
}

fn submit(client: &mut Client, most: usize) -> super::Ticket {
    client
        .submit(Submission::default(), Answer::AtMost(most), None)
        .expect("not broken")
        .expect("a slot")
}

#[test]
fn a_completion_ends_its_operation_once() {
    let (mut client, shared) = ring();
    let ticket = submit(&mut client, 100);
    complete(shared, ticket.user_data(), 42);
    client.reap().expect("not broken");
    let (result, _) = client.poll(ticket, Waker::noop()).expect("it is there");
    assert_eq!(result.count_at_most(100).expect("a count"), 42);
    assert_eq!(client.in_flight(), 0);
    let ticket = submit(&mut client, 100);
    complete(shared, ticket.user_data(), 42);
    complete(shared, ticket.user_data(), 43);
    assert!(matches!(client.reap(), Err(Broken(_))));
}

#[test]
fn more_bytes_than_asked_for_are_an_error() {
    let (mut client, shared) = ring();
    let ticket = submit(&mut client, 100);
    complete(shared, ticket.user_data(), 101);
    client.reap().expect("not broken");
    let (result, _) = client.poll(ticket, Waker::noop()).expect("it is there");
    assert_eq!(result.count_at_most(100).expect_err("a lie").errno, abi::Errno::EIO);
}

#[test]
fn a_late_completion_does_not_hit_the_next_operation() {
    let (mut client, shared) = ring();
    let first = submit(&mut client, 1);
    complete(shared, first.user_data(), 0);
    client.reap().expect("not broken");
    client.poll(first, Waker::noop()).expect("it is there");
    let second = submit(&mut client, 1);
    assert_ne!(first.user_data(), second.user_data());
    complete(shared, first.user_data(), 1);
    assert!(matches!(client.reap(), Err(Broken(_))));
    assert!(client.poll(second, Waker::noop()).is_err());
}

#[test]
fn tails_and_heads_out_of_range_are_noticed() {
    let (mut client, shared) = ring();
    host(shared, |s| s.cq_tail = COMPLETIONS + 1);
    assert!(matches!(client.reap(), Err(Broken(_))));
    let (mut client, shared) = ring();
    submit(&mut client, 1);
    host(shared, |s| s.sq_head = 5);
    assert!(matches!(client.unsubmitted(), Err(Broken(_))));
    let (mut client, shared) = ring();
    submit(&mut client, 1);
    host(shared, |s| s.sq_head = 1);
    assert_eq!(client.unsubmitted(), Ok(0));
    host(shared, |s| s.sq_head = 0);
    assert!(matches!(client.unsubmitted(), Err(Broken(_))));
}

#[test]
fn an_abandoned_operation_keeps_its_slot_until_it_ends() {
    let (mut client, shared) = ring();
    let ticket = submit(&mut client, 8);
    client.cancel(ticket).expect("not broken");
    assert_eq!(client.in_flight(), 1);
    complete(shared, UNAWAITED, 0);
    client.reap().expect("not broken");
    assert_eq!(client.in_flight(), 1);
    complete(shared, ticket.user_data(), -125);
    client.reap().expect("not broken");
    assert_eq!(client.in_flight(), 0);
}

#[test]
fn a_cancellation_waits_for_room() {
    let (mut client, shared) = ring();
    let ticket = submit(&mut client, 10);
    while client.tell(Submission::default()).expect("not broken") {}
    client.cancel(ticket).expect("not broken");
    client.catch_up().expect("not broken");
    let mut full = 0;
    host(shared, |s| {
        full = s.sq_tail;
        s.sq_head = full;
    });
    client.catch_up().expect("not broken");
    client.catch_up().expect("not broken");
    host(shared, |s| {
        assert_eq!(s.sq_tail, full + 1, "once");
        let entry = s.submissions[(full % SUBMISSIONS) as usize];
        assert_eq!(entry.user_data, Submission::cancel(ticket.user_data()).user_data);
        assert_eq!(entry.address, ticket.user_data());
    });
}

#[test]
fn a_handle_comes_in_two_halves() {
    let (mut client, shared) = ring();
    let ask = |client: &mut Client| {
        client
            .submit(Submission::default(), Answer::Handle, None)
            .expect("not broken")
            .expect("room")
    };
    let mut answers = Vec::new();
    for (result, flags) in [(7, 3), (7, 0x8000_0000), (-1, 0), (-5000, 0), (i32::MIN, 9)] {
        let ticket = ask(&mut client);
        complete_with(shared, ticket.user_data(), result, flags);
        client.reap().expect("not broken");
        let (answer, _) = client.poll(ticket, Waker::noop()).expect("it is there");
        answers.push(answer.count_at_most(usize::MAX >> 1).map_err(|error| error.errno));
    }
    let lie = Err(abi::Errno::EIO);
    assert_eq!(answers, [Ok(3 << 32 | 7), lie, Err(abi::Errno::EPERM), lie, lie]);
}

#[test]
fn impossible_flags_are_an_error() {
    let (mut client, shared) = ring();
    for flags in [1, 2, 8, u32::MAX] {
        let ticket = submit(&mut client, 100);
        complete_with(shared, ticket.user_data(), 10, flags);
        client.reap().expect("not broken");
        let (answer, _) = client.poll(ticket, Waker::noop()).expect("it is there");
        assert_eq!(answer.count_at_most(100).expect_err("a lie").errno, abi::Errno::EIO);
    }
}

#[test]
fn what_nobody_awaits_takes_no_slot() {
    let (mut client, shared) = ring();
    for n in 0..SUBMISSIONS {
        assert_eq!(client.tell(Submission::forget(n)), Ok(true));
    }
    assert_eq!(client.tell(Submission::forget(0)), Ok(false), "the ring is full");
    host(shared, |s| s.sq_head = SUBMISSIONS);
    for _ in 0..SUBMISSIONS {
        complete(shared, UNAWAITED, -2);
    }
    client.reap().expect("not broken");
    assert_eq!(client.in_flight(), 0);
}

/// Counts how often it was woken.
struct Bell(core::sync::atomic::AtomicUsize);

impl std::task::Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    }
}

mod property {
    use proptest::prelude::{Just, Strategy, any, prop_oneof};
    use proptest::{collection, prop_assert, prop_assert_eq, proptest};
    use std::sync::Arc;
    use std::task::Waker;

    use abi::ring::{COMPLETIONS, Completion, SUBMISSIONS, Submission, UNAWAITED};

    use super::super::{Answer, Client, IN_FLIGHT, Ticket};
    use super::{Bell, Shared, host, ring};

    /// What LibOS or host do next.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        /// An operation of at most so many bytes, or one that opens.
        Submit(Option<usize>),
        Cancel(usize),
        Poll(usize),
        Reap,
        /// A completion of the n-th operation in flight.
        Complete(usize, i32),
        /// Any completion at all.
        Forge(u64, i32, u32),
        /// The same completion again.
        Again,
        /// The tail moves on over what stands in the ring.
        Skip(u32),
        /// A completion changes after it was announced.
        Tear(usize, u64, i32),
        /// The host writes a word that it may write.
        Words(Option<u32>, Option<u32>, u32),
        /// The host takes what was submitted.
        Take,
    }

    /// What happens with a host that means well, but for results beyond what was asked.
    fn honest() -> impl Strategy<Value = Act> {
        prop_oneof![
            8 => prop_oneof![(0_usize..5000).prop_map(Some), Just(None)].prop_map(Act::Submit),
            1 => any::<usize>().prop_map(Act::Cancel),
            3 => any::<usize>().prop_map(Act::Poll),
            4 => Just(Act::Reap),
            6 => (any::<usize>(), -4100_i32..6000).prop_map(|(n, got)| Act::Complete(n, got)),
            2 => Just(Act::Take),
        ]
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![60 => honest(), 1 => lie()]
    }

    fn lie() -> impl Strategy<Value = Act> {
        prop_oneof![
            2 => (forged(), any::<i32>(), any::<u32>()).prop_map(|(u, r, f)| Act::Forge(u, r, f)),
            1 => Just(Act::Again),
            1 => (0_u32..8).prop_map(Act::Skip),
            1 => (any::<usize>(), forged(), any::<i32>()).prop_map(|(n, u, r)| Act::Tear(n, u, r)),
            2 => (rare(), rare(), any::<u32>()).prop_map(|(h, t, f)| Act::Words(h, t, f)),
        ]
    }

    fn rare() -> impl Strategy<Value = Option<u32>> {
        prop_oneof![9 => Just(None), 1 => any::<u32>().prop_map(Some), 1 => (0_u32..64).prop_map(Some)]
    }

    fn forged() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (0_u64..64, 0_u64..4).prop_map(|(index, generation)| generation << 32 | index),
            Just(UNAWAITED),
        ]
    }

    fn post(shared: *mut Shared, user_data: u64, result: i32, flags: u32) {
        host(shared, |s| {
            s.completions[(s.cq_tail % COMPLETIONS) as usize] =
                Completion { user_data, result, flags };
            s.cq_tail = s.cq_tail.wrapping_add(1);
        });
    }

    /// An operation that the test waits for.
    struct Awaited {
        ticket: Ticket,
        answer: Answer,
        bell: Arc<Bell>,
        completed: bool,
    }

    struct World {
        client: Client,
        shared: *mut Shared,
        awaited: Vec<Awaited>,
        /// Operations that were cancelled, and whether their completions are on their way.
        cancelled: Vec<(Ticket, bool)>,
    }

    impl World {
        /// Has everything that is in flight come back; false when the host was found out before.
        fn ends_well(&mut self) -> Result<bool, proptest::test_runner::TestCaseError> {
            let open = self.awaited.iter().map(|one| (one.ticket, one.completed));
            for (ticket, completed) in open.chain(self.cancelled.iter().copied()) {
                if !completed {
                    post(self.shared, ticket.user_data(), 0, 0);
                }
            }
            if self.client.reap().is_err() {
                return Ok(false);
            }
            for one in &self.awaited {
                prop_assert!(self.client.poll(one.ticket, Waker::noop()).is_ok());
                prop_assert!(self.client.poll(one.ticket, Waker::noop()).is_err());
            }
            Ok(true)
        }

        /// Does one act; false when the client found the host out and would end the enclave.
        fn does(&mut self, act: Act) -> Result<bool, proptest::test_runner::TestCaseError> {
            match act {
                Act::Submit(most) => {
                    let answer = most.map_or(Answer::Handle, Answer::AtMost);
                    let entry = Submission::default();
                    let Ok(taken) = self.client.submit(entry, answer, None) else {
                        return Ok(false);
                    };
                    if let Ok(ticket) = taken {
                        let bell = Arc::new(Bell(0.into()));
                        self.awaited.push(Awaited { ticket, answer, bell, completed: false });
                    }
                }
                Act::Cancel(n) if !self.awaited.is_empty() => {
                    let one = self.awaited.swap_remove(n % self.awaited.len());
                    self.cancelled.push((one.ticket, one.completed));
                    return Ok(self.client.cancel(one.ticket).is_ok());
                }
                Act::Poll(n) if !self.awaited.is_empty() => {
                    let index = n % self.awaited.len();
                    let one = &self.awaited[index];
                    let waker = Waker::from(Arc::clone(&one.bell));
                    if let Ok((result, _)) = self.client.poll(one.ticket, &waker) {
                        let most = match one.answer {
                            Answer::AtMost(most) => most,
                            Answer::Handle => usize::MAX >> 1,
                        };
                        let value = result.check(|_| true).unwrap_or(0);
                        prop_assert!(value >= -4095);
                        prop_assert!(usize::try_from(value).map_or(true, |got| got <= most));
                        self.awaited.swap_remove(index);
                    }
                }
                Act::Reap => match self.client.reap() {
                    Ok(wakers) => wakers.into_iter().for_each(Waker::wake),
                    Err(_) => return Ok(false),
                },
                Act::Complete(n, result) => {
                    let shared = self.shared;
                    let mut open: Vec<_> =
                        self.awaited.iter_mut().filter(|one| !one.completed).collect();
                    let count = open.len().max(1);
                    if let Some(one) = open.get_mut(n % count) {
                        one.completed = true;
                        post(shared, one.ticket.user_data(), result, 0);
                    }
                }
                Act::Forge(user_data, result, flags) => {
                    post(self.shared, user_data, result, flags);
                }
                Act::Again => host(self.shared, |s| {
                    let last = s.completions[(s.cq_tail.wrapping_sub(1) % COMPLETIONS) as usize];
                    s.completions[(s.cq_tail % COMPLETIONS) as usize] = last;
                    s.cq_tail = s.cq_tail.wrapping_add(1);
                }),
                Act::Skip(count) => {
                    host(self.shared, |s| s.cq_tail = s.cq_tail.wrapping_add(count));
                }
                Act::Tear(n, user_data, result) => host(self.shared, |s| {
                    let at = n % COMPLETIONS as usize;
                    s.completions[at] = Completion { user_data, result, ..s.completions[at] };
                }),
                Act::Words(head, tail, flags) => host(self.shared, |s| {
                    s.sq_head = head.unwrap_or(s.sq_head);
                    s.cq_tail = tail.unwrap_or(s.cq_tail);
                    s.sq_flags = flags;
                    // What the client wrote is its own, whatever stands there.
                    (s.sq_tail, s.cq_head) = (flags, flags);
                }),
                Act::Take => {
                    let left = self.client.unsubmitted();
                    let Ok(left) = left else { return Ok(false) };
                    prop_assert!(left <= SUBMISSIONS);
                    host(self.shared, |s| s.sq_head = s.sq_head.wrapping_add(left));
                }
                Act::Cancel(_) | Act::Poll(_) => {}
            }
            Ok(true)
        }
    }

    proptest! {
        /// Whatever the host writes: no answer is beyond what was asked, no operation ends twice, and
        /// no slot is lost or used twice; a broken rule is found, and then nothing more is done.
        #[test]
        fn no_host_gets_an_unbelievable_answer_in(acts in collection::vec(act(), 0..300)) {
            let (client, shared) = ring();
            let mut world = World { client, shared, awaited: Vec::new(), cancelled: Vec::new() };
            for act in acts {
                if !world.does(act)? {
                    return Ok(());
                }
                let client = &world.client;
                prop_assert!(client.in_flight() <= IN_FLIGHT);
                prop_assert!(client.in_flight() >= world.awaited.len());
                prop_assert!(client.in_flight() <= world.awaited.len() + world.cancelled.len());
                let rings: usize = world.awaited.iter().map(|one| {
                    one.bell.0.load(std::sync::atomic::Ordering::Relaxed)
                }).max().unwrap_or(0);
                prop_assert!(rings <= 1, "an operation ended twice");
            }
        }

        /// A host that means well is never taken for another, and every operation ends.
        #[test]
        fn an_honest_host_is_never_found_out(acts in collection::vec(honest(), 0..300)) {
            let (client, shared) = ring();
            let mut world = World { client, shared, awaited: Vec::new(), cancelled: Vec::new() };
            for act in acts {
                prop_assert!(world.does(act)?);
            }
            prop_assert!(world.ends_well()?);
            prop_assert_eq!(world.client.in_flight(), 0);
        }
    }
}
