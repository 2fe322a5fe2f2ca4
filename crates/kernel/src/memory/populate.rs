//! Faults: bringing in what a page needs, or saying why it can't be had.

use alloc::sync::Arc;
use core::future::Future;
use core::ops::Range;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use abi::Errno;
use platform::budget::Charge;
use storage::pages::{Pages, RunError};

use super::area::{Area, Flags, Kind};
use super::contents::Mapped;
use super::place::{LARGE, STACK_GUARD};
use super::runs::Held;
use super::space::{Limit, Space, State};
use super::{PAGE, Prot, bytes, page_down};

/// The least that a fault opens of zeros, and brings of a file.
pub(crate) const WINDOW_MIN: u64 = 64 << 10;
/// How far around a fault in a file pages are mapped that are cached already.
const AROUND: u64 = 1 << 20;
/// The most host calls for that.
const CALLS: usize = 16;
/// How often contents may be gone again after they were brought in, before the fault is retried.
const TRIES: usize = 8;

/// What a fault wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Read,
    /// To write.
    Write,
    /// To execute.
    Execute,
    /// To look at it from outside, whatever the area admits.
    Inspect,
}

/// Why a page can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is mapped, or a guard: SIGSEGV, SEGV_MAPERR.
    Unmapped,
    /// The area does not admit the access: SIGSEGV, SEGV_ACCERR.
    Denied,
    /// Beyond the end of the file, or the file can't be read: SIGBUS, BUS_ADRERR.
    Bus,
    /// The memory limit is reached where no call can fail: this process must end. It was reported.
    OutOfMemory,
}

enum Step {
    /// The access can be tried again.
    Done,
    /// Contents are missing.
    Fill { pages: Arc<Pages>, offset: u64, len: u64 },
}

impl Access {
    /// Whether an area with `prot` admits it. On x86 what can be written or executed can be read.
    pub fn is_admitted(self, prot: Prot) -> bool {
        match self {
            Self::Read => !prot.is_empty(),
            Self::Write => prot.contains(Prot::WRITE),
            Self::Execute => prot.contains(Prot::EXEC),
            Self::Inspect => true,
        }
    }
}

