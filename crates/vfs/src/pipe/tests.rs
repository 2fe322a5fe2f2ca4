//! The numbers in these tests were compared with Linux.

use abi::Errno;

use super::{End, FIONREAD, MAX, MAX_UNPRIVILEGED, Pipe, pipe};
use crate::anonymous::Owner;
use crate::object::{Events, OpenFile, Status};
use crate::testing::{Bytes, Count, ioctl, read, stopped, write};

const IN: Events = Events::IN.union(Events::RDNORM);
const OUT: Events = Events::OUT.union(Events::WRNORM);

fn end(open: &OpenFile) -> &End {
    open.downcast().expect("a pipe's end")
}

#[test]
fn bytes_arrive_in_order() {
    let (r, w) = pipe(Status::empty(), Owner::default());
    assert_eq!(write(&w, b"hello ").unwrap(), 6);
    assert_eq!(write(&w, b"world").unwrap(), 5);
    assert_eq!(ioctl(&r, FIONREAD).unwrap(), 11);
    assert_eq!(read(&r, 8).unwrap(), b"hello wo");
    assert_eq!(read(&r, 8).unwrap(), b"rld");
    assert_eq!(stopped(read(&r, 8)), None);
}

#[test]
fn fills_as_linux_does() {
    // (bytes of each write, writes until the pipe is full): slots, not bytes, are what runs out.
    for (len, count) in [(1, 65_536), (4096, 16), (4095, 16), (1000, 64), (3000, 16), (5000, 10)] {
        let (_r, w) = pipe(Status::NONBLOCK, Owner::default());
        let bytes = vec![7; len];
        let mut writes = 0;
        while write(&w, &bytes).is_ok_and(|done| done == len) {
            writes += 1;
        }
        assert_eq!(writes, count, "writes of {len} bytes");
        assert_eq!(w.poll(), Events::empty());
    }
}

#[test]
fn a_long_write_is_cut_at_the_capacity() {
    let (r, w) = pipe(Status::NONBLOCK, Owner::default());
    assert_eq!(write(&w, &vec![1; 100_000]).unwrap(), 65_536);
    assert_eq!(stopped(write(&w, &[2])), None);
    assert_eq!(read(&r, 100).unwrap(), vec![1; 100]);
    assert_eq!(stopped(write(&w, &[2])), None, "a slot that is partly read is not free");
    assert_eq!(read(&r, 3996).unwrap().len(), 3996);
    assert_eq!(write(&w, &[2]).unwrap(), 1);
}

#[test]
fn ends_tell_each_other_when_they_go() {
    let (r, w) = pipe(Status::empty(), Owner::default());
    assert_eq!(r.poll(), Events::empty());
    assert_eq!(w.poll(), OUT);
    write(&w, b"x").unwrap();
    drop(w);
    assert_eq!(r.poll(), IN | Events::HUP);
    assert_eq!(read(&r, 9).unwrap(), b"x");
    assert_eq!(r.poll(), Events::HUP);
    assert_eq!(read(&r, 9).unwrap(), b"");

    let (r, w) = pipe(Status::empty(), Owner::default());
    let (count, _subscription) = Count::of(w.object().readiness().unwrap());
    drop(r);
    assert!(count.take() >= 1);
    assert_eq!(w.poll(), OUT | Events::ERR);
    assert_eq!(stopped(write(&w, b"x")), Some(Errno::EPIPE));
    assert_eq!(write(&w, b"").unwrap(), 0);
}

#[test]
fn packets_keep_their_ends() {
    let (r, w) = pipe(Status::DIRECT, Owner::default());
    write(&w, b"first").unwrap();
    write(&w, b"second").unwrap();
    assert_eq!(read(&r, 3).unwrap(), b"fir");
    assert_eq!(read(&r, 100).unwrap(), b"second");
    write(&w, &[1; 5000]).unwrap();
    assert_eq!(read(&r, 9000).unwrap().len(), 4096);
    assert_eq!(read(&r, 9000).unwrap().len(), 904);
}

