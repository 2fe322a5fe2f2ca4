//! The rewriting of one process's system call sites: what `memory::interception` decides, carried out
//! on its memory.
//!
//! Lock order: the space, then this book; a change of text comes with the space locked.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::layout::PAGE;
use platform::arena::Extent;
use platform::context::stubs;
use platform::sync::Mutex;
use platform::user::{self, Short};
use platform::{cpu, vcpu};

use crate::Kernel;
use crate::context::Context;
use crate::memory::interception::decide::{self, Decision};
use crate::memory::interception::frames;
use crate::memory::interception::patch::{Company, Patch, Store, Value, Width};
use crate::memory::interception::pool::{self, Round};
use crate::memory::interception::trampoline::{FILL, Gate};
use crate::memory::interception::{Origin, Process as Book};
use crate::memory::text::{Change, Patching, Text, TextWatcher};
use crate::process::Process;

/// Bytes of a page.
const PAGE_BYTES: usize = platform::arena::PAGE;

/// Interception of one process.
#[derive(Clone)]
pub struct Interception {
    book: Arc<Mutex<Book>>,
}

impl Interception {
    /// Nothing rewritten.
    pub fn new() -> Self {
        let stubs = stubs();
        let gate = Gate { entry: stubs.entry, foreign: stubs.foreign, vcpus: vcpu::area() };
        Self { book: Arc::new(Mutex::new(Book::new(gate))) }
    }

    /// Lets the process's memory tell of changes to text.
    pub(crate) fn watch(process: &Process) {
        process.memory.set_watcher(Arc::new(process.interception.clone()));
    }

    /// Whether `rip` lies in a trampoline: such a thread counts as being in the LibOS.
    pub(crate) fn is_trampoline(&self, rip: u64) -> bool {
        self.book.lock().is_trampoline(rip)
    }

    /// A call at `site` trapped with `rax`, and was served; rewrites the site if a rule fits.
    pub(crate) fn trapped(&self, cx: &Context<'_>, site: u64, rax: u64) {
        cx.kernel.trace.trapped.fetch_add(1, Ordering::Relaxed);
        if !cx.kernel.settings.may_patch() {
            return;
        }
        cx.memory().patching(|patching| {
            let mut book = self.book.lock();
            let text = patching.text(site);
            let shown = text.as_ref().map(|text| Shown::around(site, text, patching, &book));
            let shown = shown.as_ref().map(|shown| shown as &dyn decide::Text);
            let decision = book.consider(site, rax, shown, &Room(patching));
            if let Decision::Mov(patch) | Decision::Pun(patch) = &decision {
                apply(cx.kernel, &mut book, patching, patch);
            }
            let unpatched = book.book().unpatched_sites() as u64;
            cx.kernel.trace.unpatched.store(unpatched, Ordering::Relaxed);
        });
    }
}

impl Default for Interception {
    fn default() -> Self {
        Self::new()
    }
}

impl TextWatcher for Interception {
    fn before_change(&self, range: &Range<u64>, change: Change, patching: &mut Patching<'_>) {
        let mut book = self.book.lock();
        for patch in book.restore(range, Round::default()) {
            let last = patch.at + patch.new.len() as u64 - 1;
            let frames =
                (patching.existing_text_frame(patch.at), patching.existing_text_frame(last));
            if let (Some(first), Some(second)) = frames {
                write([&first, &second], &patch, Direction::Restore);
            }
        }
        if change == Change::Replaced {
            book.hand_over(range.clone());
        }
    }

    fn copy_in(&self, address: u64, out: &mut [u8]) -> Result<(), Short> {
        // With the book locked no patch comes or goes between the copy and what is put over it.
        let book = self.book.lock();
        let end = address.saturating_add(out.len() as u64);
        let hole = book.pool().first_in(&(address..end));
        let len = hole
            .map_or(out.len(), |hole| usize::try_from(hole.saturating_sub(address)).unwrap_or(0));
        let shown = &mut out[..len];
        user::copy_in(address, shown)?;
        book.book().overlay(address, shown);
        match hole {
            Some(hole) => Err(Short { done: len, fault: hole.max(address), write: false }),
            None => Ok(()),
        }
    }
}

/// Writes the trampoline, then the site.
fn apply(kernel: &Kernel, book: &mut Book, patching: &mut Patching<'_>, patch: &Patch) {
    let Ok(first) = patching.text_frame(patch.at) else { return };
    let Ok(second) = patching.text_frame(patch.at + patch.new.len() as u64 - 1) else { return };
    let page = patch.trampoline.page();
    let trampoline = if patch.trampoline.fresh {
        let Ok(extent) = patching.allocate_at(page) else { return };
        extent.write(0, &[FILL; PAGE_BYTES]);
        extent.write(offset(patch.trampoline.stub), &book.gate().stub());
        extent
    } else {
        let Some(extent) = patching.existing_text_frame(page) else { return };
        extent
    };
    if !book.commit(patch, Origin::Trap) {
        return;
    }
    trampoline.write(offset(patch.trampoline.at), &patch.trampoline.code);
    write([&first, &second], patch, Direction::Apply);
    kernel.trace.patched.fetch_add(1, Ordering::Relaxed);
}

