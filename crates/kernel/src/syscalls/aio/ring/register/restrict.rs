//! What a ring may be used for, told before it is enabled.

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;

use super::super::Ring;
use super::super::entry::Entry;
use crate::context::Context;

/// What is allowed, as sets of bits.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Restrictions {
    registrations: u64,
    operations: u64,
    allowed: u8,
    required: u8,
}

impl Restrictions {
    /// EACCES for an entry that is not allowed.
    pub(in super::super) fn check(&self, entry: &Entry) -> Result<()> {
        let flags = entry.raw_flags;
        let allowed = self.operations & bit(entry.opcode.into()) != 0
            && flags & self.required == self.required
            && flags & !(self.allowed | self.required) == 0;
        if allowed { Ok(()) } else { Err(Errno::EACCES.because("the ring's restrictions")) }
    }

    /// EACCES for a registration that is not allowed.
    pub(super) fn check_registration(&self, operation: u32) -> Result<()> {
        let allowed = self.registrations & bit(operation) != 0;
        if allowed { Ok(()) } else { Err(Errno::EACCES.because("the ring's restrictions")) }
    }
}

fn bit(number: u32) -> u64 {
    1_u64.checked_shl(number).unwrap_or(0)
}

/// `IORING_REGISTER_RESTRICTIONS`.
pub(super) fn restrict(cx: &Context<'_>, ring: &Ring, address: u64, count: u32) -> Result<u64> {
    {
        let state = ring.lock();
        if state.enabled {
            return Err(Errno::EBADFD.because("the ring is enabled"));
        }
        if state.restrictions.is_some() {
            return Err(Errno::EBUSY.because("there are restrictions"));
        }
    }
    if address == 0 || count > 128 {
        return Err(Errno::EINVAL.because("no restrictions, or too many"));
    }
    // What is meant, of what, and words that mean nothing.
    let given: Vec<[u8; 16]> = cx.read_vec(address, count as usize)?;
    let mut restrictions = Restrictions::default();
    for [low, high, argument, ..] in given {
        match u16::from_le_bytes([low, high]) {
            0 if argument < 38 => restrictions.registrations |= bit(argument.into()),
            1 if argument < 64 => restrictions.operations |= bit(argument.into()),
            2 => restrictions.allowed = argument,
            3 => restrictions.required = argument,
            _ => return Err(Errno::EINVAL.because("no such restriction")),
        }
    }
    ring.lock().restrictions = Some(restrictions);
    Ok(0)
}
