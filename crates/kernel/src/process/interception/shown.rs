//! A mapping of text as decisions see it: the program's own bytes, and what its file says of functions.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};
use core::ops::Range;

use platform::arena;
use storage::pages::Pages;

use crate::memory::interception::decide;
use crate::memory::interception::sites::{self, Book};
use crate::memory::interception::{frames, golang};
use crate::memory::text::{Patching, Text};

/// Bytes around a site that a decision may look at; further ones are not there for it.
const AROUND: u64 = 64 << 10;

/// Contents of a file that a decision wanted and that are not in memory.
pub(super) struct Missing {
    pub(super) pages: Arc<Pages>,
    pub(super) offset: u64,
}

/// The text around a site. Bytes are read when they are asked for.
pub(super) struct Shown<'a> {
    text: &'a Text,
    patching: &'a Patching<'a>,
    near: Range<u64>,
    /// What patches replaced: addresses and the program's bytes.
    replaced: Vec<(u64, u8)>,
    missing: Cell<Option<u64>>,
    functions: OnceCell<Functions>,
}

impl<'a> Shown<'a> {
    pub(super) fn around(
        site: u64,
        text: &'a Text,
        patching: &'a Patching<'a>,
        book: &Book,
    ) -> Self {
        let start = text.range.start.max(site.saturating_sub(AROUND));
        let near = start..text.range.end.min(site.saturating_add(AROUND));
        let replaced = book.replaced_in(&near);
        Self {
            text,
            patching,
            near,
            replaced,
            missing: Cell::new(None),
            functions: OnceCell::new(),
        }
    }

    /// What was wanted and not there.
    pub(super) fn missing(&self) -> Option<Missing> {
        let offset = self.missing.get()?;
        Some(Missing { pages: Arc::clone(&self.text.mapped.pages), offset })
    }

    /// Reads the mapped file.
    fn read_file(&self, offset: u64, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let at = offset.saturating_add(done as u64);
            match self.text.mapped.pages.read_bytes(at, &mut out[done..]) {
                Ok(0) => break,
                Ok(len) => done += len,
                Err(_) => {
                    self.missing.set(Some(at));
                    break;
                }
            }
        }
        done
    }

    fn functions(&self) -> &Functions {
        self.functions.get_or_init(|| self.find_functions())
    }

    fn find_functions(&self) -> Functions {
        let mut head = [0; arena::PAGE];
        let (offset, start) = (self.text.mapped.offset, self.text.range.start);
        if self.read_file(0, &mut head) < head.len() {
            return Functions::Unknown;
        }
        if let Some(section) = frames::section(&head, offset, start) {
            return Functions::Frames(section);
        }
        let table = golang::Table::find(&|at, out| self.read_file(at, out));
        match (table, frames::bias(&head, offset, start)) {
            (Some(table), Some(bias)) => Functions::Go { table, bias },
            _ => Functions::Unknown,
        }
    }
}

/// Where a file says where its functions begin.
enum Functions {
    /// In call frame information, mapped there.
    Frames(Range<u64>),
    /// In Go's table, whose addresses are `bias` less than those here.
    Go { table: golang::Table, bias: u64 },
    /// Nowhere.
    Unknown,
}

impl decide::Text for Shown<'_> {
    fn function_start(&self, address: u64) -> Option<u64> {
        match self.functions() {
            Functions::Frames(section) => frames::function_start(
                &|at, out: &mut [u8]| self.patching.read(at, out),
                section,
                address,
            ),
            Functions::Go { .. } => self.function(address).map(|function| function.start),
            Functions::Unknown => None,
        }
    }

    fn function(&self, address: u64) -> Option<Range<u64>> {
        match self.functions() {
            Functions::Frames(section) => frames::function(
                &|at, out: &mut [u8]| self.patching.read(at, out),
                section,
                address,
            ),
            Functions::Go { table, bias } => {
                let read = |at, out: &mut [u8]| self.read_file(at, out);
                let found = table.function(&read, address.wrapping_sub(*bias))?;
                Some(found.start.wrapping_add(*bias)..found.end.wrapping_add(*bias))
            }
            Functions::Unknown => None,
        }
    }

    fn is_incomplete(&self) -> bool {
        self.missing.get().is_some()
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        if !self.near.contains(&at) {
            return 0;
        }
        let most = usize::try_from(self.near.end - at).unwrap_or(usize::MAX);
        let wanted = most.min(buffer.len());
        let there = self.patching.read(at, &mut buffer[..wanted]);
        sites::lay_over(&self.replaced, at, &mut buffer[..there]);
        there
    }
}
