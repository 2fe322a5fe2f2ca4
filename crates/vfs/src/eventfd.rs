//! eventfd: a counter that is written by adding and read by emptying.
//!
//! Differs from Linux: a blocking write whose sum would be too large waits only if the count is at
//! its largest; below that it gives EAGAIN.
//!
//! Source: eventfd(2).

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::sync::Mutex;
use platform::user::{Sink, Source};

use crate::anonymous::{Identity, Owner};
use crate::object::{Attempt, Events, Object, OpenFile, Stat, Status, Stop};

/// Bytes of a read and of a write.
const WORD: usize = 8;

/// What a read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The whole count.
    Counter,
    /// One (`EFD_SEMAPHORE`).
    Semaphore,
}

/// The counter.
pub struct EventFd {
    count: Mutex<u64>,
    kind: Kind,
    queue: WaitQueue,
    identity: Identity,
}

/// Makes an eventfd that holds `initial`; `status` may hold NONBLOCK.
pub fn eventfd(initial: u32, kind: Kind, status: Status, owner: Owner) -> Arc<OpenFile> {
    let object = Arc::new(EventFd {
        count: Mutex::new(u64::from(initial)),
        kind,
        queue: WaitQueue::new(),
        identity: Identity::new(owner),
    });
    OpenFile::new(object, status | Status::READ_WRITE, None)
}

impl EventFd {
    /// The count now, and what a read takes: for fdinfo.
    pub fn state(&self) -> (u64, Kind) {
        (*self.count.lock(), self.kind)
    }
}

impl Object for EventFd {
    fn read(&self, _open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        if sink.room() < WORD {
            return Err(Errno::EINVAL.because("an eventfd is read in 8 bytes").into());
        }
        let mut count = self.count.lock();
        if *count == 0 {
            return Err(Stop::WouldBlock);
        }
        let taken = if self.kind == Kind::Semaphore { 1 } else { *count };
        *count -= taken;
        drop(count);
        self.queue.wake_all();
        // As in Linux, the count is gone also when the program's buffer turns out to be bad.
        let put = sink.put(&taken.to_le_bytes());
        Ok(if put < WORD { 0 } else { WORD })
    }

    fn write(
        &self,
        _open: &OpenFile,
        _offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        if source.left() != WORD {
            return Err(Errno::EINVAL.because("an eventfd is written in 8 bytes").into());
        }
        let mut bytes = [0; WORD];
        let mut count = self.count.lock();
        if source.take(&mut bytes) < WORD {
            return Ok((0, 0));
        }
        let added = u64::from_le_bytes(bytes);
        if added == u64::MAX {
            return Err(Errno::EINVAL.because("the largest number can't be added").into());
        }
        if added > u64::MAX - 1 - *count {
            return Err(Stop::WouldBlock);
        }
        *count += added;
        drop(count);
        self.queue.wake_all();
        Ok((WORD, 0))
    }

    fn seeks_in_vain(&self) -> bool {
        true
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.identity.other())
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let count = *self.count.lock();
        let mut events = Events::empty();
        events.set(Events::IN, count > 0);
        events.set(Events::OUT, count < u64::MAX - 1);
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