/// Whether a patch is put in or taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Apply,
    Restore,
}

/// Stores a patch's bytes, or the old ones, into the frames of its first and its last byte, alone where
/// that is needed.
fn write(frames: [&Extent; 2], patch: &Patch, direction: Direction) {
    let frame = frames[0];
    let company = if vcpu::count() == 1 {
        Company::Alone
    } else if cpu::features().amd {
        Company::OldOrNew
    } else {
        Company::Unsynchronised
    };
    let Store::One { at, width, .. } = patch.store else {
        // On two lines: whole or not at all only while nobody can execute it.
        return vcpu::alone(|| {
            let (from, to) = match direction {
                Direction::Apply => (&patch.old, &patch.new),
                Direction::Restore => (&patch.new, &patch.old),
            };
            let places = (patch.at..).map(|at| {
                let second = at & !(PAGE - 1) != patch.at & !(PAGE - 1);
                (frames[usize::from(second)], offset(at))
            });
            let same = places.clone().zip(from).all(|((frame, at), byte)| {
                let mut current = [0];
                frame.read(at, &mut current);
                current[0] == *byte
            });
            if same {
                places.zip(to).for_each(|((frame, at), byte)| frame.write(at, &[*byte]));
            }
        });
    };
    let len = match width {
        Width::Two => 2,
        Width::Eight => 8,
    };
    let store = || {
        let mut current = [0; 8];
        frame.read(offset(at), &mut current[..len]);
        let value = match direction {
            Direction::Apply => patch.apply_to(&current[..len]),
            Direction::Restore => patch.restore_to(&current[..len]),
        };
        match value {
            Some(Value::Two(bytes)) => frame.store_two(offset(at), bytes),
            Some(Value::Eight(bytes)) => frame.store_eight(offset(at), bytes),
            None => {}
        }
    };
    if patch.store.needs_stop(company) { vcpu::alone(store) } else { store() }
}

/// Offset of an address in its page.
fn offset(address: u64) -> usize {
    usize::try_from(address % PAGE).unwrap_or(0)
}

/// The program's own text around a site, copied: other patches in it are undone.
struct Shown {
    start: u64,
    bytes: Vec<u8>,
    function: Option<u64>,
}

impl Shown {
    /// Bytes before the site that a forward decode may start in.
    const BEFORE: u64 = 2048;
    /// Bytes from the site on.
    const AFTER: u64 = 64;

    fn around(site: u64, text: &Text, patching: &Patching<'_>, book: &Book) -> Self {
        let mut start = text.range.start.max(site.saturating_sub(Self::BEFORE));
        let end = text.range.end.min(site.saturating_add(Self::AFTER));
        let read = |at: u64, bytes: &mut [u8]| patching.read(at, bytes);
        let mut bytes = alloc::vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
        let mut there = read(start, &mut bytes);
        if start + there as u64 <= site {
            // The page before may not be there yet; the site's own is, since it runs.
            start = site & !(PAGE - 1);
            bytes.truncate(usize::try_from(end.saturating_sub(start)).unwrap_or(0));
            there = read(start, &mut bytes);
        }
        bytes.truncate(there);
        book.book().overlay(start, &mut bytes);
        Self { start, bytes, function: Self::function(site, text, &read) }
    }

    /// Where the function that holds the site begins, by the file's call frame information.
    fn function(site: u64, text: &Text, read: frames::Read<'_>) -> Option<u64> {
        let mut head = [0; PAGE_BYTES];
        text.mapped.pages.read_bytes(0, &mut head).ok()?;
        let section = frames::section(&head, text.mapped.offset, text.range.start)?;
        frames::function_start(read, &section, site)
    }
}

impl decide::Text for Shown {
    fn function_start(&self, _: u64) -> Option<u64> {
        self.function.filter(|start| *start >= self.start)
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        let from = at.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let there = from.and_then(|from| self.bytes.get(from..)).unwrap_or_default();
        let len = there.len().min(buffer.len());
        buffer[..len].copy_from_slice(&there[..len]);
        len
    }
}

/// The space as the pool of trampolines sees it.
struct Room<'a, 'b>(&'a Patching<'b>);

impl pool::Space for Room<'_, '_> {
    fn is_free(&self, page: u64) -> bool {
        self.0.is_free(page)
    }

    fn find_free(&self, site: u64, range: Range<u64>) -> Option<u64> {
        self.0.find_free(site, range)
    }
}
