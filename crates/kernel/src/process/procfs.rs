//! `/proc` and `/sys`: the enclave as a program sees it, never the host.
//!
//! Files are made when they are read: a folder is a [`node::Listing`] that finds its entries, a file a
//! function that gives its text. Nodes name processes by number, so that an open file of `/proc` keeps
//! nobody alive; what is gone gives ESRCH.
//!
//! Source: proc(5), sysfs(5).

mod cgroup;
mod cpu;
mod descriptors;
mod memory;
pub(crate) mod mounts;
mod node;
mod pagemap;
mod process;
mod smaps;
mod status;
mod sysfs;
mod system;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use vfs::dentry::Dentry;
use vfs::node::Volume;

use crate::Kernel;
use crate::process::Thread;

pub use system::{RELEASE, SYSTEM, VERSION};

/// Magic numbers, as statfs(2) tells them.
const PROC_MAGIC: u64 = 0x9fa0;
const SYS_MAGIC: u64 = 0x6265_6572;
/// Types of file systems that can be mounted, in the order of their registration.
pub(crate) const FILE_SYSTEMS: [&str; 5] = ["sysfs", "tmpfs", "proc", "devtmpfs", "ramfs"];
const CGROUP_MAGIC: u64 = 0x6367_7270;
/// Ticks of a second in which processor time is told (`_SC_CLK_TCK`).
const TICKS: u64 = 100;
/// ns of a tick.
const TICK: u64 = platform::clock::SECOND / TICKS;
/// vCPUs that an enclave has at most.
const VCPUS: usize = executor::MAX_VCPUS;

/// Whose task runs on each vCPU: the paths through `/proc/self` are walked without being told.
static CALLERS: [AtomicU32; VCPUS] = [const { AtomicU32::new(0) }; VCPUS];

/// Takes note that thread `tid`'s task runs on this vCPU from now on.
#[inline]
pub(crate) fn enter(tid: u32) {
    if let Some(caller) = CALLERS.get(platform::vcpu::current()) {
        caller.store(tid, Ordering::Relaxed);
    }
}

/// The thread whose task runs here.
pub(crate) fn caller(kernel: &Kernel) -> Option<Arc<Thread>> {
    let tid = CALLERS.get(platform::vcpu::current())?.load(Ordering::Relaxed);
    kernel.registry.thread(tid)
}

/// The root of a new `/proc`.
pub fn proc(kernel: &'static Kernel) -> Arc<Dentry> {
    node::root(Volume::new("proc", PROC_MAGIC, 1), system::root(kernel))
}

/// The root of a new `/sys`.
pub fn sys(kernel: &'static Kernel) -> Arc<Dentry> {
    node::root(Volume::new("sysfs", SYS_MAGIC, 1), sysfs::root(kernel))
}

/// The root of a new `/sys/fs/cgroup`.
pub fn cgroup(kernel: &'static Kernel) -> Arc<Dentry> {
    node::root(Volume::new("cgroup2", CGROUP_MAGIC, 1), cgroup::root(kernel))
}
