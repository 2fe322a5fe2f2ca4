//! Processes, signals, memory and system calls: Linux, as one program sees it.
//!
//! Trusted. `syscalls` decode, validate and delegate; the objects live in [`process`], [`signal`],
//! [`memory`] and below them in `vfs`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)
)]

extern crate alloc;

pub mod arguments;
pub mod context;
pub mod memory;
pub mod process;
mod roots;
pub mod signal;
pub mod start;
pub mod syscalls;
pub mod tally;
pub mod trace;

use executor::Executor;
use platform::sync::{Mutex, Once};

use crate::process::futex::Futexes;
use crate::process::registry::Registry;

/// What all processes share. One for the enclave, never dropped.
pub struct Kernel {
    /// Runs the tasks.
    pub executor: &'static Executor,
    /// Processes and threads by number.
    pub registry: Registry,
    /// Who waits on user words.
    pub futexes: Futexes,
    /// The tree of mounts.
    pub mounts: alloc::sync::Arc<vfs::mount::MountTree>,
    /// Counters and the trace.
    pub trace: trace::Trace,
    /// The file systems of which there is one only, mounted or not: devtmpfs, sysfs.
    pub once: Once<[alloc::sync::Arc<vfs::mount::FileSystem>; 2]>,
    /// Name of the host that programs see.
    pub hostname: Mutex<alloc::vec::Vec<u8>>,
    /// The machine's domain, as uname(2) tells it.
    pub domainname: Mutex<alloc::vec::Vec<u8>>,
    /// What the measured configuration and the plan say.
    pub settings: start::Settings,
}
