//! What both sides of the enclave's wall agree on: numbers and byte layouts, no behaviour.
//!
//! Shared by the LibOS (trusted) and the runner (untrusted); Python reads the same layouts from
//! [`plan`], and a test holds the two together. Everything is little-endian, `repr(C)`, without
//! implicit padding.
//!
//! - [`errno`], [`nr`]: Linux's error and system call numbers.
//! - [`layout`]: where things lie in an enclave's range.
//! - [`plan`]: what Python tells the runner.
//! - [`host`]: the calls that leave the enclave; [`io`]: the typed I/O operations among them.
//! - [`ring`]: the same operations as entries of rings in shared memory.
//! - [`trace`]: what a debug enclave tells of its calls.
//! - [`trap`]: how an interrupted register state crosses the wall.
//! - [`untrusted`]: the wrapper around everything that the host returns.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod errno;
pub mod host;
pub mod io;
pub mod layout;
pub mod nr;
pub mod plan;
pub mod ring;
pub mod trace;
pub mod trap;
pub mod untrusted;

pub use errno::{Errno, Error, Result};
pub use untrusted::Untrusted;
