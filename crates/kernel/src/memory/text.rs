//! What interception needs of memory: copies of text that the LibOS may write, and pages near it.
//!
//! A patched page of text is backed by frames of its process alone; the page cache and the file never
//! change. Trampolines lie in *hidden* areas: the program's calls treat them as holes, and only a
//! mapping at a fixed address displaces them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use abi::host::Backing;
use platform::arena::{self, Extent};
use platform::budget::Charge;
use platform::user::{self, Short};

use super::area::{Area, Flags, HIDDEN, Kind};
use super::contents::Mapped;
use super::place;
use super::runs::{Held, Run};
use super::space::{Space, State};
use super::{PAGE, Prot, bytes, page_down};

/// What is about to happen to text that may be patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It becomes writable: its own bytes must be back before.
    Writable,
    /// It vanishes or another mapping takes its place, trampolines among it.
    Replaced,
}

/// What stays of a process's copies of text when they are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All go.
    Nothing,
    /// Pages that the program changed stay.
    Changes,
}

/// Told before text changes; there is one of a space.
pub trait TextWatcher: Send + Sync {
    /// `range` is about to change. Called with the space locked: only `patching` may be used.
    fn before_change(&self, range: &Range<u64>, change: Change, patching: &mut Patching<'_>);

    /// Text was mapped, and no watcher has seen it before. Called as `before_change`.
    fn mapped(&self, text: &Text, patching: &mut Patching<'_>);

    /// Copies user memory that may hold patches or trampolines: the program's own bytes, and nothing
    /// where it sees a hole.
    ///
    /// # Errors
    /// [`Short`] when a byte can't be read.
    fn copy_in(&self, address: u64, out: &mut [u8]) -> core::result::Result<(), Short>;
}

/// A mapping of text that may be patched: private, of a file, executable and not writable.
#[derive(Clone)]
pub struct Text {
    /// Where it lies.
    pub range: Range<u64>,
    /// The file, from the range's start on.
    pub mapped: Mapped,
}

/// A locked space in the hands of interception.
pub struct Patching<'a> {
    space: &'a Space,
    state: &'a mut State,
}

impl Space {
    /// Sets who is told of changes to text; once.
    pub fn set_watcher(&self, watcher: Arc<dyn TextWatcher>) -> bool {
        self.watcher.set(watcher)
    }

    /// Runs `work` with the space locked.
    pub fn patching<R>(&self, work: impl FnOnce(&mut Patching<'_>) -> R) -> R {
        let mut state = self.state.lock();
        work(&mut Patching { space: self, state: &mut state })
    }

    /// Tells the watcher of a change to `range`, if text may lie in it.
    pub(crate) fn before_change(&self, state: &mut State, range: &Range<u64>, change: Change) {
        let Some(watcher) = self.watcher.get() else {
            return;
        };
        let text = |area: &Area| area.is_hidden() || area.flags.contains(Flags::TEXT);
        if state.areas.overlapping(range).any(|(_, area)| text(area)) {
            watcher.before_change(range, change, &mut Patching { space: self, state });
        }
    }

    /// Tells the watcher of new text at `start`.
    pub(crate) fn after_mapping(&self, state: &mut State, start: u64) {
        let Some(watcher) = self.watcher.get() else {
            return;
        };
        let mut patching = Patching { space: self, state };
        if let Some(text) = patching.text(start) {
            watcher.mapped(&text, &mut patching);
        }
    }

    /// Puts pages of the LibOS among the program's, shown under `name`, at a free place that is
    /// chosen: the vDSO.
    ///
    /// # Errors
    /// ENOMEM without room, or as the host answers.
    pub fn map_special(
        &self,
        name: &'static str,
        prot: Prot,
        parts: &[(Arc<Extent>, u64)],
    ) -> Result<u64> {
        let len = parts.len() as u64 * PAGE;
        let mut state = self.state.lock();
        let region = self.region();
        let state = &mut *state;
        let at = state.cursor.find(&state.areas, &region, len, None)?;
        for (index, (extent, offset)) in parts.iter().enumerate() {
            let page = at + index as u64 * PAGE;
            self.map_page(state, page, prot, plain(Arc::clone(extent), *offset))?;
        }
        let max = Prot::all() - Prot::WRITE;
        let kind = Kind::Special(name);
        state.areas.insert(
            at,
            Area { end: at + len, prot, max, flags: Flags::empty(), kind, policy: None },
        );
        Ok(at)
    }

    fn map_page(&self, state: &mut State, page: u64, prot: Prot, held: Held) -> Result<()> {
        let (_, offset) = held.backing();
        self.environment.mapper.map(page, PAGE, prot, Backing::FramesShared, offset)?;
        state.runs.insert(page..page + PAGE, held);
        Ok(())
    }
}

/// Frames of the LibOS that the program sees.
fn plain(extent: Arc<Extent>, at: u64) -> Held {
    Held::Frames { extent, at, private: false, clean: false, text: false }
}

/// Frames of the process alone; `changed` when they hold what the program itself put in place of the
/// file's bytes.
fn text(extent: Arc<Extent>, changed: bool) -> Held {
    Held::Frames { extent, at: 0, private: changed, clean: false, text: true }
}

impl Patching<'_> {
    /// The text that holds `address`, if it may be patched.
    pub fn text(&self, address: u64) -> Option<Text> {
        let (start, area) = self.state.areas.find(address)?;
        let Kind::File(mapped) = &area.kind else {
            return None;
        };
        let fits =
            !mapped.shared && area.prot.contains(Prot::EXEC) && !area.prot.contains(Prot::WRITE);
        fits.then(|| Text { range: start..area.end, mapped: mapped.clone() })
    }

