//! Last words: a line that is put together where libc may not be called, and the end of the process.

use abi::host::ExitKind;

use crate::{host, sys};

/// A line, cut when it is too long.
pub(crate) struct Line {
    bytes: [u8; 192],
    len: usize,
}

impl Line {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 192], len: 0 }
    }

    /// With a text behind it.
    pub(crate) fn text(mut self, text: &[u8]) -> Self {
        for byte in text {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
                self.len += 1;
            }
        }
        self
    }

    /// With a number behind it, in base 10 or 16.
    pub(crate) fn number(self, number: u64, base: u64) -> Self {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let before = if number >= base { self.number(number / base, base) } else { self };
        before.text(&[DIGITS[(number % base) as usize]])
    }

    /// Writes it to stderr, and ends the enclave as failed.
    pub(crate) fn end(&self) -> ! {
        // SAFETY: bytes of ours.
        unsafe { sys::write_all(2, (&raw const self.bytes) as u64, self.len as u64) };
        loop {
            host::end_now(ExitKind::Failed as u64, 125);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn lines_are_cut_not_overrun() {
        let line = Line::new().number(0, 10).text(b" ").number(u64::MAX, 16);
        assert_eq!(&line.bytes[..line.len], b"0 ffffffffffffffff");
        let line = line.text(&[b'x'; 300]);
        assert_eq!(line.len, line.bytes.len());
    }
}
