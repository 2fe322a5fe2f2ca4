//! Seals of files in memory: promises that hold as long as the file lives.
//!
//! Source: fcntl(2), "File Sealing"; `memfd_create(2)`.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use abi::errno::Result;

bitflags::bitflags! {
    /// Seals, with the bits of `F_ADD_SEALS`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Seal: u32 {
        /// No more seals.
        const SEAL = 1;
        /// It keeps its length at least.
        const SHRINK = 2;
        /// It keeps its length at most.
        const GROW = 4;
        /// Its contents stay.
        const WRITE = 8;
        /// Its contents stay, but for mappings that are there.
        const FUTURE_WRITE = 16;
        /// Its permission to be run stays.
        const EXEC = 32;
    }
}

/// The seals of one file, and the mappings that could break them.
#[derive(Debug)]
pub struct Seals {
    seals: AtomicU32,
    /// Shared mappings that may be written.
    mappings: AtomicU32,
}

impl Seals {
    /// A file with some seals.
    pub fn new(seals: Seal) -> Self {
        Self { seals: AtomicU32::new(seals.bits()), mappings: AtomicU32::new(0) }
    }

    /// The seals that it has.
    pub fn get(&self) -> Seal {
        Seal::from_bits_retain(self.seals.load(Ordering::Acquire))
    }

    /// Adds seals.
    ///
    /// # Errors
    /// EPERM when no more may be added, EBUSY for WRITE while it is mapped for shared writing.
    pub fn add(&self, new: Seal) -> Result<()> {
        let old = self.get();
        if old.contains(Seal::SEAL) {
            return Err(Errno::EPERM.because("no more seals may be added"));
        }
        if new.contains(Seal::WRITE)
            && !old.contains(Seal::WRITE)
            && self.mappings.load(Ordering::Acquire) > 0
        {
            return Err(Errno::EBUSY.because("the file is mapped for shared writing"));
        }
        self.seals.fetch_or(new.bits(), Ordering::AcqRel);
        Ok(())
    }

    /// Whether `[offset, offset + len)` of a file of `size` bytes may be written.
    ///
    /// # Errors
    /// EPERM.
    pub fn check_write(&self, offset: u64, len: u64, size: u64) -> Result<()> {
        let seals = self.get();
        if seals.intersects(Seal::WRITE | Seal::FUTURE_WRITE) {
            return Err(Errno::EPERM.because("the contents are sealed"));
        }
        if seals.contains(Seal::GROW) && offset.saturating_add(len) > size {
            return Err(Errno::EPERM.because("the length is sealed"));
        }
        Ok(())
    }

    /// Whether the length may change.
    ///
    /// # Errors
    /// EPERM.
    pub fn check_length(&self, old: u64, new: u64) -> Result<()> {
        let seals = self.get();
        let refused =
            seals.contains(Seal::SHRINK) && new < old || seals.contains(Seal::GROW) && new > old;
        if refused { Err(Errno::EPERM.because("the length is sealed")) } else { Ok(()) }
    }

    /// Counts a shared mapping that may be written.
    pub fn mapped(&self) {
        self.mappings.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes one [`Seals::mapped`] back.
    pub fn unmapped(&self) {
        self.mappings.fetch_sub(1, Ordering::AcqRel);
    }
}
