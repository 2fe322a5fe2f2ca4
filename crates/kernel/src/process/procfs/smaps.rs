//! `/proc/PID/smaps` and `smaps_rollup`: what the areas of memory use.
//!
//! What can be used without a fault into the LibOS counts as resident, as in statm. Pages of files are
//! counted as clean and shared, private memory as written and private: who has written what is the
//! host's affair.
//!
//! Source: `proc_pid_smaps(5)`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::process::Subject;
use crate::memory::Prot;
use crate::memory::area::Flags;
use crate::memory::maps::{Mapping, Usage};

/// Each area's line of `maps`, and its numbers behind it.
pub(super) fn smaps(subject: &Subject) -> Vec<u8> {
    let mut text = Vec::new();
    for (mapping, usage) in subject.process.memory.maps_with_usage() {
        text.extend_from_slice(&mapping.line());
        let mut rows = format!("\nSize: {:>18} kB\n", size(&mapping) / 1024);
        rows += "KernelPageSize:        4 kB\nMMUPageSize:           4 kB\n";
        numbers(&mut rows, usage, locked(&mapping, usage));
        rows += "THPeligible:           0\nVmFlags: ";
        for flag in flags(&mapping, usage) {
            let _ = write!(rows, "{flag} ");
        }
        rows += "\n";
        text.extend_from_slice(rows.as_bytes());
    }
    text
}

/// The sums of all areas.
pub(super) fn rollup(subject: &Subject) -> Vec<u8> {
    let all = subject.process.memory.maps_with_usage();
    let (start, end) = match (all.first(), all.last()) {
        (Some((first, _)), Some((last, _))) => (first.range.start, last.range.end),
        _ => (0, 0),
    };
    let mut sum = Usage::default();
    let mut locks = 0;
    for (mapping, usage) in &all {
        sum.resident += usage.resident;
        sum.private += usage.private;
        locks += locked(mapping, *usage);
    }
    let mut text = format!("{start:08x}-{end:08x} ---p 00000000 00:00 0 ");
    while text.len() < 73 {
        text.push(' ');
    }
    text += "[rollup]\n";
    numbers(&mut text, sum, locks);
    text.into_bytes()
}

fn size(mapping: &Mapping) -> u64 {
    mapping.range.end - mapping.range.start
}

fn locked(mapping: &Mapping, usage: Usage) -> u64 {
    if mapping.flags.contains(Flags::LOCKED) { usage.resident } else { 0 }
}

/// The rows that an area and the sum share.
fn numbers(text: &mut String, usage: Usage, locked: u64) {
    let shared = usage.resident - usage.private;
    let rows = [
        ("Rss", usage.resident),
        ("Pss", usage.resident),
        ("Pss_Dirty", usage.private),
        ("Shared_Clean", shared),
        ("Shared_Dirty", 0),
        ("Private_Clean", 0),
        ("Private_Dirty", usage.private),
        ("Referenced", usage.resident),
        ("Anonymous", usage.private),
        ("KSM", 0),
        ("LazyFree", 0),
        ("AnonHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", locked),
    ];
    for (name, bytes) in rows {
        let _ = writeln!(text, "{:<16}{:>8} kB", format!("{name}:"), bytes / 1024);
    }
}

/// The flags of an area, by Linux's two letters and in its order.
fn flags(mapping: &Mapping, usage: Usage) -> impl Iterator<Item = &'static str> {
    let (prot, max, flags) = (mapping.prot, mapping.max, mapping.flags);
    [
        ("rd", prot.contains(Prot::READ)),
        ("wr", prot.contains(Prot::WRITE)),
        ("ex", prot.contains(Prot::EXEC)),
        ("sh", mapping.shared),
        ("mr", max.contains(Prot::READ)),
        ("mw", max.contains(Prot::WRITE)),
        ("me", max.contains(Prot::EXEC)),
        ("ms", mapping.shared),
        ("gd", flags.contains(Flags::GROWS_DOWN)),
        ("gu", usage.guarded),
        ("lo", flags.contains(Flags::LOCKED)),
        ("sr", flags.contains(Flags::SEQUENTIAL)),
        ("rr", flags.contains(Flags::RANDOM)),
        ("dc", flags.contains(Flags::DONT_FORK)),
        ("ac", flags.contains(Flags::CHARGED)),
        ("nr", flags.contains(Flags::NORESERVE)),
        ("wf", flags.contains(Flags::WIPE_ON_FORK)),
        ("dd", flags.contains(Flags::DONT_DUMP)),
        ("hg", flags.contains(Flags::HUGE)),
        ("nh", flags.contains(Flags::NO_HUGE)),
        ("dp", flags.contains(Flags::DROPPABLE)),
        ("sl", flags.contains(Flags::SEALED)),
    ]
    .into_iter()
    .filter_map(|(name, holds)| holds.then_some(name))
}
