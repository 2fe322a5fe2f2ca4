use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Waker;

use abi::io::{Code, STREAM};
use abi::{Errno, Untrusted};
use platform::sync::Mutex;
use platform::user::Source;

use super::host::{Data, Host};
use super::{Nature, Stream};
use crate::anonymous::{S_IFCHR, S_IFIFO, S_IFREG};
use crate::object::{Events, OpenFile, Status, Stop, Waiting};
use crate::testing::{Argument, Bytes, Count, read, stopped, write};

const TERMIOS: [u8; 36] = [0xa5; 36];

/// A host with one stream: what was written to it can be read again.
struct Fake {
    mode: u32,
    terminal: bool,
    ready: Arc<AtomicU32>,
    contents: Mutex<Contents>,
    waiting: Arc<Mutex<Vec<Waker>>>,
}

#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    position: usize,
    calls: Vec<(u32, u64)>,
    /// What the next answer is instead.
    lie: Option<i64>,
    /// How many more bytes it takes, if there is a limit.
    room: Option<usize>,
}

fn fake(mode: u32, terminal: bool) -> &'static Fake {
    Box::leak(Box::new(Fake {
        mode: mode | 0o600,
        terminal,
        ready: Arc::new(AtomicU32::new(0)),
        contents: Mutex::new(Contents::default()),
        waiting: Arc::new(Mutex::new(Vec::new())),
    }))
}

fn open(host: &'static Fake) -> Arc<OpenFile> {
    let stream = Stream::open(0, host).unwrap();
    OpenFile::new(Arc::new(stream), Status::READ_WRITE, None)
}

