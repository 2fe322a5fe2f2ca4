//! `/sys/fs/cgroup`: the enclave's limits where programs look for those of a container. It is the one
//! control group that all processes are in, as a container sees its own.
//!
//! Source: the kernel's cgroup-v2 guide.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use platform::budget::{self, Purpose};

use super::cpu;
use super::node::{Fixed, Listing, constant, made};
use crate::Kernel;
use crate::memory::refusal;

/// ns of a microsecond.
const MICROSECOND: u64 = 1000;
/// Microseconds of the period that `cpu.max` speaks of.
const PERIOD: u64 = 100_000;

/// The root folder.
pub(super) fn root(kernel: &'static Kernel) -> Box<dyn Listing> {
    let bytes = |read: fn() -> u64| made(move || format!("{}\n", read()).into_bytes());
    Box::new(Fixed(alloc::vec![
        ("cgroup.controllers", constant("cpu memory pids\n")),
        ("cgroup.events", constant("populated 1\nfrozen 0\n")),
        ("cgroup.procs", made(move || processes(kernel))),
        ("cgroup.subtree_control", constant("")),
        ("cgroup.type", constant("domain\n")),
        ("cpu.max", made(move || processors(kernel))),
        ("cpu.stat", made(move || times(kernel))),
        ("cpu.weight", constant("100\n")),
        ("memory.current", bytes(budget::total)),
        ("memory.events", made(events)),
        ("memory.high", constant("max\n")),
        ("memory.low", constant("0\n")),
        ("memory.max", bytes(budget::limit)),
        ("memory.min", constant("0\n")),
        ("memory.oom.group", constant("0\n")),
        ("memory.peak", bytes(budget::peak)),
        ("memory.stat", made(memory)),
        ("memory.swap.current", constant("0\n")),
        ("memory.swap.max", constant("0\n")),
        ("pids.current", made(move || format!("{}\n", cpu::threads(kernel).1).into_bytes())),
        ("pids.max", constant("max\n")),
    ]))
}

/// The vCPUs, as time that may be used in each period.
fn processors(kernel: &Kernel) -> Vec<u8> {
    format!("{} {PERIOD}\n", kernel.executor.vcpus() as u64 * PERIOD).into_bytes()
}

fn processes(kernel: &Kernel) -> Vec<u8> {
    let ids = kernel.registry.processes();
    ids.iter().flat_map(|process| format!("{}\n", process.pid).into_bytes()).collect()
}

fn times(kernel: &Kernel) -> Vec<u8> {
    let used = cpu::used(kernel) / MICROSECOND;
    format!(
        "usage_usec {used}\nuser_usec {used}\nsystem_usec 0\nnr_periods 0\nnr_throttled 0\n\
         throttled_usec 0\n"
    )
    .into_bytes()
}

/// How often memory was refused, and somebody ended for it.
fn events() -> Vec<u8> {
    let (refused, ended) = refusal::counts();
    let all = refused + ended;
    format!("low 0\nhigh 0\nmax {all}\noom {all}\noom_kill {ended}\noom_group_kill 0\n")
        .into_bytes()
}

fn memory() -> Vec<u8> {
    let (user, frames, libos) =
        (budget::used(Purpose::User), budget::used(Purpose::Frames), budget::used(Purpose::Libos));
    format!(
        "anon {user}\nfile {frames}\nkernel {libos}\ninactive_file 0\nactive_file {frames}\n\
         inactive_anon 0\nactive_anon {user}\nunevictable 0\n"
    )
    .into_bytes()
}
