//! One thread of a process.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use executor::Task;
use platform::shared::Shared;
use platform::sync::{Mutex, Once};
use vfs::object::OpenFile;

use crate::process::Process;
use crate::process::attributes::Attributes;
use crate::process::futex::Waiter;
use crate::process::rseq::Rseq;
use crate::process::seccomp::Seccomp;
use crate::signal::ThreadSignals;

/// A thread: what its task and others need to know of it.
pub struct Thread {
    /// Thread id, unique in the enclave.
    pub tid: u32,
    /// Its process.
    pub process: Arc<Process>,
    /// Mask, pending signals, alternate stack.
    pub signals: ThreadSignals,
    /// Word that is cleared and woken when the thread ends; 0 none.
    pub clear_child_tid: AtomicU64,
    /// Its restartable sequences.
    pub rseq: Rseq,
    /// Head of the robust futex list; 0 none.
    pub robust_list: AtomicU64,
    /// Where it stands while it waits on a word.
    pub futex: Shared<Waiter>,
    /// The priority-inheriting lock that it waits for; 0 none.
    pub waits_on: AtomicU64,
    /// The calls that it has given up.
    pub seccomp: Seccomp,
    /// Priority, personality and the like.
    pub attributes: Attributes,
    /// Its name, NUL-padded.
    pub name: Mutex<[u8; 16]>,
    /// The thread alone must end (exec, exit of its process).
    pub ending: AtomicBool,
    /// What it gave exit(2), shifted as wait(2) tells it.
    pub exit_status: AtomicU32,
    /// Nanoseconds in user code and in the LibOS on its behalf.
    pub cpu_time: AtomicU64,
    /// Monotonic ns at which the present time slice began; 0 while it does not run.
    pub slice_started: AtomicU64,
    /// Its rings, by the index that `io_uring_enter(2)` takes in place of a descriptor.
    pub rings: Mutex<Vec<Option<Arc<OpenFile>>>>,
    task: Once<Shared<Task>>,
}

impl Thread {
    /// A thread that has no task yet.
    pub fn new(
        tid: u32,
        process: Arc<Process>,
        signals: ThreadSignals,
        name: [u8; 16],
    ) -> Arc<Self> {
        Arc::new(Self {
            tid,
            process,
            signals,
            clear_child_tid: AtomicU64::new(0),
            rseq: Rseq::new(),
            robust_list: AtomicU64::new(0),
            futex: Waiter::new(),
            waits_on: AtomicU64::new(0),
            seccomp: Seccomp::default(),
            attributes: Attributes::new(),
            name: Mutex::new(name),
            ending: AtomicBool::new(false),
            exit_status: AtomicU32::new(0),
            cpu_time: AtomicU64::new(0),
            slice_started: AtomicU64::new(0),
            rings: Mutex::new(Vec::new()),
            task: Once::new(),
        })
    }

    /// Tells the thread which task it is.
    pub fn set_task(&self, task: Shared<Task>) {
        self.task.set(task);
    }

    /// The task, once there is one.
    pub fn task(&self) -> Option<&Shared<Task>> {
        self.task.get()
    }

    /// Makes the thread look at what is pending for it: its waits end, its user code is interrupted.
    pub fn notify(&self) {
        if let Some(task) = self.task.get() {
            Task::wake(task);
        }
        platform::vcpu::interrupt(self.tid);
    }

    /// Whether a wait must end: a signal can be delivered, or the thread has to end.
    pub fn must_attend(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
            || self.process.ending.load(Ordering::Relaxed)
            || self.signals.deliverable(&self.process.signals)
    }

    /// Whether a wait that no handler interrupts must end as well: the thread or its process ends.
    pub fn must_end(&self) -> bool {
        self.must_attend()
            && (self.ending.load(Ordering::Relaxed)
                || self.process.ending.load(Ordering::Relaxed)
                || self.signals.ends_process(&self.process.signals))
    }
}
