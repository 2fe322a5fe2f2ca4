//! mmap(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use abi::host::{Advice, Backing};
use storage::pages::{Pages, Run as Frames};

use super::area::{Area, Flags, Kind};
use super::place::{self, LARGE};
use super::populate::WINDOW_MIN;
pub use super::request::{FileSource, MapFlags, Request, Type};
use super::runs::Held;
use super::space::{Limit, Space, State};
use super::text::Change;
use super::{PAGE, Prot, bytes, is_aligned, page_down, page_up};

/// Anonymous memory from here on asks the host for large pages.
const LARGE_FROM: u64 = 8 << 20;
/// The most host calls that one mmap makes for pages that are cached already; faults do the rest.
const CALLS_AT_ONCE: usize = 64;

impl Space {
    /// Maps memory; gives the address.
    ///
    /// MAP_POPULATE and MAP_LOCKED are the caller's to carry out, with [`Space::bring`].
    ///
    /// # Errors
    /// As mmap(2). Memory refused by the enclave's limit: ENOMEM, after one report.
    pub fn map(&self, request: &Request) -> Result<u64> {
        if request.len == 0 {
            return Err(Errno::EINVAL.because("a length of 0"));
        }
        let len = page_up(request.len).ok_or(Errno::ENOMEM.because("the length overflows"))?;
        if request.file.as_ref().is_some_and(|file| file.offset.checked_add(len).is_none()) {
            return Err(Errno::EOVERFLOW.because("offset and length overflow"));
        }
        if request.flags.contains(MapFlags::HUGE_TLB) && request.kind != Type::Droppable {
            return Err(Errno::ENOMEM.because("there is no pool of huge pages"));
        }
        let mut state = self.state.lock();
        state.room_for(1)?;
        let at = self.choose(&mut state, request, len)?;
        let (kind, flags, max) = request.decide()?;
        let mut area = Area { end: at + len, prot: request.prot, max, flags, kind, policy: None };
        let locked = request.flags.contains(MapFlags::LOCKED) || state.lock_future.is_some();
        if locked && !area.flags.contains(Flags::DROPPABLE) {
            area.flags |= Flags::LOCKED;
        }
        self.put(&mut state, at, area)?;
        Ok(at)
    }

    /// Maps the main thread's stack at its random place: `len` bytes that grow down as they are used,
    /// up to [`Limit::Stack`].
    ///
    /// # Errors
    /// ENOMEM.
    pub fn map_stack(&self, len: u64, prot: Prot) -> Result<Range<u64>> {
        let len = page_up(len).ok_or(Errno::ENOMEM.because("the length overflows"))?;
        let mut state = self.state.lock();
        let end = state.cursor.stack_end;
        let start = end
            .checked_sub(len)
            .filter(|start| *start >= self.region().start)
            .ok_or(Errno::ENOMEM.because("no room for the stack"))?;
        let flags = Flags::GROWS_DOWN | Flags::MAIN_STACK;
        let area = Area { end, prot, max: Prot::all(), flags, kind: Kind::Anonymous, policy: None };
        self.put(&mut state, start, area)?;
        Ok(start..end)
    }

