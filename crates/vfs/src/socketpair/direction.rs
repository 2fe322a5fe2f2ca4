//! What is on its way to one side of a pair.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use platform::user::{Sink, Source};

use super::ring::Ring;
use super::{Kind, Received};
use crate::object::{Attempt, OpenFile, Stop};

/// Bytes that one direction holds at most: Linux's default of `SO_SNDBUF`.
pub(super) const LIMIT: usize = 212_992;
/// What a message costs of it besides its bytes.
const MESSAGE_COST: usize = 512;
/// Messages that wait at most: `net.unix.max_dgram_qlen` and the one that fills it.
const MESSAGES: usize = 11;
/// What Linux makes one buffer of: of a stream, so much is sent whole or, where it can't be read, not.
const PIECE: usize = 36_544;

/// Bytes, and where messages and descriptors lie among them.
pub(super) struct Direction {
    kind: Kind,
    ring: Ring,
    /// Messages in order; of a stream only those that carry descriptors.
    marks: VecDeque<Mark>,
    /// Position of the ring's first byte, counted from the beginning.
    position: u64,
    /// Bytes and costs that it holds at most.
    pub(super) limit: usize,
    /// Nothing more is accepted, and its end is told.
    pub(super) shut: bool,
}

struct Mark {
    start: u64,
    end: u64,
    rights: Vec<Arc<OpenFile>>,
}

impl Direction {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            ring: Ring::default(),
            marks: VecDeque::new(),
            position: 0,
            limit: LIMIT,
            shut: false,
        }
    }

    /// Whether there is something to receive.
    pub(super) fn has_some(&self) -> bool {
        self.ring.len() > 0 || (self.kind != Kind::Stream && !self.marks.is_empty())
    }

    /// Bytes on the way.
    pub(super) fn bytes(&self) -> usize {
        self.ring.len()
    }

    /// Bytes that the next receive can get: of the first message, or all of a stream.
    pub(super) fn next_bytes(&self) -> usize {
        match self.marks.front() {
            Some(mark) if self.kind != Kind::Stream => length(mark.start, mark.end),
            _ => self.ring.len(),
        }
    }

    /// Whether a writer is told that there is room: when three quarters are free.
    pub(super) fn has_room(&self) -> bool {
        4 * self.used() <= self.limit && (self.kind == Kind::Stream || self.marks.len() < MESSAGES)
    }

    fn used(&self) -> usize {
        self.ring.len() + MESSAGE_COST * self.marks.len()
    }

    /// Appends what `source` has: of a stream as much as fits, else all or nothing.
    pub(super) fn send(
        &mut self,
        source: &mut dyn Source,
        rights: &mut Vec<Arc<OpenFile>>,
    ) -> Attempt<usize> {
        let wanted = source.left();
        let room = self.limit.saturating_sub(self.used());
        let stream = self.kind == Kind::Stream;
        if !stream && wanted > self.limit - MESSAGE_COST {
            return Err(Errno::EMSGSIZE.because("the message exceeds the send buffer").into());
        }
        // A message that is under way is not limited by what the others left of the buffer.
        let full = room == 0 || (!stream && self.marks.len() >= MESSAGES);
        if full && (wanted > 0 || !stream) {
            return Err(Stop::WouldBlock);
        }
        let len = if stream { wanted.min(room) } else { wanted };
        if !self.ring.reserve(len) {
            return Err(Errno::ENOBUFS.because("no memory for the message").into());
        }
        let start = self.position + self.ring.len() as u64;
        let mut done = 0;
        while done < len {
            let part = if stream { PIECE.min(len - done) } else { len };
            let put = self.ring.put(source, part);
            if put < part {
                self.ring.unput(put);
                break;
            }
            done += part;
        }
        if done < len && !stream {
            return Ok(0);
        }
        if !stream || (done > 0 && !rights.is_empty()) {
            let rights = core::mem::take(rights);
            self.marks.push_back(Mark { start, end: start + done as u64, rights });
        }
        Ok(done)
    }

    /// Takes from a stream, up to the end of the first part that carries descriptors.
    pub(super) fn receive_stream(&mut self, sink: &mut dyn Sink, peek: bool) -> Received {
        let mut limit = self.ring.len();
        if let Some(mark) = self.marks.front() {
            limit = length(self.position, mark.end);
        }
        let wanted = limit.min(sink.room());
        let mut len = self.ring.peek(0, wanted, sink);
        if len < wanted {
            // As Linux does, what a bad buffer took only a part of is not taken at all.
            len = 0;
        }
        let end = self.position + len as u64;
        let mut received = Received { len, full: len, ..Received::default() };
        if let Some(mark) = self.marks.front_mut()
            && mark.start < end
        {
            received.rights =
                if peek { mark.rights.clone() } else { core::mem::take(&mut mark.rights) };
            if !peek && mark.end <= end {
                self.marks.pop_front();
            }
        }
        if !peek {
            self.drop_bytes(len);
        }
        received
    }

    /// Takes one message; what the sink has no room for is lost.
    pub(super) fn receive_message(&mut self, sink: &mut dyn Sink, peek: bool) -> Received {
        let Some(mark) = self.marks.front_mut() else { return Received::default() };
        let full = length(mark.start, mark.end);
        let rights = if peek { mark.rights.clone() } else { core::mem::take(&mut mark.rights) };
        let wanted = full.min(sink.room());
        let len = self.ring.peek(0, wanted, sink);
        if !peek {
            self.marks.pop_front();
            self.drop_bytes(full);
        }
        Received { len, full, rights }
    }

    /// Throws everything away; gives the descriptors, for the caller to drop without the lock.
    pub(super) fn clear(&mut self) -> Vec<Arc<OpenFile>> {
        let bytes = self.ring.len();
        self.drop_bytes(bytes);
        self.marks.drain(..).flat_map(|mark| mark.rights).collect()
    }

    fn drop_bytes(&mut self, len: usize) {
        if len > 0 {
            self.ring.skip(len);
            self.position += len as u64;
        }
    }
}

/// Bytes between two positions, which a ring's capacity bounds.
fn length(start: u64, end: u64) -> usize {
    usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX)
}
