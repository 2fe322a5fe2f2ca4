//! The host's standard streams and terminal.
//!
//! What they carry is the host's: neither secret nor to be believed. Nothing here ever blocks the
//! vCPU: the host is asked first whether it is ready, and if not, it is watched. Who else reads or
//! writes there may be faster, or there may be room for less than is written: then the host says so
//! instead of waiting.
//! A stream that is a regular file on the host (`< file`) can be seeked.
//!
//! Differs from Linux: the position of a redirected file counts from where it stood at the start.

mod host;
mod terminal;

use alloc::sync::Arc;
use alloc::task::Wake;
use core::any::Any;
use core::task::{Context, Waker};

use abi::Errno;
use abi::errno::Result;
use abi::io::{APPEND, Code, NOWAIT, STREAM, handles};
use executor::wait_queue::WaitQueue;
use platform::sync::{Mutex, Once};
use platform::user::{Sink, Source};

use crate::anonymous::{S_IFCHR, S_IFMT, S_IFREG};
use crate::mount::Place;
use crate::object::{
    Attempt, Events, IoctlArgument, Object, OpenFile, Pace, Stat, Status, Stop, Waiting,
};
use crate::terminal::seat::Seat;
use crate::terminal::termios::Termios;
use host::{Data, Host};

/// Bytes that cross at a time.
const CHUNK: usize = 4096;

/// The terminal that programs reach as `/dev/tty`.
static TERMINAL: Once<Arc<Stream>> = Once::new();
/// Who sits at the host's terminal, as seen from inside.
static SEAT: Seat = Seat::new();

/// What a stream is on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A terminal.
    Terminal,
    /// A regular file: has positions, is always ready.
    File,
    /// A device that is no terminal, as `/dev/null`: always ready.
    Device,
    /// A pipe or a socket.
    Flow,
}

/// One stream of the host.
pub struct Stream {
    handle: u64,
    nature: Nature,
    host: &'static dyn Host,
    /// Where the host's own position of a file stands, as far as we moved it.
    host_position: Mutex<u64>,
    bell: Arc<Bell>,
    /// Watches for readable and writable, while somebody may wait for it.
    watches: [Watch; 2],
}

struct Watch {
    events: Events,
    pending: Mutex<Option<Waiting<'static, ()>>>,
}

/// What a watch rings.
struct Bell {
    queue: WaitQueue,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.queue.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue.wake_all();
    }
}

/// Opens stdin, stdout and stderr; `None` for one that the host has closed.
///
/// The first that is a terminal becomes the controlling terminal. The host's name of a terminal means nothing
/// inside: `name` is where its own stands.
pub fn standard(name: Option<&Place>) -> [Option<Arc<OpenFile>>; 3] {
    [handles::STDIN, handles::STDIN + 1, handles::STDIN + 2].map(|handle| {
        let stream = Arc::new(Stream::open(handle, &host::PLATFORM).ok()?);
        let is_terminal = stream.nature == Nature::Terminal;
        let mode = if is_terminal {
            TERMINAL.set(Arc::clone(&stream));
            Status::READ_WRITE
        } else if handle == handles::STDIN {
            Status::empty()
        } else {
            Status::WRITE
        };
        Some(OpenFile::new(stream, mode, name.filter(|_| is_terminal).cloned()))
    })
}

/// The controlling terminal, if the enclave has one.
pub fn terminal() -> Option<Arc<Stream>> {
    TERMINAL.get().cloned()
}

/// Who sits at the host's terminal.
pub fn seat() -> &'static Seat {
    &SEAT
}

impl Stream {
    fn open(handle: u64, host: &'static dyn Host) -> Result<Self> {
        let mode = host::stat(host, handle)?.mode;
        let nature = match mode & S_IFMT {
            S_IFREG => Nature::File,
            S_IFCHR if terminal::attributes(host, handle).is_ok() => Nature::Terminal,
            S_IFCHR => Nature::Device,
            _ => Nature::Flow,
        };
        Ok(Self {
            handle,
            nature,
            host,
            host_position: Mutex::new(0),
            bell: Arc::new(Bell { queue: WaitQueue::new() }),
            watches: [Events::IN, Events::OUT]
                .map(|events| Watch { events, pending: Mutex::new(None) }),
        })
    }

    /// What it is on the host.
    pub fn nature(&self) -> Nature {
        self.nature
    }

    /// Whether the host has to be asked before an operation, because it could block.
    fn may_block(&self) -> bool {
        matches!(self.nature, Nature::Terminal | Nature::Flow)
    }

    /// What the host says it is ready for, of `events` and the bits that are always told.
    fn ready(&self, events: Events) -> Events {
        let asked = events | Events::ERR | Events::HUP;
        let answer = self.host.perform(Code::Poll, self.handle, 0, asked.bits(), Data::None);
        match answer.count_at_most(usize::from(u16::MAX)) {
            Ok(bits) => Events::from_bits_truncate(u32::try_from(bits).unwrap_or(0)) & asked,
            Err(_) => Events::ERR,
        }
    }

