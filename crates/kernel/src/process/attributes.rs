//! What a thread is set to that changes no result of a call, or only a later one's.
//!
//! Source: sched(7), personality(2), prctl(2).

use platform::sync::Mutex;

use crate::memory::policy::Policy;
use crate::process::settings::EarlyKill;

/// Settings of a thread.
pub struct Attributes(Mutex<Values>);

/// The values of [`Attributes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of prctl(2)")]
pub struct Values {
    /// `SCHED_OTHER` and so on.
    pub policy: u32,
    /// Static priority, for real-time policies.
    pub priority: u32,
    /// -20 to 19.
    pub nice: i32,
    /// Time slice that was asked for, ns; 0: the usual one.
    pub slice: u64,
    /// `SCHED_RESET_ON_FORK`: children start with the defaults.
    pub reset_on_fork: bool,
    /// `ioprio_set(2)`'s value.
    pub io_priority: u32,
    /// personality(2)'s value.
    pub personality: u32,
    /// `PR_SET_PDEATHSIG`'s signal; 0 none.
    pub parent_death_signal: u8,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// `PR_SET_KEEPCAPS`.
    pub keep_capabilities: bool,
    /// `PR_SET_IO_FLUSHER`.
    pub io_flusher: bool,
    /// `PR_MCE_KILL`.
    pub early_kill: EarlyKill,
    /// `PR_SET_TIMERSLACK`, ns.
    pub timer_slack: u64,
    /// `set_mempolicy(2)`'s policy.
    pub nodes: Option<Policy>,
}

/// Linux's default timer slack, ns.
pub const TIMER_SLACK: u64 = 50_000;

impl Attributes {
    /// As the first process starts.
    pub const fn new() -> Self {
        Self(Mutex::new(Values {
            policy: 0,
            priority: 0,
            nice: 0,
            slice: 0,
            reset_on_fork: false,
            io_priority: 0,
            personality: 0,
            parent_death_signal: 0,
            no_new_privileges: false,
            keep_capabilities: false,
            io_flusher: false,
            early_kill: EarlyKill::Default,
            timer_slack: TIMER_SLACK,
            nodes: None,
        }))
    }

    /// The values now.
    pub fn get(&self) -> Values {
        *self.0.lock()
    }

    /// Changes them.
    pub fn change<T>(&self, change: impl FnOnce(&mut Values) -> T) -> T {
        change(&mut self.0.lock())
    }

    /// Takes over what a new thread or process inherits from `parent`.
    pub fn inherit(&self, parent: &Self) {
        let mut values = parent.get();
        values.parent_death_signal = 0;
        if values.reset_on_fork {
            values.reset_on_fork = false;
            values.policy = 0;
            values.priority = 0;
            values.nice = values.nice.max(0);
        }
        *self.0.lock() = values;
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self::new()
    }
}
