//! What happened, for those who may know: counters, the trace, crash reports, missing calls.
//!
//! All of it tells the host what goes on inside, so it exists only where the measured configuration
//! says debug. [`record`] writes what [`abi::trace`] lays down, with [`contents`] of arguments, [`crash`] the report of a program that
//! a signal ends, [`mod@core`] its core file, [`counters`] the JSON of `--stat`.

mod contents;
pub(crate) mod core;
mod core_notes;
pub(crate) mod counters;
pub(crate) mod crash;
pub(crate) mod record;

use ::core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use alloc::format;
use alloc::vec::Vec;

use abi::nr;
use platform::sync::Mutex;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::tally::{NUMBERS, Tally};

/// Counters and the trace of one enclave.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub struct Trace {
    calls: Tally,
    reported: [AtomicBool; NUMBERS],
    /// What happens inside may be told: the configuration says debug.
    debug: bool,
    /// Somebody outside takes records.
    decoded: bool,
    /// A trace of calls is wanted.
    on: bool,
    /// A core file is wanted.
    core: bool,
    /// Calls are looked at before they are carried out: for the trace, or for seccomp filters.
    watched: AtomicBool,
    /// Numbers that are traced; empty: all.
    filter: Vec<usize>,
    /// Records that were not handed out yet.
    buffer: Mutex<Vec<u8>>,
    /// Site counters of interception.
    pub trapped: AtomicU64,
    /// Sites that were rewritten.
    pub patched: AtomicU64,
    /// Of these, sites known from an earlier mapping, without a trap.
    pub learned: AtomicU64,
    /// Sites that stay traps.
    pub unpatched: AtomicU64,
}

impl Trace {
    /// Nothing counted. `debug`: what the measured configuration says; `decoded`: somebody takes
    /// records; `filter`: names of calls to trace, comma-separated, or `None` for no trace; `core`: a core
    /// file is wanted of a program that a signal ends.
    pub fn new(debug: bool, decoded: bool, filter: Option<&[u8]>, core: bool) -> Self {
        let decoded = debug && decoded;
        let names = filter.unwrap_or_default().split(|byte| *byte == b',');
        let numbers = names
            .filter_map(|name| (0..NUMBERS).find(|n| nr::name(*n).map(str::as_bytes) == Some(name)))
            .collect();
        Self {
            calls: Tally::new(),
            reported: [const { AtomicBool::new(false) }; NUMBERS],
            debug,
            decoded,
            on: decoded && filter.is_some(),
            core: decoded && core,
            watched: AtomicBool::new(decoded && filter.is_some()),
            filter: numbers,
            buffer: Mutex::new(Vec::new()),
            trapped: AtomicU64::new(0),
            patched: AtomicU64::new(0),
            learned: AtomicU64::new(0),
            unpatched: AtomicU64::new(0),
        }
    }

    /// Counts a call.
    #[inline]
    pub(crate) fn count(&self, number: usize) {
        self.calls.count(number);
    }

    /// Whether calls are to be looked at: the one question that each call asks.
    #[inline]
    pub(crate) fn watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Has calls looked at from now on; a thread is restricted.
    pub(crate) fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Whether a call is to be recorded.
    #[inline]
    pub(crate) fn wants(&self, number: usize) -> bool {
        self.on && (self.filter.is_empty() || self.filter.contains(&number))
    }

    /// Says once that a call is missing. Numbers without a name are what programs probe with: nothing
    /// is said about them.
    pub(crate) fn unsupported(&self, cx: &Context<'_>, number: usize, args: &Arguments) {
        let Some(name) = nr::name(number).filter(|_| self.debug) else { return };
        if self.reported[number.min(NUMBERS - 1)].swap(true, Ordering::Relaxed) {
            return;
        }
        let args = args.0.map(|word| format!("{word:#x}")).join(", ");
        let why = format!("{name}({args}) is not supported: ENOSYS (process {})", cx.process.pid);
        if self.on {
            record::missing(cx, number, &why);
        } else {
            platform::boot::message(&format!("adyton: {why}\n"));
        }
    }
}
