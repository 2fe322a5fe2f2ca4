//! Seccomp: the calls that threads have given up.
//!
//! A thread has no filters, is in strict mode, or has a list of filters, of which each call runs all;
//! the strictest answer counts. A new thread inherits the list, and execve keeps it. Threads without
//! filters pay nothing: [`crate::trace::Trace`] holds one word that says whether calls are watched at
//! all, by a trace or since some thread has installed a filter.
//!
//! Source: seccomp(2), `kernel/seccomp.c` for what the manual page leaves open.

pub mod bpf;
pub(crate) mod enforce;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;

use crate::process::Thread;
use bpf::Data;

/// The most instructions that one thread's filters may have, each filter counted as four more.
const INSTRUCTIONS_MAX: usize = 32_768;
const PER_FILTER: usize = 4;
/// The most that all filters of the enclave may have: 32 MiB.
const EVERYWHERE_MAX: usize = 4 << 20;

static EVERYWHERE: AtomicUsize = AtomicUsize::new(0);

/// What is done about a call, strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The process ends as by an unhandled SIGSYS.
    KillProcess,
    /// The thread ends.
    KillThread,
    /// SIGSYS, with these 16 bits in `si_errno`.
    Trap,
    /// The call gives this error.
    Errno,
    /// A supervisor is asked: there is none.
    Notify,
    /// A tracer is asked: there is none.
    Trace,
    /// Allowed, and logged.
    Log,
    /// Allowed.
    Allow,
}

impl Action {
    /// By the upper half of what a filter returns; what is unknown kills.
    pub fn of(value: u32) -> Self {
        Self::known(value & 0xffff_0000).unwrap_or(Self::KillProcess)
    }

    /// By its whole number, as `SECCOMP_GET_ACTION_AVAIL` names it.
    pub fn known(number: u32) -> Option<Self> {
        Some(match number {
            0x8000_0000 => Self::KillProcess,
            0 => Self::KillThread,
            0x0003_0000 => Self::Trap,
            0x0005_0000 => Self::Errno,
            0x7fc0_0000 => Self::Notify,
            0x7ff0_0000 => Self::Trace,
            0x7ffc_0000 => Self::Log,
            0x7fff_0000 => Self::Allow,
            _ => return None,
        })
    }
}

/// One filter.
pub struct Filter {
    program: bpf::Program,
}

impl Filter {
    /// A filter with a checked program.
    ///
    /// # Errors
    /// ENOMEM when all filters of the enclave together would be too long.
    pub fn new(program: bpf::Program) -> Result<Arc<Self>> {
        let len = program.len();
        if EVERYWHERE.fetch_add(len, Ordering::Relaxed) + len > EVERYWHERE_MAX {
            EVERYWHERE.fetch_sub(len, Ordering::Relaxed);
            return Err(Errno::ENOMEM.because("the enclave's seccomp filters are too long"));
        }
        Ok(Arc::new(Self { program }))
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        EVERYWHERE.fetch_sub(self.program.len(), Ordering::Relaxed);
    }
}

/// Filters, oldest first.
type Filters = Arc<Vec<Arc<Filter>>>;

/// What a thread is restricted to.
#[derive(Clone, Default)]
pub enum State {
    /// Nothing.
    #[default]
    None,
    /// read, write, exit and sigreturn.
    Strict,
    /// What these filters allow.
    Filters(Filters),
}

impl State {
    /// The mode, as `/proc/PID/status` shows it, and how many filters there are.
    pub fn shown(&self) -> (u8, usize) {
        match self {
            Self::None => (0, 0),
            Self::Strict => (1, 0),
            Self::Filters(filters) => (2, filters.len()),
        }
    }

    /// Whether every filter here is one of `other`'s, in the same order.
    fn is_ancestor_of(&self, other: &[Arc<Filter>]) -> bool {
        match self {
            Self::None => true,
            Self::Strict => false,
            Self::Filters(own) => match (own.last(), other.get(own.len().wrapping_sub(1))) {
                (Some(last), Some(there)) => Arc::ptr_eq(last, there),
                (last, _) => last.is_none(),
            },
        }
    }
}

/// A thread's state. Written by the thread itself, or by another one that synchronises all.
pub struct Seccomp(Mutex<State>);

impl Default for Seccomp {
    fn default() -> Self {
        Self(Mutex::new(State::None))
    }
}

impl Seccomp {
    /// The state now.
    pub fn get(&self) -> State {
        self.0.lock().clone()
    }

