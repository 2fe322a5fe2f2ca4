//! mremap(2).

use core::ops::Range;

use abi::Errno;
use abi::errno::Result;

use super::area::{Area, Flags, Kind};
use super::place::LARGE;
use super::seal::SEALED;
use super::space::{Limit, Space, State};
use super::text::{Change, Kept};
use super::{bytes, is_aligned, page_up};

const MAY_MOVE: u64 = 1;
const FIXED: u64 = 2;
const DONT_UNMAP: u64 = 4;

/// Arguments of mremap(2), lengths rounded up to pages.
struct Request {
    old: u64,
    old_len: u64,
    new_len: u64,
    flags: u64,
    target: u64,
}

impl Space {
    /// Resizes or moves a mapping; gives its address.
    ///
    /// # Errors
    /// As mremap(2).
    pub fn remap(
        &self,
        old: u64,
        old_len: u64,
        new_len: u64,
        flags: u64,
        target: u64,
    ) -> Result<u64> {
        let request = Request::checked(old, old_len, new_len, flags, target)?;
        if request.new_len > self.region().end {
            return Err(Errno::EINVAL.because("longer than the user region"));
        }
        let mut state = self.state.lock();
        if flags & (FIXED | DONT_UNMAP) != 0 {
            self.check_target(&state, &request)?;
            if flags & FIXED != 0 && request.old_len == request.new_len {
                return self.remap_each(&mut state, &request);
            }
        }
        let found = state.areas.find(old).filter(|(_, area)| !area.is_hidden());
        let Some((start, area)) = found.map(|(start, area)| (start, area.clone())) else {
            return Err(Errno::EFAULT.because("nothing is mapped at the old address"));
        };
        if area.flags.contains(Flags::SEALED) {
            return Err(SEALED);
        }
        if flags & (FIXED | DONT_UNMAP) != 0 {
            return self.remap_to(&mut state, request, start, &area);
        }
        if request.old_len >= request.new_len {
            let tail = old + request.new_len..old + request.old_len;
            if tail.end > self.region().end {
                return Err(Errno::EINVAL.because("the old range leaves the user region"));
            }
            if !tail.is_empty() {
                self.unmap_locked(&mut state, &tail)?;
            }
            return Ok(old);
        }
        self.check_resize(&state, &request, start, &area)?;
        let end = old + request.old_len;
        if end == area.end
            && request.old_len > 0
            && self.grow_in_place(&mut state, &request, start, &area)?
        {
            return Ok(old);
        }
        if flags & MAY_MOVE == 0 {
            return Err(Errno::ENOMEM.because("no room to grow, and MREMAP_MAYMOVE is not set"));
        }
        let region = self.region();
        let phase = (request.new_len >= 2 * LARGE).then_some(old % LARGE);
        let locked = &mut *state;
        let to = locked.cursor.find(&locked.areas, &region, request.new_len, phase)?;
        self.relocate(&mut state, &request, start, &area, to)
    }

    /// Whether MREMAP_FIXED and MREMAP_DONTUNMAP may go to the new address.
    fn check_target(&self, state: &State, request: &Request) -> Result<()> {
        let region = self.region();
        if !is_aligned(request.target) {
            return Err(Errno::EINVAL.because("the new address is not page-aligned"));
        }
        let beyond = request.new_len > region.end || request.target > region.end - request.new_len;
        if beyond || request.flags & FIXED != 0 && request.target < region.start {
            return Err(Errno::EINVAL.because("the new range leaves the user region"));
        }
        let to = request.target..request.target + request.new_len;
        let from = request.old..request.old + request.old_len;
        if to.start < from.end && from.start < to.end {
            return Err(Errno::EINVAL.because("old and new range overlap"));
        }
        state.room_for(4)
    }

    /// Moves everything in a range, holes included, to a fixed address. As on Linux, what came before
    /// the first obstacle is moved even when the call fails.
    fn remap_each(&self, state: &mut State, request: &Request) -> Result<u64> {
        let from = request.old..request.old + request.old_len;
        let pieces = state.pieces(&from);
        if pieces.first().is_none_or(|(piece, _)| piece.start > from.start) {
            return Err(Errno::EFAULT.because("nothing is mapped at the old address"));
        }
        for (piece, _) in pieces {
            // Moves before this one may have joined areas.
            let found = state.areas.find(piece.start).map(|(start, area)| (start, area.clone()));
            let Some((start, area)) = found else { continue };
            if area.flags.contains(Flags::SEALED) {
                return Err(SEALED);
            }
            let part = Request {
                old: piece.start,
                old_len: bytes(&piece),
                new_len: bytes(&piece),
                target: request.target + (piece.start - from.start),
                ..*request
            };
            self.remap_to(state, part, start, &area)?;
        }
        Ok(request.target)
    }

