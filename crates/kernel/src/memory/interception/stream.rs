//! Text that is decoded from front to back.

use core::ops::Range;

use iced_x86::Instruction;

use super::boundary::{LONGEST, decode};
use super::code::Code;
use super::decide::Text;

/// Bytes fetched at once.
const CHUNK: usize = 256;

/// Instructions of a text, one after the other.
pub(crate) struct Stream<'a> {
    text: &'a dyn Text,
    buffer: [u8; CHUNK],
    /// What the buffer holds.
    held: Range<u64>,
}

impl<'a> Stream<'a> {
    /// Nothing is fetched yet.
    pub(super) fn of(text: &'a dyn Text) -> Self {
        Self { text, buffer: [0; CHUNK], held: 0..0 }
    }

    /// The instruction at `at`; `None` where there is none, or not all of it.
    pub(super) fn decode(&mut self, at: u64) -> Option<Instruction> {
        if at < self.held.start || at.checked_add(LONGEST as u64)? > self.held.end {
            let got = self.text.read(at, &mut self.buffer).min(CHUNK);
            self.held = at..at.checked_add(got as u64)?;
        }
        let len = usize::try_from(self.held.end - self.held.start).ok()?;
        decode(&Code::new(self.held.start, self.buffer.get(..len)?), at)
    }
}
