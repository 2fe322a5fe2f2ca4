//! Pipes: a ring of page slots between writers and readers.
//!
//! As Linux's: 16 slots of a page, a write goes behind the last one's bytes when it fits there and
//! else into slots of its own, so that what fills a pipe here fills one there. Frames of emptied slots
//! are kept for the next write: no operation on a pipe in use allocates.
//!
//! Source: pipe(2), pipe(7), fifo(7).

pub mod splice;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::arena::{Extent, PAGE};
use platform::budget::Charge;
use platform::sync::Mutex;
use platform::user::Sink;

use crate::anonymous::{Identity, Owner};
use crate::driven::{Band, Source};
use crate::object::{Attempt, Events, IoctlArgument, Object, OpenFile, Stat, Status, Stop};

/// Bytes that a write must not exceed to be atomic: one slot.
pub const PIPE_BUF: usize = PAGE;
/// The largest capacity that `F_SETPIPE_SZ` gives to the unprivileged, `/proc/sys/fs/pipe-max-size`.
pub const MAX_UNPRIVILEGED: usize = 1 << 20;
/// The largest capacity of all.
pub const MAX: usize = 1 << 31;
/// Slots of a new pipe.
const SLOTS: usize = 16;
/// `End::opened_at` of an end that was opened while somebody had the pipe open for writing.
const SAW_A_WRITER: u64 = u64::MAX;
/// ioctl: bytes that can be read.
pub(crate) const FIONREAD: u32 = 0x541b;

/// A pipe or FIFO, apart from who has it open.
pub struct Pipe {
    state: Mutex<State>,
    /// Woken when there is something to read, or nobody left to write.
    readers: WaitQueue,
    /// Woken when there is room, or nobody left to read.
    writers: WaitQueue,
    /// Woken with either: for those who opened a FIFO for both.
    both: WaitQueue,
    /// Woken by each write, and by each read: for signals.
    written: WaitQueue,
    read: WaitQueue,
    /// A blocking read found nothing, and may wait: who leaves something wakes the next.
    reader_blocked: AtomicBool,
    /// The same for a blocking write.
    writer_blocked: AtomicBool,
    identity: Identity,
}

struct State {
    slots: VecDeque<Slot>,
    spare: Vec<Extent>,
    /// Slots that may be filled.
    capacity: usize,
    readers: usize,
    writers: usize,
    /// Who hears by other queues than the readers' and the writers': ends that do both, and one more once
    /// an end has asked for signals.
    others: usize,
    /// An end has asked for signals.
    signals: bool,
    /// How often it was opened for writing; an end that saw no writer yet does not report HUP.
    writers_ever: u64,
}

/// Bytes of one or several writes, in one page.
struct Slot {
    frames: Extent,
    start: usize,
    len: usize,
    /// A write of its own in packet mode: what a read leaves of it is lost.
    packet: bool,
    /// Came from elsewhere: no write is added to it.
    fixed: bool,
}

/// What an open description of a pipe does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Reads,
    Writes,
    Both,
}

/// One end of a pipe: the object of one open description.
pub struct End {
    pipe: Arc<Pipe>,
    role: Role,
    /// `State::writers_ever` when it was opened, or [`SAW_A_WRITER`].
    opened_at: u64,
}

/// Makes a pipe: the end to read from and the end to write to.
///
/// `status` may hold NONBLOCK, which both ends get, and DIRECT (packet mode), which is the writing one's. `owner` is what stat shows.
pub fn pipe(status: Status, owner: Owner) -> (Arc<OpenFile>, Arc<OpenFile>) {
    let pipe = Pipe::fifo(owner);
    let read = OpenFile::new(pipe.open(Role::Reads), status - Status::DIRECT, None);
    let write = OpenFile::new(pipe.open(Role::Writes), status | Status::WRITE, None);
    (read, write)
}

