use alloc::sync::Arc;

use abi::Errno;

use super::{Epoll, Interest, Options, epoll};
use crate::anonymous::Owner;
use crate::device;
use crate::eventfd::{Kind, eventfd};
use crate::object::{Events, OpenFile, Status};
use crate::pipe::pipe;
use crate::testing::{Count, read, write};

const IN: u32 = Events::IN.bits();
const OUT: u32 = Events::OUT.bits();
const EDGE: u32 = Options::EDGE.bits();
const ONESHOT: u32 = Options::ONESHOT.bits();
const EXCLUSIVE: u32 = Options::EXCLUSIVE.bits();

fn set() -> Arc<OpenFile> {
    epoll(Owner::default())
}

fn of(open: &OpenFile) -> &Epoll {
    open.downcast().unwrap()
}

fn add(set: &OpenFile, fd: i32, file: &Arc<OpenFile>, events: u32) -> Option<Errno> {
    let interest = Interest { events, data: u64::from(fd.unsigned_abs()) };
    of(set).add(fd, file, interest).err().map(|error| error.errno)
}

/// (data, events) of what is ready.
fn ready(set: &OpenFile, most: usize) -> Vec<(u64, u32)> {
    let mut all = Vec::new();
    let taken = of(set).collect(most, |event| {
        all.push((event.data, event.events));
        true
    });
    assert_eq!(taken, all.len());
    all
}

fn ends() -> (Arc<OpenFile>, Arc<OpenFile>) {
    pipe(Status::NONBLOCK, Owner::default())
}

#[test]
fn levels_are_told_as_long_as_they_hold() {
    let (r, w) = ends();
    let set = set();
    assert_eq!(add(&set, 3, &r, IN), None);
    assert_eq!(add(&set, 4, &w, OUT), None);
    assert_eq!(ready(&set, 9), [(4, OUT)]);
    write(&w, b"x").unwrap();
    assert_eq!(ready(&set, 9), [(4, OUT), (3, IN)]);
    assert_eq!(ready(&set, 1), [(4, OUT)]);
    assert_eq!(ready(&set, 1), [(3, IN)], "each gets its turn");
    read(&r, 1).unwrap();
    assert_eq!(ready(&set, 9), [(4, OUT)]);
    drop(w);
    assert_eq!(ready(&set, 9), [(3, Events::HUP.bits())], "HUP is told unasked");
}

#[test]
fn edges_are_told_once() {
    let (r, w) = ends();
    let set = set();
    add(&set, 3, &r, IN | EDGE);
    assert_eq!(ready(&set, 9), []);
    write(&w, b"x").unwrap();
    assert_eq!(ready(&set, 9), [(3, IN)]);
    assert_eq!(ready(&set, 9), []);
    write(&w, b"y").unwrap();
    assert_eq!(ready(&set, 9), [(3, IN)], "each write is an edge");
    read(&r, 1).unwrap();
    assert_eq!(ready(&set, 9), []);
    of(&set).modify(3, &r, Interest { events: IN | EDGE, data: 5 }).unwrap();
    assert_eq!(ready(&set, 9), [(5, IN)], "a change arms it again");
}

#[test]
fn one_shot_waits_to_be_armed() {
    let (r, w) = ends();
    let set = set();
    add(&set, 3, &r, IN | ONESHOT);
    write(&w, b"x").unwrap();
    assert_eq!(ready(&set, 9), [(3, IN)]);
    write(&w, b"y").unwrap();
    assert_eq!(ready(&set, 9), []);
    of(&set).modify(3, &r, Interest { events: IN | ONESHOT, data: 3 }).unwrap();
    assert_eq!(ready(&set, 9), [(3, IN)]);
}

