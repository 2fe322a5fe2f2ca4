//! A process's user memory: what lies where, who pays for it, and how it comes to be there.
//!
//! Trusted. A [`Space`] is one process's view of user addresses. It keeps two maps: *areas*, which
//! are what the program asked for ([`area`]), and *runs*, which are what the host has been told to
//! back ([`runs`]); a page that is in an area and in no run is inaccessible in the host, and its first
//! use comes back as a fault to [`Space::populate`]. All effects on the host go through a [`Mapper`].
//!
//! - [`map`], [`protect`], [`remap`], [`heap`], [`advise`], [`lock`], `seal`: the system calls' work.
//! - [`populate`]: faults of programs and of the LibOS's own copies.
//! - [`text`]: what interception needs, private copies of text and pages near it.
//! - `original`: copies of user memory without what interception wrote; `inspect`: `/proc/PID/mem`.
//! - [`refusal`]: the one limit, and the line that says that it was reached.
//! - [`contents`]: what files and shared memory must offer to be mapped.
//!
//! Neighbours: `process` owns a space; `storage` and `vfs` provide contents; `platform` maps.

pub mod advise;
pub mod area;
mod carry;
pub mod contents;
mod file;
pub mod heap;
mod inspect;
pub mod interception;
pub mod lock;
pub mod map;
pub mod mapper;
pub mod maps;
mod nonlinear;
mod original;
mod place;
pub mod policy;
pub mod populate;
pub mod protect;
pub mod refusal;
pub mod remap;
mod request;
mod runs;
mod seal;
mod space;
pub mod text;
pub mod unmap;

#[cfg(test)]
mod tests;

pub use populate::Access;
pub use space::{Environment, Key, Limit, Space, Statistics};

use abi::layout::PAGE;

/// Bytes of a page, as a length.
pub(crate) const PAGE_BYTES: usize = 4096;

bitflags::bitflags! {
    /// What may be done with a page, with the bits of mmap(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Prot: u8 {
        /// May be read.
        const READ = 1;
        /// May be written (and, on x86, read).
        const WRITE = 2;
        /// May be executed (and, without protection keys, read).
        const EXEC = 4;
    }
}

/// `address` rounded up to a page boundary; `None` beyond the end of 64 bits.
pub(crate) fn page_up(address: u64) -> Option<u64> {
    address.checked_next_multiple_of(PAGE)
}

/// `address` rounded down to a page boundary.
pub(crate) const fn page_down(address: u64) -> u64 {
    address & !(PAGE - 1)
}

/// Whether `address` is a page boundary.
pub(crate) const fn is_aligned(address: u64) -> bool {
    address & (PAGE - 1) == 0
}

/// The part that two ranges share; empty when they share none.
pub(crate) fn common(
    a: &core::ops::Range<u64>,
    b: &core::ops::Range<u64>,
) -> core::ops::Range<u64> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// Bytes of a range.
pub(crate) const fn bytes(range: &core::ops::Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
