//! The rewriting of one process's system call sites: what `memory::interception` decides, carried out
//! on its memory.
//!
//! Lock order: the space, then this book; a change of text comes with the space locked. Nobody waits for
//! other vCPUs to be somewhere else ([`vcpu::round`]) with the book locked, since a thread that was
//! interrupted needs it to say where it stood ([`Interception::settle`]).

mod shown;
mod write;

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::trap::Registers;
use platform::context::stubs;
use platform::sync::Mutex;
use platform::user::{self, Short};
use platform::vcpu;

use crate::Kernel;
use crate::context::Context;
use crate::memory::interception::decide;
use crate::memory::interception::learned::{Fingerprint, Learned};
use crate::memory::interception::patch::{Patch, Place};
use crate::memory::interception::pool;
use crate::memory::interception::trampoline::Gate;
use crate::memory::interception::{Origin, Process as Book};
use crate::memory::text::{Change, Patching, Text, TextWatcher};
use crate::process::Process;

use shown::{Missing, Shown};

/// How often contents are brought in for one decision: as many as a search in a table may touch.
const FETCHES: usize = 48;
/// Bytes that are brought in at once.
const FETCH: u64 = 4096;
/// Sites that are remembered for when their files are mapped again.
const LEARNED_MAX: usize = 4096;

/// Interception of one process.
#[derive(Clone)]
pub struct Interception {
    book: Arc<Mutex<Book>>,
    learned: Arc<Mutex<Learned>>,
}

/// Where a thread stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stood {
    /// At an instruction of the program, as its registers say.
    InProgram,
    /// In our copy of an instruction of the program; its registers are moved to that.
    Between,
    /// On its way into the LibOS by a rewritten site. Its registers are those of the system call that
    /// it makes, which the caller carries out.
    AtCall,
}

impl Interception {
    /// Nothing rewritten.
    pub fn new() -> Self {
        let stubs = stubs();
        let gate = Gate { entry: stubs.entry, foreign: stubs.foreign, vcpus: vcpu::area() };
        Self {
            book: Arc::new(Mutex::new(Book::new(gate))),
            learned: Arc::new(Mutex::new(Learned::new(LEARNED_MAX))),
        }
    }

    /// Lets the process's memory tell of changes to text.
    pub(crate) fn watch(kernel: &'static Kernel, process: &Process) {
        let interception = process.interception.clone();
        process.memory.set_watcher(Arc::new(Watcher { kernel, interception }));
    }

    /// Looks at where a thread stood whose user code was interrupted, and says where in the program that
    /// is. So no thread is ever seen in a trampoline.
    pub(crate) fn settle(&self, registers: &mut Registers) -> Stood {
        let place = self.book.lock().place_at(registers.rip, registers.rcx, registers.r11);
        vcpu::settle();
        let (number, stood) = match place {
            None => return Stood::InProgram,
            Some(Place::Between { number, at }) => {
                registers.rip = at;
                (Some(number), Stood::Between)
            }
            Some(Place::Call(call)) => {
                registers.rip = call.back;
                registers.rcx = call.back;
                registers.r11 = registers.rflags;
                (call.number, Stood::AtCall)
            }
        };
        if let Some(number) = number {
            registers.rax = u64::from(number);
        }
        stood
    }

    /// A call at `site` trapped with `rax`, and was served; rewrites the site if a rule fits.
    pub(crate) fn trapped(&self, cx: &Context<'_>, site: u64, rax: u64) {
        cx.kernel.trace.trapped.fetch_add(1, Ordering::Relaxed);
        if !cx.kernel.settings.may_patch() || self.book.lock().trapped(site).is_err() {
            return;
        }
        for _ in 0..FETCHES {
            let missing = cx.memory().patching(|patching| {
                self.reclaim(patching);
                self.consider(cx.kernel, patching, site, rax)
            });
            // Contents that take longer to come are there for a later trap.
            let Some(Missing { pages, offset }) = missing else { break };
            if !matches!(pages.fill_now(offset, FETCH), Some(Ok(()))) {
                break;
            }
        }
        let unpatched = self.book.lock().book().unpatched_sites() as u64;
        cx.kernel.trace.unpatched.store(unpatched, Ordering::Relaxed);
    }