#[test]
fn control_refuses_as_linux_does() {
    let (r, _w) = ends();
    let set = set();
    let interest = Interest { events: IN, data: 0 };
    assert_eq!(of(&set).modify(3, &r, interest).unwrap_err().errno, Errno::ENOENT);
    assert_eq!(of(&set).delete(3, &r).unwrap_err().errno, Errno::ENOENT);
    assert_eq!(add(&set, 3, &r, IN), None);
    assert_eq!(add(&set, 3, &r, IN), Some(Errno::EEXIST));
    assert_eq!(add(&set, 4, &r, IN), None, "the same description under another number");
    let null = OpenFile::new(device::open(0x103).unwrap(), Status::empty(), None);
    assert_eq!(add(&set, 5, &null, IN), Some(Errno::EPERM));
    assert_eq!(add(&set, 6, &r, IN | EXCLUSIVE | ONESHOT), Some(Errno::EINVAL));
    assert_eq!(add(&set, 6, &r, IN | EXCLUSIVE), None);
    assert_eq!(of(&set).modify(6, &r, interest).unwrap_err().errno, Errno::EINVAL);
    assert_eq!(of(&set).list().iter().map(|(fd, ..)| *fd).collect::<Vec<_>>(), [3, 4, 6]);
    of(&set).delete(3, &r).unwrap();
    assert_eq!(of(&set).delete(3, &r).unwrap_err().errno, Errno::ENOENT);
}

#[test]
fn a_registration_ends_with_its_description() {
    let (r, w) = ends();
    let set = set();
    add(&set, 3, &r, IN);
    write(&w, b"x").unwrap();
    drop(r);
    assert_eq!(ready(&set, 9), []);
    assert!(of(&set).list().is_empty());
    let (r, _w) = ends();
    assert_eq!(add(&set, 3, &r, IN), None, "the number is free again");
}

#[test]
fn what_was_deleted_is_neither_told_nor_kept() {
    let event = eventfd(1, Kind::Counter, Status::NONBLOCK, Owner::default());
    let set = set();
    for _ in 0..1000 {
        assert_eq!(add(&set, 3, &event, IN), None);
        of(&set).delete(3, &event).unwrap();
    }
    assert!(of(&set).ready.lock().list.len() < 50);
    assert_eq!(ready(&set, 9), []);
    assert_eq!(set.poll(), Events::empty());
}

#[test]
fn many_dead_are_pruned() {
    let set = set();
    for fd in 0..1000 {
        let event = eventfd(0, Kind::Counter, Status::NONBLOCK, Owner::default());
        assert_eq!(add(&set, fd, &event, IN), None);
    }
    assert!(of(&set).registered.lock().items.len() < 200);
}

#[test]
fn an_event_that_cannot_be_taken_stays() {
    let (r, w) = ends();
    let set = set();
    add(&set, 3, &r, IN | EDGE);
    write(&w, b"x").unwrap();
    assert_eq!(of(&set).collect(9, |_| false), 0);
    assert_eq!(ready(&set, 9), [(3, IN)]);
}

#[test]
fn sets_nest_and_wake_each_other() {
    let (r, w) = ends();
    let (inner, outer) = (set(), set());
    add(&inner, 3, &r, IN);
    add(&outer, 4, &inner, IN);
    let (count, _subscription) = Count::of(outer.object().readiness().unwrap());
    assert_eq!(outer.poll(), Events::empty());
    write(&w, b"x").unwrap();
    assert_eq!(count.take(), 1);
    assert_eq!(outer.poll(), Events::IN | Events::RDNORM);
    assert_eq!(ready(&outer, 9), [(4, IN)]);
    read(&r, 1).unwrap();
    assert_eq!(ready(&outer, 9), []);
}

#[test]
fn circles_and_towers_are_refused() {
    let sets: Vec<_> = (0..6).map(|_| set()).collect();
    for at in 0..4 {
        assert_eq!(add(&sets[at], 1, &sets[at + 1], IN), None);
    }
    assert_eq!(add(&sets[4], 1, &sets[5], IN), Some(Errno::ELOOP), "six from the bottom");
    assert_eq!(add(&sets[5], 1, &sets[0], IN), Some(Errno::ELOOP), "six from the top");
    assert_eq!(add(&sets[3], 1, &sets[0], IN), Some(Errno::ELOOP), "a circle");
    of(&sets[0]).delete(1, &sets[1]).unwrap();
    assert_eq!(add(&sets[4], 1, &sets[5], IN), None);
}

#[test]
fn ten_thousand_registered_cost_nothing_when_one_is_ready() {
    let set = set();
    let events: Vec<_> = (0..10_000)
        .map(|_| eventfd(0, Kind::Counter, Status::NONBLOCK, Owner::default()))
        .collect();
    for (fd, event) in (0..).zip(&events) {
        assert_eq!(add(&set, fd, event, IN), None);
    }
    write(&events[7777], &1_u64.to_le_bytes()).unwrap();
    assert_eq!(of(&set).ready.lock().list.len(), 1);
    assert_eq!(ready(&set, 64), [(7777, IN)]);
}
