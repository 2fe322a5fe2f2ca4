//! mlock(2) and its family, mincore(2), msync(2).

use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use storage::pages::Reach;

use super::area::{Area, Flags, Kind};
use super::populate::{Access, Refusal};
use super::space::{Space, State};
use super::{PAGE, bytes, is_aligned, page_down, page_up};

/// When pages are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now, all of them.
    Now,
    /// Each when it is first used.
    OnUse,
}

/// Flags of msync(2).
const MS_ASYNC: u64 = 1;
const MS_INVALIDATE: u64 = 2;
const MS_SYNC: u64 = 4;

impl Space {
    /// Locks a range: brings its pages in and keeps them (they are never swapped anyway).
    ///
    /// # Errors
    /// ENOMEM for a hole, EINVAL for an overflow, EAGAIN when a page can't be brought in.
    pub async fn lock(&self, address: u64, len: u64, when: When) -> Result<()> {
        let range = rounded(address, len)?;
        self.set_locked(&range, true)?;
        if when == When::Now {
            self.bring_all(&range).await?;
        }
        Ok(())
    }

    /// Takes locks back.
    ///
    /// # Errors
    /// ENOMEM for a hole, EINVAL for an overflow.
    pub fn unlock(&self, address: u64, len: u64) -> Result<()> {
        self.set_locked(&rounded(address, len)?, false)
    }

    /// Whether mlockall(2) knows such flags.
    ///
    /// # Errors
    /// EINVAL.
    pub fn check_lock_all(flags: u64) -> Result<()> {
        if flags == 0 || flags & !7 != 0 || flags == 4 {
            return Err(Errno::EINVAL.because("mlockall flags"));
        }
        Ok(())
    }

    /// Locks what is mapped and what will be, as mlockall(2)'s flags say: 1 now, 2 in future, 4 each
    /// page when it is first used.
    ///
    /// # Errors
    /// EINVAL for other flags or none.
    pub async fn lock_all(&self, flags: u64) -> Result<()> {
        Self::check_lock_all(flags)?;
        let when = if flags & 4 != 0 { When::OnUse } else { When::Now };
        let all = self.region();
        {
            let mut state = self.state.lock();
            state.lock_future = (flags & 2 != 0).then_some(when);
            if flags & 1 != 0 {
                state.areas.edit(&all, |_, area| set_locked(area, true));
            }
        }
        if flags & 1 != 0 && when == When::Now {
            let ranges: Vec<Range<u64>> = self.maps().into_iter().map(|m| m.range).collect();
            for range in ranges {
                // As on Linux, what can't be brought in is no error here.
                let _ = self.bring_all(&range).await;
            }
        }
        Ok(())
    }

    /// Takes all locks back.
    pub fn unlock_all(&self) {
        let mut state = self.state.lock();
        state.lock_future = None;
        state.areas.edit(&self.region(), |_, area| set_locked(area, false));
    }

    /// Bytes that would be locked if `len` bytes at `address` were as well.
    pub fn locked_with(&self, address: u64, len: u64) -> u64 {
        let locked = self.statistics().locked;
        let Ok(range) = rounded(address, len) else { return locked };
        let pieces = self.state.lock().pieces(&range);
        let is_locked = |area: &Area| area.flags.contains(Flags::LOCKED);
        let already: u64 = pieces.iter().filter(|(_, a)| is_locked(a)).map(|(r, _)| bytes(r)).sum();
        (locked - already.min(locked)).saturating_add(bytes(&range))
    }

    /// Whether new mappings are to be brought in at once, because of mlockall(2).
    pub fn locks_new_mappings_now(&self) -> bool {
        self.state.lock().lock_future == Some(When::Now)
    }

    fn set_locked(&self, range: &Range<u64>, locked: bool) -> Result<()> {
        let mut state = self.state.lock();
        let whole = state.is_whole(range);
        // As on Linux, the part before a hole is changed.
        let end = if whole { range.end } else { state.first_hole(range) };
        state.areas.edit(&(range.start..end), |_, area| set_locked(area, locked));
        if whole { Ok(()) } else { Err(Errno::ENOMEM.because("part of the range is not mapped")) }
    }

    /// Brings in what `range` may be used for: writable pages as for a write.
    async fn bring_all(&self, range: &Range<u64>) -> Result<()> {
        let pieces = self.state.lock().pieces(range);
        for (piece, area) in pieces {
            if area.flags.contains(Flags::SECRET) {
                return Err(Errno::ENOMEM.because("secret memory is locked, but not brought in"));
            }
            let Some(access) = best_access(&area) else {
                return Err(Errno::ENOMEM.because("part of the range can't be accessed"));
            };
            self.bring(piece, access).await.map_err(|(_, refusal)| match refusal {
                Refusal::Unmapped | Refusal::Denied => Errno::ENOMEM,
                Refusal::Bus | Refusal::OutOfMemory => Errno::EAGAIN,
            })?;
        }
        Ok(())
    }