    /// Whether one of `events` holds, so that the operation won't block; else has it watched.
    fn ready_or_watch(&self, events: Events) -> bool {
        if !self.may_block() || !self.ready(events).is_empty() {
            return true;
        }
        self.watch(events);
        false
    }

    /// Has the queue woken once the host is ready for one of `events`.
    fn watch(&self, events: Events) {
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut cx = Context::from_waker(&waker);
        let mut rung = false;
        for watch in self.watches.iter().filter(|watch| events.contains(watch.events)) {
            let mut pending = watch.pending.lock();
            // One that is over told of an earlier moment, after which the host was asked again.
            if pending.as_mut().is_some_and(|old| old.as_mut().poll(&mut cx).is_pending()) {
                continue;
            }
            let mut new = self.host.watch(self.handle, watch.events.bits());
            let over = new.as_mut().poll(&mut cx).is_ready();
            *pending = (!over).then_some(new);
            rung |= over;
        }
        if rung {
            self.bell.queue.wake_all();
        }
    }

    /// Moves one chunk from the host to `sink`; `None` at the end.
    fn read_chunk(&self, offset: u64, sink: &mut dyn Sink) -> Attempt<(usize, bool)> {
        let mut chunk = [0; CHUNK];
        let wanted = sink.room().min(CHUNK);
        let buffer = Data::Out(&mut chunk[..wanted]);
        let flags = self.patience();
        let answer = self.host.perform(Code::Read, self.handle, offset, flags, buffer);
        let len = answer.count_at_most(wanted).map_err(|error| self.stopped(error, Events::IN))?;
        let put = sink.put(&chunk[..len]);
        Ok((put, len == wanted && put == len))
    }

    /// Moves one chunk from `source` to the host.
    fn write_chunk(&self, offset: u64, source: &mut dyn Source) -> Attempt<(usize, bool)> {
        let mut chunk = [0; CHUNK];
        let taken = source.take(&mut chunk);
        let mut done = 0;
        while done < taken {
            let at = if offset >= APPEND { offset } else { offset + done as u64 };
            let bytes = Data::In(&chunk[done..taken]);
            let answer = self.host.perform(Code::Write, self.handle, at, self.patience(), bytes);
            match answer.count_at_most(taken - done) {
                Ok(0) => break,
                Ok(len) => done += len,
                Err(error) => match self.stopped(error, Events::OUT) {
                    // What was taken must get out, or the attempt after the wait would miss it.
                    Stop::WouldBlock if !source.give_back(&chunk[done..taken]) => {}
                    _ if done > 0 => break,
                    stop => return Err(stop),
                },
            }
        }
        Ok((done, done == taken && taken == CHUNK))
    }

    /// Flags of a read or a write: what may block is to answer EAGAIN instead.
    fn patience(&self) -> u32 {
        if self.may_block() { NOWAIT } else { 0 }
    }

    /// An error of the host's: those that mean "not now" become a wait.
    fn stopped(&self, error: abi::Error, events: Events) -> Stop {
        match error.errno {
            Errno::EAGAIN | Errno::EINTR => {
                self.watch(events);
                Stop::WouldBlock
            }
            _ => Stop::Error(error),
        }
    }

    fn read_stream(&self, sink: &mut dyn Sink) -> Attempt<usize> {
        let mut done = 0;
        while sink.room() > 0 {
            let ready = if done == 0 {
                self.ready_or_watch(Events::IN)
            } else {
                !self.may_block() || self.ready(Events::IN).contains(Events::IN)
            };
            if !ready {
                break;
            }
            match self.read_chunk(STREAM, sink) {
                Ok((len, more)) => {
                    done += len;
                    // A terminal gives one line at a time.
                    if !more || self.nature == Nature::Terminal {
                        return Ok(done);
                    }
                }
                Err(_) if done > 0 => return Ok(done),
                Err(stop) => return Err(stop),
            }
        }
        if done == 0 && sink.room() > 0 { Err(Stop::WouldBlock) } else { Ok(done) }
    }

    /// A read that finds nothing typed: whether it waits, and how, is what the terminal's attributes say.
    fn read_terminal_later(&self, open: &OpenFile, sink: &mut dyn Sink) -> Attempt<usize> {
        match self.pace(open) {
            Some(pace) if pace.first == 0 => Ok(0),
            // Less may be there than the host calls ready.
            Some(_) if open.nonblocking() => self.read_early(open, sink),
            Some(_) => Err(Stop::Paced),
            None => Err(Stop::WouldBlock),
        }
    }