impl Pipe {
    /// The pipe of a FIFO: nobody has it open yet.
    pub fn fifo(owner: Owner) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                slots: VecDeque::with_capacity(SLOTS),
                spare: Vec::with_capacity(SLOTS),
                capacity: SLOTS,
                readers: 0,
                writers: 0,
                others: 0,
                signals: false,
                writers_ever: 0,
            }),
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
            both: WaitQueue::new(),
            written: WaitQueue::new(),
            read: WaitQueue::new(),
            reader_blocked: AtomicBool::new(false),
            writer_blocked: AtomicBool::new(false),
            identity: Identity::new(owner),
        })
    }

    /// Adds an end with the access mode of `status`; it counts until its open description is dropped.
    pub fn end(self: &Arc<Self>, status: Status) -> Arc<End> {
        let role = if status.contains(Status::READ_WRITE) {
            Role::Both
        } else if status.contains(Status::WRITE) {
            Role::Writes
        } else {
            Role::Reads
        };
        self.open(role)
    }

    fn open(self: &Arc<Self>, role: Role) -> Arc<End> {
        let opened_at = {
            let mut state = self.state.lock();
            state.readers += usize::from(role != Role::Writes);
            state.writers += usize::from(role != Role::Reads);
            state.others += usize::from(role == Role::Both);
            let before = if state.writers == 0 { state.writers_ever } else { SAW_A_WRITER };
            state.writers_ever += u64::from(role != Role::Reads);
            before
        };
        // Whoever waits in open(2) of a FIFO for the other side looks again.
        self.readers.wake_all();
        self.writers.wake_all();
        Arc::new(End { pipe: Arc::clone(self), role, opened_at })
    }

    /// How many ends can read and how many can write.
    pub fn ends(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.readers, state.writers)
    }

    /// Woken when an end for `status`'s access mode may go on (also: when the other side is opened).
    pub fn queue(&self, status: Status) -> &WaitQueue {
        if status.contains(Status::WRITE) { &self.writers } else { &self.readers }
    }

    fn close(&self, role: Role) {
        let mut state = self.state.lock();
        state.readers -= usize::from(role != Role::Writes);
        state.writers -= usize::from(role != Role::Reads);
        state.others -= usize::from(role == Role::Both);
        let (no_reader, no_writer) = (state.readers == 0, state.writers == 0);
        if no_reader && no_writer {
            state.slots.clear();
            state.spare.clear();
        }
        let others = state.others > 0;
        drop(state);
        if no_reader {
            self.writers.wake_all();
        }
        if no_writer {
            self.readers.wake_all();
        }
        if others && no_reader != no_writer {
            self.written.wake_all();
            self.read.wake_all();
        }
    }

    /// Tells those who don't hear of it as readers that something was written.
    #[cold]
    fn tell_written(&self) {
        self.both.wake_all();
        self.written.wake_all();
    }

    /// Tells those who don't hear of it as writers that something was read.
    #[cold]
    fn tell_read(&self, room_again: bool) {
        if room_again {
            self.both.wake_all();
        }
        self.read.wake_all();
    }
}

