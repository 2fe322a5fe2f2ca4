//! madvise(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use abi::host::Advice;
use storage::pages::Pages;

use super::area::{Area, Flags, Kind};
use super::populate::{Access, Refusal};
use super::protect::joined;
use super::runs::Held;
use super::seal::SEALED;
use super::space::{Space, State};
use super::text::{Change, Kept};
use super::{PAGE, Prot, bytes, is_aligned, page_up};

/// Memory that faults open stays open when no more of it than this is dropped: a thread's stack is
/// dropped at each thread's end and used again by the next one.
const KEPT_OPEN: u64 = 256 << 10;

/// Bytes of a file: its contents, an offset, a length.
type FilePart = (Arc<Pages>, u64, u64);

/// What madvise(2) advises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    /// Sets and clears flags of the areas.
    Mark { set: Flags, clear: Flags },
    /// Brings file contents in.
    WillNeed,
    /// Drops contents: zeros, or the file's again; of locked memory too or not.
    DontNeed { locked: bool },
    /// The same, when memory is short.
    Free,
    /// Makes a hole in a shared file.
    Remove,
    /// Large pages, or none.
    Large(bool),
    /// Not inherited as it is: for private memory only.
    WipeOnFork(bool),
    /// Hints without effect here: nothing is merged, aged or swapped.
    Nothing,
    /// Lets each access fault, contents are dropped; or no more.
    Guard(bool),
    /// Populates, as for this access.
    Populate(Access),
    /// Injects memory errors: for the privileged only.
    Poison,
}

fn decode(advice: u64) -> Option<Behaviour> {
    let none = Flags::empty();
    let patterns = Flags::SEQUENTIAL | Flags::RANDOM;
    Some(match advice {
        0 => Behaviour::Mark { set: none, clear: patterns },
        1 => Behaviour::Mark { set: Flags::RANDOM, clear: Flags::SEQUENTIAL },
        2 => Behaviour::Mark { set: Flags::SEQUENTIAL, clear: Flags::RANDOM },
        3 => Behaviour::WillNeed,
        4 => Behaviour::DontNeed { locked: false },
        8 => Behaviour::Free,
        9 => Behaviour::Remove,
        10 => Behaviour::Mark { set: Flags::DONT_FORK, clear: none },
        11 => Behaviour::Mark { set: none, clear: Flags::DONT_FORK },
        12 | 13 | 20 | 21 => Behaviour::Nothing,
        14 => Behaviour::Large(true),
        15 => Behaviour::Large(false),
        16 => Behaviour::Mark { set: Flags::DONT_DUMP, clear: none },
        17 => Behaviour::Mark { set: none, clear: Flags::DONT_DUMP },
        18 => Behaviour::WipeOnFork(true),
        19 => Behaviour::WipeOnFork(false),
        22 => Behaviour::Populate(Access::Read),
        23 => Behaviour::Populate(Access::Write),
        24 => Behaviour::DontNeed { locked: true },
        100 | 101 => Behaviour::Poison,
        102 => Behaviour::Guard(true),
        103 => Behaviour::Guard(false),
        _ => return None,
    })
}

impl Space {
    /// Carries out advice on a range; a hole is skipped and reported in the end.
    ///
    /// # Errors
    /// As madvise(2).
    pub async fn advise(&self, address: u64, len: u64, advice: u64) -> Result<()> {
        let (behaviour, range) = Self::checked_advice(address, len, advice)?;
        if range.is_empty() {
            return Ok(());
        }
        if let Behaviour::Populate(access) = behaviour {
            return self.advise_populate(range, access).await;
        }
        let (whole, work) = self.advise_range(&range, behaviour)?;
        for (pages, offset, len) in work {
            if behaviour == Behaviour::Remove {
                pages.punch_hole(offset, len)?;
            } else {
                // Advice only: what can't be read now fails when it is used.
                let _ = pages.fill(offset, len).await;
            }
        }
        whole
    }

