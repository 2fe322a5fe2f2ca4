//! Files as Linux has them: objects, open descriptions, names, mounts, and the file systems.
//!
//! Trusted. Knows neither processes nor user memory: it is handed credentials, and sinks and sources
//! of bytes. Every operation is an attempt that finishes at once or says what it waits for
//! ([`object::Stop`]); who calls decides whether to wait.
//!
//! - [`object`]: what can be opened, and [`object::OpenFile`], the open file description.
//! - [`descriptor`]: the table of descriptors; [`lock`], [`seal`]: locks and seals on files; [`credentials`]: who asks;
//!   [`extended`]: extended attributes.
//! - [`notify`]: who watches files (inotify); [`driven`]: who hears of a description by a signal.
//! - [`node`], [`dentry`], [`mount`]: inodes, their names, the tree of mounts.
//! - [`path`], [`names`], [`opening`]: the walk over names; making, moving, removing and opening them.
//! - file systems: [`tree`] (memory, over an optional lower layer), [`host`] (the host's files).
//! - objects without names: [`pipe`], [`eventfd`], [`epoll`], [`timerfd`], [`socketpair`], [`stream`] (terminal and
//!   standard streams of the host), [`device`], [`terminal`] (pseudoterminals).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)
)]

extern crate alloc;

pub mod anonymous;
pub mod credentials;
pub mod dentry;
pub mod descriptor;
pub mod device;
pub mod driven;
pub mod epoll;
pub mod eventfd;
pub mod extended;
pub mod host;
pub mod lock;
pub mod mount;
pub mod names;
pub mod node;
pub mod notify;
pub mod object;
pub mod opening;
pub mod path;
pub mod pipe;
pub mod seal;
pub mod secret;
pub mod socketpair;
pub mod stream;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod timerfd;
pub mod tree;
