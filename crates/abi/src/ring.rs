//! Submission and completion rings: entries in shared memory instead of calls.
//!
//! The layout is io_uring's, so that one client in the LibOS serves both hosts of a ring: the kernel,
//! and, where io_uring is forbidden, the runner's poller thread, which carries typed operations whole
//! ([`Submission::typed`]).
//!
//! Source: io_uring(7), `linux/io_uring.h` of Linux 6.1 and newer.

use crate::io::{APPEND, Code, Operation, STREAM};

/// Entries of the submission ring.
pub const SUBMISSIONS: u32 = 256;
/// Entries of the completion ring: more than can ever be in flight, so that it can't overflow.
pub const COMPLETIONS: u32 = 1024;

/// Flag beside the submissions: the poller sleeps, and has to be woken by an enter.
pub const SQ_NEED_WAKEUP: u32 = 1;
/// Flag beside the submissions: completions wait in the kernel for want of room.
pub const SQ_CQ_OVERFLOW: u32 = 2;
/// Flag beside the submissions: completions wait for the ring's thread to enter.
pub const SQ_TASKRUN: u32 = 4;
/// Flags of a completion that no operation of ours can have: a buffer of the host's choice, more to
/// come, a notification.
pub const CQE_IMPOSSIBLE: u32 = 1 | 2 | 8;

/// `user_data` of what nobody waits for: cancellations, and files that are forgotten.
pub const UNAWAITED: u64 = u64::MAX;

/// The descriptor is an index into the registered files.
const FIXED_FILE: u8 = 1;
const FSYNC: u8 = 3;
const POLL_ADD: u8 = 6;
/// Ends an operation early; its `address` is the operation's `user_data`.
pub const ASYNC_CANCEL: u8 = 14;
const CLOSE: u8 = 19;
const READ: u8 = 22;
const WRITE: u8 = 23;
/// A typed operation of ours, beyond all of the kernel's numbers.
pub const TYPED: u8 = 0xc0;
/// fsync: data only.
const DATA_ONLY: u32 = 1;

/// A submission entry, 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Submission {
    /// `IORING_OP_*`, or [`TYPED`].
    pub opcode: u8,
    /// `IOSQE_*`.
    pub flags: u8,
    /// Priority.
    pub priority: u16,
    /// Registered file. Typed: the [`Code`].
    pub file: u32,
    /// Offset in the file.
    pub offset: u64,
    /// Address of the buffer. Typed: its offset in untrusted memory.
    pub address: u64,
    /// Bytes of the buffer.
    pub len: u32,
    /// Flags of the operation.
    pub operation_flags: u32,
    /// Comes back with the completion.
    pub user_data: u64,
    /// A registered file to be closed, plus one, in the upper half. Typed: the handle.
    pub extra: u64,
    /// Typed: length of the path, and in the upper half the mode.
    pub path: u64,
    /// Zero.
    pub reserved: u64,
}

/// A completion entry, 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Completion {
    /// The submission's.
    pub user_data: u64,
    /// Result, negative errno included. Of a typed [`Code::Open`]: the lower half of the handle.
    pub result: i32,
    /// `IORING_CQE_F_*`. Of a typed [`Code::Open`]: the upper half of the handle.
    pub flags: u32,
}

const _: () = assert!(size_of::<Submission>() == 64 && size_of::<Completion>() == 16);

impl Submission {
    /// The kernel's entry for a typed operation whose buffer lies at `address`, on registered file
    /// `file`; `None` when the kernel's rings don't carry it.
    pub fn of(operation: &Operation, file: u32, address: u64) -> Option<Self> {
        const READ_CODE: u32 = Code::Read as u32;
        const WRITE_CODE: u32 = Code::Write as u32;
        const SYNC_CODE: u32 = Code::Sync as u32;
        const POLL_CODE: u32 = Code::Poll as u32;
        let base = Self {
            flags: FIXED_FILE,
            file,
            offset: if operation.offset == STREAM { u64::MAX } else { operation.offset },
            ..Self::default()
        };
        match operation.code {
            WRITE_CODE if operation.offset == APPEND => None,
            READ_CODE => Some(Self { opcode: READ, address, len: operation.len, ..base }),
            WRITE_CODE => Some(Self { opcode: WRITE, address, len: operation.len, ..base }),
            SYNC_CODE => {
                let operation_flags = if operation.flags & 1 != 0 { DATA_ONLY } else { 0 };
                Some(Self { opcode: FSYNC, offset: 0, operation_flags, ..base })
            }
            POLL_CODE => {
                let operation_flags = operation.flags;
                Some(Self { opcode: POLL_ADD, offset: 0, operation_flags, ..base })
            }
            _ => None,
        }
    }

    /// The poller's entry for any typed operation. A [`Code::Poll`] waits until one of its events
    /// holds, as the kernel's does.
    pub fn typed(operation: &Operation) -> Self {
        Self {
            opcode: TYPED,
            file: operation.code,
            offset: operation.offset,
            address: operation.buffer,
            len: operation.len,
            operation_flags: operation.flags,
            extra: operation.handle,
            path: u64::from(operation.mode) << 32 | u64::from(operation.path_len),
            ..Self::default()
        }
    }