    fn write_stream(&self, source: &mut dyn Source) -> Attempt<usize> {
        let mut done = 0;
        while source.left() > 0 {
            if !self.ready_or_watch(Events::OUT) {
                return if done > 0 { Ok(done) } else { Err(Stop::WouldBlock) };
            }
            match self.write_chunk(STREAM, source) {
                Ok((len, more)) => {
                    done += len;
                    if !more {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(done)
    }

    /// Where the host has to be told to read or write for position `at`, and counts it as done.
    fn host_offset(&self, at: u64) -> u64 {
        // As long as the program goes on from where it stands, the host's own position is used: other
        // streams and other programs share it.
        if *self.host_position.lock() == at { STREAM } else { at }
    }

    fn moved(&self, offset: u64, len: usize) {
        if offset == STREAM {
            *self.host_position.lock() += len as u64;
        }
    }

    fn read_file(&self, at: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let mut done = 0;
        while sink.room() > 0 {
            let offset = self.host_offset(at + done as u64);
            let (len, more) = match self.read_chunk(offset, sink) {
                Ok(chunk) => chunk,
                Err(_) if done > 0 => break,
                Err(stop) => return Err(stop),
            };
            self.moved(offset, len);
            done += len;
            if !more {
                break;
            }
        }
        Ok(done)
    }

    fn write_file(&self, at: Option<u64>, source: &mut dyn Source) -> Attempt<usize> {
        let mut done = 0;
        while source.left() > 0 {
            let offset = at.map_or(APPEND, |at| self.host_offset(at + done as u64));
            let (len, more) = match self.write_chunk(offset, source) {
                Ok(chunk) => chunk,
                Err(_) if done > 0 => break,
                Err(stop) => return Err(stop),
            };
            self.moved(offset, len);
            done += len;
            if !more {
                break;
            }
        }
        Ok(done)
    }
}

impl Object for Stream {
    fn read(&self, open: &OpenFile, offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        match self.nature {
            Nature::File => self.read_file(offset, sink),
            Nature::Terminal => match self.read_stream(sink) {
                Err(Stop::WouldBlock) => self.read_terminal_later(open, sink),
                other => other,
            },
            _ => self.read_stream(sink),
        }
    }

    fn read_early(&self, open: &OpenFile, sink: &mut dyn Sink) -> Attempt<usize> {
        match self.nature {
            Nature::Terminal => self.read_chunk(STREAM, sink).map(|(len, _)| len),
            _ => self.read(open, 0, sink),
        }
    }

    fn pace(&self, _open: &OpenFile) -> Option<Pace> {
        let attributes = terminal::attributes(self.host, self.handle).ok()?;
        crate::terminal::pair::pace(&Termios::from_bytes(&attributes, &Termios::default()))
    }

    fn write(
        &self,
        _open: &OpenFile,
        offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        if self.nature != Nature::File {
            return Ok((self.write_stream(source)?, 0));
        }
        let len = self.write_file(offset, source)?;
        let start = match offset {
            Some(offset) => offset,
            None => host::stat(self.host, self.handle)?.size.saturating_sub(len as u64),
        };
        Ok((len, start + len as u64))
    }

    fn seekable(&self) -> bool {
        matches!(self.nature, Nature::File | Nature::Device)
    }

    fn stat(&self) -> Result<Stat> {
        host::stat(self.host, self.handle)
    }

    fn poll(&self, open: &OpenFile) -> Events {
        let mut wanted = Events::empty();
        wanted.set(Events::IN, open.readable());
        wanted.set(Events::OUT, open.writable());
        let mut ready = wanted;
        if self.may_block() {
            ready = self.ready(wanted);
            if !ready.intersects(Events::ERR | Events::HUP) {
                self.watch(wanted - ready);
            }
        }
        ready.set(Events::RDNORM, ready.contains(Events::IN));
        ready.set(Events::WRNORM, ready.contains(Events::OUT));
        ready
    }

    fn is_outside(&self) -> bool {
        true
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        self.may_block().then_some(&self.bell.queue)
    }

    fn signal_sources(&self) -> alloc::vec::Vec<crate::driven::Source<'_>> {
        self.readiness().map(|queue| (queue, None)).into_iter().collect()
    }

    fn ioctl(
        &self,
        open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        match self.nature {
            Nature::Terminal => self.control_terminal(request, argument),
            Nature::File if request == crate::pipe::FIONREAD => {
                let left = self.stat()?.size.saturating_sub(*open.position().lock());
                argument.write(&i32::try_from(left).unwrap_or(i32::MAX).to_le_bytes())?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY.because("what was opened has no such control")),
        }
    }

    fn truncate(&self, len: u64) -> Attempt<()> {
        if self.nature != Nature::File {
            return Err(Errno::EINVAL.because("the stream has no length").into());
        }
        Ok(self.host.perform(Code::Truncate, self.handle, len, 0, Data::None).nothing()?)
    }

    fn sync(&self) -> Waiting<'_, Result<()>> {
        let result = match self.nature {
            Nature::File => self.host.perform(Code::Sync, self.handle, 0, 0, Data::None).nothing(),
            _ => Err(Errno::EINVAL.because("the stream can't be flushed")),
        };
        alloc::boxed::Box::pin(core::future::ready(result))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
