//! Tasks on vCPUs: N futures share P virtual processors.
//!
//! Trusted. It knows neither system calls nor user code: a user thread is one future that returns
//! `Pending` when it blocks or is preempted. What it needs of the platform is the [`Machine`] trait,
//! so the same code runs in the enclave, on threads of an ordinary process, and under a model checker.
//!
//! - [`Executor`], [`Task`]: queues, stealing, wake-ups, preemption on demand, idling.
//! - [`timer`]: sleeping until an instant, giving up after one.
//! - [`wait_queue`]: waiting for somebody's word; one per pipe end, futex, child and so on.
//! - [`yield_now`]: letting the others go first.
#![cfg_attr(not(any(test, loom)), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)
)]

extern crate alloc;

mod counters;
mod executor;
mod idle;
mod machine;
mod queue;
mod sync;
mod task;
mod tick;
pub mod timer;
pub mod wait_queue;
mod yielding;

pub use counters::Counters;
pub use executor::{Executor, MAX_VCPUS};
pub use machine::Machine;
pub use task::Task;
pub use yielding::{YieldNow, yield_now};
