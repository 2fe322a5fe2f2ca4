//! Contents of files in the enclave's memory, and where they come from.
//!
//! Trusted. Knows neither names nor processes.
//! - [`pages`]: the cached contents of one file, over an optional [`pages::Backing`].
//! - [`exposed`]: files that mappings have changed, until the backing knows.
//! - [`reclaim`]: giving clean cached contents up when memory runs short.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)
)]

extern crate alloc;

pub mod exposed;
pub mod pages;
pub mod quota;
pub mod reclaim;
