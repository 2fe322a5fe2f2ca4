//! The counters of `--stat`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::host::HostCall;
use abi::nr;
use platform::gate::{self, Interruption};

use crate::Kernel;
use crate::tally::NUMBERS;

/// Calls by name; those without one together.
fn calls(kernel: &Kernel) -> (Vec<String>, u64) {
    let mut named: BTreeMap<&str, u64> = BTreeMap::new();
    for number in 0..NUMBERS {
        let count = kernel.trace.calls.of(number);
        if count > 0 {
            *named.entry(nr::name(number).unwrap_or("other")).or_default() += count;
        }
    }
    let total = named.values().sum();
    (named.iter().map(|(name, count)| format!("\"{name}\": {count}")).collect(), total)
}

/// Exits to the host by cause.
fn exits() -> (Vec<String>, u64) {
    let exits: [(&str, u64); 15] = [
        ("wait", gate::calls(HostCall::Wait)),
        ("wake", gate::calls(HostCall::Wake)),
        ("map", gate::calls(HostCall::Map)),
        ("protect", gate::calls(HostCall::Protect)),
        ("unmap", gate::calls(HostCall::Unmap)),
        ("advise", gate::calls(HostCall::Advise) + gate::calls(HostCall::Move)),
        ("discard", gate::calls(HostCall::Discard)),
        ("io", gate::calls(HostCall::Io)),
        ("watch", gate::calls(HostCall::Watch)),
        ("kick", gate::calls(HostCall::Kick)),
        ("ring", gate::calls(HostCall::RingEnter) + gate::calls(HostCall::RingSetup)),
        (
            "other",
            gate::calls(HostCall::Tick)
                + gate::calls(HostCall::Alarm)
                + gate::calls(HostCall::Clock)
                + gate::calls(HostCall::Random)
                + gate::calls(HostCall::Message)
                + gate::calls(HostCall::Trace)
                + gate::calls(HostCall::Start),
        ),
        ("trap", gate::interruptions(Interruption::Trap)),
        ("fault", gate::interruptions(Interruption::Fault)),
        ("preempt", gate::interruptions(Interruption::Preempt)),
    ];
    let all: u64 = exits.iter().map(|(_, count)| count).sum();
    (exits.iter().map(|(cause, count)| format!("\"{cause}\": {count}")).collect(), all)
}

/// The counters as JSON.
pub(crate) fn json(kernel: &Kernel) -> String {
    let (calls, total) = calls(kernel);
    let (exits, all) = exits();
    let (mut switches, mut steals, mut sleeps) = (0, 0, 0);
    for vcpu in 0..platform::vcpu::count() {
        let counters = kernel.executor.counters(vcpu);
        switches += counters.polls;
        steals += counters.steals;
        sleeps += counters.sleeps;
    }
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let rings = platform::carrier::counters();
    let elapsed = platform::clock::now().saturating_sub(kernel.settings.started);
    format!(
        "{{\"exits\": {{{}, \"total\": {all}}}, \"syscalls\": {{{}, \"total\": {total}}}, \
         \"context_switches\": {switches}, \"steals\": {steals}, \"sleeps\": {sleeps}, \
         \"preemptions\": {}, \"interception\": {{\"trapped\": {}, \"patched_sites\": {}, \
         \"learned_sites\": {}, \"unpatched_sites\": {}}}, \"memory\": {{\"limit\": {}, \"peak\": {}, \"user\": {}, \
         \"frames\": {}, \"libos\": {}}}, \
         \"rings\": {{\"carrier\": \"{}\", \"submitted\": {}, \"completed\": {}, \"enters\": {}}}, \
         \"wall_seconds\": {}.{:09}}}\n",
        exits.join(", "),
        calls.join(", "),
        gate::interruptions(Interruption::Preempt),
        load(&kernel.trace.trapped),
        load(&kernel.trace.patched),
        load(&kernel.trace.learned),
        load(&kernel.trace.unpatched),
        platform::budget::limit(),
        platform::budget::peak(),
        platform::budget::used(platform::budget::Purpose::User),
        platform::budget::used(platform::budget::Purpose::Frames),
        platform::budget::used(platform::budget::Purpose::Libos),
        platform::carrier::in_use(),
        rings.submitted,
        rings.completed,
        gate::calls(HostCall::RingEnter),
        elapsed / 1_000_000_000,
        elapsed % 1_000_000_000,
    )
}
