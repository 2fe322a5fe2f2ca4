//! What mmap(2) is asked for, and what that means.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use storage::pages::Pages;

use super::Prot;
use super::area::{Flags, Kind};
use super::contents::{Described, Mapped};

bitflags::bitflags! {
    /// Flags of mmap(2) but its type.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MapFlags: u64 {
        /// At this address, in place of what is there.
        const FIXED = 0x10;
        /// Zeros, no file.
        const ANONYMOUS = 0x20;
        /// Below 2 GiB.
        const LOW = 0x40;
        /// Extends downwards when touched below its start.
        const GROWS_DOWN = 0x100;
        /// Locks the pages.
        const LOCKED = 0x2000;
        /// Not charged before it is used.
        const NO_RESERVE = 0x4000;
        /// Brings all pages in at once.
        const POPULATE = 0x8000;
        /// With `POPULATE`: does nothing.
        const NON_BLOCK = 0x1_0000;
        /// A thread's stack.
        const STACK = 0x2_0000;
        /// Pages of the huge page pool.
        const HUGE_TLB = 0x4_0000;
        /// Persistent memory.
        const SYNC = 0x8_0000;
        /// At this address, but only if it is free.
        const FIXED_NO_REPLACE = 0x10_0000;
    }
}

/// The type of a mapping, as its low four bits say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// MAP_SHARED: unknown flags are ignored.
    Shared,
    /// MAP_SHARED_VALIDATE: unknown flags are refused; the raw flags are kept for that.
    SharedValidate(u64),
    /// MAP_PRIVATE.
    Private,
    /// MAP_DROPPABLE: private zeros that may be zeros again when memory is short. Here they never are.
    Droppable,
    /// None of them: EINVAL.
    Unknown,
}

/// A file to be mapped.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a descriptor")]
pub struct FileSource {
    /// Its contents; `None` when it can't be mapped (ENODEV).
    pub pages: Option<Arc<Pages>>,
    /// The open file, kept as long as the mapping.
    pub file: Option<Arc<dyn Described>>,
    /// Offset, page-aligned.
    pub offset: u64,
    /// The descriptor may be read.
    pub readable: bool,
    /// The descriptor may be written.
    pub writable: bool,
    /// The mount allows execution.
    pub executable: bool,
    /// It is secret memory.
    pub secret: bool,
}

/// What mmap(2) is asked for.
#[derive(Clone)]
pub struct Request {
    /// The wanted address; 0: none.
    pub address: u64,
    /// Bytes.
    pub len: u64,
    /// Access.
    pub prot: Prot,
    /// Type.
    pub kind: Type,
    /// Flags.
    pub flags: MapFlags,
    /// A file, or shared memory made for this mapping; `None`: private zeros.
    pub file: Option<FileSource>,
}

impl Type {
    /// Decodes the flags argument of mmap(2).
    pub fn decode(raw: u64) -> (Self, MapFlags) {
        let flags = MapFlags::from_bits_truncate(raw); // Linux ignores the others, but see Validate
        let kind = match raw & 0xF {
            1 => Self::Shared,
            2 => Self::Private,
            3 => Self::SharedValidate(raw),
            8 => Self::Droppable,
            _ => Self::Unknown,
        };
        (kind, flags)
    }
}

impl Request {
    /// Private zeros of the LibOS's own choice: for loaders and stacks.
    pub fn anonymous(address: u64, len: u64, prot: Prot, flags: MapFlags) -> Self {
        let flags = flags | MapFlags::ANONYMOUS;
        Self { address, len, prot, kind: Type::Private, flags, file: None }
    }

