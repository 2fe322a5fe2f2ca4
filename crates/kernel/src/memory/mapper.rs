//! Effects on the host's view of user memory.

use abi::errno::Result;
use abi::host::{Advice, Backing};

use super::Prot;

/// Carries out what a space decides, on a lane of that space.
///
/// Addresses and lengths are page-aligned and lie in the user region. Everything that is not mapped
/// is reserved and inaccessible.
///
/// # Errors
/// What the host answers; ENOMEM when it has no memory or no room for another mapping. A call that
/// fails has changed nothing.
pub trait Mapper: Send + Sync {
    /// Maps `backing` at `address`, in place of what was there.
    fn map(&self, address: u64, len: u64, prot: Prot, backing: Backing, offset: u64) -> Result<()>;

    /// Changes what mapped memory admits.
    fn protect(&self, address: u64, len: u64, prot: Prot) -> Result<()>;

    /// Protects anew what is mapped so already, because somebody faulted there all the same.
    fn repair(&self, address: u64, len: u64, prot: Prot) -> Result<()> {
        self.protect(address, len, prot)
    }

    /// Drops what is mapped; the range is reserved again.
    fn unmap(&self, address: u64, len: u64) -> Result<()>;

    /// Advises on mapped memory.
    fn advise(&self, address: u64, len: u64, advice: Advice) -> Result<()>;

    /// Moves private memory; `from` is reserved again.
    fn relocate(&self, from: u64, to: u64, len: u64) -> Result<()>;
}
