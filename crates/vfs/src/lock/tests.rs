//! Tests of locks among several holders.

use abi::Errno;

use super::{Holder, Locks, Mode, Record, Wanted, Whole};

const A: Holder = Holder::Process(1);
const B: Holder = Holder::Process(2);

fn record(holder: Holder, bytes: core::ops::Range<u64>, mode: Mode) -> Record {
    Record { holder, bytes, mode, by: 7 }
}

fn take(locks: &Locks, holder: Holder, bytes: core::ops::Range<u64>, mode: Mode) -> bool {
    locks.take(record(holder, bytes, mode)).expect("memory")
}

#[test]
fn records_split_and_convert() {
    let locks = Locks::new();
    assert!(take(&locks, A, 0..100, Mode::Exclusive));
    assert!(!take(&locks, B, 50..60, Mode::Shared));
    locks.release(A, &(40..60)).expect("memory");
    assert!(take(&locks, B, 40..60, Mode::Shared));
    assert!(!take(&locks, B, 39..41, Mode::Shared));
    assert!(!take(&locks, A, 0..100, Mode::Exclusive));
    assert!(take(&locks, A, 0..100, Mode::Shared));
    let found = locks.conflict(&record(B, 0..u64::MAX, Mode::Exclusive));
    assert_eq!(found, Some(record(A, 0..100, Mode::Shared)));
    locks.release_all(A);
    assert!(take(&locks, B, 0..u64::MAX, Mode::Exclusive));
}

#[test]
fn equal_neighbours_are_one() {
    let locks = Locks::new();
    for bytes in [10..20, 30..40, 20..30, 0..5] {
        assert!(take(&locks, A, bytes, Mode::Exclusive));
    }
    let shown = locks.of(A, 7);
    assert_eq!(shown.len(), 2);
    assert!(shown[0].starts_with("POSIX  ADVISORY  WRITE 1 ") && shown[0].ends_with(" 0 4"));
    assert!(shown[1].ends_with(" 10 39"));
    // Neighbours of another kind are not.
    assert!(take(&locks, A, 40..u64::MAX, Mode::Shared));
    assert!(locks.of(A, 7)[2].ends_with(" 40 EOF"));
}

#[test]
fn whole_files_are_shared_or_not() {
    let locks = Locks::new();
    let (one, two) = (Holder::Description(1), Holder::Description(2));
    let take = |holder, mode| locks.take_whole(Whole { holder, mode, pid: 1 }).expect("memory");
    assert!(take(one, Mode::Shared));
    assert!(take(two, Mode::Shared));
    assert!(!take(one, Mode::Exclusive));
    locks.release_whole(two);
    assert!(take(one, Mode::Exclusive));
    assert!(!take(two, Mode::Shared));
}

#[test]
fn a_circle_of_waits_is_refused() {
    let (one, two) = (Locks::new(), Locks::new());
    let (c, d) = (Holder::Process(103), Holder::Process(104));
    assert!(take(&one, c, 0..10, Mode::Exclusive));
    assert!(take(&two, d, 0..10, Mode::Exclusive));
    let want = |holder| Wanted::Record(record(holder, 5..6, Mode::Shared));
    let waits = two.wait(want(c)).expect("no circle yet");
    assert_eq!(one.wait(want(d)).err().map(|error| error.errno), Some(Errno::EDEADLK));
    drop(waits);
    drop(one.wait(want(d)).expect("nobody waits for it"));
    // Descriptions are nobody's, and wait as long as they like.
    let description = Holder::Description(9);
    drop(one.wait(Wanted::Record(record(description, 0..1, Mode::Shared))).expect("no process"));
}

#[test]
fn waits_are_shown_behind_what_they_wait_for() {
    let locks = Locks::new();
    locks.set_file(0x815, 77);
    assert!(take(&locks, Holder::Process(105), 0..10, Mode::Exclusive));
    let wanted = record(Holder::Description(3), 9..u64::MAX, Mode::Shared);
    let waiting = locks.wait(Wanted::Record(wanted)).expect("no circle");
    let lines = || {
        let all = super::shown::all();
        let ours = all.lines().filter(|line| line.contains(" 08:15:77 "));
        ours.map(|line| line.split_once(": ").expect("a number").1.to_owned()).collect::<Vec<_>>()
    };
    let held = "POSIX  ADVISORY  WRITE 105 08:15:77 0 9";
    assert_eq!(lines(), [held, "-> OFDLCK ADVISORY  READ -1 08:15:77 9 EOF"]);
    drop(waiting);
    assert_eq!(lines(), [held]);
}
