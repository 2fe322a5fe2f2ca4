//! The side of a pair that programs take for a terminal.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::user::{Sink, Source};

use super::folder;
use super::pair::{After, CHUNK, Pair, Side, no_memory, pace};
use crate::object::{Attempt, Events, IoctlArgument, Object, OpenFile, Pace, Stat, Stop};

/// One opening of the side that programs use.
pub struct Slave {
    pair: Arc<Pair>,
    /// The hangups before it.
    hangups: u32,
}

impl Slave {
    /// One more opening, after so many hangups.
    pub(super) fn new(pair: Arc<Pair>, hangups: u32) -> Self {
        Self { pair, hangups }
    }

    /// The pair.
    pub fn pair(&self) -> &Arc<Pair> {
        &self.pair
    }

    /// Whether the terminal was taken away since it was opened.
    pub fn is_hung_up(&self) -> bool {
        self.pair.lock().hangups != self.hangups
    }

    fn take(&self, least: usize, sink: &mut dyn Sink) -> Attempt<usize> {
        let mut after = After::default();
        let mut state = self.pair.lock();
        if state.hangups != self.hangups {
            return Ok(0);
        }
        if !state.line.is_readable() || state.line.readable() < least {
            return Err(Stop::WouldBlock);
        }
        let mut bytes = Vec::new();
        state.line.read(sink.room(), &mut bytes);
        state.pump(&mut after);
        after.wake(Side::Master);
        drop(state);
        self.pair.finish(after);
        Ok(sink.put(&bytes))
    }
}

impl Object for Slave {
    fn read(&self, open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let pace = self.pace(open);
        let Some(pace) = pace else { return self.take(0, sink) };
        let least = if open.nonblocking() { 1 } else { pace.least.min(sink.room()).max(1) };
        match self.take(least, sink) {
            Err(Stop::WouldBlock) if pace.first == 0 => Ok(0),
            Err(Stop::WouldBlock) if !open.nonblocking() => Err(Stop::Paced),
            other => other,
        }
    }

    fn read_early(&self, _open: &OpenFile, sink: &mut dyn Sink) -> Attempt<usize> {
        self.take(1, sink)
    }

    fn pace(&self, _open: &OpenFile) -> Option<Pace> {
        let state = self.pair.lock();
        if state.hangups == self.hangups { pace(state.line.termios()) } else { None }
    }

    fn write(
        &self,
        open: &OpenFile,
        _offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        let left = source.left();
        let mut after = After::default();
        let mut state = self.pair.lock();
        if state.hangups != self.hangups {
            return Err(Errno::EIO.because("the terminal hung up").into());
        }
        if left == 0 {
            return Ok((0, 0));
        }
        let whole = !open.nonblocking() && left <= CHUNK;
        let wanted = if whole { left } else { left.min(state.admitted()).min(CHUNK) };
        if wanted == 0 {
            return Err(Stop::WouldBlock);
        }
        let mut chunk = [0; CHUNK];
        let taken = source.take(&mut chunk[..wanted]);
        let mut out = Vec::new();
        let room = state.output_room();
        let before = state.line.columns();
        if state.line.write(&chunk[..taken], room, &mut out) < taken {
            state.line.set_columns(before);
            return Err(Stop::WouldBlock);
        }
        state.output.try_reserve(out.len()).map_err(|_| no_memory())?;
        state.output.extend(&out);
        after.wake(Side::Master);
        drop(state);
        self.pair.finish(after);
        Ok((taken, 0))
    }

    fn stat(&self) -> Result<Stat> {
        Ok(folder::stat(&self.pair))
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let state = self.pair.lock();
        if state.hangups != self.hangups {
            return Events::IN
                | Events::OUT
                | Events::ERR
                | Events::HUP
                | Events::RDNORM
                | Events::WRNORM;
        }
        let mut events = Events::empty();
        events.set(Events::IN | Events::RDNORM, state.readable_by_poll());
        events.set(Events::OUT | Events::WRNORM, state.admitted() >= CHUNK);
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&self.pair.queues[Side::Slave as usize])
    }

    fn ioctl(
        &self,
        _open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        if self.is_hung_up() {
            return Err(Errno::EIO.because("the terminal hung up"));
        }
        self.pair.control(Side::Slave, request, argument)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        let mut state = self.pair.lock();
        state.slaves -= 1;
        if state.slaves > 0 {
            return;
        }
        state.slave_closed = true;
        drop(state);
        self.pair.queues[Side::Master as usize].wake_all();
    }
}
