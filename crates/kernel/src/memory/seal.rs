//! mseal(2): areas that may not be changed any more.
//!
//! Source: mseal(2); Linux's `Documentation/userspace-api/mseal.rst`.

use core::ops::Range;

use abi::errno::Result;
use abi::{Errno, Error};

use super::area::{Area, Flags};
use super::space::{Space, State};
use super::{Prot, is_aligned, page_up};

/// What a change of a sealed area gets.
pub(super) const SEALED: Error = Errno::EPERM.because("the memory is sealed (mseal)");

impl Space {
    /// Seals a range for good: no unmapping, moving, replacing or protecting, nor dropping of contents
    /// that the program may not write.
    ///
    /// # Errors
    /// EINVAL for an unaligned address or an overflow; ENOMEM for a hole: nothing is sealed then.
    pub fn seal(&self, address: u64, len: u64) -> Result<()> {
        if !is_aligned(address) {
            return Err(Errno::EINVAL.because("the address is not page-aligned"));
        }
        let end = page_up(len)
            .and_then(|len| address.checked_add(len))
            .ok_or(Errno::EINVAL.because("the range overflows"))?;
        let range = address..end;
        if range.is_empty() {
            return Ok(());
        }
        let mut state = self.state.lock();
        if !state.is_whole(&range) {
            return Err(Errno::ENOMEM.because("part of the range is not mapped"));
        }
        state.room_for(state.areas.splits(&range))?;
        state.areas.edit(&range, |_, area| area.flags |= Flags::SEALED);
        Ok(())
    }
}

impl State {
    /// Refuses a range in which something is sealed.
    ///
    /// # Errors
    /// EPERM.
    pub(crate) fn check_unsealed(&self, range: &Range<u64>) -> Result<()> {
        let is_sealed = |(_, area): (u64, &Area)| area.flags.contains(Flags::SEALED);
        if self.areas.overlapping(range).any(is_sealed) { Err(SEALED) } else { Ok(()) }
    }
}

impl Area {
    /// Sealed against advice that drops contents: the program could not write there itself.
    pub(super) fn keeps_contents(&self) -> bool {
        self.flags.contains(Flags::SEALED)
            && self.is_anonymous()
            && !self.prot.contains(Prot::WRITE)
    }
}
