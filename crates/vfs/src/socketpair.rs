//! Pairs of connected Unix sockets: stream, datagrams, or packets in sequence.
//!
//! Descriptors travel with messages. Differs from Linux: sockets that are under way in each other and
//! nowhere else are not found and freed.
//!
//! Source: socketpair(2), unix(7).

mod direction;
mod ring;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::Errno;
use abi::errno::{Error, Result};
use executor::wait_queue::WaitQueue;
use platform::sync::Mutex;
use platform::user::{Sink, Source};

use crate::anonymous::{Identity, Owner};
use crate::object::{Attempt, Events, IoctlArgument, Object, OpenFile, Stat, Status, Stop};
use direction::{Direction, LIMIT};

/// ioctl: bytes that the other side has not read (`SIOCOUTQ`).
const SIOCOUTQ: u32 = 0x5411;
/// Smallest and largest send buffer that `SO_SNDBUF` gives.
const BUFFER_MIN: usize = 4608;
const BUFFER_MAX: usize = 2 * LIMIT;

/// What travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    Stream,
    /// Messages, without an end.
    Datagram,
    /// Messages, with an end.
    Packets,
}

/// Which directions a shutdown ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Receiving.
    Receive,
    /// Sending.
    Send,
    /// Both.
    Both,
}

/// Whether received bytes stay (`MSG_PEEK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// They are taken.
    Away,
    /// They stay.
    Peek,
}

/// Who made the pair, as `SO_PEERCRED` tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// Process.
    pub pid: i32,
    /// Owner of the socket.
    pub owner: Owner,
}

/// What was received.
#[derive(Default)]
pub struct Received {
    /// Bytes that were delivered.
    pub len: usize,
    /// Bytes of the message; more than `len` when it was cut.
    pub full: usize,
    /// Descriptors that came with it.
    pub rights: Vec<Arc<OpenFile>>,
}

/// One side of a pair: the object of its open description.
pub struct Socket {
    pair: Arc<Pair>,
    side: usize,
    /// Longest waits of receiving and sending, ns; `u64::MAX`: for ever.
    timeouts: [AtomicU64; 2],
    /// Senders' credentials are told (`SO_PASSCRED`).
    pass_credentials: AtomicBool,
}

struct Pair {
    kind: Kind,
    maker: Maker,
    /// What is on its way to side 0 and to side 1.
    directions: [Mutex<Direction>; 2],
    sides: [Side; 2],
}

struct Side {
    queue: WaitQueue,
    /// The other side went without having read all: ECONNRESET, told once.
    reset: AtomicBool,
    closed: AtomicBool,
    /// It sends no more, of which the other side of a pair for datagrams does not hear.
    silent: AtomicBool,
    identity: Identity,
}

/// Makes a pair; `status` may hold NONBLOCK.
pub fn socketpair(kind: Kind, status: Status, maker: Maker) -> [Arc<OpenFile>; 2] {
    let pair = Arc::new(Pair {
        kind,
        maker,
        directions: [0, 1].map(|_| Mutex::new(Direction::new(kind))),
        sides: [0, 1].map(|_| Side {
            queue: WaitQueue::new(),
            reset: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            identity: Identity::new(maker.owner),
        }),
    });
    [0, 1].map(|side| {
        let socket = Arc::new(Socket {
            pair: Arc::clone(&pair),
            side,
            timeouts: [AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX)],
            pass_credentials: AtomicBool::new(false),
        });
        OpenFile::new(socket, status | Status::READ_WRITE, None)
    })
}

impl Socket {
    /// What travels through it.
    pub fn kind(&self) -> Kind {
        self.pair.kind
    }

    /// Who made the other side.
    pub fn peer(&self) -> Maker {
        self.pair.maker
    }

    /// Inode number, as in `socket:[number]`.
    pub fn inode(&self) -> u64 {
        self.mine().identity.inode()
    }

    /// Longest wait of receiving (`SO_RCVTIMEO`), ns; `u64::MAX`: for ever.
    pub fn receive_timeout(&self) -> &AtomicU64 {
        &self.timeouts[0]
    }

    /// Longest wait of sending (`SO_SNDTIMEO`), ns; `u64::MAX`: for ever.
    pub fn send_timeout(&self) -> &AtomicU64 {
        &self.timeouts[1]
    }

    /// Whether senders' credentials are told (`SO_PASSCRED`).
    pub fn pass_credentials(&self) -> &AtomicBool {
        &self.pass_credentials
    }

    /// The error that is pending, which this clears (`SO_ERROR`).
    pub fn take_error(&self) -> Option<Errno> {
        self.mine().reset.swap(false, Ordering::AcqRel).then_some(Errno::ECONNRESET)
    }

    /// Bytes that may be under way to the other side (`SO_SNDBUF`).
    pub fn send_buffer(&self) -> usize {
        self.outgoing().lock().limit
    }

    /// Sets the send buffer to twice `bytes`, as Linux does, within its bounds.
    pub fn set_send_buffer(&self, bytes: usize) {
        self.outgoing().lock().limit = bytes.saturating_mul(2).clamp(BUFFER_MIN, BUFFER_MAX);
    }

