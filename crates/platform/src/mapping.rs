//! User memory as the host maps it: the LibOS's only means to change it.

use abi::Untrusted;
use abi::errno::Result;
use abi::host::{Advice, Backing, HostCall};

use crate::gate;

/// Maps `[address, address + len)`, page-aligned, with [`abi::host::prot`] bits.
///
/// # Errors
/// The host's errno.
pub fn map(address: u64, len: u64, prot: u64, backing: Backing, offset: u64) -> Result<()> {
    Untrusted::new(gate::call(HostCall::Map, [address, len, prot, backing as u64, offset]))
        .nothing()
}

/// Changes what mapped memory admits.
///
/// # Errors
/// The host's errno.
pub fn protect(address: u64, len: u64, prot: u64) -> Result<()> {
    Untrusted::new(gate::call(HostCall::Protect, [address, len, prot, 0, 0])).nothing()
}

/// Drops memory; the range is reserved and inaccessible again.
///
/// # Errors
/// The host's errno.
pub fn unmap(address: u64, len: u64) -> Result<()> {
    Untrusted::new(gate::call(HostCall::Unmap, [address, len, 0, 0, 0])).nothing()
}

/// Gives the host advice on mapped memory.
///
/// # Errors
/// The host's errno.
pub fn advise(address: u64, len: u64, advice: Advice) -> Result<()> {
    Untrusted::new(gate::call(HostCall::Advise, [address, len, advice as u64, 0, 0])).nothing()
}

/// Moves anonymous memory to a reserved range.
///
/// # Errors
/// The host's errno.
pub fn relocate(from: u64, to: u64, len: u64) -> Result<()> {
    Untrusted::new(gate::call(HostCall::Move, [from, to, len, 0, 0])).nothing()
}