    /// Which pages are in memory: one byte each, its lowest bit says so.
    ///
    /// Differs from Linux: a page of private memory counts once it can be used without a fault into
    /// the LibOS, whether or not it was touched.
    ///
    /// # Errors
    /// EINVAL for an unaligned address; ENOMEM for a hole or a range beyond the region.
    pub fn resident(&self, address: u64, len: u64) -> Result<Vec<u8>> {
        if !is_aligned(address) {
            return Err(Errno::EINVAL.because("the address is not page-aligned"));
        }
        let out_of_region = Errno::ENOMEM.because("beyond the user region");
        let len = page_up(len).ok_or(out_of_region)?;
        let end = address.checked_add(len).ok_or(out_of_region)?;
        if end > self.region().end {
            return Err(out_of_region);
        }
        let state = self.state.lock();
        let range = address..end;
        if !state.is_whole(&range) {
            return Err(Errno::ENOMEM.because("part of the range is not mapped"));
        }
        let mut pages = Vec::with_capacity(usize::try_from(len / PAGE).unwrap_or(0));
        for (piece, area) in state.pieces(&range) {
            let mut at = piece.start;
            while at < piece.end {
                pages.push(u8::from(is_resident(&state, &area, at)));
                at += PAGE;
            }
        }
        Ok(pages)
    }

    /// Writes shared file mappings to where they live, as msync(2)'s flags say.
    ///
    /// # Errors
    /// EINVAL for flags or alignment, ENOMEM for a hole (after the rest was written), EBUSY for
    /// MS_INVALIDATE of locked pages, EIO as the file says.
    pub async fn sync(&self, address: u64, len: u64, flags: u64) -> Result<()> {
        if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0
            || flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC
        {
            return Err(Errno::EINVAL.because("msync flags"));
        }
        if !is_aligned(address) {
            return Err(Errno::EINVAL.because("the address is not page-aligned"));
        }
        let overflow = Errno::ENOMEM.because("the range overflows");
        // A length whose rounding overflows is none, as in Linux.
        let len = page_up(len).unwrap_or(0);
        let range = address..address.checked_add(len).ok_or(overflow)?;
        let (whole, work) = {
            let state = self.state.lock();
            (state.is_whole(&range), state.pieces(&range))
        };
        for (_, area) in work {
            if flags & MS_INVALIDATE != 0 && area.flags.contains(Flags::LOCKED) {
                return Err(Errno::EBUSY.because("MS_INVALIDATE of locked pages"));
            }
            if flags & MS_SYNC != 0
                && let Kind::File(mapped) = &area.kind
                && mapped.shared
            {
                if area.flags.contains(Flags::SECRET) {
                    return Err(Errno::EINVAL.because("secret memory is nowhere else"));
                }
                mapped.pages.flush(Reach::Exposed).await?;
            }
        }
        if whole { Ok(()) } else { Err(Errno::ENOMEM.because("part of the range is not mapped")) }
    }
}

impl State {
    /// Where the first hole in `range` begins.
    fn first_hole(&self, range: &Range<u64>) -> u64 {
        let mut at = range.start;
        for (piece, _) in self.pieces(range) {
            if piece.start > at {
                break;
            }
            at = piece.end;
        }
        at
    }
}

/// Droppable memory is never locked, secret memory always, and nobody is told.
fn set_locked(area: &mut Area, locked: bool) {
    let locked = locked || area.flags.contains(Flags::SECRET);
    area.flags.set(Flags::LOCKED, locked && !area.flags.contains(Flags::DROPPABLE));
}

/// The strongest access that an area admits.
pub(crate) fn best_access(area: &Area) -> Option<Access> {
    [Access::Write, Access::Read].into_iter().find(|access| access.is_admitted(area.prot))
}

fn is_resident(state: &State, area: &Area, at: u64) -> bool {
    if state.runs.at(at).is_some() {
        return true;
    }
    let Kind::File(mapped) = &area.kind else {
        return false;
    };
    let Some((start, _)) = state.areas.find(at) else {
        return false;
    };
    let page = mapped.page(at - start);
    mapped.pages.cached(page, page + 1).is_some()
}

/// A range as mlock(2) rounds it.
fn rounded(address: u64, len: u64) -> Result<Range<u64>> {
    let start = page_down(address);
    // A length whose rounding overflows is none, as in Linux.
    let len = (address - start).checked_add(len).and_then(page_up).unwrap_or(0);
    let end = start.checked_add(len).ok_or(Errno::EINVAL.because("the range overflows"))?;
    Ok(start..end)
}