    /// A private mapping of a file: for loaders.
    pub fn private_file(
        address: u64,
        len: u64,
        prot: Prot,
        flags: MapFlags,
        pages: Arc<Pages>,
        file: Option<Arc<dyn Described>>,
        offset: u64,
    ) -> Self {
        let file = FileSource {
            pages: Some(pages),
            file,
            offset,
            readable: true,
            writable: false,
            executable: true,
            secret: false,
        };
        Self { address, len, prot, kind: Type::Private, flags, file: Some(file) }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        self.flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NO_REPLACE)
    }

    /// Kind, flags and the most that mprotect may allow; in Linux's order of checks.
    pub(crate) fn decide(&self) -> Result<(Kind, Flags, Prot)> {
        let mut flags = Flags::empty();
        if self.flags.contains(MapFlags::GROWS_DOWN) {
            flags |= Flags::GROWS_DOWN;
        }
        match &self.file {
            None => {
                if self.kind == Type::Droppable {
                    flags |= self.droppable()?;
                } else if self.kind != Type::Private {
                    return Err(Errno::EINVAL.because("neither MAP_SHARED nor MAP_PRIVATE"));
                }
                if self.flags.contains(MapFlags::STACK) {
                    flags |= Flags::STACK;
                }
                if self.flags.contains(MapFlags::NO_RESERVE) {
                    flags |= Flags::NORESERVE;
                }
                Ok((Kind::Anonymous, flags, Prot::all()))
            }
            Some(file) => self.decide_file(file, flags),
        }
    }

    /// What droppable memory is besides.
    fn droppable(&self) -> Result<Flags> {
        if self.flags.intersects(MapFlags::LOCKED | MapFlags::GROWS_DOWN | MapFlags::HUGE_TLB) {
            return Err(
                Errno::EINVAL.because("locked memory, a stack or huge pages can't be dropped")
            );
        }
        Ok(Flags::DROPPABLE | Flags::NORESERVE | Flags::WIPE_ON_FORK | Flags::DONT_DUMP)
    }

    fn decide_file(&self, file: &FileSource, mut flags: Flags) -> Result<(Kind, Flags, Prot)> {
        if file.secret {
            flags |= Flags::SECRET | Flags::LOCKED | Flags::DONT_DUMP;
        }
        let shared = match self.kind {
            Type::Private => false,
            Type::Shared => true,
            Type::SharedValidate(raw) => {
                check_validated(raw)?;
                true
            }
            Type::Droppable | Type::Unknown => {
                return Err(Errno::EINVAL.because("neither MAP_SHARED nor MAP_PRIVATE"));
            }
        };
        let mut max = Prot::all();
        if shared && !file.writable {
            if self.prot.contains(Prot::WRITE) {
                return Err(Errno::EACCES.because(
                    "a shared mapping for writing of a descriptor that can't be written",
                ));
            }
            max -= Prot::WRITE;
        }
        if !file.readable {
            return Err(Errno::EACCES.because("the descriptor can't be read"));
        }
        if !file.executable {
            if self.prot.contains(Prot::EXEC) {
                return Err(Errno::EPERM.because("the file lies on a mount without execution"));
            }
            max -= Prot::EXEC;
        }
        let Some(pages) = &file.pages else {
            return Err(Errno::ENODEV.because("this kind of file can't be mapped"));
        };
        if flags.contains(Flags::GROWS_DOWN) {
            return Err(Errno::EINVAL.because("MAP_GROWSDOWN of a file"));
        }
        let mapped = Mapped {
            pages: Arc::clone(pages),
            file: file.file.clone(),
            offset: file.offset,
            shared,
            watch: None,
        };
        Ok((Kind::File(mapped), flags, max))
    }
}

fn check_validated(raw: u64) -> Result<()> {
    const KNOWN: u64 = 0xF // the type
        | 0x10 | 0x20 | 0x40 | 0x100 | 0x800 | 0x1000 | 0x2000 | 0x4000
        | 0x8000 | 0x1_0000 | 0x2_0000 | 0x4_0000 | 0x400_0000
        | 0x3F << 26; // the huge page size
    if raw & !KNOWN != 0 {
        return Err(Errno::EOPNOTSUPP.because("a flag that MAP_SHARED_VALIDATE does not know here"));
    }
    Ok(())
}
