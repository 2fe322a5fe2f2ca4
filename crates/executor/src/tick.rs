//! The preemption tick: on while somebody waits and somebody computes, off otherwise.
//!
//! Switching it costs an exit, so it is switched off late: at a tick, when several in a row found
//! nobody waiting, or when the last vCPU goes to sleep.

use crate::machine::Machine;
use crate::sync::{AtomicBool, AtomicU32, Mutex, Ordering, fence};

/// So many ticks in a row must find nobody waiting before the tick is switched off.
const CALM_TICKS: u32 = 4;

/// Whether the tick runs.
pub(crate) struct Tick {
    on: AtomicBool,
    calm: AtomicU32,
    /// Held while the machine is told, so that it is told in the order of the decisions.
    switching: Mutex<()>,
}

impl Tick {
    pub(crate) fn new() -> Self {
        Self { on: AtomicBool::new(false), calm: AtomicU32::new(0), switching: Mutex::new(()) }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Switches the tick on.
    #[cold]
    pub(crate) fn arm(&self, machine: &dyn Machine) {
        let _switching = self.switching.lock();
        self.calm.store(0, Ordering::Relaxed);
        if !self.on.load(Ordering::Relaxed) {
            self.on.store(true, Ordering::Relaxed);
            machine.set_tick(true);
        }
    }

    /// Switches the tick off unless `wanted` says otherwise after it was announced.
    #[cold]
    pub(crate) fn disarm(&self, machine: &dyn Machine, wanted: impl FnOnce() -> bool) {
        let _switching = self.switching.lock();
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        // Whoever queues a task does so before it looks at `on`: with this fence and its own, either it
        // sees the tick off and arms it, or `wanted` sees its task.
        self.on.store(false, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if wanted() {
            self.on.store(true, Ordering::Relaxed);
        } else {
            machine.set_tick(false);
        }
    }

    /// Notes a tick that found somebody waiting.
    pub(crate) fn needed(&self) {
        self.calm.store(0, Ordering::Relaxed);
    }

    /// Notes a tick that found nobody waiting; true if it is time to switch off.
    pub(crate) fn unneeded(&self) -> bool {
        self.calm.fetch_add(1, Ordering::Relaxed) + 1 >= CALM_TICKS
    }
}
