//! Submission entries and what becomes of them.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::{Error, Result};
use vfs::object::OpenFile;

use super::Ring;
use crate::context::Context;

bitflags::bitflags! {
    /// Flags of an entry.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Flags: u8 {
        /// The descriptor is the index of a registered file.
        const FIXED_FILE = 1;
        /// All that came before must be done first.
        const DRAIN = 2;
        /// The next begins when this one succeeded.
        const LINK = 4;
        /// The next begins when this one is done.
        const HARD_LINK = 8;
        /// Not tried at once.
        const ASYNC = 0x10;
        /// A buffer is chosen when there is something to put in.
        const BUFFER_SELECT = 0x20;
        /// Success is not told.
        const SKIP_SUCCESS = 0x40;
    }
}

/// One entry of the submission queue, copied once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) opcode: u8,
    pub(super) raw_flags: u8,
    pub(super) priority: u16,
    pub(super) fd: i32,
    /// `off`, `addr2`.
    pub(super) offset: u64,
    /// `addr`, `splice_off_in`.
    pub(super) address: u64,
    pub(super) len: u32,
    /// `rw_flags` and its many names.
    pub(super) op_flags: u32,
    pub(super) user_data: u64,
    /// `buf_index`, `buf_group`.
    pub(super) buffer: u16,
    pub(super) personality: u16,
    /// `splice_fd_in`, `file_index`.
    pub(super) file_index: u32,
    /// `addr3`.
    pub(super) address3: u64,
}

impl Entry {
    /// Bytes of an entry.
    pub(super) const SIZE: usize = 64;

    /// From the bytes of `struct io_uring_sqe`.
    pub(super) fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self {
            opcode: bytes[0],
            raw_flags: bytes[1],
            priority: half(2),
            fd: word(4).cast_signed(),
            offset: long(8),
            address: long(16),
            len: word(24),
            op_flags: word(28),
            user_data: long(32),
            buffer: half(40),
            personality: half(42),
            file_index: word(44),
            address3: long(48),
        }
    }

    /// Its flags; unknown ones were refused.
    pub(super) fn flags(&self) -> Flags {
        Flags::from_bits_truncate(self.raw_flags)
    }

    /// Whether another follows in its chain.
    pub(super) fn is_linked(&self) -> bool {
        self.flags().intersects(Flags::LINK | Flags::HARD_LINK)
    }

    /// EINVAL unless all of `fields` are zero.
    pub(super) fn unused(fields: &[u64]) -> Result<()> {
        if fields.iter().all(|field| *field == 0) {
            return Ok(());
        }
        Err(Errno::EINVAL.because("a field that the operation doesn't use is not zero"))
    }

    /// The file that it is about.
    ///
    /// # Errors
    /// EBADF.
    pub(super) fn file(&self, cx: &Context<'_>, ring: &Ring) -> Result<Arc<OpenFile>> {
        if self.flags().contains(Flags::FIXED_FILE) {
            return ring.registered_file(self.fd.cast_unsigned());
        }
        cx.process.files.get(self.fd)
    }
}

/// How an operation ended: the result, and flags of the completion.
pub(super) type Outcome = Result<(u64, u32)>;

/// What is written to the completion queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub(super) user_data: u64,
    pub(super) result: i32,
    pub(super) flags: u32,
}

impl Completion {
    /// The end of an operation.
    pub(super) fn of(user_data: u64, outcome: &Outcome) -> Self {
        let (result, flags) = match outcome {
            Ok((value, flags)) => (i32::try_from(*value).unwrap_or(i32::MAX), *flags),
            Err(error) => (failure(*error), 0),
        };
        Self { user_data, result, flags }
    }
}

/// An error as a result; numbers that no program sees mean that somebody ended the wait.
pub(super) fn failure(error: Error) -> i32 {
    let shown =
        if error.errno.raw() >= Errno::ERESTARTSYS.raw() { Errno::ECANCELED } else { error.errno };
    i32::try_from(shown.because("").to_return_value()).unwrap_or(-125)
}
