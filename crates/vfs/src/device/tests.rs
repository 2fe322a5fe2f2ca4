use abi::Errno;

use super::{Device, Kind, open};
use crate::object::{OpenFile, Status};
use crate::testing::{Bytes, read, stopped, write};

fn device(kind: Kind) -> alloc::sync::Arc<OpenFile> {
    OpenFile::new(open(kind.number()).unwrap(), Status::READ_WRITE, None)
}

#[test]
fn null_swallows_even_what_cannot_be_read() {
    let null = device(Kind::Null);
    let mut source = Bytes::source(b"hello").faulting(0);
    assert_eq!(null.object().write(&null, None, &mut source).unwrap().0, 5);
    assert_eq!(read(&null, 10).unwrap(), b"");
    assert!(null.object().readiness().is_none());
}

#[test]
fn zero_and_full_give_zeros() {
    assert_eq!(read(&device(Kind::Zero), 10_000).unwrap(), vec![0; 10_000]);
    let full = device(Kind::Full);
    assert_eq!(read(&full, 3).unwrap(), [0; 3]);
    assert_eq!(stopped(write(&full, b"x")), Some(Errno::ENOSPC));
}

#[test]
fn random_differs() {
    let random = device(Kind::Urandom);
    let first = read(&random, 1000).unwrap();
    assert_eq!(first.len(), 1000);
    assert_ne!(first, read(&random, 1000).unwrap());
    assert_eq!(write(&random, &[1; 20]).unwrap(), 20);
    assert!(device(Kind::Random).object().readiness().is_some());
}

#[test]
fn who_opens_the_terminal_puts_it_in_its_place() {
    let tty = open(Kind::Tty.number()).unwrap();
    assert_eq!(tty.as_any().downcast_ref::<Device>().unwrap().kind(), Kind::Tty);
    assert_eq!(open(0x123).err().unwrap().errno, Errno::ENXIO);
}