/// Wakes the next of several that blocked at the same time; only one was woken when they could go on.
///
/// Without anybody blocked nobody is told, so that epoll sees no edge where Linux has none.
fn wake_next(queue: &WaitQueue, blocked: &AtomicBool) {
    // Whoever set it held the pipe's lock before the caller did, or has seen what the caller did; so a
    // mere look is enough to begin with. Cleared first: who blocks from now on sets it again after it
    // has entered the queue.
    if blocked.load(Ordering::Relaxed)
        && blocked.swap(false, Ordering::Relaxed)
        && queue.wake(1) > 0
    {
        blocked.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.slots.len() >= self.capacity
    }

    fn bytes(&self) -> usize {
        self.slots.iter().map(|slot| slot.len).sum()
    }

    fn take(&mut self, sink: &mut dyn Sink) -> usize {
        let mut done = 0;
        while sink.room() > 0 {
            let Some(first) = self.slots.front_mut() else { break };
            let part = first.len.min(sink.room());
            let taken = sink.put_frames(&first.frames, first.start, part);
            if taken < part {
                // As Linux does, what a bad buffer took only a part of is not taken at all.
                break;
            }
            done += taken;
            first.start += taken;
            first.len -= taken;
            let packet = first.packet;
            if (packet || first.len == 0)
                && let Some(slot) = self.slots.pop_front()
            {
                self.keep(slot.frames);
            }
            if packet {
                break;
            }
        }
        done
    }

    /// Puts what `source` has behind what is there, as far as slots reach; `None`: no memory.
    fn put(&mut self, source: &mut dyn platform::user::Source, packet: bool) -> Option<usize> {
        let merged = if packet { Some(0) } else { self.merge(source) };
        let mut done = merged.unwrap_or(0);
        let mut faulted = merged.is_none();
        while source.left() > 0 && !self.is_full() && !faulted {
            let Some(frames) = self.spare.pop().or_else(|| Extent::allocate(1, Charge::Ordinary))
            else {
                return (done > 0).then_some(done);
            };
            let part = source.left().min(PAGE);
            let len = source.take_frames(&frames, 0, part);
            faulted = len < part;
            if faulted {
                // As Linux does, a page that could not be filled whole is not written at all.
                self.keep(frames);
            } else {
                self.slots.push_back(Slot { frames, start: 0, len, packet, fixed: false });
                done += len;
            }
        }
        Some(done)
    }

    /// Puts the part of a write that fills no page behind the last slot's bytes, if it fits; `None`:
    /// it could not be read whole, and nothing was put.
    fn merge(&mut self, source: &mut dyn platform::user::Source) -> Option<usize> {
        let rest = source.left() % PAGE;
        let Some(last) = self.slots.back_mut() else { return Some(0) };
        let end = last.start + last.len;
        if rest == 0 || last.packet || last.fixed || end + rest > PAGE {
            return Some(0);
        }
        let taken = source.take_frames(&last.frames, end, rest);
        if taken < rest {
            return None;
        }
        last.len += taken;
        Some(taken)
    }

    fn keep(&mut self, frames: Extent) {
        if self.spare.len() < SLOTS {
            self.spare.push(frames);
        }
    }
}

impl End {
    /// The pipe itself.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// Whether the other side is open, or was since this one was opened.
    pub fn has_met(&self) -> bool {
        let state = self.pipe.state.lock();
        match self.role {
            Role::Both => true,
            Role::Writes => state.readers > 0,
            Role::Reads => state.writers > 0 || state.writers_ever != self.opened_at,
        }
    }

    /// Inode number, as in `pipe:[number]`.
    pub fn inode(&self) -> u64 {
        self.pipe.identity.inode()
    }

    /// Bytes that the pipe holds at most (`F_GETPIPE_SZ`).
    pub fn capacity(&self) -> usize {
        self.pipe.state.lock().capacity * PAGE
    }

    /// Changes how much the pipe holds, rounded up to a power of two pages (`F_SETPIPE_SZ`).
    ///
    /// # Errors
    /// EINVAL beyond [`MAX`], EPERM beyond `limit` bytes, EBUSY when more is in use.
    pub fn set_capacity(&self, bytes: usize, limit: usize) -> Result<usize> {
        if bytes > MAX {
            return Err(Errno::EINVAL.because("a pipe holds at most 2 GiB"));
        }
        let slots = bytes.div_ceil(PAGE).max(1).next_power_of_two();
        let mut state = self.pipe.state.lock();
        if slots > state.capacity && slots * PAGE > limit {
            return Err(Errno::EPERM.because("larger than pipe-max-size"));
        }
        if slots < state.slots.len() {
            return Err(Errno::EBUSY.because("more slots are in use"));
        }
        let missing = slots.saturating_sub(state.slots.len());
        state
            .slots
            .try_reserve(missing)
            .map_err(|_| Errno::ENOMEM.because("no memory for the slots"))?;
        let grown = slots > state.capacity;
        state.capacity = slots;
        drop(state);
        if grown {
            self.pipe.writers.wake_all();
            self.pipe.both.wake_all();
        }
        Ok(slots * PAGE)
    }
}