    /// MREMAP_FIXED and MREMAP_DONTUNMAP of one area or a part of it.
    fn remap_to(
        &self,
        state: &mut State,
        mut request: Request,
        start: u64,
        area: &Area,
    ) -> Result<u64> {
        let region = self.region();
        let fixed = request.flags & FIXED != 0;
        let from = request.old..request.old + request.old_len;
        let to = request.target..request.target + request.new_len;
        self.check_resize(state, &request, start, area)?;
        if fixed {
            self.displace(state, &to)?;
        }
        if request.old_len > request.new_len {
            self.unmap_locked(state, &(request.old + request.new_len..from.end))?;
            request.old_len = request.new_len;
        }
        // The first unmapping may have cut the area.
        let Some((start, area)) = state.areas.find(request.old).map(|(s, a)| (s, a.clone())) else {
            return Err(Errno::EFAULT.because("nothing is mapped at the old address"));
        };
        let hinted = request.target != 0 && to.start >= region.start && state.areas.is_free(&to);
        let at = if fixed || hinted {
            request.target
        } else {
            state.cursor.find(&state.areas, &region, request.new_len, None)?
        };
        self.relocate(state, &request, start, &area, at)
    }

    /// Makes room at a fixed target, trampolines included.
    fn displace(&self, state: &mut State, range: &Range<u64>) -> Result<()> {
        state.check_unsealed(range)?;
        self.before_change(state, range, Change::Replaced);
        self.unmap_locked(state, range)?;
        self.close(state, range)?;
        drop(state.areas.carve(range, true));
        Ok(())
    }

    fn check_resize(
        &self,
        state: &State,
        request: &Request,
        start: u64,
        area: &Area,
    ) -> Result<()> {
        if request.old_len == 0 && !area.is_shared() {
            return Err(Errno::EINVAL.because("an old size of 0 needs a shared mapping"));
        }
        let special = matches!(area.kind, Kind::Special(_));
        let keep = request.flags & DONT_UNMAP != 0;
        if keep && special {
            return Err(Errno::EINVAL.because("MREMAP_DONTUNMAP of a page of the system"));
        }
        // What is cut off may lie in other mappings.
        if request.old_len.min(request.new_len) > area.end - request.old {
            return Err(Errno::EFAULT.because("the old range spans more than one mapping"));
        }
        let more =
            if keep { request.new_len } else { request.new_len.saturating_sub(request.old_len) };
        if more == 0 {
            return Ok(());
        }
        if special {
            return Err(Errno::EFAULT.because("this mapping can't grow"));
        }
        if let Kind::File(mapped) = &area.kind
            && (mapped.offset + (request.old - start)).checked_add(request.new_len).is_none()
        {
            return Err(Errno::EINVAL.because("offset and length overflow"));
        }
        if state.areas.total().saturating_add(more) > self.limit(Limit::AddressSpace) {
            return Err(Errno::ENOMEM.because("RLIMIT_AS"));
        }
        Ok(())
    }

    /// Extends an area at its end if nothing is there.
    fn grow_in_place(
        &self,
        state: &mut State,
        request: &Request,
        start: u64,
        area: &Area,
    ) -> Result<bool> {
        let more = area.end..request.old + request.new_len;
        if more.end > self.region().end || !super::place::is_clear(&state.areas, &more) {
            return Ok(false);
        }
        let mut tail = area.clone();
        tail.end = more.end;
        tail.flags -= Flags::CHARGED;
        if let Kind::File(mapped) = &mut tail.kind {
            *mapped = mapped.skipped(area.end - start);
        }
        let charged = area.flags.contains(Flags::CHARGED);
        self.put_tail(state, more, tail, charged)?;
        Ok(true)
    }

