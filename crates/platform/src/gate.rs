//! The way out of the enclave: one place, each exit counted by cause.
//!
//! The LibOS holds no `syscall` instruction. It leaves by calling the runner's host call function on
//! the host stack of its vCPU; `--exit-cost` charges each crossing.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::host::{HOST_CALLS, HostCall};

/// Causes of exits beyond the host calls, which are counted under their own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// A system call instruction that trapped.
    Trap = 0,
    /// A processor exception.
    Fault = 1,
    /// A preemption tick or a kick.
    Preempt = 2,
}

static EXIT_COST: AtomicU64 = AtomicU64::new(0);
static CALLS: [AtomicU64; HOST_CALLS] = [const { AtomicU64::new(0) }; HOST_CALLS];
static INTERRUPTIONS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Sets the cycles that each exit and each entry are charged.
pub fn set_exit_cost(cycles: u64) {
    EXIT_COST.store(cycles, Ordering::Relaxed);
}

/// How often a host call was made.
pub fn calls(call: HostCall) -> u64 {
    CALLS[call as usize].load(Ordering::Relaxed)
}

/// How often the enclave was interrupted for a cause.
pub fn interruptions(cause: Interruption) -> u64 {
    INTERRUPTIONS[cause as usize].load(Ordering::Relaxed)
}

/// Counts and charges an interruption; called by the exception entry.
pub fn interrupted(cause: Interruption) {
    INTERRUPTIONS[cause as usize].fetch_add(1, Ordering::Relaxed);
    charge();
    charge();
}

/// Leaves the enclave for one host call. The result is the host's word.
pub fn call(call: HostCall, arguments: [u64; 5]) -> i64 {
    CALLS[call as usize].fetch_add(1, Ordering::Relaxed);
    charge();
    let result = cross(call, arguments);
    charge();
    result
}

/// Sleeps while `word` holds `expected`, until `deadline` (monotonic ns) or for ever; may return early.
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<u64>) {
    let timeout = deadline.map_or(u64::MAX, |at| at.saturating_sub(crate::clock::now()));
    call(HostCall::Wait, [core::ptr::from_ref(word) as u64, u64::from(expected), timeout, 0, 0]);
}

/// Wakes up to `count` sleepers of `word`.
pub fn wake(word: &AtomicU32, count: u32) {
    call(HostCall::Wake, [core::ptr::from_ref(word) as u64, u64::from(count), 0, 0, 0]);
}

/// Gives frames of the trusted memfd back; they read as zero afterwards.
pub fn discard(offset: u64, len: u64) {
    call(HostCall::Discard, [offset, len, 0, 0, 0]);
}

#[inline]
fn charge() {
    let cost = EXIT_COST.load(Ordering::Relaxed);
    if cost != 0 {
        let start = crate::clock::ticks();
        while crate::clock::ticks().wrapping_sub(start) < cost {
            core::hint::spin_loop();
        }
    }
}

#[cfg(not(any(test, feature = "hosted")))]
fn cross(call: HostCall, arguments: [u64; 5]) -> i64 {
    crate::vcpu::host_call(call as u64, arguments)
}

#[cfg(any(test, feature = "hosted"))]
fn cross(call: HostCall, arguments: [u64; 5]) -> i64 {
    match call {
        HostCall::Wait => std::thread::yield_now(),
        HostCall::Discard => crate::arena::hosted_discard(arguments[0], arguments[1]),
        _ => {}
    }
    0
}