    /// The address for a request of `len` bytes, page-aligned.
    fn choose(&self, state: &mut State, request: &Request, len: u64) -> Result<u64> {
        let region = self.region();
        if len > region.end {
            return Err(Errno::ENOMEM.because("longer than the user region"));
        }
        let hint = request.address;
        if request.is_fixed() {
            if hint > region.end - len {
                return Err(Errno::ENOMEM.because("the range ends beyond the user region"));
            }
            if !is_aligned(hint) {
                return Err(Errno::EINVAL.because("the fixed address is not page-aligned"));
            }
            if hint < region.start {
                return Err(Errno::EPERM.because("nothing can be mapped below 64 KiB"));
            }
            // Where trampolines lie the program knows of nothing.
            let wanted = hint..hint + len;
            let in_use = |(_, area): (u64, &Area)| !area.is_hidden();
            if request.flags.contains(MapFlags::FIXED_NO_REPLACE)
                && state.areas.overlapping(&wanted).any(in_use)
            {
                return Err(Errno::EEXIST.because("the range is in use (MAP_FIXED_NOREPLACE)"));
            }
            return Ok(hint);
        }
        let hint = if hint == 0 { 0 } else { page_down(hint).max(region.start) };
        let low = request.flags.contains(MapFlags::LOW);
        let end = if low { region.end.min(0x8000_0000) } else { region.end };
        if hint != 0 && len <= end && hint <= end - len {
            let range = hint..hint + len;
            if place::is_clear(&state.areas, &range) {
                return Ok(hint);
            }
        }
        if low {
            return place::find_low(&state.areas, len);
        }
        let phase =
            (request.file.is_none() && len >= LARGE && len.is_multiple_of(LARGE)).then_some(0);
        state.cursor.find(&state.areas, &region, len, phase)
    }

    /// Puts `area` at `at` in place of what is there.
    pub(crate) fn put(&self, state: &mut State, at: u64, mut area: Area) -> Result<()> {
        let range = at..area.end;
        let len = bytes(&range);
        state.check_unsealed(&range)?;
        state.room_for(state.areas.splits(&range))?;
        let replaced: u64 = state.pieces(&range).iter().map(|(part, _)| bytes(part)).sum();
        if state.areas.total() - replaced + len > self.limit(Limit::AddressSpace) {
            return Err(Errno::ENOMEM.because("RLIMIT_AS"));
        }
        if area.prot.contains(Prot::EXEC) {
            area.flags |= Flags::TEXT;
        }
        self.before_change(state, &range, Change::Replaced);
        self.check_data(state, &range, area.is_data())?;
        let before = state.charged_in(&range);
        let opened = open_at_once(&area, &range);
        let wanted = if area.to_charge(area.prot) { len } else { bytes(&opened) };
        if wanted > before {
            self.charge(state, wanted - before)?;
        }
        if area.to_charge(area.prot) {
            area.flags |= Flags::CHARGED;
        }
        if let Kind::File(mapped) = &mut area.kind {
            mapped.watch = Some(state.watches.watch(&self.me, &mapped.pages));
        }
        if let Err(error) = self.replace_in_host(state, &range, &area, &opened) {
            // The old areas are still there; what they had open may be gone.
            let due = state.charged_in(&range);
            state.release(before.max(wanted).saturating_sub(due));
            return Err(error);
        }
        drop(state.areas.carve(&range, true));
        if before > wanted {
            state.release(before - wanted);
        }
        let text = area.flags.contains(Flags::TEXT);
        state.areas.insert(at, area);
        if text {
            self.after_mapping(state, at);
        }
        Ok(())
    }

    /// Refuses more private writable memory than RLIMIT_DATA allows.
    pub(crate) fn check_data(&self, state: &State, range: &Range<u64>, grows: bool) -> Result<()> {
        let limit = self.limit(Limit::Data);
        if grows && limit != u64::MAX && state.data().saturating_add(bytes(range)) > limit {
            return Err(Errno::ENOMEM.because("RLIMIT_DATA"));
        }
        Ok(())
    }

    /// Makes the host back what it should back of a new area at once, and nothing else.
    fn replace_in_host(
        &self,
        state: &mut State,
        range: &Range<u64>,
        area: &Area,
        opened: &Range<u64>,
    ) -> Result<()> {
        match &area.kind {
            Kind::Anonymous if !area.prot.is_empty() => {
                let opened = if area.is_lazy() { opened } else { range };
                if opened != range {
                    self.close(state, range)?;
                }
                if opened.is_empty() {
                    return Ok(());
                }
                self.open(state, opened.clone(), area.prot)?;
                if bytes(opened) >= LARGE_FROM {
                    self.advise_host(range, Advice::HugePage);
                }
                Ok(())
            }
            Kind::Anonymous | Kind::Special(_) => self.close(state, range),
            Kind::File(_) => {
                self.close(state, range)?;
                if !area.prot.is_empty() {
                    // What the host refuses now, faults ask for again.
                    let _ = self.map_cached(state, range.start, area, range, CALLS_AT_ONCE);
                }
                Ok(())
            }
        }
    }

