//! The run queue of one vCPU: first in, first out, with its length readable without the lock.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::sync::{AtomicUsize, Mutex, Ordering};
use crate::task::Runnable;

/// Tasks that wait for a vCPU.
pub(crate) struct RunQueue {
    /// Written under the lock only.
    length: AtomicUsize,
    tasks: Mutex<VecDeque<Runnable>>,
}

impl RunQueue {
    pub(crate) fn new() -> Self {
        Self { length: AtomicUsize::new(0), tasks: Mutex::new(VecDeque::new()) }
    }

    /// How many wait; may be out of date at once.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// Appends a task and returns how many wait now.
    pub(crate) fn push(&self, task: Runnable) -> usize {
        let mut tasks = self.tasks.lock();
        tasks.push_back(task);
        let length = tasks.len();
        self.length.store(length, Ordering::Relaxed);
        length
    }

    /// Appends several in order.
    pub(crate) fn append(&self, more: &mut Vec<Runnable>) {
        let mut tasks = self.tasks.lock();
        tasks.extend(more.drain(..));
        self.length.store(tasks.len(), Ordering::Relaxed);
    }

    /// Takes the first task.
    pub(crate) fn pop(&self) -> Option<Runnable> {
        if self.len() == 0 {
            return None;
        }
        let mut tasks = self.tasks.lock();
        let first = tasks.pop_front();
        self.length.store(tasks.len(), Ordering::Relaxed);
        first
    }

    /// Puts `last` behind the others and takes the first, in one step.
    #[inline]
    pub(crate) fn rotate(&self, last: Runnable) -> Runnable {
        if self.len() == 0 {
            return last;
        }
        let mut tasks = self.tasks.lock();
        match tasks.pop_front() {
            Some(first) => {
                tasks.push_back(last);
                first
            }
            None => last,
        }
    }

    /// Moves up to `count` of the longest waiting tasks that `thief` may run into `taken`.
    pub(crate) fn take_for(&self, thief: usize, count: usize, taken: &mut Vec<Runnable>) {
        let mut tasks = self.tasks.lock();
        let mut at = 0;
        while taken.len() < count && at < tasks.len() {
            let fits = tasks.get(at).is_some_and(|entry| entry.task.may_run(thief));
            if !fits {
                at += 1;
            } else if let Some(task) = tasks.remove(at) {
                taken.push(task);
            }
        }
        self.length.store(tasks.len(), Ordering::Relaxed);
    }
}