    /// The same for advice that needs no wait; `None`, and nothing is done, for other advice.
    ///
    /// # Errors
    /// As madvise(2).
    pub fn advise_now(&self, address: u64, len: u64, advice: u64) -> Option<Result<()>> {
        match Self::checked_advice(address, len, advice) {
            Ok((Behaviour::WillNeed | Behaviour::Populate(_), _)) => None,
            Ok((_, range)) if range.is_empty() => Some(Ok(())),
            Ok((behaviour, range)) => {
                Some(self.advise_range(&range, behaviour).and_then(|(whole, work)| {
                    work.iter().try_for_each(|(pages, at, len)| pages.punch_hole(*at, *len))?;
                    whole
                }))
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn checked_advice(address: u64, len: u64, advice: u64) -> Result<(Behaviour, Range<u64>)> {
        let behaviour = decode(advice).ok_or(Errno::EINVAL.because("unknown advice"))?;
        if behaviour == Behaviour::Poison {
            return Err(Errno::EPERM.because("memory errors can't be injected"));
        }
        if !is_aligned(address) {
            return Err(Errno::EINVAL.because("the address is not page-aligned"));
        }
        let end = page_up(len)
            .and_then(|len| address.checked_add(len))
            .ok_or(Errno::EINVAL.because("the range overflows"))?;
        Ok((behaviour, address..end))
    }

    /// Does what needs no wait; gives the outcome as to holes, and what is left to do with files.
    fn advise_range(
        &self,
        range: &Range<u64>,
        behaviour: Behaviour,
    ) -> Result<(Result<()>, Vec<FilePart>)> {
        let mut state = self.state.lock();
        let whole = if state.is_whole(range) {
            Ok(())
        } else {
            Err(Errno::ENOMEM.because("part of the range is not mapped"))
        };
        let work = self.advise_locked(&mut state, range, behaviour)?;
        Ok((whole, work))
    }

    async fn advise_populate(&self, range: Range<u64>, access: Access) -> Result<()> {
        self.bring(range, access).await.map_err(|(at, refusal)| match refusal {
            Refusal::Unmapped if self.find(at).is_some() => Errno::EFAULT.because("a guard"),
            Refusal::Unmapped => Errno::ENOMEM.because("part of the range is not mapped"),
            Refusal::Denied => Errno::EINVAL.because("an area does not allow this access"),
            Refusal::Bus => Errno::EFAULT.because("beyond the end of the file"),
            Refusal::OutOfMemory => Errno::ENOMEM.because("the memory limit is reached"),
        })
    }

    fn advise_locked(
        &self,
        state: &mut State,
        range: &Range<u64>,
        behaviour: Behaviour,
    ) -> Result<Vec<FilePart>> {
        let mut work = Vec::new();
        for (piece, area) in state.pieces(range) {
            if area.keeps_contents() && behaviour.discards() {
                return Err(SEALED);
            }
            if area.flags.contains(Flags::DROPPABLE) && behaviour.outlasts_drops() {
                return Err(
                    Errno::EINVAL.because("droppable memory is neither dumped nor inherited")
                );
            }
            match behaviour {
                Behaviour::Mark { set, clear } => {
                    state.room_for(state.areas.splits(&piece))?;
                    mark(state, &piece, set, clear);
                }
                Behaviour::WillNeed => work.extend(uncached(state, &piece)),
                Behaviour::DontNeed { locked } => {
                    self.dont_need(state, &piece, &area, locked)?;
                }
                Behaviour::Free => {
                    if !area.is_anonymous() {
                        return Err(Errno::EINVAL.because("MADV_FREE of a file mapping"));
                    }
                    self.dont_need(state, &piece, &area, false)?;
                }
                Behaviour::Guard(true) => self.install_guard(state, &piece, &area)?,
                Behaviour::Guard(false) => {
                    check_guarded(&area)?;
                    state.runs.remove_guards(&piece);
                }
                Behaviour::Remove => work.push(removed(state, &piece, &area)?),
                Behaviour::Large(on) => self.large(state, &piece, on),
                Behaviour::WipeOnFork(on) => {
                    if on && !area.is_anonymous() {
                        return Err(Errno::EINVAL.because("MADV_WIPEONFORK of a file mapping"));
                    }
                    let (set, clear) = on_off(Flags::WIPE_ON_FORK, on);
                    mark(state, &piece, set, clear);
                }
                Behaviour::Nothing | Behaviour::Populate(_) | Behaviour::Poison => {}
            }
        }
        Ok(work)
    }

    fn dont_need(
        &self,
        state: &mut State,
        piece: &Range<u64>,
        area: &Area,
        locked: bool,
    ) -> Result<()> {
        if !locked && area.flags.contains(Flags::LOCKED) {
            return Err(Errno::EINVAL.because("the range is locked"));
        }
        let open = state.runs.covered(piece);
        if area.is_lazy() && open > KEPT_OPEN {
            // Closed again: the memory is neither used nor charged until the next touch. Guards stay.
            let guards: Vec<Range<u64>> = state.runs.guards(piece).collect();
            self.close(state, piece)?;
            for guard in guards {
                state.runs.insert(guard, Held::Guard);
            }
            state.release(open);
            return Ok(());
        }
        if area.flags.contains(Flags::TEXT) {
            self.before_change(state, piece, Change::Replaced);
            self.drop_text(state, piece, Kept::Nothing)?;
        }
        let private: Vec<_> =
            state.runs.within(piece).filter(|run| run.held.is_private()).collect();
        for part in joined(private.into_iter()) {
            self.environment.mapper.advise(part.start, bytes(&part), Advice::DontNeed)?;
        }
        Ok(())
    }

    /// Drops contents and lets nothing come in their place.
    fn install_guard(&self, state: &mut State, piece: &Range<u64>, area: &Area) -> Result<()> {
        check_guarded(area)?;
        if area.flags.contains(Flags::LOCKED) {
            return Err(Errno::EINVAL.because("the range is locked"));
        }
        self.before_change(state, piece, Change::Replaced);
        let due = if area.is_lazy() { state.runs.covered(piece) } else { 0 };
        self.close(state, piece)?;
        state.release(due);
        state.runs.insert(piece.clone(), Held::Guard);
        Ok(())
    }

    fn large(&self, state: &mut State, piece: &Range<u64>, on: bool) {
        let (set, clear) =
            if on { (Flags::HUGE, Flags::NO_HUGE) } else { (Flags::NO_HUGE, Flags::HUGE) };
        mark(state, piece, set, clear);
        let advice = if on { Advice::HugePage } else { Advice::NoHugePage };
        let private: Vec<_> =
            state.runs.within(piece).filter(|run| matches!(run.held, Held::Anonymous)).collect();
        for part in joined(private.into_iter()) {
            self.advise_host(&part, advice);
        }
    }
}

impl Behaviour {
    /// Takes contents away from this process or its children: nothing for sealed memory.
    fn discards(self) -> bool {
        match self {
            Self::DontNeed { .. } | Self::Free | Self::Remove => true,
            Self::WipeOnFork(on) | Self::Guard(on) => on,
            Self::Mark { set, .. } => set.contains(Flags::DONT_FORK),
            _ => false,
        }
    }

    /// Wants contents in dumps or children.
    fn outlasts_drops(self) -> bool {
        match self {
            Self::WipeOnFork(on) => !on,
            Self::Mark { clear, .. } => clear.contains(Flags::DONT_DUMP),
            _ => false,
        }
    }
}

/// Whether guards may be in an area.
fn check_guarded(area: &Area) -> Result<()> {
    if matches!(area.kind, Kind::Special(_)) {
        return Err(Errno::EINVAL.because("no guards in pages of the system"));
    }
    Ok(())
}

fn mark(state: &mut State, piece: &Range<u64>, set: Flags, clear: Flags) {
    state.areas.edit(piece, |_, area| area.flags = (area.flags - clear) | set);
}

fn on_off(flag: Flags, on: bool) -> (Flags, Flags) {
    if on { (flag, Flags::empty()) } else { (Flags::empty(), flag) }
}

/// What MADV_REMOVE makes a hole of, once the space is not locked any more.
fn removed(state: &State, piece: &Range<u64>, area: &Area) -> Result<FilePart> {
    if area.flags.contains(Flags::LOCKED) {
        return Err(Errno::EINVAL.because("the range is locked"));
    }
    let Kind::File(mapped) = &area.kind else {
        return Err(Errno::EINVAL.because("MADV_REMOVE of private memory"));
    };
    if !mapped.shared || !area.max.contains(Prot::WRITE) {
        return Err(
            Errno::EACCES.because("MADV_REMOVE needs a shared mapping that may be writable")
        );
    }
    let start = state.areas.find(piece.start).map_or(piece.start, |(start, _)| start);
    let offset = mapped.offset + (piece.start - start);
    Ok((Arc::clone(&mapped.pages), offset, bytes(piece)))
}

/// The file contents of `piece` that are not in the cache, as one stretch.
fn uncached(state: &State, piece: &Range<u64>) -> Option<FilePart> {
    let (start, area) = state.areas.find(piece.start)?;
    let Kind::File(mapped) = &area.kind else {
        return None;
    };
    let first = mapped.page(piece.start - start);
    let end = mapped.page(piece.end.min(mapped.end_at(start)).max(piece.start) - start);
    let mut at = first;
    while let Some((page, frames)) = mapped.pages.cached(at, end) {
        if page > at {
            break;
        }
        at += frames.pages as u64;
    }
    (at < end).then(|| (Arc::clone(&mapped.pages), at * PAGE, (end - at) * PAGE))
}
