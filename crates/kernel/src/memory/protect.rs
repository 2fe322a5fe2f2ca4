//! mprotect(2).

use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;

use super::area::{Area, Flags, Kind};
use super::populate::WINDOW_MIN;
use super::runs::{Held, Run};
use super::seal::SEALED;
use super::space::{Space, State};
use super::text::Change;
use super::{Prot, bytes, is_aligned, page_up};

/// PROT_SEM, which x86 accepts and ignores.
const SEM: u64 = 0x8;
const GROWS_DOWN: u64 = 0x100_0000;
const GROWS_UP: u64 = 0x200_0000;
/// Memory that is opened by faults is opened at once when no more than this becomes accessible.
const AT_ONCE: u64 = 256 << 10;

impl Space {
    /// Changes the access to a range; `raw` is mprotect's third argument.
    ///
    /// What comes before the first obstacle is changed even when the call fails, as on Linux.
    ///
    /// # Errors
    /// As mprotect(2). Becoming writable may be refused by the memory limit: ENOMEM.
    pub fn protect(&self, address: u64, len: u64, raw: u64) -> Result<()> {
        let grows = raw & (GROWS_DOWN | GROWS_UP);
        if grows == GROWS_DOWN | GROWS_UP {
            return Err(Errno::EINVAL.because("PROT_GROWSDOWN with PROT_GROWSUP"));
        }
        if !is_aligned(address) {
            return Err(Errno::EINVAL.because("the address is not page-aligned"));
        }
        if len == 0 {
            return Ok(());
        }
        let end = page_up(len)
            .and_then(|len| address.checked_add(len))
            .ok_or(Errno::ENOMEM.because("the range overflows"))?;
        let prot = decode(raw & !grows)?;
        let mut state = self.state.lock();
        let start = start_of(&state, address..end, grows)?;
        self.protect_locked(&mut state, &(start..end), prot)
    }

    /// Whether all that is mapped in a range can be executed.
    pub fn is_executable(&self, address: u64, len: u64) -> bool {
        let Some(end) = page_up(len).and_then(|len| address.checked_add(len)) else { return false };
        let state = self.state.lock();
        state.pieces(&(address..end)).iter().all(|(_, area)| area.prot.contains(Prot::EXEC))
    }

    fn protect_locked(&self, state: &mut State, range: &Range<u64>, prot: Prot) -> Result<()> {
        if state.areas.splits(range) > 0 {
            state.room_for(state.areas.splits(range))?;
        }
        let mut at = range.start;
        for (piece, area) in state.pieces(range) {
            if piece.start > at {
                break;
            }
            if !area.max.contains(prot) {
                return Err(Errno::EACCES.because("the mapped file does not allow this access"));
            }
            self.protect_piece(state, &piece, &area, prot)?;
            at = piece.end;
        }
        if at < range.end {
            return Err(Errno::ENOMEM.because("part of the range is not mapped"));
        }
        Ok(())
    }

    /// Changes one area, or a part of it.
    fn protect_piece(
        &self,
        state: &mut State,
        piece: &Range<u64>,
        area: &Area,
        prot: Prot,
    ) -> Result<()> {
        if area.flags.contains(Flags::SEALED) {
            return Err(SEALED);
        }
        if area.prot == prot {
            return Ok(());
        }
        let gains_data = prot.contains(Prot::WRITE) && !area.prot.contains(Prot::WRITE);
        self.check_data(state, piece, gains_data && !area.is_shared())?;
        if prot.contains(Prot::WRITE) && area.flags.contains(Flags::TEXT) {
            self.before_change(state, piece, Change::Writable);
        }
        let charge = if area.to_charge(prot) { bytes(piece) } else { 0 };
        self.charge(state, charge)?;
        let changed = match &area.kind {
            Kind::File(_) => self.protect_file(state, piece, area, prot),
            Kind::Anonymous | Kind::Special(_) => self.protect_memory(state, piece, area, prot),
        };
        if let Err(error) = changed {
            state.release(charge);
            return Err(error);
        }
        state.areas.edit(piece, |_, area| {
            area.prot = prot;
            if charge > 0 {
                area.flags |= Flags::CHARGED;
            }
            if prot.contains(Prot::EXEC) {
                area.flags |= Flags::TEXT;
            }
        });
        Ok(())
    }