    /// The typed operation that [`Self::typed`] packed.
    #[expect(clippy::cast_possible_truncation, reason = "takes a word's two halves apart")]
    pub fn operation(&self) -> Operation {
        Operation {
            code: self.file,
            flags: self.operation_flags,
            handle: self.extra,
            offset: self.offset,
            buffer: self.address,
            len: self.len,
            path_len: self.path as u32,
            mode: (self.path >> 32) as u32,
            ..Operation::default()
        }
    }

    /// The entry that cancels another.
    pub fn cancel(user_data: u64) -> Self {
        Self {
            opcode: ASYNC_CANCEL,
            file: u32::MAX,
            address: user_data,
            user_data: UNAWAITED,
            ..Self::default()
        }
    }

    /// The entry that takes a registered file out of the kernel's table.
    pub fn forget(file: u32) -> Self {
        let extra = (u64::from(file) + 1) << 32;
        Self { opcode: CLOSE, extra, user_data: UNAWAITED, ..Self::default() }
    }
}

/// Where the shared parts of a ring lie: what [`crate::host::HostCall::RingSetup`] answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Places {
    /// SQ head, counted up by the host.
    pub sq_head: u64,
    /// SQ tail, counted up by the LibOS.
    pub sq_tail: u64,
    /// Flags of the host: [`SQ_TASKRUN`] and its like.
    pub sq_flags: u64,
    /// CQ head, counted up by the LibOS.
    pub cq_head: u64,
    /// CQ tail, counted up by the host.
    pub cq_tail: u64,
    /// The submission entries.
    pub submissions: u64,
    /// The completion entries.
    pub completions: u64,
}

impl Places {
    /// Bytes of the structure.
    pub const LEN: usize = size_of::<Self>();

    /// Reads the addresses as the host wrote them.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let word = |at: usize| {
            let mut raw = [0; 8];
            raw.copy_from_slice(&bytes[8 * at..8 * at + 8]);
            u64::from_le_bytes(raw)
        };
        Self::from_words(word)
    }

    /// The addresses in the order of the fields: `word` gives each by its index.
    pub fn from_words(word: impl Fn(usize) -> u64) -> Self {
        Self {
            sq_head: word(0),
            sq_tail: word(1),
            sq_flags: word(2),
            cq_head: word(3),
            cq_tail: word(4),
            submissions: word(5),
            completions: word(6),
        }
    }

    /// Whether all parts are aligned, lie in `[outside, 2^47)`, and none overlaps another.
    pub fn are_sound(&self, outside: u64) -> bool {
        let entries = 64 * u64::from(SUBMISSIONS);
        let completed = 16 * u64::from(COMPLETIONS);
        let parts = [
            (self.sq_head, 4, 4),
            (self.sq_tail, 4, 4),
            (self.sq_flags, 4, 4),
            (self.cq_head, 4, 4),
            (self.cq_tail, 4, 4),
            (self.submissions, entries, 64),
            (self.completions, completed, 16),
        ];
        parts.iter().enumerate().all(|(index, (at, len, align))| {
            let end = at.checked_add(*len).filter(|end| *end <= 1 << 47);
            *at >= outside
                && at.is_multiple_of(*align)
                && end.is_some_and(|end| {
                    parts[..index]
                        .iter()
                        .all(|(other, size, _)| end <= *other || other + size <= *at)
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, Submission};
    use crate::io::{Code, Operation};

    const SOUND: Places = Places {
        sq_head: 0x1_0000,
        sq_tail: 0x1_0004,
        sq_flags: 0x1_0008,
        cq_head: 0x1_000c,
        cq_tail: 0x1_0010,
        submissions: 0x2_0000,
        completions: 0x3_0000,
    };

    #[test]
    fn a_typed_operation_survives_the_crossing() {
        let operation = Operation {
            code: Code::Rename as u32,
            flags: 2,
            handle: 0x7fff_ffff_0000_1234,
            offset: u64::MAX - 3,
            buffer: 0x1_2345_6000,
            len: 77,
            path_len: 33,
            mode: 0o1777,
            ..Operation::default()
        };
        assert_eq!(Submission::typed(&operation).operation(), operation);
    }

    #[test]
    fn places_must_be_aligned_outside_and_apart() {
        assert!(SOUND.are_sound(0x1_0000));
        assert!(!SOUND.are_sound(0x1_0001), "inside the enclave");
        assert!(!Places { cq_tail: 0x1_0011, ..SOUND }.are_sound(0), "not aligned");
        assert!(!Places { cq_tail: SOUND.sq_head, ..SOUND }.are_sound(0), "twice the same");
        assert!(!Places { completions: 0x2_0010, ..SOUND }.are_sound(0), "in the submissions");
        assert!(!Places { submissions: u64::MAX - 63, ..SOUND }.are_sound(0), "wraps");
        assert!(!Places { submissions: (1 << 47) - 64, ..SOUND }.are_sound(0), "not canonical");
    }
}
