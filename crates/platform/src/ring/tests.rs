//! A hostile host: whatever it writes into the rings, nothing wild happens.

use core::task::Waker;

use super::layout::{Completion, Submission};
use super::{Broken, COMPLETIONS, Client, Places, SUBMISSIONS};

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
    host(shared, |s| {
        let at = (s.cq_tail % COMPLETIONS) as usize;
        s.completions[at] = Completion { user_data, result, flags: 0 };
        s.cq_tail = s.cq_tail.wrapping_add(1);
    });
}

fn submit(client: &mut Client, most: usize) -> super::Ticket {
    client.submit(Submission::default(), most, None).expect("not broken").expect("a slot")
}

#[test]
fn a_completion_ends_its_operation_once() {
    let (mut client, shared) = ring();
    let ticket = submit(&mut client, 100);
    complete(shared, ticket.user_data(), 42);
    complete(shared, ticket.user_data(), 43);
    client.reap().expect("not broken");
    let (result, _) = client.poll(ticket, Waker::noop()).expect("it is there");
    assert_eq!(result.count_at_most(100).expect("a count"), 42);
    assert_eq!(client.counters().rejected, 1);
    assert_eq!(client.in_flight(), 0);
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
    client.reap().expect("not broken");
    assert!(client.poll(second, Waker::noop()).is_none());
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
    complete(shared, super::layout::CANCELLATION, 0);
    client.reap().expect("not broken");
    assert_eq!(client.in_flight(), 1);
    complete(shared, ticket.user_data(), -125);
    client.reap().expect("not broken");
    assert_eq!(client.in_flight(), 0);
    assert_eq!(client.counters().rejected, 0);
}

#[test]
fn any_garbage_is_survived() {
    let mut seed = 0x1234_5678_9abc_def0_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..200 {
        let (mut client, shared) = ring();
        let tickets: Vec<_> = (0..random() % 50).map(|_| submit(&mut client, 64)).collect();
        for _ in 0..random() % 200 {
            let data =
                if random() % 2 == 0 { random() } else { random() % 64 | (random() % 3) << 32 };
            #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
            complete(shared, data, random() as i32);
        }
        client.reap().expect("the tail is in range");
        for ticket in tickets {
            if let Some((result, _)) = client.poll(ticket, Waker::noop()) {
                assert!(result.count_at_most(64).map_or(true, |got| got <= 64));
            }
        }
    }
}