    /// Sends bytes, and descriptors with the first of them: `rights` is emptied once they are under way.
    ///
    /// # Errors
    /// EPIPE when the other side is gone or a direction was shut down (ECONNREFUSED for datagrams
    /// to a side that is gone), EMSGSIZE, ENOBUFS.
    pub fn send(&self, source: &mut dyn Source, rights: &mut Vec<Arc<OpenFile>>) -> Attempt<usize> {
        let mut direction = self.outgoing().lock();
        if self.theirs().closed.load(Ordering::Acquire) && self.pair.kind == Kind::Datagram {
            return Err(Errno::ECONNREFUSED.because("the other side is closed").into());
        }
        if direction.shut || self.mine().silent.load(Ordering::Acquire) {
            return Err(Errno::EPIPE.because("the other side receives no more").into());
        }
        let len = direction.send(source, rights)?;
        drop(direction);
        self.theirs().queue.wake_all();
        Ok(len)
    }

    /// Receives bytes of a stream or one message; 0 bytes at the end.
    ///
    /// # Errors
    /// ECONNRESET once, when the other side went without having read all.
    pub fn receive(&self, sink: &mut dyn Sink, take: Take) -> Attempt<Received> {
        let mut direction = self.incoming().lock();
        let stream = self.pair.kind == Kind::Stream;
        if !direction.has_some() {
            let shut = direction.shut;
            drop(direction);
            return self.nothing_to_receive(shut);
        }
        let had_room = direction.has_room();
        let peek = take == Take::Peek;
        let received = if stream {
            direction.receive_stream(sink, peek)
        } else {
            direction.receive_message(sink, peek)
        };
        let room_again = !had_room && direction.has_room();
        drop(direction);
        if room_again {
            self.theirs().queue.wake_all();
        }
        Ok(received)
    }

    fn nothing_to_receive(&self, shut: bool) -> Attempt<Received> {
        if let Some(errno) = self.take_error() {
            let error: Error = errno.because("the other side went without having read all");
            return Err(error.into());
        }
        if shut { Ok(Received::default()) } else { Err(Stop::WouldBlock) }
    }

    /// Ends directions, for both sides.
    pub fn shutdown(&self, how: Shutdown) {
        if how != Shutdown::Send {
            self.incoming().lock().shut = true;
        }
        if how != Shutdown::Receive {
            if self.pair.kind == Kind::Datagram {
                self.mine().silent.store(true, Ordering::Release);
            } else {
                self.outgoing().lock().shut = true;
            }
        }
        self.mine().queue.wake_all();
        self.theirs().queue.wake_all();
    }

    fn mine(&self) -> &Side {
        &self.pair.sides[self.side]
    }

    fn theirs(&self) -> &Side {
        &self.pair.sides[1 - self.side]
    }

    fn incoming(&self) -> &Mutex<Direction> {
        &self.pair.directions[self.side]
    }

    fn outgoing(&self) -> &Mutex<Direction> {
        &self.pair.directions[1 - self.side]
    }
}

impl Object for Socket {
    fn read(&self, _open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        Ok(self.receive(sink, Take::Away)?.len)
    }

    fn write(
        &self,
        _open: &OpenFile,
        _offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        Ok((self.send(source, &mut Vec::new())?, 0))
    }

    fn changeable(&self) -> Option<&Identity> {
        Some(&self.mine().identity)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.mine().identity.socket())
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let (some, receive_shut) = {
            let direction = self.incoming().lock();
            (direction.has_some(), direction.shut)
        };
        let (room, send_shut) = {
            let direction = self.outgoing().lock();
            (direction.has_room(), direction.shut)
        };
        let silent = self.mine().silent.load(Ordering::Acquire);
        let send_shut = silent || (send_shut && self.pair.kind != Kind::Datagram);
        let mut events = Events::empty();
        events.set(Events::ERR, self.mine().reset.load(Ordering::Relaxed));
        events.set(Events::HUP, receive_shut && send_shut);
        events.set(Events::RDHUP, receive_shut);
        events.set(Events::IN | Events::RDNORM, some || receive_shut);
        events.set(Events::OUT | Events::WRNORM, room);
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&self.mine().queue)
    }

    fn signal_sources(&self) -> Vec<crate::driven::Source<'_>> {
        alloc::vec![(&self.mine().queue, None)]
    }

    fn ioctl(
        &self,
        _open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        let bytes = match request {
            crate::pipe::FIONREAD => self.incoming().lock().next_bytes(),
            SIOCOUTQ => self.outgoing().lock().bytes(),
            _ => return Err(Errno::ENOTTY.because("what was opened has no such control")),
        };
        argument.write(&i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes())?;
        Ok(0)
    }

    fn released(&self, _open: &OpenFile) {
        self.mine().closed.store(true, Ordering::Release);
        let ends = self.pair.kind != Kind::Datagram;
        let (unread, rights) = {
            let mut incoming = self.incoming().lock();
            incoming.shut = true;
            (incoming.has_some(), incoming.clear())
        };
        drop(rights);
        if ends {
            self.outgoing().lock().shut = true;
            if unread {
                self.theirs().reset.store(true, Ordering::Release);
            }
        }
        self.theirs().queue.wake_all();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
