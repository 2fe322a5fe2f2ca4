//! mmap(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use abi::host::{Advice, Backing};

use super::area::{Area, Flags, Kind};
use storage::pages::{Pages, Run as Frames};

use super::contents::{Described, Mapped};
use super::place::{self, LARGE};
use super::populate::WINDOW_MIN;
use super::runs::Held;
use super::space::{Limit, Space, State};
use super::text::Change;
use super::{PAGE, Prot, bytes, is_aligned, page_down, page_up};

/// Anonymous memory from here on asks the host for large pages.
const LARGE_FROM: u64 = 8 << 20;
/// The most host calls that one mmap makes for pages that are cached already; faults do the rest.
const CALLS_AT_ONCE: usize = 64;

bitflags::bitflags! {
    /// Flags of mmap(2) but its type.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MapFlags: u64 {
        /// At this address, in place of what is there.
        const FIXED = 0x10;
        /// Zeros, no file.
        const ANONYMOUS = 0x20;
        /// Below 2 GiB.
        const LOW = 0x40;
        /// Extends downwards when touched below its start.
        const GROWS_DOWN = 0x100;
        /// Locks the pages.
        const LOCKED = 0x2000;
        /// Not charged before it is used.
        const NO_RESERVE = 0x4000;
        /// Brings all pages in at once.
        const POPULATE = 0x8000;
        /// With `POPULATE`: does nothing.
        const NON_BLOCK = 0x1_0000;
        /// A thread's stack.
        const STACK = 0x2_0000;
        /// Pages of the huge page pool.
        const HUGE_TLB = 0x4_0000;
        /// Persistent memory.
        const SYNC = 0x8_0000;
        /// At this address, but only if it is free.
        const FIXED_NO_REPLACE = 0x10_0000;
    }
}

/// The type of a mapping, as its low four bits say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// MAP_SHARED: unknown flags are ignored.
    Shared,
    /// MAP_SHARED_VALIDATE: unknown flags are refused; the raw flags are kept for that.
    SharedValidate(u64),
    /// MAP_PRIVATE.
    Private,
    /// None of them: EINVAL.
    Unknown,
}

/// A file to be mapped.
#[derive(Clone)]
pub struct FileSource {
    /// Its contents; `None` when it can't be mapped (ENODEV).
    pub pages: Option<Arc<Pages>>,
    /// The open file, kept as long as the mapping.
    pub file: Option<Arc<dyn Described>>,
    /// Offset, page-aligned.
    pub offset: u64,
    /// The descriptor may be read.
    pub readable: bool,
    /// The descriptor may be written.
    pub writable: bool,
    /// The mount allows execution.
    pub executable: bool,
}

/// What mmap(2) is asked for.
#[derive(Clone)]
pub struct Request {
    /// The wanted address; 0: none.
    pub address: u64,
    /// Bytes.
    pub len: u64,
    /// Access.
    pub prot: Prot,
    /// Type.
    pub kind: Type,
    /// Flags.
    pub flags: MapFlags,
    /// A file, or shared memory made for this mapping; `None`: private zeros.
    pub file: Option<FileSource>,
}

impl Type {
    /// Decodes the flags argument of mmap(2).
    pub fn decode(raw: u64) -> (Self, MapFlags) {
        let flags = MapFlags::from_bits_truncate(raw); // Linux ignores the others, but see Validate
        let kind = match raw & 0xF {
            1 => Self::Shared,
            2 => Self::Private,
            3 => Self::SharedValidate(raw),
            _ => Self::Unknown,
        };
        (kind, flags)
    }
}

impl Request {
    /// Private zeros of the LibOS's own choice: for loaders and stacks.
    pub fn anonymous(address: u64, len: u64, prot: Prot, flags: MapFlags) -> Self {
        let flags = flags | MapFlags::ANONYMOUS;
        Self { address, len, prot, kind: Type::Private, flags, file: None }
    }

    /// A private mapping of a file: for loaders.
    pub fn private_file(
        address: u64,
        len: u64,
        prot: Prot,
        flags: MapFlags,
        pages: Arc<Pages>,
        file: Option<Arc<dyn Described>>,
        offset: u64,
    ) -> Self {
        let file = FileSource {
            pages: Some(pages),
            file,
            offset,
            readable: true,
            writable: false,
            executable: true,
        };
        Self { address, len, prot, kind: Type::Private, flags, file: Some(file) }
    }

