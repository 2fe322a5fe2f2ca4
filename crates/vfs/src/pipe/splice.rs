//! Slots that go from pipe to pipe, and from pipes to files and back, as they are.
//!
//! As in Linux, a slot that was moved here stays one, however little it holds, and no write is added to
//! it.
//!
//! Source: splice(2), tee(2), vmsplice(2).

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use executor::wait_queue::WaitQueue;
use platform::arena::{Extent, PAGE};
use platform::budget::Charge;
use platform::sync::{Guard, Mutex};
use platform::user::{Sink, Source};

use super::{End, Pipe, Slot, State, wake_next};
use crate::object::{Attempt, Stop};

/// Slots that belong to no pipe: on their way to one, or from one. As a source it starts over with
/// [`Load::rewind`].
#[derive(Default)]
pub struct Load {
    slots: VecDeque<Slot>,
    /// Where it stands as a source: the slot, and the byte in it.
    index: usize,
    offset: usize,
}

impl Load {
    /// Bytes of all slots.
    pub fn len(&self) -> usize {
        self.slots.iter().map(|slot| slot.len).sum()
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Adds a slot that `fill` puts up to `len` bytes (at most a page) into; gives what `fill` gave.
    ///
    /// # Errors
    /// ENOMEM; what `fill` gives.
    pub fn add(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut dyn Sink) -> Attempt<usize>,
    ) -> Attempt<usize> {
        let frames = Extent::allocate(1, Charge::Ordinary)
            .ok_or(Errno::ENOMEM.because("the memory limit leaves no page for the pipe"))?;
        let mut page = Page { frames: &frames, at: 0, room: len.min(PAGE) };
        let filled = fill(&mut page);
        let len = page.at;
        if len > 0 {
            self.slots.push_back(Slot { frames, start: 0, len, packet: false, fixed: true });
        }
        filled
    }

    /// Goes back to the first byte.
    pub fn rewind(&mut self) {
        self.index = 0;
        self.offset = 0;
    }

    /// Drops the first `len` bytes.
    pub fn skip(&mut self, mut len: usize) {
        self.rewind();
        while len > 0 {
            let Some(first) = self.slots.front_mut() else { return };
            let part = first.len.min(len);
            first.start += part;
            first.len -= part;
            len -= part;
            if first.len == 0 {
                self.slots.pop_front();
            }
        }
    }

    /// Hands the next bytes to `each`, which says how many of them it took: frames, where, how many.
    fn give(&mut self, len: usize, mut each: impl FnMut(&Extent, usize, usize) -> usize) -> usize {
        let mut done = 0;
        while done < len {
            let Some(slot) = self.slots.get(self.index) else { break };
            let part = (slot.len - self.offset).min(len - done);
            let taken = each(&slot.frames, slot.start + self.offset, part);
            done += taken;
            self.offset += taken;
            if taken < part {
                break;
            }
            if self.offset == slot.len {
                self.index += 1;
                self.offset = 0;
            }
        }
        done
    }
}

impl Source for Load {
    fn left(&self) -> usize {
        self.slots.iter().skip(self.index).map(|slot| slot.len).sum::<usize>() - self.offset
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        let mut done = 0;
        self.give(out.len(), |frames, at, len| {
            frames.read(at, &mut out[done..done + len]);
            done += len;
            len
        })
    }

    fn take_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let mut done = 0;
        self.give(len, |frames, from, part| {
            copy(frames, from, extent, at + done, part);
            done += part;
            part
        })
    }

    fn give_back(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes.len();
        while rest > self.offset {
            rest -= self.offset;
            self.index -= 1;
            self.offset = self.slots[self.index].len;
        }
        self.offset -= rest;
        true
    }
}

/// A page that is being filled.
struct Page<'a> {
    frames: &'a Extent,
    at: usize,
    room: usize,
}

impl Page<'_> {
    fn advance(&mut self, len: usize) -> usize {
        self.at += len;
        self.room -= len;
        len
    }
}

impl Sink for Page<'_> {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.room);
        self.frames.write(self.at, &bytes[..len]);
        self.advance(len)
    }

    fn put_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let len = len.min(self.room);
        copy(extent, at, self.frames, self.at, len);
        self.advance(len)
    }

    fn put_zeros(&mut self, len: usize) -> usize {
        // The frames came zeroed.
        self.advance(len.min(self.room))
    }
}

