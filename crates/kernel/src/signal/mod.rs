//! Signals: who sent what, who gets it, and what happens then.
//!
//! Trusted. A signal is entered into a queue ([`send`]), of a thread or of a process; the thread
//! that shall take it is woken or interrupted and finds it on its way out of the LibOS
//! ([`deliver`]), where its disposition ([`action`]) says whether the process ends, stops, or runs
//! a handler, whose frame ([`frame`]) is laid on the user's stack and taken down again by
//! `rt_sigreturn`. A call that the signal interrupted is restarted or not ([`restart`]). [`restorer`] says where a handler
//! returns to.
//!
//! - [`number`], [`info`], [`queue`]: signals, `siginfo_t`, what is pending.
//! - [`state`]: what threads and processes remember; [`alternate`]: alternate stacks.
//! - [`fault`]: processor exceptions as signals.
//! - [`wait`]: sigsuspend, sigtimedwait, pause; [`descriptor`]: signalfd; [`driven`]: signals of
//!   descriptors; [`timers`]: alarms that send signals.
//!
//! Neighbours: `process` owns the states, `syscalls::signals` and `syscalls::time` call in here.

pub mod action;
pub mod alternate;
pub mod deliver;
pub mod descriptor;
pub mod driven;
pub mod fault;
pub mod frame;
pub mod info;
pub mod number;
pub mod queue;
pub mod restart;
mod restorer;
pub mod send;
pub mod state;
pub mod timers;
pub mod wait;

pub use info::Info;
pub use number::{Signal, SignalSet};
pub use send::{force, send_to_process, send_to_thread};
pub use state::{ProcessSignals, Restart, ThreadSignals};