    /// Takes over another thread's state.
    pub fn set(&self, state: State) {
        *self.0.lock() = state;
    }
}

/// Puts a thread into strict mode.
///
/// # Errors
/// EINVAL when it has filters.
pub fn set_strict(thread: &Thread) -> Result<()> {
    let mut state = thread.seccomp.0.lock();
    if matches!(*state, State::Filters(_)) {
        return Err(Errno::EINVAL.because("the thread has filters"));
    }
    *state = State::Strict;
    Ok(())
}

/// Adds a filter to a thread; with `all` to all threads of its process, where each must have what the
/// caller has, or less.
///
/// # Errors
/// EINVAL in strict mode, ENOMEM for too many instructions. `Ok(Some(tid))`: nothing is done, since that
/// thread has other filters.
pub fn add(thread: &Thread, filter: Arc<Filter>, all: bool) -> Result<Option<u32>> {
    // Keeps threads from being made meanwhile, which would inherit the old state.
    let threads = thread.process.threads.lock();
    let old: Filters = match thread.seccomp.get() {
        State::None => Arc::default(),
        State::Strict => return Err(Errno::EINVAL.because("the thread is in strict mode")),
        State::Filters(filters) => filters,
    };
    let held: usize = old.iter().map(|filter| filter.program.len() + PER_FILTER).sum();
    if held + filter.program.len() > INSTRUCTIONS_MAX {
        return Err(Errno::ENOMEM.because("the thread's filters are too long"));
    }
    let others = || threads.values().filter(|other| other.tid != thread.tid && all);
    if let Some(other) = others().find(|other| !other.seccomp.0.lock().is_ancestor_of(&old)) {
        return Ok(Some(other.tid));
    }
    let mut filters = Vec::with_capacity(old.len() + 1);
    filters.extend(old.iter().cloned());
    filters.push(filter);
    let state = State::Filters(Arc::new(filters));
    let own = thread.attributes.get().no_new_privileges;
    for other in others() {
        other.seccomp.set(state.clone());
        if own {
            other.attributes.change(|values| values.no_new_privileges = true);
        }
    }
    thread.seccomp.set(state);
    Ok(None)
}

/// What the filters say of a call, with 16 bits of the deciding one: the newest of the strictest.
pub fn judge(filters: &[Arc<Filter>], data: &Data) -> (Action, u16) {
    let mut verdict = (Action::Allow, 0);
    for filter in filters.iter().rev() {
        let value = filter.program.run(data);
        let action = Action::of(value);
        if action < verdict.0 {
            verdict = (action, u16::try_from(value & 0xffff).unwrap_or_default());
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::{Action, Filter, Filters, State, bpf, judge};
    use alloc::sync::Arc;

    fn answering(value: u32) -> Arc<Filter> {
        let program = bpf::Program::new(&[bpf::Instruction::new(0x06, 0, 0, value)]);
        Filter::new(program.expect("one return")).expect("short")
    }

    #[test]
    fn the_strictest_counts_and_of_alike_ones_the_newest() {
        let data = bpf::Data::new(0, 0, [0; 6]);
        let filters = [0x7fff_0000, 0x0005_0001, 0x0005_0002, 0x7ffc_0000].map(answering);
        assert_eq!(judge(&filters, &data), (Action::Errno, 2));
        assert_eq!(judge(&[answering(0x0004_0000)], &data).0, Action::KillProcess);
        assert_eq!(judge(&[], &data).0, Action::Allow);
        assert!(Action::KillProcess < Action::KillThread && Action::Log < Action::Allow);
    }

    #[test]
    fn ancestry_is_a_common_beginning() {
        let [first, second, other] = [answering(0), answering(0), answering(0)];
        let of = |list: &[&Arc<Filter>]| -> Filters {
            Arc::new(list.iter().map(|filter| Arc::clone(filter)).collect())
        };
        let long = of(&[&first, &second]);
        assert!(State::None.is_ancestor_of(&long));
        assert!(!State::Strict.is_ancestor_of(&long));
        assert!(State::Filters(of(&[&first])).is_ancestor_of(&long));
        assert!(State::Filters(of(&[&first, &second])).is_ancestor_of(&long));
        assert!(!State::Filters(of(&[&first, &other])).is_ancestor_of(&long));
        assert!(!State::Filters(of(&[&first, &second, &other])).is_ancestor_of(&long));
    }
}