fn copy(from: &Extent, from_at: usize, to: &Extent, to_at: usize, len: usize) {
    let mut chunk = [0; 512];
    let mut done = 0;
    while done < len {
        let part = (len - done).min(chunk.len());
        from.read(from_at + done, &mut chunk[..part]);
        to.write(to_at + done, &chunk[..part]);
        done += part;
    }
}

/// Whether who finds nothing to do waits for something: others then wake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It gives up.
    None,
    /// It waits.
    Waits,
}

impl End {
    /// Woken when there may be room: what [`End::room`] is asked after.
    pub fn room_queue(&self) -> &WaitQueue {
        &self.pipe.writers
    }

    /// Woken when there may be bytes: what [`End::has_bytes`] is asked after.
    pub fn bytes_queue(&self) -> &WaitQueue {
        &self.pipe.readers
    }

    /// Whether both are ends of one pipe.
    pub fn is_of(&self, other: &End) -> bool {
        Arc::ptr_eq(&self.pipe, &other.pipe)
    }

    /// Slots that can be filled; at least one.
    ///
    /// # Errors
    /// EPIPE when nobody has it open for reading; [`Stop::WouldBlock`].
    pub fn room(&self, patience: Patience) -> Attempt<usize> {
        let state = self.pipe.state.lock();
        if state.readers == 0 {
            return Err(no_reader());
        }
        if state.is_full() {
            return Err(self.pipe.writer_would_block(patience));
        }
        let free = state.capacity - state.slots.len();
        drop(state);
        // Who looks may leave without using it; what woke it is there for the others too.
        wake_next(&self.pipe.writers, &self.pipe.writer_blocked);
        Ok(free)
    }

    /// Whether there are bytes; false: there are none, and nobody will write any.
    ///
    /// # Errors
    /// [`Stop::WouldBlock`].
    pub fn has_bytes(&self, patience: Patience) -> Attempt<bool> {
        let state = self.pipe.state.lock();
        if !state.slots.is_empty() {
            drop(state);
            // As in `room`.
            wake_next(&self.pipe.readers, &self.pipe.reader_blocked);
            return Ok(true);
        }
        if state.writers == 0 { Ok(false) } else { Err(self.pipe.reader_would_block(patience)) }
    }

    /// Puts slots behind those that are there. They are more than fit where others wrote meanwhile.
    pub fn push(&self, load: Load) {
        if load.is_empty() {
            return;
        }
        let mut state = self.pipe.state.lock();
        state.slots.extend(load.slots);
        self.pipe.filled(state);
    }

    /// Takes off up to `len` bytes.
    ///
    /// # Errors
    /// ENOMEM when there are some and none can be taken off.
    pub fn pull(&self, len: usize) -> Attempt<Load> {
        let mut load = Load::default();
        let mut left = len;
        let mut state = self.pipe.state.lock();
        let was_full = state.is_full();
        while left > 0 {
            let Some(slot) = state.split(left) else { break };
            left -= slot.len;
            load.slots.push_back(slot);
        }
        let stuck = load.is_empty() && !state.slots.is_empty();
        self.pipe.emptied(state, was_full);
        if stuck { Err(no_page()) } else { Ok(load) }
    }

    /// Puts back what [`End::pull`] took off and nobody wanted.
    pub fn put_back(&self, load: Load) {
        if load.is_empty() {
            return;
        }
        let mut state = self.pipe.state.lock();
        for slot in load.slots.into_iter().rev() {
            state.slots.push_front(slot);
        }
        self.pipe.filled(state);
    }

