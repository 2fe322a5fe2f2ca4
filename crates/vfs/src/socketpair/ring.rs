//! Bytes in a circle that grows up to a limit.

use alloc::vec::Vec;

use platform::user::{Sink, Source};

/// Bytes of the first buffer.
const FIRST: usize = 4096;

/// A byte queue. Its buffer is a power of two, allocated when first used.
#[derive(Default)]
pub(super) struct Ring {
    buffer: Vec<u8>,
    start: usize,
    len: usize,
}

impl Ring {
    /// Bytes that it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for `more` bytes; false when there is no memory.
    pub(super) fn reserve(&mut self, more: usize) -> bool {
        let wanted = self.len + more;
        if wanted <= self.buffer.len() {
            return true;
        }
        let capacity = wanted.next_power_of_two().max(FIRST);
        let mut buffer = Vec::new();
        if buffer.try_reserve_exact(capacity).is_err() {
            return false;
        }
        buffer.resize(capacity, 0);
        let (first, second) = self.parts(0, self.len);
        buffer[..first.len()].copy_from_slice(first);
        buffer[first.len()..self.len].copy_from_slice(second);
        self.buffer = buffer;
        self.start = 0;
        true
    }

    /// Appends `len` bytes of `source`, for which [`Self::reserve`] made room.
    pub(super) fn put(&mut self, source: &mut dyn Source, len: usize) -> usize {
        let mut done = 0;
        while done < len {
            let at = self.wrap(self.start + self.len);
            let part = (len - done).min(self.buffer.len() - at);
            let taken = source.take(&mut self.buffer[at..at + part]);
            self.len += taken;
            done += taken;
            if taken < part {
                break;
            }
        }
        done
    }

    /// Takes the last `len` bytes away again.
    pub(super) fn unput(&mut self, len: usize) {
        self.len -= len;
    }

    /// Copies up to `len` bytes, from the `skip`th on, to `sink`; they stay.
    pub(super) fn peek(&self, skip: usize, len: usize, sink: &mut dyn Sink) -> usize {
        let len = len.min(self.len - skip);
        let (first, second) = self.parts(skip, len);
        let done = sink.put(first);
        if done < first.len() || second.is_empty() { done } else { done + sink.put(second) }
    }

    /// Drops the first `len` bytes.
    pub(super) fn skip(&mut self, len: usize) {
        self.start = self.wrap(self.start + len);
        self.len -= len;
        if self.len == 0 {
            self.start = 0;
        }
    }

    /// The `len` bytes from the `skip`th on, which may wrap around.
    fn parts(&self, skip: usize, len: usize) -> (&[u8], &[u8]) {
        if len == 0 {
            return (&[], &[]);
        }
        let at = self.wrap(self.start + skip);
        let first = len.min(self.buffer.len() - at);
        (&self.buffer[at..at + first], &self.buffer[..len - first])
    }

    fn wrap(&self, at: usize) -> usize {
        at & (self.buffer.len() - 1)
    }
}
