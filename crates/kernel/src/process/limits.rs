//! Resource limits.
//!
//! Source: getrlimit(2). A limit is kept here and enforced by whoever hands the resource out: vfs
//! (descriptors, file size), memory (address space, data, stack, locked), signals (queued signals,
//! processor time), clone (threads).

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;

/// No limit.
pub const INFINITY: u64 = u64::MAX;
/// How many resources there are.
pub const COUNT: usize = 16;

/// A resource, with its number in Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Resource {
    /// Seconds of processor time.
    Cpu = 0,
    /// Bytes of a file that is written.
    FileSize = 1,
    /// Bytes of data.
    Data = 2,
    /// Bytes of the first thread's stack.
    Stack = 3,
    /// Bytes of a core dump.
    Core = 4,
    /// Bytes in memory; without effect, as in Linux.
    Resident = 5,
    /// Threads of the user.
    Processes = 6,
    /// Highest descriptor plus one.
    Files = 7,
    /// Bytes locked in memory.
    Locked = 8,
    /// Bytes of address space.
    AddressSpace = 9,
    /// File locks; without effect, as in Linux.
    Locks = 10,
    /// Queued signals of the user.
    PendingSignals = 11,
    /// Bytes in POSIX message queues.
    MessageQueues = 12,
    /// 20 minus the lowest nice value.
    Nice = 13,
    /// Highest real-time priority.
    RealtimePriority = 14,
    /// Microseconds of real-time scheduling without a blocking call.
    RealtimeTime = 15,
}

impl Resource {
    const ALL: [Self; COUNT] = [
        Self::Cpu,
        Self::FileSize,
        Self::Data,
        Self::Stack,
        Self::Core,
        Self::Resident,
        Self::Processes,
        Self::Files,
        Self::Locked,
        Self::AddressSpace,
        Self::Locks,
        Self::PendingSignals,
        Self::MessageQueues,
        Self::Nice,
        Self::RealtimePriority,
        Self::RealtimeTime,
    ];

    /// The resource with a number.
    ///
    /// # Errors
    /// EINVAL.
    pub fn from_raw(raw: u32) -> Result<Self> {
        usize::try_from(raw)
            .ok()
            .and_then(|raw| Self::ALL.get(raw).copied())
            .ok_or(Errno::EINVAL.because("no such resource"))
    }
}

/// A soft limit, which counts, and a hard one, up to which it can be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What counts.
    pub soft: u64,
    /// The most to which `soft` can be set.
    pub hard: u64,
}

/// The limits of a process.
pub struct Limits {
    values: Mutex<[Limit; COUNT]>,
}

impl Limits {
    /// Linux's own for its first process, but with systemd's for descriptors.
    pub fn new() -> Self {
        const fn limit(soft: u64, hard: u64) -> Limit {
            Limit { soft, hard }
        }
        let mut values = [limit(INFINITY, INFINITY); COUNT];
        values[Resource::Stack as usize] = limit(8 << 20, INFINITY);
        values[Resource::Core as usize] = limit(0, INFINITY);
        values[Resource::Processes as usize] = limit(126_000, 126_000);
        values[Resource::Files as usize] = limit(1024, 524_288);
        values[Resource::Locked as usize] = limit(8 << 20, 8 << 20);
        values[Resource::PendingSignals as usize] = limit(126_000, 126_000);
        values[Resource::MessageQueues as usize] = limit(819_200, 819_200);
        values[Resource::Nice as usize] = limit(0, 0);
        values[Resource::RealtimePriority as usize] = limit(0, 0);
        Self { values: Mutex::new(values) }
    }

    /// The same limits, for a child.
    #[must_use]
    pub fn inherited(&self) -> Self {
        Self { values: Mutex::new(*self.values.lock()) }
    }

    /// Both limits of a resource.
    pub fn get(&self, resource: Resource) -> Limit {
        self.values.lock()[resource as usize]
    }

    /// The limit that counts.
    pub fn soft(&self, resource: Resource) -> u64 {
        self.get(resource).soft
    }

    /// Sets a limit and gives the old one; `privileged` may raise the hard limit.
    ///
    /// # Errors
    /// EINVAL when soft is above hard, EPERM when hard is raised without privilege or above what
    /// descriptors can have.
    pub fn set(&self, resource: Resource, new: Limit, privileged: bool) -> Result<Limit> {
        if new.soft > new.hard {
            return Err(Errno::EINVAL.because("the soft limit is above the hard one"));
        }
        if resource == Resource::Files && new.hard > FILES_MAX {
            return Err(Errno::EPERM.because("above /proc/sys/fs/nr_open"));
        }
        let mut values = self.values.lock();
        let old = values[resource as usize];
        if new.hard > old.hard && !privileged {
            return Err(Errno::EPERM.because("raising a hard limit needs CAP_SYS_RESOURCE"));
        }
        values[resource as usize] = new;
        Ok(old)
    }
}

/// The most descriptors that any limit allows, Linux's `fs.nr_open`.
pub const FILES_MAX: u64 = 1 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{INFINITY, Limit, Limits, Resource};
    use abi::Errno;

    #[test]
    fn hard_limits_only_fall() {
        let limits = Limits::new();
        let lower = Limit { soft: 10, hard: 20 };
        limits.set(Resource::Core, lower, false).expect("lowering");
        let refused = limits.set(Resource::Core, Limit { soft: 10, hard: 21 }, false);
        assert_eq!(refused.expect_err("raising").errno, Errno::EPERM);
        let odd = limits.set(Resource::Core, Limit { soft: 21, hard: 20 }, true);
        assert_eq!(odd.expect_err("soft above hard").errno, Errno::EINVAL);
        limits.set(Resource::Core, Limit { soft: INFINITY, hard: INFINITY }, true).expect("root");
        let wide = limits.set(Resource::Files, Limit { soft: 1, hard: INFINITY }, true);
        assert_eq!(wide.expect_err("above nr_open").errno, Errno::EPERM);
        assert!(Resource::from_raw(16).is_err());
        assert_eq!(Resource::from_raw(7).map(|which| which as u8), Ok(7));
    }
}
