//! What prctl(2) sets for a whole process.

use core::sync::atomic::{AtomicBool, Ordering};

use platform::sync::Mutex;

/// Settings that the threads of a process share.
pub struct Shared {
    values: Mutex<Settings>,
    /// [`Settings::write_exec_denied`] is not 0.
    pub denies_write_exec: AtomicBool,
}

/// The values of [`Shared`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `PR_SET_CHILD_SUBREAPER`.
    pub subreaper: bool,
    /// `PR_SET_THP_DISABLE`'s answer: 0, 1 or 3.
    pub no_huge_pages: u64,
    /// `PR_SET_MEMORY_MERGE`. Nothing is merged here, as on a Linux whose KSM is stopped.
    pub merges_memory: bool,
    /// `PR_SET_MDWE`'s flags.
    pub write_exec_denied: u64,
    /// `PR_FUTEX_HASH_SET_SLOTS`, if it was asked for.
    pub futex_slots: Option<u32>,
}

/// When a thread learns of broken memory: `PR_MCE_KILL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyKill {
    /// When it touches it.
    Late = 0,
    /// At once.
    Early = 1,
    /// As the system says.
    Default = 2,
}

impl Shared {
    /// As a process starts.
    pub const fn new() -> Self {
        let values = Settings {
            subreaper: false,
            no_huge_pages: 0,
            merges_memory: false,
            write_exec_denied: 0,
            futex_slots: None,
        };
        Self { values: Mutex::new(values), denies_write_exec: AtomicBool::new(false) }
    }

    /// The values now.
    pub fn get(&self) -> Settings {
        *self.values.lock()
    }

    /// Changes them.
    pub fn change<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> T {
        let mut values = self.values.lock();
        let result = change(&mut values);
        self.denies_write_exec.store(values.write_exec_denied != 0, Ordering::Relaxed);
        result
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}
