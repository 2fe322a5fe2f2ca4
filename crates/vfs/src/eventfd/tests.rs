use abi::Errno;

use super::{Kind, eventfd};
use crate::anonymous::Owner;
use crate::object::{Events, OpenFile, Status};
use crate::testing::{Bytes, Count, read, stopped, write};

fn add(open: &OpenFile, number: u64) -> crate::object::Attempt<usize> {
    write(open, &number.to_le_bytes())
}

fn get(open: &OpenFile) -> u64 {
    u64::from_le_bytes(read(open, 100).unwrap().try_into().unwrap())
}

#[test]
fn adds_and_empties() {
    let e = eventfd(3, Kind::Counter, Status::NONBLOCK, Owner::default());
    let (count, _subscription) = Count::of(e.object().readiness().unwrap());
    add(&e, 4).unwrap();
    assert_eq!(count.take(), 1);
    assert_eq!(e.poll(), Events::IN | Events::OUT);
    assert_eq!(get(&e), 7);
    assert_eq!(e.poll(), Events::OUT);
    assert_eq!(stopped(read(&e, 8)), None);
}

#[test]
fn a_semaphore_gives_one_at_a_time() {
    let e = eventfd(2, Kind::Semaphore, Status::NONBLOCK, Owner::default());
    assert_eq!((get(&e), get(&e)), (1, 1));
    assert_eq!(stopped(read(&e, 8)), None);
}

#[test]
fn refuses_what_does_not_fit() {
    let e = eventfd(1, Kind::Counter, Status::NONBLOCK, Owner::default());
    assert_eq!(stopped(read(&e, 7)), Some(Errno::EINVAL));
    assert_eq!(stopped(write(&e, &[0; 7])), Some(Errno::EINVAL));
    assert_eq!(stopped(add(&e, u64::MAX)), Some(Errno::EINVAL));
    assert_eq!(stopped(write(&e, &[0; 16])), Some(Errno::EINVAL));
    assert_eq!(stopped(add(&e, u64::MAX - 1)), None);
    assert_eq!(add(&e, u64::MAX - 2).unwrap(), 8);
    assert_eq!(e.poll(), Events::IN);
    assert_eq!(stopped(add(&e, 1)), None);
    assert_eq!(get(&e), u64::MAX - 1);
}

#[test]
fn a_bad_buffer_loses_the_count() {
    let e = eventfd(9, Kind::Counter, Status::NONBLOCK, Owner::default());
    let mut sink = Bytes::sink(8).faulting(0);
    assert_eq!(e.object().read(&e, 0, &mut sink).unwrap(), 0);
    assert_eq!(e.poll(), Events::OUT);
}