    /// Asks for something that costs nothing when it is refused.
    pub(crate) fn advise_host(&self, range: &Range<u64>, advice: Advice) {
        let _ = self.environment.mapper.advise(range.start, bytes(range), advice);
    }

    /// Maps what is cached of `range`, a part of the file area at `start`, and not backed yet; makes
    /// at most `calls` host calls. Shared pages are mapped so that the first write is noticed.
    pub(crate) fn map_cached(
        &self,
        state: &mut State,
        start: u64,
        area: &Area,
        range: &Range<u64>,
        mut calls: usize,
    ) -> Result<()> {
        let Kind::File(mapped) = &area.kind else {
            return Ok(());
        };
        let end = mapped.end_at(start).min(range.end);
        for gap in state.runs.gaps(&(range.start..end.max(range.start))) {
            let mut at = mapped.page(gap.start - start);
            let last = mapped.page(gap.end - start);
            while calls > 0
                && let Some((page, first)) = mapped.pages.cached(at, last)
            {
                let batch = gather(&mapped.pages, first, page, last);
                let len: u64 = batch.iter().map(|frames| frames.pages as u64).sum();
                let address = start + (page * PAGE - mapped.offset);
                self.map_frames(state, address, &batch, area.prot, mapped.shared, false)?;
                at = page + len;
                calls -= 1;
            }
        }
        Ok(())
    }

    /// Maps frames that lie next to each other in the trusted memfd, in one host call.
    ///
    /// `written`: they are known to be written to, so that no write needs to be noticed.
    pub(crate) fn map_frames(
        &self,
        state: &mut State,
        at: u64,
        batch: &[Frames],
        prot: Prot,
        shared: bool,
        written: bool,
    ) -> Result<()> {
        let private = !shared && prot.contains(Prot::WRITE);
        let clean = shared && !written && prot.contains(Prot::WRITE);
        let Some(first) = batch.first() else {
            return Ok(());
        };
        let len = batch.iter().map(bytes_of).sum();
        let backing = if private { Backing::FramesPrivate } else { Backing::FramesShared };
        let host = if clean { prot - Prot::WRITE } else { prot };
        self.environment.mapper.map(at, len, host, backing, first.offset())?;
        let mut to = at;
        for frames in batch {
            let held = Held::Frames {
                extent: Arc::clone(&frames.extent),
                at: frames.first as u64 * PAGE,
                private,
                clean,
                text: false,
            };
            let end = to + bytes_of(frames);
            state.runs.insert(to..end, held);
            to = end;
        }
        Ok(())
    }
}

/// What is opened at once of memory that faults open otherwise: what is small, and a stack's top.
fn open_at_once(area: &Area, range: &Range<u64>) -> Range<u64> {
    let whole = bytes(range) <= WINDOW_MIN;
    if !area.is_lazy() || area.prot.is_empty() {
        range.end..range.end
    } else if whole {
        range.clone()
    } else if area.flags.intersects(Flags::STACK | Flags::GROWS_DOWN) {
        range.end - WINDOW_MIN..range.end
    } else {
        range.end..range.end
    }
}

fn bytes_of(frames: &Frames) -> u64 {
    frames.pages as u64 * PAGE
}

/// The cached frames from `first`, which hold `page`, that lie next to each other, before `last`.
fn gather(pages: &Pages, first: Frames, page: u64, last: u64) -> Vec<Frames> {
    let mut next = page + first.pages as u64;
    let mut behind = first.offset() + bytes_of(&first);
    let mut batch = alloc::vec![first];
    while let Some((page, frames)) = pages.cached(next, last) {
        if page != next || frames.offset() != behind {
            break;
        }
        next += frames.pages as u64;
        behind += bytes_of(&frames);
        batch.push(frames);
    }
    batch
}