impl Object for End {
    fn read(&self, open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let mut state = self.pipe.state.lock();
        if sink.room() == 0 {
            return Ok(0);
        }
        if state.slots.is_empty() {
            if state.writers == 0 {
                return Ok(0);
            }
            if !open.nonblocking() {
                self.pipe.reader_blocked.store(true, Ordering::Relaxed);
            }
            return Err(Stop::WouldBlock);
        }
        let was_full = state.is_full();
        let done = state.take(sink);
        let room_again = was_full && !state.is_full();
        let more = !state.slots.is_empty();
        let others = state.others > 0;
        drop(state);
        if room_again {
            self.pipe.writers.wake(1);
        }
        if others && done > 0 {
            self.pipe.tell_read(room_again);
        }
        if more {
            wake_next(&self.pipe.readers, &self.pipe.reader_blocked);
        }
        Ok(done)
    }

    fn write(
        &self,
        open: &OpenFile,
        _offset: Option<u64>,
        source: &mut dyn platform::user::Source,
    ) -> Attempt<(usize, u64)> {
        if source.left() == 0 {
            return Ok((0, 0));
        }
        let mut state = self.pipe.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE.because("nobody has the pipe open for reading").into());
        }
        let packet = open.status().contains(Status::DIRECT);
        let Some(done) = state.put(source, packet) else {
            return Err(Errno::ENOMEM
                .because("the memory limit leaves no page for the pipe")
                .into());
        };
        let full = state.is_full();
        let others = state.others > 0;
        drop(state);
        if done > 0 {
            // Not only when it was empty: epoll's edges are one for each write.
            self.pipe.readers.wake(1);
            if others {
                self.pipe.tell_written();
            }
            if !full {
                wake_next(&self.pipe.writers, &self.pipe.writer_blocked);
            }
        } else if full {
            if !open.nonblocking() {
                self.pipe.writer_blocked.store(true, Ordering::Relaxed);
            }
            return Err(Stop::WouldBlock);
        }
        Ok((done, 0))
    }

    fn changeable(&self) -> Option<&Identity> {
        Some(&self.pipe.identity)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.pipe.identity.pipe())
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let state = self.pipe.state.lock();
        let mut events = Events::empty();
        if self.role != Role::Writes {
            events.set(Events::IN | Events::RDNORM, !state.slots.is_empty());
            let had_writer = self.opened_at != state.writers_ever;
            events.set(Events::HUP, state.writers == 0 && had_writer);
        }
        if self.role != Role::Reads {
            events.set(Events::OUT | Events::WRNORM, !state.is_full());
            events.set(Events::ERR, state.readers == 0);
        }
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(match self.role {
            Role::Reads => &self.pipe.readers,
            Role::Writes => &self.pipe.writers,
            Role::Both => &self.pipe.both,
        })
    }

    fn signal_sources(&self) -> Vec<Source<'_>> {
        let mut state = self.pipe.state.lock();
        if !core::mem::replace(&mut state.signals, true) {
            state.others += 1;
        }
        drop(state);
        let mut sources = Vec::new();
        if self.role != Role::Writes {
            sources.push((&self.pipe.written, Some(Band::In)));
        }
        if self.role != Role::Reads {
            sources.push((&self.pipe.read, Some(Band::Out)));
        }
        sources
    }

    fn ioctl(
        &self,
        _open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY.because("what was opened has no such control"));
        }
        let bytes = i32::try_from(self.pipe.state.lock().bytes()).unwrap_or(i32::MAX);
        argument.write(&bytes.to_le_bytes())?;
        Ok(0)
    }

    fn released(&self, _open: &OpenFile) {
        self.pipe.close(self.role);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
