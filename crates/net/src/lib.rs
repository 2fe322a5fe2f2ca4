//! Sockets over typed ring operations, and the loopback that stays inside.
//!
//! Trusted. Empty so far: `socket(2)` says EAFNOSUPPORT, pairs of Unix sockets live in `vfs`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
