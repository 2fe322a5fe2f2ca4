//! The system calls, by family. A call's function decodes, validates and delegates.
//!
//! Each family offers two functions: `at_once` finishes what needs no wait and gives `None` for what
//! it does not have or what would wait; `waiting` is asked then, and may await.

pub(crate) mod aio;
mod families;
pub mod files;
pub mod ipc;
pub mod memory;
pub mod mounts;
pub mod poll;
pub mod process;
mod refused;
pub mod security;
pub mod signals;
pub mod sockets;
pub mod system;
pub mod table;
pub mod time;
