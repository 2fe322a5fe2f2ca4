//! Numbers of processes and threads, and who has them.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use platform::sync::Mutex;

use crate::process::{Process, Thread};

/// The largest number plus one, as /proc/sys/kernel/pid_max says.
pub const NUMBERS: u32 = 4_194_304;

/// The first process's number, which nobody gets again.
pub const FIRST: u32 = 1;

/// Who has which number.
pub struct Registry {
    inner: Mutex<Inner>,
}

struct Inner {
    next: u32,
    /// There is, or was, a first process.
    begun: bool,
    threads: BTreeMap<u32, Weak<Thread>>,
    processes: BTreeMap<u32, Weak<Process>>,
}

impl Registry {
    /// Nobody yet; the first number given is 1.
    pub fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                next: FIRST,
                begun: false,
                threads: BTreeMap::new(),
                processes: BTreeMap::new(),
            }),
        }
    }

    /// A number that nobody has; `None` when all are taken.
    pub fn allocate(&self) -> Option<u32> {
        let mut inner = self.inner.lock();
        for _ in 0..NUMBERS {
            let number = inner.next;
            inner.next = if number + 1 >= NUMBERS { FIRST + 1 } else { number + 1 };
            if !inner.threads.contains_key(&number) && !inner.processes.contains_key(&number) {
                return Some(number);
            }
        }
        None
    }

    /// Whether a thread or a process has this number.
    pub fn is_taken(&self, number: u32) -> bool {
        let inner = self.inner.lock();
        inner.threads.contains_key(&number) || inner.processes.contains_key(&number)
    }

    /// Registers a process.
    pub fn add_process(&self, process: &Arc<Process>) {
        let mut inner = self.inner.lock();
        inner.begun = true;
        inner.processes.insert(process.pid, Arc::downgrade(process));
    }

    /// Whether there is, or was, a first process.
    pub fn has_begun(&self) -> bool {
        self.inner.lock().begun
    }

    /// Registers a thread.
    pub fn add_thread(&self, thread: &Arc<Thread>) {
        self.inner.lock().threads.insert(thread.tid, Arc::downgrade(thread));
    }

    /// Forgets a thread.
    pub fn remove_thread(&self, tid: u32) {
        self.inner.lock().threads.remove(&tid);
    }

    /// Forgets a process.
    pub fn remove_process(&self, pid: u32) {
        self.inner.lock().processes.remove(&pid);
    }

    /// The thread with a number.
    pub fn thread(&self, tid: u32) -> Option<Arc<Thread>> {
        self.inner.lock().threads.get(&tid)?.upgrade()
    }

    /// The process with a number.
    pub fn process(&self, pid: u32) -> Option<Arc<Process>> {
        self.inner.lock().processes.get(&pid)?.upgrade()
    }

    /// All processes.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.inner.lock().processes.values().filter_map(Weak::upgrade).collect()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}