    /// What may be done at `address`; `None` where nothing is mapped.
    pub fn prot(&self, address: u64) -> Option<Prot> {
        self.state.areas.find(address).map(|(_, area)| area.prot)
    }

    /// Copies what the program would read at `at`, patches included; gives how many bytes are there
    /// without a fault.
    pub fn read(&self, at: u64, out: &mut [u8]) -> usize {
        let wanted = at..at.saturating_add(out.len() as u64);
        let mut done = 0;
        for run in self.state.runs.within(&wanted) {
            let next = wanted.start + done as u64;
            let readable = self.state.areas.find(run.start).is_some_and(|(start, area)| {
                start <= run.start && run.end <= area.end && !area.prot.is_empty()
            });
            if run.start != next || !readable {
                break;
            }
            let len = usize::try_from(run.end - run.start).unwrap_or(0);
            let Some(part) = out.get_mut(done..done + len) else {
                break;
            };
            match &run.held {
                Held::Frames { extent, at, private: false, .. } => {
                    extent.read(usize::try_from(*at).unwrap_or(0), part);
                }
                _ if user::copy_in(run.start, part).is_err() => break,
                _ => {}
            }
            done += len;
        }
        done
    }

    /// The process's own copy of the page of text at `page`, made if there is none yet, and mapped
    /// there. Its first byte is the page's first byte.
    ///
    /// # Errors
    /// EACCES when it is not text that may be patched; EAGAIN when the page is not there now; ENOMEM
    /// when no frame can be had.
    pub fn text_frame(&mut self, page: u64) -> Result<Arc<Extent>> {
        let page = page_down(page);
        self.space.rewritten.add(page);
        if let Some(extent) = self.existing_text_frame(page) {
            return Ok(extent);
        }
        if self.text(page).is_none() {
            return Err(Errno::EACCES.because("not private text of a file"));
        }
        let absent = Errno::EAGAIN.because("the page is not there");
        let prot = self.prot(page).ok_or(absent)?;
        let changed = self.state.runs.at(page).is_some_and(|run| run.held.is_private());
        let mut copy = [0; arena::PAGE];
        if self.read(page, &mut copy) != copy.len() {
            return Err(absent);
        }
        let extent = Extent::allocate(1, Charge::Vital)
            .ok_or(Errno::ENOMEM.because("no frame for a patch"))?;
        extent.write(0, &copy);
        let extent = Arc::new(extent);
        self.space.map_page(self.state, page, prot, text(Arc::clone(&extent), changed))?;
        Ok(extent)
    }

