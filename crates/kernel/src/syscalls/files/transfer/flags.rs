//! Flags of one transfer.
//!
//! Source: preadv2(2).

use abi::Errno;
use abi::errno::Result;
use vfs::object::OpenFile;
use vfs::tree::TMPFS_MAGIC;

bitflags::bitflags! {
    /// Flags of one transfer, with the bits of preadv2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Flags: u32 {
        /// A hint.
        const HIGH_PRIORITY = 1;
        /// As O_DSYNC.
        const DATA_SYNC = 2;
        /// As O_SYNC.
        const SYNC = 4;
        /// Nothing waits.
        const NO_WAIT = 8;
        /// As O_APPEND.
        const APPEND = 0x10;
        /// Where the offset says, whatever O_APPEND says.
        const NO_APPEND = 0x20;
        /// No SIGPIPE.
        const NO_SIGNAL = 0x100;
    }
}

impl Flags {
    /// Whether a transfer can go as the flags say.
    pub(super) fn check(self, file: &OpenFile) -> Result<()> {
        if Self::from_bits(self.bits()).is_none() {
            return Err(Errno::EOPNOTSUPP.because("unknown flags of the transfer"));
        }
        if self.contains(Self::APPEND | Self::NO_APPEND) {
            return Err(Errno::EINVAL.because("to append, and not to"));
        }
        let volume = file.object().node().map(vfs::node::Node::volume);
        if self.contains(Self::NO_WAIT) && volume.is_some_and(|it| it.magic == TMPFS_MAGIC) {
            return Err(Errno::EOPNOTSUPP.because("tmpfs knows of no transfers that don't wait"));
        }
        Ok(())
    }
}