    fn is_fixed(&self) -> bool {
        self.flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NO_REPLACE)
    }

    /// Kind, flags and the most that mprotect may allow; in Linux's order of checks.
    fn decide(&self) -> Result<(Kind, Flags, Prot)> {
        let mut flags = Flags::empty();
        if self.flags.contains(MapFlags::GROWS_DOWN) {
            flags |= Flags::GROWS_DOWN;
        }
        match &self.file {
            None => {
                if self.kind != Type::Private {
                    return Err(Errno::EINVAL.because("neither MAP_SHARED nor MAP_PRIVATE"));
                }
                if self.flags.contains(MapFlags::STACK) {
                    flags |= Flags::STACK;
                }
                if self.flags.contains(MapFlags::NO_RESERVE) {
                    flags |= Flags::NORESERVE;
                }
                Ok((Kind::Anonymous, flags, Prot::all()))
            }
            Some(file) => self.decide_file(file, flags),
        }
    }

    fn decide_file(&self, file: &FileSource, flags: Flags) -> Result<(Kind, Flags, Prot)> {
        let shared = match self.kind {
            Type::Private => false,
            Type::Shared => true,
            Type::SharedValidate(raw) => {
                check_validated(raw)?;
                true
            }
            Type::Unknown => {
                return Err(Errno::EINVAL.because("neither MAP_SHARED nor MAP_PRIVATE"));
            }
        };
        let mut max = Prot::all();
        if shared && !file.writable {
            if self.prot.contains(Prot::WRITE) {
                return Err(Errno::EACCES.because("a shared mapping for writing of a descriptor that can't be written"));
            }
            max -= Prot::WRITE;
        }
        if !file.readable {
            return Err(Errno::EACCES.because("the descriptor can't be read"));
        }
        if !file.executable {
            if self.prot.contains(Prot::EXEC) {
                return Err(Errno::EPERM.because("the file lies on a mount without execution"));
            }
            max -= Prot::EXEC;
        }
        let Some(pages) = &file.pages else {
            return Err(Errno::ENODEV.because("this kind of file can't be mapped"));
        };
        if flags.contains(Flags::GROWS_DOWN) {
            return Err(Errno::EINVAL.because("MAP_GROWSDOWN of a file"));
        }
        let mapped = Mapped {
            pages: Arc::clone(pages),
            file: file.file.clone(),
            offset: file.offset,
            shared,
            watch: None,
        };
        Ok((Kind::File(mapped), flags, max))
    }
}

fn check_validated(raw: u64) -> Result<()> {
    const KNOWN: u64 = 0xF // the type
        | 0x10 | 0x20 | 0x40 | 0x100 | 0x800 | 0x1000 | 0x2000 | 0x4000
        | 0x8000 | 0x1_0000 | 0x2_0000 | 0x4_0000 | 0x400_0000
        | 0x3F << 26; // the huge page size
    if raw & !KNOWN != 0 {
        return Err(Errno::EOPNOTSUPP.because("a flag that MAP_SHARED_VALIDATE does not know here"));
    }
    Ok(())
}

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
        if request.flags.contains(MapFlags::HUGE_TLB) {
            return Err(Errno::ENOMEM.because("there is no pool of huge pages"));
        }
        let mut state = self.state.lock();
        self.room_for(&state, 1)?;
        let at = self.choose(&mut state, request, len)?;
        let (kind, flags, max) = request.decide()?;
        let mut area = Area { end: at + len, prot: request.prot, max, flags, kind };
        if request.flags.contains(MapFlags::LOCKED) || state.lock_future.is_some() {
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
        let area = Area { end, prot, max: Prot::all(), flags, kind: Kind::Anonymous };
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
            if request.flags.contains(MapFlags::FIXED_NO_REPLACE)
                && !state.areas.is_free(&(hint..hint + len))
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
        let phase = (request.file.is_none() && len >= LARGE && len.is_multiple_of(LARGE)).then_some(0);
        state.cursor.find(&state.areas, &region, len, phase)
    }

    /// Puts `area` at `at` in place of what is there.
    pub(crate) fn put(&self, state: &mut State, at: u64, mut area: Area) -> Result<()> {
        let range = at..area.end;
        let len = bytes(&range);
        self.room_for(state, state.areas.splits(&range))?;
        let replaced: u64 = state.pieces(&range).iter().map(|(part, _)| bytes(part)).sum();
        if state.areas.total() - replaced + len > self.limit(Limit::AddressSpace) {
            return Err(Errno::ENOMEM.because("RLIMIT_AS"));
        }
        if area.prot.contains(Prot::EXEC) {
            area.flags |= Flags::TEXT;
        }
        self.before_change(state, &range, Change::Replaced);
        let before = state.charged_in(&range);
        let opened = area.is_lazy() && len <= WINDOW_MIN && !area.prot.is_empty();
        let wanted = if area.to_charge(area.prot) || opened { len } else { 0 };
        if wanted > before {
            self.charge(state, wanted - before)?;
        }
        if area.to_charge(area.prot) {
            area.flags |= Flags::CHARGED;
        }
        if let Kind::File(mapped) = &mut area.kind {
            mapped.watch = Some(state.watches.watch(&self.me, &mapped.pages));
        }
        if let Err(error) = self.replace_in_host(state, &range, &area, opened) {
            self.release(state, wanted.saturating_sub(before));
            return Err(error);
        }
        drop(state.areas.carve(&range, true));
        if before > wanted {
            self.release(state, before - wanted);
        }
        state.areas.insert(at, area);
        Ok(())
    }

    /// Makes the host back what it should back of a new area at once, and nothing else.
    fn replace_in_host(
        &self,
        state: &mut State,
        range: &Range<u64>,
        area: &Area,
        opened: bool,
    ) -> Result<()> {
        match &area.kind {
            Kind::Anonymous if !area.prot.is_empty() && (opened || !area.is_lazy()) => {
                self.open(state, range.clone(), area.prot)?;
                if bytes(range) >= LARGE_FROM {
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
        let Kind::File(mapped) = &area.kind else { return Ok(()) };
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
        let Some(first) = batch.first() else { return Ok(()) };
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
