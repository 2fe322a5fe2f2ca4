//! The only unsafe code of the LibOS: what touches registers, raw memory and the wall.
//!
//! Trusted. Everything above it is safe Rust over these rooms:
//! - [`gate`]: the way out, one place; [`io`]: typed I/O operations; [`carrier`]: how they go.
//! - [`vcpu`], [`context`], [`trap`]: virtual processors, the switch to user code and back.
//! - [`user`]: copies to and from user memory that survive any address.
//! - [`mailbox`]: what the host reports, and how idle vCPUs sleep.
//! - [`mapping`]: what the host shows of the enclave's memory at user addresses.
//! - [`arena`], [`heap`], [`budget`]: the enclave's own memory and its limit.
//! - [`ring`]: a client of io_uring that is safe against its host.
//! - [`clock`], [`random`], [`cpu`]: time, entropy, features of the processor.
//! - [`sync`]: locks that spin a little, then wait in the host.
//!
//! With the feature `hosted` it runs on an ordinary Linux process, for the tests of the crates above.
#![cfg_attr(not(any(test, feature = "hosted")), no_std)]
#![cfg_attr(not(test), deny(clippy::unwrap_used))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_ptr_alignment,
    reason = "addresses are u64 and usize by turns, which is the same on the only architecture; plain \
              moves need no alignment on it"
)]
// Without an enclave around it, the parts that enter and leave one have no callers.
#![cfg_attr(any(test, feature = "hosted"), allow(unused))]

extern crate alloc;

pub mod arena;
pub mod boot;
pub mod budget;
pub mod carrier;
pub mod clock;
pub mod context;
pub mod cpu;
mod crash;
mod extended;
pub mod gate;
pub mod heap;
pub mod io;
pub mod mailbox;
pub mod mapping;
pub mod random;
pub mod ring;
pub mod shared;
pub mod sync;
pub mod trap;
pub mod user;
pub mod vcpu;
