//! Memory that a program maps and the LibOS uses as well: rings.
//!
//! A program may write all of it at any time, so nothing that is read here is more than its word.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::arena::PAGE;
use storage::pages::{Pages, Run};

/// Pages shared with a program.
pub(super) struct Shared {
    pages: Arc<Pages>,
    /// By the first byte, without gaps.
    runs: Vec<(usize, Run)>,
}

impl Shared {
    /// Zeros for `bytes` bytes, charged to the enclave's memory.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn new(bytes: usize) -> Result<Self> {
        let count = bytes.div_ceil(PAGE);
        let pages = Pages::new();
        pages.truncate((count * PAGE) as u64)?;
        let mut runs = Vec::new();
        let mut page = 0;
        while page < count {
            let run = pages
                .frames(page as u64, count - page, true)
                .map_err(|_| Errno::ENOMEM.because("no memory for the ring"))?;
            let first = page * PAGE;
            page += run.pages;
            runs.push((first, run));
        }
        Ok(Self { pages, runs })
    }

    /// What a program maps.
    pub(super) fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    /// The extent in which `at` lies, where in it, and how many bytes are left there.
    fn place(&self, at: usize) -> (&Run, usize, usize) {
        let index = self.runs.partition_point(|(first, _)| *first <= at).saturating_sub(1);
        let (first, run) = &self.runs[index];
        let within = at - first;
        (run, run.first * PAGE + within, run.pages * PAGE - within)
    }

    /// The word at `at`, and what was written before it.
    pub(super) fn load(&self, at: usize) -> u32 {
        let (run, at, _) = self.place(at);
        run.extent.load_word(at)
    }

    /// Writes the word at `at`, after all that was written before.
    pub(super) fn store(&self, at: usize, value: u32) {
        let (run, at, _) = self.place(at);
        run.extent.store_word(at, value);
    }

    /// Copies from `at` on.
    pub(super) fn read(&self, mut at: usize, mut out: &mut [u8]) {
        while !out.is_empty() {
            let (run, from, room) = self.place(at);
            let len = out.len().min(room);
            let (now, rest) = out.split_at_mut(len);
            run.extent.read(from, now);
            at += len;
            out = rest;
        }
    }

    /// Copies to `at` on.
    pub(super) fn write(&self, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (run, to, room) = self.place(at);
            let len = bytes.len().min(room);
            run.extent.write(to, &bytes[..len]);
            at += len;
            bytes = &bytes[len..];
        }
    }
}
