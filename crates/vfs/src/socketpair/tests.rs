//! The numbers in these tests were compared with Linux.

use alloc::sync::Arc;

use abi::Errno;

use super::{Kind, Maker, Received, Shutdown, Socket, Take, socketpair};
use crate::anonymous::Owner;
use crate::object::{Attempt, Events, OpenFile, Status};
use crate::pipe::{FIONREAD, pipe};
use crate::testing::{Bytes, Count, ioctl, read, stopped, write};

fn pair(kind: Kind) -> [Arc<OpenFile>; 2] {
    socketpair(kind, Status::NONBLOCK, Maker::default())
}

fn socket(open: &OpenFile) -> &Socket {
    open.downcast().unwrap()
}

fn send(open: &OpenFile, bytes: &[u8], rights: Vec<Arc<OpenFile>>) -> Attempt<usize> {
    socket(open).send(&mut Bytes::source(bytes), &mut { rights })
}

fn receive(open: &OpenFile, room: usize, take: Take) -> (Vec<u8>, Received) {
    let mut sink = Bytes::sink(room);
    let received = socket(open).receive(&mut sink, take).unwrap();
    (sink.content.into(), received)
}

#[test]
fn a_stream_goes_both_ways() {
    let [a, b] = pair(Kind::Stream);
    write(&a, b"ping").unwrap();
    write(&b, b"pong!").unwrap();
    assert_eq!(ioctl(&b, FIONREAD).unwrap(), 4);
    assert_eq!(read(&b, 3).unwrap(), b"pin");
    assert_eq!(read(&b, 3).unwrap(), b"g");
    assert_eq!(stopped(read(&b, 3)), None);
    assert_eq!(read(&a, 99).unwrap(), b"pong!");
}

#[test]
fn a_stream_wraps_and_grows() {
    let [a, b] = pair(Kind::Stream);
    let (mut sent, mut got) = (0, 0);
    for round in 0..200_usize {
        let bytes: Vec<u8> = (0..=250).cycle().skip(sent % 251).take(round * 37 % 900).collect();
        if !bytes.is_empty() {
            assert_eq!(write(&a, &bytes).unwrap(), bytes.len());
        }
        sent += bytes.len();
        if let Ok(bytes) = read(&b, round * 23 % 700) {
            for byte in bytes {
                assert_eq!(usize::from(byte), got % 251);
                got += 1;
            }
        }
    }
    assert!(sent > 50_000 && got > 30_000);
}

#[test]
fn a_full_stream_takes_more_once_three_quarters_are_free() {
    let [a, b] = pair(Kind::Stream);
    let (count, _subscription) = Count::of(a.object().readiness().unwrap());
    let total = write(&a, &vec![1; 1 << 20]).unwrap();
    assert_eq!(total, 212_992);
    assert_eq!(stopped(write(&a, b"x")), None);
    assert!(!a.poll().contains(Events::OUT));
    read(&b, 100_000).unwrap();
    assert_eq!(count.take(), 0);
    read(&b, 100_000).unwrap();
    assert_eq!(count.take(), 1);
    assert!(a.poll().contains(Events::OUT));
}

#[test]
fn the_end_of_a_stream() {
    let [a, b] = pair(Kind::Stream);
    write(&a, b"x").unwrap();
    drop(a);
    let gone = Events::IN | Events::RDNORM | Events::OUT | Events::WRNORM | Events::HUP;
    assert_eq!(b.poll(), gone | Events::RDHUP);
    assert_eq!(read(&b, 9).unwrap(), b"x");
    assert_eq!(read(&b, 9).unwrap(), b"");
    assert_eq!(stopped(write(&b, b"y")), Some(Errno::EPIPE));

    let [a, b] = pair(Kind::Stream);
    write(&b, b"unread").unwrap();
    drop(a);
    assert!(b.poll().contains(Events::ERR));
    assert_eq!(stopped(read(&b, 9)), Some(Errno::ECONNRESET));
    assert_eq!(read(&b, 9).unwrap(), b"");
}

#[test]
fn shutdown_ends_one_direction() {
    let [a, b] = pair(Kind::Stream);
    write(&a, b"last").unwrap();
    socket(&a).shutdown(Shutdown::Send);
    assert_eq!(stopped(write(&a, b"x")), Some(Errno::EPIPE));
    assert!(b.poll().contains(Events::RDHUP) && !b.poll().contains(Events::HUP));
    assert_eq!(read(&b, 9).unwrap(), b"last");
    assert_eq!(read(&b, 9).unwrap(), b"");
    assert_eq!(write(&b, b"still").unwrap(), 5);
    socket(&b).shutdown(Shutdown::Both);
    assert!(a.poll().contains(Events::HUP));
    assert_eq!(read(&a, 9).unwrap(), b"still");
    assert_eq!(read(&a, 9).unwrap(), b"");
}

#[test]
fn messages_keep_their_ends() {
    for kind in [Kind::Packets, Kind::Datagram] {
        let [a, b] = pair(kind);
        send(&a, b"first", vec![]).unwrap();
        send(&a, b"", vec![]).unwrap();
        send(&a, b"third", vec![]).unwrap();
        assert_eq!(ioctl(&b, FIONREAD).unwrap(), 5);
        let (bytes, received) = receive(&b, 3, Take::Peek);
        assert_eq!((bytes.as_slice(), received.full), (&b"fir"[..], 5));
        assert_eq!(receive(&b, 3, Take::Away).0, b"fir");
        assert_eq!(receive(&b, 9, Take::Away).0, b"");
        assert_eq!(receive(&b, 9, Take::Away).0, b"third");
        assert_eq!(stopped(socket(&b).receive(&mut Bytes::sink(9), Take::Away)), None);
        assert_eq!(stopped(send(&a, &vec![0; 300_000], vec![])), Some(Errno::EMSGSIZE));
        let sent = (0..100).take_while(|_| send(&a, b"x", vec![]).is_ok()).count();
        assert_eq!(sent, 11);
        drop(b);
        let errno = if kind == Kind::Packets { Errno::EPIPE } else { Errno::ECONNREFUSED };
        assert_eq!(stopped(send(&a, b"x", vec![])), Some(errno));
    }
}

#[test]
fn descriptors_travel_with_the_bytes() {
    let [a, b] = pair(Kind::Stream);
    let (r, w) = pipe(Status::NONBLOCK, Owner::default());
    write(&a, b"before").unwrap();
    send(&a, b"with", vec![Arc::clone(&w)]).unwrap();
    write(&a, b"after").unwrap();
    drop(w);
    let (bytes, received) = receive(&b, 8, Take::Peek);
    assert_eq!((bytes.as_slice(), received.rights.len()), (&b"beforewi"[..], 1));
    drop(received);
    let (bytes, received) = receive(&b, 99, Take::Away);
    assert_eq!((bytes.as_slice(), received.rights.len()), (&b"beforewith"[..], 1));
    assert_eq!(write(&received.rights[0], b"through").unwrap(), 7);
    assert_eq!(read(&r, 99).unwrap(), b"through");
    assert_eq!(receive(&b, 99, Take::Away).0, b"after");
    drop(received);
    assert_eq!(read(&r, 99).unwrap(), b"", "the last descriptor went");
}

#[test]
fn descriptors_under_way_are_closed_with_the_socket() {
    let [a, b] = pair(Kind::Packets);
    let (r, w) = pipe(Status::NONBLOCK, Owner::default());
    send(&a, b"x", vec![w]).unwrap();
    assert_eq!(stopped(read(&r, 9)), None);
    drop(b);
    assert_eq!(read(&r, 9).unwrap(), b"");
}
