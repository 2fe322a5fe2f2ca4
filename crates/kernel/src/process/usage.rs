//! Processor time and memory that a process has used.
//!
//! Source: getrusage(2), times(2). Time is not split into the program's own and the system's: what
//! a call takes in the LibOS counts as the program's.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use platform::clock;

use crate::process::{Process, Thread};

/// What remains of threads and children that have ended.
#[derive(Debug, Default)]
pub struct Usage {
    ended_threads: AtomicU64,
    children: AtomicU64,
    children_peak: AtomicU64,
    /// The membarrier(2) commands that the process has registered for.
    pub(crate) barriers: AtomicU32,
}

impl Usage {
    /// Nothing used yet.
    pub const fn new() -> Self {
        Self {
            ended_threads: AtomicU64::new(0),
            children: AtomicU64::new(0),
            children_peak: AtomicU64::new(0),
            barriers: AtomicU32::new(0),
        }
    }

    /// Keeps the time of a thread that leaves the process's table.
    pub fn add_thread(&self, thread: &Thread) {
        self.ended_threads.fetch_add(thread.cpu_used(), Ordering::Relaxed);
    }

    /// Keeps what a child used that was waited for.
    pub fn add_child(&self, child: &Process) {
        let time = child.cpu_time().saturating_add(child.usage.children());
        self.children.fetch_add(time, Ordering::Relaxed);
        let peak = child.memory.statistics().peak;
        let deepest = peak.max(child.usage.children_peak());
        self.children_peak.fetch_max(deepest, Ordering::Relaxed);
    }

    /// Processor time of children that were waited for, ns.
    pub fn children(&self) -> u64 {
        self.children.load(Ordering::Relaxed)
    }

    /// The most memory that one of them held, bytes.
    pub fn children_peak(&self) -> u64 {
        self.children_peak.load(Ordering::Relaxed)
    }
}

impl Process {
    /// Processor time of all its threads, living and ended, ns.
    pub fn cpu_time(&self) -> u64 {
        let threads = self.threads.lock();
        let living: u64 = threads.values().map(|thread| thread.cpu_used()).sum();
        living.saturating_add(self.usage.ended_threads.load(Ordering::Relaxed))
    }
}

impl Thread {
    /// Processor time, its present slice included, ns.
    pub fn cpu_used(&self) -> u64 {
        let started = self.slice_started.load(Ordering::Relaxed);
        let slice = if started == 0 { 0 } else { clock::now().saturating_sub(started) };
        self.cpu_time.load(Ordering::Relaxed).saturating_add(slice)
    }
}