impl Fake {
    fn become_ready(&self, events: Events) {
        self.ready.store(events.bits(), Ordering::Relaxed);
        let waiting = core::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Host for Fake {
    fn perform(
        &self,
        code: Code,
        _handle: u64,
        offset: u64,
        flags: u32,
        data: Data<'_>,
    ) -> Untrusted<i64> {
        let mut contents = self.contents.lock();
        contents.calls.push((code as u32, offset));
        let lie = if code == Code::Poll { None } else { contents.lie.take() };
        let Contents { bytes, position, room, .. } = &mut *contents;
        let at = if offset == STREAM { *position } else { usize::try_from(offset).unwrap() };
        let answer = match (code, data) {
            (Code::Stat, Data::Out(out)) => {
                out[..4].copy_from_slice(&self.mode.to_le_bytes());
                out[40..48].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
                out.len()
            }
            (Code::Poll, _) => (self.ready.load(Ordering::Relaxed) & flags) as usize,
            (Code::Read, Data::Out(out)) => {
                let len = out.len().min(bytes.len().saturating_sub(at));
                out[..len].copy_from_slice(&bytes[at..at + len]);
                *position = if offset == STREAM { at + len } else { *position };
                len
            }
            (Code::Write, Data::In(_)) if *room == Some(0) => {
                return Untrusted::new(-i64::from(Errno::EAGAIN.raw()));
            }
            (Code::Write, Data::In(new)) => {
                let new = &new[..new.len().min(room.unwrap_or(usize::MAX))];
                *room = room.map(|room| room - new.len());
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[at..at + new.len()].copy_from_slice(new);
                *position = if offset == STREAM { at + new.len() } else { *position };
                new.len()
            }
            (Code::GetTerminal, Data::Out(out)) if self.terminal => {
                out.copy_from_slice(&TERMIOS);
                out.len()
            }
            (Code::SetTerminal, Data::In(_)) => 0,
            _ => return Untrusted::new(-i64::from(Errno::ENOTTY.raw())),
        };
        Untrusted::new(lie.unwrap_or_else(|| i64::try_from(answer).expect("short")))
    }

    fn watch(&self, _handle: u64, events: u32) -> Waiting<'static, ()> {
        let (ready, waiting) = (Arc::clone(&self.ready), Arc::clone(&self.waiting));
        Box::pin(core::future::poll_fn(move |cx| {
            if ready.load(Ordering::Relaxed) & events != 0 {
                return core::task::Poll::Ready(());
            }
            waiting.lock().push(cx.waker().clone());
            core::task::Poll::Pending
        }))
    }
}

#[test]
fn a_pipe_of_the_host_is_asked_before_it_is_read() {
    let host = fake(S_IFIFO, false);
    let stream = open(host);
    assert_eq!(stream.downcast::<Stream>().unwrap().nature(), Nature::Flow);
    assert_eq!(stopped(read(&stream, 10)), None);
    assert!(!host.contents.lock().calls.iter().any(|call| call.0 == Code::Read as u32));
    let (count, _subscription) = Count::of(stream.object().readiness().unwrap());
    host.contents.lock().bytes = b"hello".to_vec();
    host.become_ready(Events::IN);
    assert_eq!(count.take(), 1);
    assert_eq!(read(&stream, 10).unwrap(), b"hello");
    assert_eq!(read(&stream, 10).unwrap(), b"", "ready, and nothing there: the end");
    host.become_ready(Events::empty());
    assert_eq!(stopped(read(&stream, 10)), None);
    assert_eq!(host.waiting.lock().len(), 1, "watched again");
}

#[test]
fn a_full_pipe_of_the_host_is_waited_for() {
    let host = fake(S_IFIFO, false);
    let stream = open(host);
    assert_eq!(stopped(write(&stream, b"x")), None);
    assert_eq!(stream.poll(), Events::empty());
    host.become_ready(Events::OUT);
    assert_eq!(stream.poll(), Events::OUT | Events::WRNORM);
    assert_eq!(write(&stream, &[1; 10_000]).unwrap(), 10_000);
    assert_eq!(host.contents.lock().bytes.len(), 10_000);
    host.contents.lock().lie = Some(-i64::from(Errno::EPIPE.raw()));
    assert_eq!(stopped(write(&stream, b"x")), Some(Errno::EPIPE));
    assert!(!stream.object().seekable());
}

#[test]
fn a_host_that_takes_a_part_gets_the_rest_later() {
    let host = fake(S_IFCHR, true);
    let stream = open(host);
    host.become_ready(Events::OUT);
    let text: Vec<u8> = (0..100).collect();
    // It takes 30, and says "not now" to the rest; nobody spins, nothing is lost.
    host.contents.lock().room = Some(30);
    let mut source = Bytes::source(&text);
    assert_eq!(stream.object().write(&stream, None, &mut source).unwrap().0, 30);
    assert_eq!(source.left(), 70);
    host.become_ready(Events::empty());
    assert_eq!(source.left(), 70);
    host.become_ready(Events::OUT);
    assert!(matches!(stream.object().write(&stream, None, &mut source), Err(Stop::WouldBlock)));
    host.contents.lock().room = None;
    assert_eq!(stream.object().write(&stream, None, &mut source).unwrap().0, 70);
    assert_eq!(host.contents.lock().bytes, text);
}

#[test]
fn a_file_of_the_host_has_positions() {
    let host = fake(S_IFREG, false);
    let stream = open(host);
    let object = stream.object();
    assert!(object.seekable() && object.readiness().is_none());
    let write_at = |at, bytes| object.write(&stream, Some(at), &mut Bytes::source(bytes)).unwrap();
    assert_eq!(write_at(0, b"0123456789"), (10, 10));
    assert_eq!(write_at(10, b"abc"), (3, 13));
    assert!(host.contents.lock().calls.iter().rev().take(2).all(|call| call.1 == STREAM));
    assert_eq!(write_at(2, b"xx"), (2, 4));
    assert_eq!(host.contents.lock().calls.last().unwrap().1, 2, "not where the host stands");
    let mut sink = Bytes::sink(4);
    assert_eq!(object.read(&stream, 1, &mut sink).unwrap(), 4);
    assert_eq!(Vec::from(sink.content), b"1xx4");
    assert_eq!(object.stat().unwrap().size, 13);
}

#[test]
fn a_lying_host_is_not_believed() {
    let host = fake(S_IFIFO, false);
    let stream = open(host);
    host.become_ready(Events::IN | Events::OUT);
    for lie in [5000, -5000, i64::MIN, i64::MAX] {
        host.contents.lock().lie = Some(lie);
        assert_eq!(stopped(read(&stream, 10)), Some(Errno::EIO));
        host.contents.lock().lie = Some(lie);
        assert_eq!(stopped(write(&stream, b"x")), Some(Errno::EIO));
    }
}

#[test]
fn a_terminal_is_controlled() {
    let host = fake(S_IFCHR, true);
    let stream = open(host);
    let mut argument = Argument(vec![0; 64]);
    assert_eq!(stream.object().ioctl(&stream, 0x5401, &mut argument).unwrap(), 0);
    assert_eq!(argument.0[..36], TERMIOS);
    assert_eq!(stream.object().ioctl(&stream, 0x5402, &mut argument).unwrap(), 0);
    let none = open(fake(S_IFCHR, false));
    assert_eq!(none.downcast::<Stream>().unwrap().nature(), Nature::Device);
    let refused = none.object().ioctl(&none, 0x5401, &mut argument).unwrap_err();
    assert_eq!(refused.errno, Errno::ENOTTY);
}
