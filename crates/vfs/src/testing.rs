//! Sinks, sources and wakers for the tests of this crate.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Waker;

use abi::errno::Result;
use abi::{Errno, Error};
use executor::wait_queue::{Subscription, WaitQueue};
use platform::arena::Extent;
use platform::user::{Sink, Source};

use crate::object::{Attempt, IoctlArgument, OpenFile, Stop};

/// Bytes with a limit, which "fault" behind an optional number of them.
pub(crate) struct Bytes {
    pub(crate) content: VecDeque<u8>,
    room: usize,
    fault_after: usize,
}

impl Bytes {
    /// A sink for `room` bytes.
    pub(crate) fn sink(room: usize) -> Self {
        Self { content: VecDeque::new(), room, fault_after: usize::MAX }
    }

    /// A source of `bytes`.
    pub(crate) fn source(bytes: &[u8]) -> Self {
        Self { content: bytes.iter().copied().collect(), room: 0, fault_after: usize::MAX }
    }

    /// The same, faulting after so many bytes.
    pub(crate) fn faulting(mut self, after: usize) -> Self {
        self.fault_after = after;
        self
    }

    fn admit(&mut self, len: usize) -> usize {
        let len = len.min(self.fault_after);
        self.fault_after -= len;
        len
    }
}

impl Sink for Bytes {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let len = self.admit(bytes.len().min(self.room));
        self.content.extend(&bytes[..len]);
        self.room -= len;
        len
    }

    fn put_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let mut bytes = alloc::vec![0; len];
        extent.read(at, &mut bytes);
        self.put(&bytes)
    }

    fn put_zeros(&mut self, len: usize) -> usize {
        self.put(&alloc::vec![0; len])
    }
}

impl Source for Bytes {
    fn skip_all(&mut self) -> usize {
        let skipped = self.content.len();
        self.content.clear();
        skipped
    }

    fn left(&self) -> usize {
        self.content.len()
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        let len = self.admit(out.len().min(self.content.len()));
        for (to, from) in out.iter_mut().zip(self.content.drain(..len)) {
            *to = from;
        }
        len
    }

    fn give_back(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().rev().for_each(|byte| self.content.push_front(*byte));
        true
    }

    fn take_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let mut bytes = alloc::vec![0; len];
        let taken = self.take(&mut bytes);
        extent.write(at, &bytes[..taken]);
        taken
    }
}

/// An ioctl argument that points to `memory`.
pub(crate) struct Argument(pub(crate) Vec<u8>);

impl IoctlArgument for Argument {
    fn value(&self) -> u64 {
        1
    }

    fn read(&self, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(&self.0[..out.len()]);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// Counts the wake-ups of a queue.
pub(crate) struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    /// Counts those of `queue` from now on, until the subscription is dropped.
    pub(crate) fn of(queue: &WaitQueue) -> (Arc<Self>, Subscription) {
        let count = Arc::new(Self(AtomicUsize::new(0)));
        let subscription = queue.subscribe(Waker::from(Arc::clone(&count)));
        (count, subscription)
    }

    /// How many there were since the last time.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// read(2) of up to `room` bytes, once.
pub(crate) fn read(open: &OpenFile, room: usize) -> Attempt<Vec<u8>> {
    let mut sink = Bytes::sink(room);
    let len = open.object().read(open, 0, &mut sink)?;
    assert_eq!(len, sink.content.len(), "what read says is what it delivers");
    Ok(sink.content.into())
}

/// write(2), once.
pub(crate) fn write(open: &OpenFile, bytes: &[u8]) -> Attempt<usize> {
    Ok(open.object().write(open, None, &mut Bytes::source(bytes))?.0)
}

/// FIONREAD and other requests that give an int.
pub(crate) fn ioctl(open: &OpenFile, request: u32) -> Result<i32> {
    let mut argument = Argument(alloc::vec![0; 64]);
    open.object().ioctl(open, request, &mut argument)?;
    Ok(i32::from_le_bytes(argument.0[..4].try_into().expect("4 bytes")))
}

/// The errno of an attempt that failed; `None` when it would block.
#[track_caller]
pub(crate) fn stopped<T>(attempt: Attempt<T>) -> Option<Errno> {
    match attempt.err().expect("the attempt succeeded") {
        Stop::Error(Error { errno, .. }) => Some(errno),
        Stop::WouldBlock => None,
        Stop::Fill { .. } | Stop::Paced => panic!("nothing to fill, and no pace"),
    }
}