    fn protect_memory(
        &self,
        state: &mut State,
        piece: &Range<u64>,
        area: &Area,
        prot: Prot,
    ) -> Result<()> {
        for part in joined(state.runs.within(piece)) {
            self.environment.mapper.protect(part.start, bytes(&part), prot)?;
        }
        if prot.is_empty() || !area.is_anonymous() {
            return Ok(());
        }
        let wanted = if !area.is_lazy() || bytes(piece) <= AT_ONCE {
            piece.clone()
        } else if area.flags.intersects(Flags::STACK | Flags::GROWS_DOWN) {
            piece.end - WINDOW_MIN..piece.end // a stack's first page is used at once
        } else {
            return Ok(());
        };
        for gap in state.runs.gaps(&wanted) {
            let charge = if area.is_lazy() { bytes(&gap) } else { 0 };
            self.charge(state, charge)?;
            if let Err(error) = self.open(state, gap, prot) {
                state.release(charge);
                return Err(error);
            }
        }
        Ok(())
    }

    fn protect_file(
        &self,
        state: &mut State,
        piece: &Range<u64>,
        area: &Area,
        prot: Prot,
    ) -> Result<()> {
        let shared = area.is_shared();
        let writable = prot.contains(Prot::WRITE);
        let gains = writable && !area.prot.contains(Prot::WRITE);
        let clean = shared && gains;
        let runs: Vec<Run> = state.runs.within(piece).collect();
        let (parting, staying): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| writable && !shared && !run.held.is_private());
        for run in parting {
            self.part(state, run, prot)?;
        }
        let host = if clean { prot - Prot::WRITE } else { prot };
        for run in &staying {
            state.runs.set_clean(run, clean);
        }
        for part in joined(staying.into_iter()) {
            self.environment.mapper.protect(part.start, bytes(&part), host)?;
        }
        if area.prot.is_empty() {
            let mut opened = area.clone();
            opened.prot = prot;
            if let Some((start, _)) = state.areas.find(piece.start) {
                self.map_cached(state, start, &opened, piece, 8)?;
            }
        }
        Ok(())
    }

    /// Maps frames anew so that writes make private copies.
    pub(crate) fn part(&self, state: &mut State, run: Run, prot: Prot) -> Result<()> {
        let Held::Frames { extent, at, .. } = run.held else {
            return Ok(());
        };
        let held = Held::Frames { extent, at, private: true, clean: false, text: false };
        let (backing, offset) = held.backing();
        self.environment.mapper.map(run.start, run.end - run.start, prot, backing, offset)?;
        state.runs.insert(run.start..run.end, held);
        Ok(())
    }
}

/// Access bits of mprotect(2) and mmap(2); the latter ignores unknown ones.
fn decode(raw: u64) -> Result<Prot> {
    let known = u64::from(Prot::all().bits()) | SEM;
    if raw & !known != 0 {
        return Err(Errno::EINVAL.because("unknown access bits"));
    }
    Ok(prot_of(raw))
}

/// The access bits that `raw` holds, others left out.
pub fn prot_of(raw: u64) -> Prot {
    let [low, ..] = raw.to_le_bytes();
    Prot::from_bits_truncate(low)
}

/// Where a change begins: at the area's start if it is to reach down to there.
fn start_of(state: &State, range: Range<u64>, grows: u64) -> Result<u64> {
    let unmapped = Errno::ENOMEM.because("nothing is mapped at the address");
    let found = state.areas.at_or_above(range.start).filter(|(_, area)| !area.is_hidden());
    let Some((start, area)) = found else {
        return Err(unmapped);
    };
    if grows == GROWS_DOWN {
        if start >= range.end {
            return Err(unmapped);
        }
        if !area.flags.contains(Flags::GROWS_DOWN) {
            return Err(Errno::EINVAL.because("PROT_GROWSDOWN on an area that does not grow down"));
        }
        return Ok(start);
    }
    if start > range.start {
        return Err(unmapped);
    }
    if grows == GROWS_UP {
        return Err(Errno::EINVAL.because("no area grows up on x86"));
    }
    Ok(range.start)
}

/// Runs that touch each other, as one range.
pub(crate) fn joined(runs: impl Iterator<Item = Run>) -> Vec<Range<u64>> {
    let mut parts: Vec<Range<u64>> = Vec::new();
    for run in runs {
        match parts.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => parts.push(run.start..run.end),
        }
    }
    parts
}
