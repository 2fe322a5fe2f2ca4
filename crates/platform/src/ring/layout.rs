//! The kernel's structures of io_uring, as far as they are used.
//!
//! Source: io_uring(7), `linux/io_uring.h` of Linux 6.1 and newer.

use abi::io::{APPEND, Code, Operation, STREAM};

/// Completions wait for the ring's thread to enter.
pub const SQ_TASKRUN: u32 = 4;
/// The descriptor is an index into the registered files.
const FIXED_FILE: u8 = 1;
const FSYNC: u8 = 3;
const POLL_ADD: u8 = 6;
const ASYNC_CANCEL: u8 = 14;
const READ: u8 = 22;
const WRITE: u8 = 23;
/// fsync: data only.
const DATA_ONLY: u32 = 1;
/// `user_data` of a cancellation, whose own completion says nothing.
pub const CANCELLATION: u64 = u64::MAX;

/// A submission entry, 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Submission {
    /// `IORING_OP_*`.
    pub opcode: u8,
    /// `IOSQE_*`.
    pub flags: u8,
    /// Priority.
    pub priority: u16,
    /// Registered file.
    pub file: i32,
    /// Offset in the file.
    pub offset: u64,
    /// Address of the buffer.
    pub address: u64,
    /// Bytes of the buffer.
    pub len: u32,
    /// Flags of the operation.
    pub operation_flags: u32,
    /// Comes back with the completion.
    pub user_data: u64,
    /// Unused here.
    pub rest: [u64; 3],
}

/// A completion entry, 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Completion {
    /// The submission's.
    pub user_data: u64,
    /// Result, negative errno included.
    pub result: i32,
    /// `IORING_CQE_F_*`.
    pub flags: u32,
}

const _: () = assert!(size_of::<Submission>() == 64 && size_of::<Completion>() == 16);

impl Submission {
    /// The entry for a typed operation whose buffer lies at `address`, on registered file `file`;
    /// `None` when rings don't carry it.
    pub fn of(operation: &Operation, file: u32, address: u64) -> Option<Self> {
        const READ_CODE: u32 = Code::Read as u32;
        const WRITE_CODE: u32 = Code::Write as u32;
        const SYNC_CODE: u32 = Code::Sync as u32;
        const POLL_CODE: u32 = Code::Poll as u32;
        let base = Self {
            flags: FIXED_FILE,
            file: i32::try_from(file).ok()?,
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

    /// The entry that cancels another.
    pub fn cancel(user_data: u64) -> Self {
        Self {
            opcode: ASYNC_CANCEL,
            file: -1,
            address: user_data,
            user_data: CANCELLATION,
            ..Self::default()
        }
    }
}