impl Space {
    /// Makes the page at `address` accessible, waiting for its contents if need be.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn populate(&self, address: u64, access: Access) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            match self.step(address, access)? {
                Step::Done => return Ok(()),
                Step::Fill { pages, offset, len } => filled(pages.fill(offset, len).await)?,
            }
        }
        Ok(())
    }

    /// The same for callers that can't wait: where contents are on their way, it looks again and again.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn populate_now(&self, address: u64, access: Access) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            match self.step(address, access)? {
                Step::Done => return Ok(()),
                Step::Fill { pages, offset, len } => match pages.fill_now(offset, len) {
                    Some(outcome) => filled(outcome)?,
                    None => filled(finish(pages.fill(offset, len)))?,
                },
            }
        }
        Ok(())
    }

    /// Makes all of `range` accessible that its areas allow: MAP_POPULATE, mlock, MADV_POPULATE.
    ///
    /// # Errors
    /// The first [`Refusal`], with the address at which it came.
    pub async fn bring(&self, range: Range<u64>, access: Access) -> Result<(), (u64, Refusal)> {
        let mut at = range.start;
        while at < range.end {
            let Some(end) = self.accessible_until(at, access) else {
                self.populate(at, access).await.map_err(|refusal| {
                    self.report_if_full(refusal);
                    (at, refusal)
                })?;
                at = self.accessible_until(at, access).unwrap_or(at + PAGE);
                continue;
            };
            at = end;
        }
        Ok(())
    }

    /// Where the backed and accessible stretch at `address` ends; `None` if it isn't.
    fn accessible_until(&self, address: u64, access: Access) -> Option<u64> {
        let state = self.state.lock();
        let (_, area) = state.areas.find(address).filter(|(_, a)| access.is_admitted(a.prot))?;
        let run = state.runs.at(address)?;
        let noticed = matches!(run.held, Held::Frames { clean: true, .. });
        (access != Access::Write || !noticed).then(|| run.end.min(area.end))
    }

    fn step(&self, address: u64, access: Access) -> Result<Step, Refusal> {
        let mut state = self.state.lock();
        if state.areas.find(address).is_none_or(|(_, area)| area.is_hidden()) {
            self.grow_down(&mut state, address)?;
        }
        let Some((start, area)) = state.areas.find(address) else {
            return Err(Refusal::Unmapped);
        };
        if !access.is_admitted(area.prot) {
            return Err(Refusal::Denied);
        }
        if state.runs.is_guarded(address) {
            return Err(Refusal::Unmapped);
        }
        let area = area.clone();
        if state.runs.at(address).is_some() {
            return self.again(&mut state, address, start, &area, access);
        }
        match &area.kind {
            Kind::Anonymous => self.open_around(&mut state, address, start, &area),
            Kind::Special(_) => Err(Refusal::Denied),
            Kind::File(mapped) => {
                self.map_around(&mut state, address, start, &area, mapped, access)
            }
        }
    }

    /// A fault on a page that is backed: another thread was faster, a write is to be noticed, or the
    /// host once failed half-way through a change and holds something else.
    fn again(
        &self,
        state: &mut State,
        address: u64,
        start: u64,
        area: &Area,
        access: Access,
    ) -> Result<Step, Refusal> {
        let around = window(address, AROUND, &(start..area.end));
        let runs: alloc::vec::Vec<_> = state.runs.within(&around).collect();
        let Some(run) = runs.iter().find(|run| run.start <= address && address < run.end) else {
            return Ok(Step::Done);
        };
        let clean = matches!(run.held, Held::Frames { clean: true, .. });
        if clean
            && access == Access::Write
            && let Kind::File(mapped) = &area.kind
        {
            return self.map_written(state, run.start..run.end, start, area, mapped);
        }
        let prot = if clean { area.prot - Prot::WRITE } else { area.prot };
        let repaired = self.environment.mapper.repair(run.start, run.end - run.start, prot);
        repaired.map_err(|_| Refusal::OutOfMemory)?;
        Ok(Step::Done)
    }

    /// Opens zeros around a fault: more of them where memory next to it is open already.
    fn open_around(
        &self,
        state: &mut State,
        address: u64,
        start: u64,
        area: &Area,
    ) -> Result<Step, Refusal> {
        let whole = start..area.end;
        let least = window(address, WINDOW_MIN, &whole);
        // Twice as much as lies open next to it.
        let below = state.runs.open_around(least.start.wrapping_sub(1), &whole);
        let above = state.runs.open_around(least.end, &whole);
        let size = (2 * bytes(&below).max(bytes(&above))).next_power_of_two();
        let wide = window(address, size.clamp(WINDOW_MIN, LARGE), &whole);
        let page = page_down(address)..page_down(address) + PAGE;
        for (range, how) in
            [(wide, Charge::Ordinary), (least, Charge::Ordinary), (page, Charge::Vital)]
        {
            let gaps = state.runs.gaps(&range);
            let charge: u64 = if area.is_lazy() { gaps.iter().map(bytes).sum() } else { 0 };
            if self.try_charge(state, charge, how) {
                return self.open_gaps(state, gaps, area);
            }
        }
        Err(Refusal::OutOfMemory)
    }

    fn open_gaps(
        &self,
        state: &mut State,
        gaps: alloc::vec::Vec<Range<u64>>,
        area: &Area,
    ) -> Result<Step, Refusal> {
        let mut failed = false;
        for gap in gaps {
            let len = bytes(&gap);
            if failed || self.open(state, gap, area.prot).is_err() {
                failed = true;
                let due = if area.is_lazy() { len } else { 0 };
                state.release(due);
            }
        }
        if failed { Err(Refusal::OutOfMemory) } else { Ok(Step::Done) }
    }

    fn map_around(
        &self,
        state: &mut State,
        address: u64,
        start: u64,
        area: &Area,
        mapped: &Mapped,
        access: Access,
    ) -> Result<Step, Refusal> {
        let whole = start..area.end.min(mapped.end_at(start));
        if address >= whole.end {
            return Err(Refusal::Bus);
        }
        let near = window(address, WINDOW_MIN, &whole);
        let page = page_down(address);
        if mapped.shared && access == Access::Write {
            let end = state.runs.gaps(&(page..near.end)).first().map_or(page + PAGE, |gap| gap.end);
            return self.map_written(state, page..end, start, area, mapped);
        }
        // A page is asked for so that a hole gets its frame.
        match mapped.pages.frames(mapped.page(page - start), 1, false) {
            Ok(frames) => {
                let held = core::slice::from_ref(&frames);
                self.map_frames(state, page, held, area.prot, mapped.shared, false)
                    .map_err(refused)?;
            }
            Err(error) => {
                let only = area.flags.contains(Flags::RANDOM);
                let wanted = if only { page..page + PAGE } else { page..near.end };
                return missing(error, mapped, mapped.page(page - start) * PAGE, bytes(&wanted));
            }
        }
        // The rest is a convenience.
        let _ = self.map_cached(state, start, area, &near, CALLS);
        let _ = self.map_cached(state, start, area, &window(address, AROUND, &whole), CALLS);
        Ok(Step::Done)
    }

    /// Maps shared pages that are about to be written to, from the first of `range` on.
    fn map_written(
        &self,
        state: &mut State,
        range: Range<u64>,
        start: u64,
        area: &Area,
        mapped: &Mapped,
    ) -> Result<Step, Refusal> {
        let page = mapped.page(range.start - start);
        let most = usize::try_from(bytes(&range) / PAGE).unwrap_or(1);
        match mapped.pages.frames(page, most, true) {
            Ok(frames) => {
                let held = core::slice::from_ref(&frames);
                self.map_frames(state, range.start, held, area.prot, true, true)
                    .map_err(refused)?;
                Ok(Step::Done)
            }
            Err(error) => missing(error, mapped, page * PAGE, bytes(&range)),
        }
    }

    /// Extends an area that grows down to an address below it.
    fn grow_down(&self, state: &mut State, address: u64) -> Result<(), Refusal> {
        let Some((start, area)) = state.areas.at_or_above(address) else {
            return Err(Refusal::Unmapped);
        };
        let limit = area.end.saturating_sub(self.limit(Limit::Stack));
        let page = page_down(address);
        if !area.flags.contains(Flags::GROWS_DOWN) || page < limit || page < self.region().start {
            return Err(Refusal::Unmapped);
        }
        let guarded =
            |below: &Area| !below.flags.contains(Flags::GROWS_DOWN) && !below.prot.is_empty();
        let floor = state
            .areas
            .below(page)
            .map_or(0, |(_, below)| below.end + if guarded(below) { STACK_GUARD } else { 0 });
        if page < floor || state.areas.total() + (start - page) > self.limit(Limit::AddressSpace) {
            return Err(Refusal::Unmapped);
        }
        let wanted = page - page % WINDOW_MIN;
        let new_start = wanted.max(floor).max(limit.next_multiple_of(PAGE)).min(page);
        let total = state.areas.total() + (start - new_start);
        let new_start = if total > self.limit(Limit::AddressSpace) { page } else { new_start };
        let new_start = new_start.max(self.region().start);
        // What lies there was opened ahead for a neighbour that went away, at most.
        self.close(state, &(new_start..start)).map_err(|_| Refusal::OutOfMemory)?;
        state.areas.extend_down(start, new_start);
        Ok(())
    }
}