#[test]
fn a_fault_takes_whole_pages_or_nothing() {
    let (r, w) = pipe(Status::empty(), Owner::default());
    let mut source = Bytes::source(&[5; 9000]).faulting(6000);
    assert_eq!(w.object().write(&w, None, &mut source).unwrap().0, 4096, "one page is whole");
    let mut sink = Bytes::sink(4096).faulting(100);
    assert_eq!(r.object().read(&r, 0, &mut sink).unwrap(), 0);
    assert_eq!(ioctl(&r, FIONREAD).unwrap(), 4096);
    let mut source = Bytes::source(&[5; 10]).faulting(0);
    assert_eq!(w.object().write(&w, None, &mut source).unwrap().0, 0);
    assert_eq!(read(&r, 6000).unwrap().len(), 4096);
}

#[test]
fn wakes_when_it_matters() {
    let (r, w) = pipe(Status::NONBLOCK, Owner::default());
    let (readers, _a) = Count::of(r.object().readiness().unwrap());
    let (writers, _b) = Count::of(w.object().readiness().unwrap());
    write(&w, b"12").unwrap();
    assert_eq!((readers.take(), writers.take()), (1, 0));
    write(&w, b"34").unwrap();
    assert_eq!((readers.take(), writers.take()), (1, 0), "an edge for each write");
    read(&r, 1).unwrap();
    assert_eq!((readers.take(), writers.take()), (0, 0), "no edge for what was there before");
    write(&w, &vec![0; 70_000]).unwrap();
    readers.take();
    read(&r, 10).unwrap();
    assert_eq!(writers.take(), 0, "no slot is free yet");
    read(&r, 4096).unwrap();
    assert_eq!(writers.take(), 1);
}

#[test]
fn the_capacity_changes() {
    let (r, w) = pipe(Status::NONBLOCK, Owner::default());
    assert_eq!(end(&r).capacity(), 65_536);
    assert_eq!(end(&r).set_capacity(5000, MAX_UNPRIVILEGED).unwrap(), 8192);
    assert_eq!(write(&w, &[0; 10_000]).unwrap(), 8192);
    assert_eq!(end(&w).set_capacity(4096, MAX).unwrap_err().errno, Errno::EBUSY);
    assert_eq!(end(&w).set_capacity(2 << 20, MAX_UNPRIVILEGED).unwrap_err().errno, Errno::EPERM);
    assert_eq!(end(&w).set_capacity(usize::MAX, MAX).unwrap_err().errno, Errno::EINVAL);
    assert_eq!(end(&w).set_capacity(1 << 20, MAX_UNPRIVILEGED).unwrap(), 1 << 20);
    assert_eq!(write(&w, &vec![0; 2 << 20]).unwrap(), (1 << 20) - 8192);
}

#[test]
fn a_fifo_without_writers_is_not_hung_up_before_the_first() {
    let fifo = Pipe::fifo(Owner::default());
    let r = OpenFile::new(fifo.end(Status::empty()), Status::empty(), None);
    assert_eq!(r.poll(), Events::empty());
    assert_eq!(read(&r, 1).unwrap(), b"");
    let w = OpenFile::new(fifo.end(Status::WRITE), Status::WRITE, None);
    let late = OpenFile::new(fifo.end(Status::empty()), Status::empty(), None);
    assert_eq!(stopped(read(&r, 1)), None);
    drop(w);
    assert_eq!((r.poll(), late.poll()), (Events::HUP, Events::HUP));
    let both = OpenFile::new(fifo.end(Status::READ_WRITE), Status::READ_WRITE, None);
    let (count, _subscription) = Count::of(both.object().readiness().unwrap());
    assert_eq!(write(&both, b"me").unwrap(), 2);
    assert_eq!(count.take(), 1);
    assert_eq!(read(&both, 9).unwrap(), b"me");
    assert_eq!(both.poll(), OUT);
}