    /// Maps what a mapping grew by. It is charged if the rest is.
    fn put_tail(
        &self,
        state: &mut State,
        range: Range<u64>,
        mut tail: Area,
        charged: bool,
    ) -> Result<()> {
        // An area that is charged but not writable now stays one area with its tail.
        let early = charged && !tail.to_charge(tail.prot) && !tail.is_lazy();
        if early {
            self.charge(state, bytes(&range))?;
            tail.flags |= Flags::CHARGED;
        }
        let outcome = self.put(state, range.start, tail);
        if outcome.is_err() && early {
            state.release(bytes(&range));
        }
        outcome
    }

    /// Moves `request.old_len` bytes to `to`, where they become `request.new_len`.
    fn relocate(
        &self,
        state: &mut State,
        request: &Request,
        start: u64,
        area: &Area,
        to: u64,
    ) -> Result<u64> {
        state.room_for(3)?;
        let from = request.old..request.old + request.old_len;
        let mut moved = area.clone();
        if let Kind::File(mapped) = &mut moved.kind {
            mapped.offset += request.old - start;
        }
        if request.old_len == 0 {
            moved.end = to + request.new_len;
            self.put(state, to, moved)?;
            return Ok(to);
        }
        if request.new_len > request.old_len {
            let mut tail = moved.clone();
            tail.end = to + request.new_len;
            tail.flags -= Flags::CHARGED;
            if let Kind::File(mapped) = &mut tail.kind {
                mapped.offset += request.old_len;
            }
            let charged = area.flags.contains(Flags::CHARGED);
            self.put_tail(state, to + request.old_len..to + request.new_len, tail, charged)?;
        }
        let keep = request.flags & DONT_UNMAP != 0;
        moved.end = to + request.old_len;
        if let Err(error) = self.move_area(state, &from, to, moved, keep) {
            if request.new_len > request.old_len {
                let tail = to + request.old_len..to + request.new_len;
                let _ = self.unmap_locked(state, &tail);
            }
            return Err(error);
        }
        Ok(to)
    }

    /// Moves an area or a part of one, with its contents. `keep`: one stays behind that is as it was
    /// when it was mapped.
    fn move_area(
        &self,
        state: &mut State,
        from: &Range<u64>,
        to: u64,
        moved: Area,
        keep: bool,
    ) -> Result<()> {
        let charge = if keep && moved.flags.contains(Flags::CHARGED) { bytes(from) } else { 0 };
        self.charge(state, charge)?;
        self.before_change(state, from, Change::Replaced);
        let moves = self
            .close(state, &(to..to + bytes(from)))
            .and_then(|()| self.drop_text(state, from, Kept::Changes))
            .and_then(|()| self.move_runs(state, from, to, moved.prot));
        if let Err(error) = moves {
            state.release(charge);
            return Err(error);
        }
        if keep {
            state.areas.edit(from, |_, area| area.flags -= Flags::LOCKED);
            state.areas.insert(to, moved);
            return Ok(());
        }
        drop(state.areas.carve(from, false));
        let State { areas, cursor, .. } = state;
        cursor.freed(areas, from);
        state.areas.insert(to, moved);
        Ok(())
    }
}

impl Request {
    fn checked(old: u64, old_len: u64, new_len: u64, flags: u64, target: u64) -> Result<Self> {
        if flags & !(MAY_MOVE | FIXED | DONT_UNMAP) != 0 {
            return Err(Errno::EINVAL.because("unknown mremap flags"));
        }
        if flags & FIXED != 0 && flags & MAY_MOVE == 0 {
            return Err(Errno::EINVAL.because("MREMAP_FIXED without MREMAP_MAYMOVE"));
        }
        if !is_aligned(old) {
            return Err(Errno::EINVAL.because("the old address is not page-aligned"));
        }
        let overflow = Errno::EINVAL.because("a length overflows");
        let old_len = page_up(old_len).ok_or(overflow)?;
        let new_len = page_up(new_len).ok_or(overflow)?;
        if new_len == 0 {
            return Err(Errno::EINVAL.because("a new length of 0"));
        }
        if flags & DONT_UNMAP != 0 && (flags & MAY_MOVE == 0 || old_len != new_len) {
            return Err(Errno::EINVAL.because("MREMAP_DONTUNMAP needs MAYMOVE and equal sizes"));
        }
        if old.checked_add(old_len.max(new_len)).is_none() {
            return Err(overflow);
        }
        Ok(Self { old, old_len, new_len, flags, target })
    }
}
