//! The side of a pair that plays the terminal.

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::user::{Sink, Source};

use super::folder;
use super::pair::{After, CHUNK, Pair, Side, State, no_memory};
use crate::anonymous::S_IFCHR;
use crate::object::{Attempt, Events, IoctlArgument, Object, OpenFile, Stat, Stop};

/// The side that plays the terminal.
pub struct Master {
    pair: Arc<Pair>,
}

impl Master {
    /// A new pair's.
    pub(super) fn new(pair: Arc<Pair>) -> Self {
        Self { pair }
    }

    /// The pair.
    pub fn pair(&self) -> &Arc<Pair> {
        &self.pair
    }
}

impl Object for Master {
    fn read(&self, _open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let mut after = After::default();
        let mut state = self.pair.lock();
        if state.packet && !state.status.is_empty() {
            let status = core::mem::take(&mut state.status);
            return Ok(sink.put(&[status.bits()]));
        }
        if state.output.is_empty() {
            if state.slave_closed {
                return Err(Errno::EIO.because("nobody has the slave open any more").into());
            }
            return Err(Stop::WouldBlock);
        }
        let done = read_output(&mut state, sink);
        after.wake(Side::Slave);
        drop(state);
        self.pair.finish(after);
        Ok(done)
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
        let room = state.typing_room();
        let whole = !open.nonblocking() && left <= CHUNK;
        if left > 0 && (room == 0 || (whole && room < left)) {
            return Err(Stop::WouldBlock);
        }
        let mut chunk = [0; CHUNK];
        let wanted = left.min(room).min(CHUNK);
        state.pending.try_reserve(wanted).map_err(|_| no_memory())?;
        let taken = source.take(&mut chunk[..wanted]);
        state.pending.extend(&chunk[..taken]);
        state.pump(&mut after);
        drop(state);
        self.pair.finish(after);
        Ok((taken, 0))
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat { mode: S_IFCHR | 0o666, rdev: 0x502, ..Stat::default() })
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let state = self.pair.lock();
        let mut events = Events::empty();
        let told = state.packet && !state.status.is_empty();
        events.set(Events::PRI, told);
        events.set(Events::IN | Events::RDNORM, told || !state.output.is_empty());
        events.set(Events::OUT | Events::WRNORM, state.typing_room() >= CHUNK);
        events.set(Events::HUP, state.slave_closed);
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&self.pair.queues[Side::Master as usize])
    }

    fn ioctl(
        &self,
        _open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        self.pair.control(Side::Master, request, argument)
    }

    fn released(&self, _open: &OpenFile) {
        folder::remove(self.pair.index());
        self.pair.lock().master_closed = true;
        self.pair.hang_up();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Moves what was written at the slave to `sink`; how many bytes.
fn read_output(state: &mut State, sink: &mut dyn Sink) -> usize {
    let mut done = 0;
    if state.packet {
        done += sink.put(&[0]);
    }
    while sink.room() > 0 && !state.output.is_empty() {
        let part = {
            let front = state.output.as_slices().0;
            let part = front.len().min(sink.room());
            let put = sink.put(&front[..part]);
            done += put;
            if put < part {
                state.output.drain(..put);
                break;
            }
            part
        };
        state.output.drain(..part);
    }
    done
}