/// The aligned stretch of `size` bytes around `address`, within `whole`.
fn window(address: u64, size: u64, whole: &Range<u64>) -> Range<u64> {
    let start = address - address % size;
    start.max(whole.start)..start.saturating_add(size).min(whole.end)
}

fn refused(_: abi::errno::Error) -> Refusal {
    Refusal::OutOfMemory
}

/// What follows when frames can't be had.
fn missing(error: RunError, mapped: &Mapped, offset: u64, len: u64) -> Result<Step, Refusal> {
    match error {
        RunError::Beyond => Err(Refusal::Bus),
        RunError::Missing(_) => Ok(Step::Fill { pages: Arc::clone(&mapped.pages), offset, len }),
        // A file in memory is full, as a disk may be.
        RunError::Error(_) if !mapped.pages.is_backed() => Err(Refusal::Bus),
        RunError::Error(_) => Err(Refusal::OutOfMemory),
    }
}

/// A fill's failure as the fault sees it.
fn filled(outcome: abi::errno::Result<()>) -> Result<(), Refusal> {
    outcome.map_err(|error| match error.errno {
        Errno::ENOMEM | Errno::ENOSPC => Refusal::OutOfMemory,
        _ => Refusal::Bus,
    })
}

/// Polls a future to its end.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        core::hint::spin_loop();
    }
}