    /// The same if it is there already.
    pub fn existing_text_frame(&self, page: u64) -> Option<Arc<Extent>> {
        match self.state.runs.at(page_down(page))?.held {
            Held::Frames { extent, text: true, .. } => Some(extent),
            _ => None,
        }
    }

    /// Whether the page at `page` lies in the user region with nothing mapped or reserved there.
    pub fn is_free(&self, page: u64) -> bool {
        let range = page..page.saturating_add(PAGE);
        let region = self.space.region();
        region.start <= page && range.end <= region.end && self.state.areas.is_free(&range)
            // The heap may want to grow there.
            && !self.is_behind_heap(page)
    }

    fn is_behind_heap(&self, page: u64) -> bool {
        // A heap that grows further finds its way blocked and its allocator maps instead, as on Linux
        // where a library lies there.
        const ROOM: u64 = 16 << 20;
        let heap = &self.state.heap;
        heap.start != 0 && page >= page_down(heap.start) && page < heap.end.saturating_add(ROOM)
    }

    /// A free page within `range`, as near to `site` as is easily found.
    pub fn find_free(&self, site: u64, range: Range<u64>) -> Option<u64> {
        let region = self.space.region();
        let range = super::common(&range, &region);
        if range.is_empty() {
            return None;
        }
        let below = range.start..site.clamp(range.start, range.end);
        let above = below.end..range.end;
        let areas = &self.state.areas;
        let down = place::highest(areas, &below, PAGE, &mut 0).filter(|page| self.is_free(*page));
        down.or_else(|| {
            place::highest(areas, &above, PAGE, &mut 0).filter(|page| self.is_free(*page))
        })
    }

    /// Maps a zeroed page of trampolines, readable and executable, at a free page.
    ///
    /// # Errors
    /// EEXIST when it isn't free; ENOMEM.
    pub fn allocate_at(&mut self, page: u64) -> Result<Arc<Extent>> {
        if !self.is_free(page) {
            return Err(Errno::EEXIST.because("the page is in use"));
        }
        self.state.room_for(1)?;
        let extent = Extent::allocate(1, Charge::Vital)
            .ok_or(Errno::ENOMEM.because("no frame for a trampoline"))?;
        let extent = Arc::new(extent);
        let prot = Prot::READ | Prot::EXEC;
        self.space.rewritten.add(page);
        self.space.map_page(self.state, page, prot, text(Arc::clone(&extent), false))?;
        let (flags, kind) = (Flags::TEXT, Kind::Special(HIDDEN));
        self.state
            .areas
            .insert(page, Area { end: page + PAGE, prot, max: prot, flags, kind, policy: None });
        Ok(extent)
    }

    /// Says which pages hold rewritten text or trampolines; all others are copied as they are.
    pub fn set_rewritten(&self, pages: impl Iterator<Item = u64>) {
        self.space.rewritten.set(pages);
    }

    /// Unmaps a page of trampolines.
    ///
    /// # Errors
    /// EINVAL when it is none; what the host answers.
    pub fn free(&mut self, page: u64) -> Result<()> {
        let range = page..page + PAGE;
        if !self.state.areas.find(page).is_some_and(|(_, area)| area.is_hidden()) {
            return Err(Errno::EINVAL.because("not a page of trampolines"));
        }
        self.space.close(self.state, &range)?;
        drop(self.state.areas.carve(&range, true));
        Ok(())
    }
}

impl Space {
    /// Gives pages of text that the process had copies of back to the file: their bytes are the
    /// program's own again by then. What the program changed stays, if it is to be `kept`.
    pub(crate) fn drop_text(
        &self,
        state: &mut State,
        range: &Range<u64>,
        kept: Kept,
    ) -> Result<()> {
        let copy = |held: &Held| match held {
            Held::Frames { text: true, private, .. } => !private || kept == Kept::Nothing,
            _ => false,
        };
        let copies: Vec<Run> = state.runs.within(range).filter(|run| copy(&run.held)).collect();
        copies.iter().try_for_each(|run| {
            let range = run.start..run.end;
            debug_assert!(bytes(&range) > 0);
            self.close(state, &range)
        })
    }
}
