//! Who asks: identities, groups, capabilities, and what they admit.
//!
//! Source: credentials(7), capabilities(7), `path_resolution(7)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;

bitflags::bitflags! {
    /// Effective capabilities, by the numbers of capabilities(7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Capabilities: u64 {
        /// Change owners.
        const CHOWN = 1 << 0;
        /// Bypass read, write and execute permission.
        const DAC_OVERRIDE = 1 << 1;
        /// Bypass read permission, and search permission of directories.
        const DAC_READ_SEARCH = 1 << 2;
        /// Act as the owner of any file.
        const FOWNER = 1 << 3;
        /// Keep set-user-ID and set-group-ID bits.
        const FSETID = 1 << 4;
        /// Signal any process.
        const KILL = 1 << 5;
        /// Change group identities.
        const SETGID = 1 << 6;
        /// Change user identities.
        const SETUID = 1 << 7;
        /// Make more inheritable than is permitted.
        const SETPCAP = 1 << 8;
        /// Bind to ports below 1024.
        const NET_BIND_SERVICE = 1 << 10;
        /// Lock memory beyond the limit.
        const IPC_LOCK = 1 << 14;
        /// Change the root directory.
        const SYS_CHROOT = 1 << 18;
        /// Administer the system.
        const SYS_ADMIN = 1 << 21;
        /// Raise priorities.
        const SYS_NICE = 1 << 23;
        /// Raise limits.
        const SYS_RESOURCE = 1 << 24;
        /// Make device files.
        const MKNOD = 1 << 27;
        /// Choose numbers of threads, as checkpoint and restore do.
        const CHECKPOINT_RESTORE = 1 << 40;
        const _ = !0;
    }
}

impl Capabilities {
    /// All that exist: bits 0 to 40.
    pub const ALL: Self = Self::from_bits_retain((1 << 41) - 1);
}

/// The identities that a thread acts under. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Saved user.
    pub suid: u32,
    /// User for files.
    pub fsuid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
    /// Saved group.
    pub sgid: u32,
    /// Group for files.
    pub fsgid: u32,
    /// Supplementary groups.
    pub groups: Arc<[u32]>,
    /// What it may do beyond that.
    pub effective: Capabilities,
    /// What it may make effective.
    pub permitted: Capabilities,
    /// What capset(2) keeps for programs that it runs.
    pub inheritable: Capabilities,
}

bitflags::bitflags! {
    /// What is wanted of a file, with the bits of access(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u32 {
        /// Run it, or search a directory.
        const EXECUTE = 1;
        /// Write it.
        const WRITE = 2;
        /// Read it.
        const READ = 4;
    }
}

/// Whose a file is, and what its permission bits say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Credentials {
    /// All identities `uid` and `gid`; user 0 has all capabilities.
    pub fn new(uid: u32, gid: u32, groups: &[u32]) -> Self {
        let capabilities = if uid == 0 { Capabilities::ALL } else { Capabilities::empty() };
        Self {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups: groups.into(),
            effective: capabilities,
            permitted: capabilities,
            inheritable: Capabilities::empty(),
        }
    }

    /// The same with the real identities for files, as access(2) looks: user 0 with all that is
    /// permitted, others with nothing.
    #[must_use]
    pub fn with_real_identities(&self) -> Self {
        let effective = if self.uid == 0 { self.permitted } else { Capabilities::empty() };
        Self { fsuid: self.uid, fsgid: self.gid, effective, ..self.clone() }
    }

    /// Whether the capability is effective.
    #[inline]
    pub fn has(&self, capability: Capabilities) -> bool {
        self.effective.contains(capability)
    }

    /// Whether the group for files or a supplementary group is `gid`.
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }

    /// Whether it may act as the owner of the file.
    pub fn owns(&self, owner: Owner) -> bool {
        self.fsuid == owner.uid || self.has(Capabilities::FOWNER)
    }

    /// Checks permission bits.
    ///
    /// # Errors
    /// EACCES.
    #[inline]
    pub fn check(&self, owner: Owner, wanted: Access) -> Result<()> {
        let bits = if self.fsuid == owner.uid {
            owner.mode >> 6
        } else if owner.mode & 0o070 != (owner.mode & 0o007) << 3 && self.in_group(owner.gid) {
            owner.mode >> 3
        } else {
            owner.mode
        };
        if bits & wanted.bits() == wanted.bits() || self.overrides(owner, wanted) {
            return Ok(());
        }
        Err(Errno::EACCES.because("the permission bits forbid it"))
    }

    #[cold]
    fn overrides(&self, owner: Owner, wanted: Access) -> bool {
        let directory = owner.mode & 0o170_000 == 0o040_000;
        let runs = directory || owner.mode & 0o111 != 0;
        if self.has(Capabilities::DAC_OVERRIDE) && (runs || !wanted.contains(Access::EXECUTE)) {
            return true;
        }
        let reading = if directory { Access::READ | Access::EXECUTE } else { Access::READ };
        self.has(Capabilities::DAC_READ_SEARCH) && reading.contains(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Credentials, Owner};

    fn allowed(who: &Credentials, mode: u32, uid: u32, gid: u32) -> u32 {
        let owner = Owner { mode, uid, gid };
        (0..3)
            .map(|bit| 1 << bit)
            .filter(|bit| who.check(owner, Access::from_bits_retain(*bit)).is_ok())
            .sum()
    }

    #[test]
    fn the_first_class_that_matches_decides() {
        let who = Credentials::new(7, 8, &[9]);
        assert_eq!(allowed(&who, 0o100_077, 7, 8), 0);
        assert_eq!(allowed(&who, 0o100_707, 1, 8), 0);
        assert_eq!(allowed(&who, 0o100_707, 1, 9), 0);
        assert_eq!(allowed(&who, 0o100_704, 1, 1), 4);
        assert_eq!(allowed(&who, 0o100_640, 7, 1), 6);
    }

    #[test]
    fn root_runs_only_what_somebody_may_run() {
        let root = Credentials::new(0, 0, &[]);
        assert_eq!(allowed(&root, 0o100_000, 7, 8), 6);
        assert_eq!(allowed(&root, 0o100_001, 7, 8), 7);
        assert_eq!(allowed(&root, 0o040_000, 7, 8), 7);
    }
}