    fn consider(
        &self,
        kernel: &Kernel,
        patching: &mut Patching<'_>,
        site: u64,
        rax: u64,
    ) -> Option<Missing> {
        let mut book = self.book.lock();
        let text = patching.text(site);
        let shown = text.as_ref().map(|text| Shown::around(site, text, patching, book.book()));
        let seen = shown.as_ref().map(|shown| shown as &dyn decide::Text);
        let decision = book.consider(site, rax, seen, &Room(patching));
        let missing = shown.as_ref().and_then(Shown::missing);
        let Some(patch) = decision.patch() else {
            return missing;
        };
        let fingerprint = shown.as_ref().and_then(|shown| Fingerprint::of(shown, site));
        drop(shown);
        if write::apply(&mut book, patching, patch, Origin::Trap) {
            kernel.trace.patched.fetch_add(1, Ordering::Relaxed);
            if let (Some(text), Some(fingerprint)) = (text, fingerprint) {
                self.learn(&text, patch, fingerprint);
            }
        }
        None
    }

    fn learn(&self, text: &Text, patch: &Patch, fingerprint: Fingerprint) {
        let offset = text.mapped.offset + (patch.site - text.range.start);
        self.learned.lock().note(text.mapped.id().into(), offset, patch.rule, fingerprint);
    }

    /// Rewrites the sites of a new mapping that are known from an earlier one of the same file, where
    /// the same bytes are there.
    fn apply_learned(&self, kernel: &Kernel, text: &Text, patching: &mut Patching<'_>) {
        let first = text.mapped.offset;
        let offsets = first..first + (text.range.end - text.range.start);
        let known = self.learned.lock().sites(text.mapped.id().into(), offsets);
        if known.is_empty() {
            return;
        }
        self.reclaim(patching);
        let mut book = self.book.lock();
        for known in known {
            let site = text.range.start + (known.offset - first);
            let shown = Shown::around(site, text, patching, book.book());
            if Fingerprint::of(&shown, site) != Some(known.fingerprint) {
                continue;
            }
            let decision = book.consider_learned(site, known.rule, &shown, &Room(patching));
            drop(shown);
            if let Some(patch) = decision.patch()
                && write::apply(&mut book, patching, patch, Origin::Learned)
            {
                kernel.trace.patched.fetch_add(1, Ordering::Relaxed);
                kernel.trace.learned.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Frees retired trampolines when there are many.
    fn reclaim(&self, patching: &mut Patching<'_>) {
        let began = self.book.lock().begin_round();
        let Some(began) = began else { return };
        vcpu::round();
        let mut book = self.book.lock();
        for page in book.reclaim(began) {
            // What can't be unmapped stays where it is, and is nobody's.
            let _ = patching.free(page);
        }
        let pages = book.pages();
        patching.set_rewritten(pages);
    }
}

impl Default for Interception {
    fn default() -> Self {
        Self::new()
    }
}

/// What the process's memory tells of changes.
struct Watcher {
    kernel: &'static Kernel,
    interception: Interception,
}

impl TextWatcher for Watcher {
    fn before_change(&self, range: &Range<u64>, change: Change, patching: &mut Patching<'_>) {
        let lock = || self.interception.book.lock();
        let (patches, displaced) = {
            let book = lock();
            let displaced = change == Change::Replaced && book.pool().first_in(range).is_some();
            (book.book().restore_in(range), displaced)
        };
        for patch in &patches {
            write::restore(patching, patch);
        }
        let pads = || patches.iter().filter_map(|patch| patch.pad);
        if displaced || pads().next().is_some() {
            // Those who had jumped before may still be at a pad, or in a page that goes.
            vcpu::round();
        }
        let mut book = lock();
        pads().for_each(|pad| write::restore_pad(patching, pad));
        book.restore(range);
        if change == Change::Replaced {
            book.hand_over(range.clone());
        }
    }

    fn mapped(&self, text: &Text, patching: &mut Patching<'_>) {
        if self.kernel.settings.may_patch() {
            self.interception.apply_learned(self.kernel, text, patching);
        }
    }

    fn copy_in(&self, address: u64, out: &mut [u8]) -> Result<(), Short> {
        // With the book locked no patch comes or goes between the copy and what is put over it.
        let book = self.interception.book.lock();
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