    /// Moves up to `len` bytes to the end of another pipe; 0: there are none, and nobody will write
    /// any.
    ///
    /// # Errors
    /// EPIPE, ENOMEM; [`Stop::WouldBlock`] when there are none, or no room for any.
    pub fn move_to(&self, to: &End, len: usize) -> Attempt<usize> {
        let (mut from_state, mut to_state) = lock_both(&self.pipe, &to.pipe);
        if to_state.readers == 0 {
            return Err(no_reader());
        }
        if from_state.slots.is_empty() && from_state.writers == 0 {
            return Ok(0);
        }
        if from_state.slots.is_empty() || to_state.is_full() {
            return Err(Stop::WouldBlock);
        }
        let was_full = from_state.is_full();
        let mut done = 0;
        while done < len && !to_state.is_full() {
            let Some(slot) = from_state.split(len - done) else { break };
            done += slot.len;
            to_state.slots.push_back(slot);
        }
        self.pipe.emptied(from_state, was_full);
        if done == 0 {
            return Err(no_page());
        }
        to.pipe.filled(to_state);
        Ok(done)
    }

    /// The same, and the bytes stay where they are as well. 0 also where there is nothing to do.
    ///
    /// # Errors
    /// EPIPE, ENOMEM.
    pub fn copy_to(&self, to: &End, len: usize) -> Attempt<usize> {
        let (from_state, mut to_state) = lock_both(&self.pipe, &to.pipe);
        if to_state.readers == 0 {
            return Err(no_reader());
        }
        let mut done = 0;
        for slot in &from_state.slots {
            if done == len || to_state.is_full() {
                break;
            }
            let Some(twin) = slot.twin(len - done) else {
                if done == 0 {
                    return Err(no_page());
                }
                break;
            };
            done += twin.len;
            to_state.slots.push_back(twin);
        }
        drop(from_state);
        if done > 0 {
            to.pipe.filled(to_state);
        }
        Ok(done)
    }
}

impl Pipe {
    fn reader_would_block(&self, patience: Patience) -> Stop {
        self.reader_blocked.fetch_or(patience == Patience::Waits, Ordering::Relaxed);
        Stop::WouldBlock
    }

    fn writer_would_block(&self, patience: Patience) -> Stop {
        self.writer_blocked.fetch_or(patience == Patience::Waits, Ordering::Relaxed);
        Stop::WouldBlock
    }

    /// Tells that slots were added.
    fn filled(&self, state: Guard<'_, State>) {
        let (full, others) = (state.is_full(), state.others > 0);
        drop(state);
        self.readers.wake(1);
        if others {
            self.tell_written();
        }
        if !full {
            wake_next(&self.writers, &self.writer_blocked);
        }
    }

    /// Tells that slots were taken.
    fn emptied(&self, state: Guard<'_, State>, was_full: bool) {
        let room_again = was_full && !state.is_full();
        let (more, others) = (!state.slots.is_empty(), state.others > 0);
        drop(state);
        if room_again {
            self.writers.wake(1);
        }
        if others {
            self.tell_read(room_again);
        }
        if more {
            wake_next(&self.readers, &self.reader_blocked);
        }
    }
}

impl State {
    /// Takes the first slot, or its first `len` bytes; `None`: there is none, or no page for a part.
    fn split(&mut self, len: usize) -> Option<Slot> {
        let first = self.slots.front_mut()?;
        if first.len <= len {
            return self.slots.pop_front();
        }
        let part = first.twin(len)?;
        first.start += len;
        first.len -= len;
        Some(part)
    }
}

impl Slot {
    /// Its first `len` bytes once more; `None`: no memory.
    fn twin(&self, len: usize) -> Option<Self> {
        let len = len.min(self.len);
        let frames = Extent::allocate(1, Charge::Ordinary)?;
        copy(&self.frames, self.start, &frames, 0, len);
        Some(Self { frames, start: 0, len, packet: self.packet, fixed: true })
    }
}

/// The states of two pipes, locked in an order that all agree on.
fn lock_both<'a>(from: &'a Arc<Pipe>, to: &'a Arc<Pipe>) -> (Guard<'a, State>, Guard<'a, State>) {
    let lock = |pipe: &'a Arc<Pipe>| -> Guard<'a, State> { Mutex::lock(&pipe.state) };
    if Arc::as_ptr(from).addr() < Arc::as_ptr(to).addr() {
        let from = lock(from);
        (from, lock(to))
    } else {
        let to = lock(to);
        (lock(from), to)
    }
}

fn no_reader() -> Stop {
    Errno::EPIPE.because("nobody has the pipe open for reading").into()
}

fn no_page() -> Stop {
    Errno::ENOMEM.because("the memory limit leaves no page for the pipe").into()
}
