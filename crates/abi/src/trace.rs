//! Trace records: what the LibOS tells a decoder outside, when the configuration says debug.
//!
//! A stream of records on the trace pipe, in the order in which they were written; a record is never
//! split between two writers. One record:
//!
//! ```text
//! Head                        88 bytes
//! why                         why_len bytes of UTF-8: the reason for an error, empty otherwise
//! strings times:
//!   argument: u8              which argument this is the content of, or RESULT
//!   kind: u8                  STRING or BYTES, plus CUT when there was more
//!   len: u16
//!   len bytes
//! ```
//!
//! Nothing is padded. The decoder knows from the call's number what an argument means; contents that
//! it has no form for it prints as bytes.

/// Head of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Head {
    /// Bytes of the whole record, this head included; at most [`RECORD_MAX`].
    pub total_len: u32,
    /// Process, as it is numbered inside.
    pub pid: u32,
    /// Thread, as it is numbered inside.
    pub tid: u32,
    /// System call number, or one of [`nr`].
    pub nr: u32,
    /// When it began, ns since the enclave started.
    pub t_ns: u64,
    /// What the call returned: negated errno for an error.
    pub result: i64,
    /// The six argument registers, as they were at the beginning.
    pub args: [u64; 6],
    /// How long it took, ns, saturating.
    pub duration_ns: u32,
    /// Bytes of the reason.
    pub why_len: u16,
    /// Number of contents.
    pub strings: u16,
}

impl Head {
    /// As it stands in the stream.
    pub fn to_bytes(&self) -> [u8; 88] {
        let mut bytes = [0; 88];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        for field in [self.total_len, self.pid, self.tid, self.nr] {
            put(&field.to_le_bytes());
        }
        put(&self.t_ns.to_le_bytes());
        put(&self.result.to_le_bytes());
        for arg in self.args {
            put(&arg.to_le_bytes());
        }
        put(&self.duration_ns.to_le_bytes());
        put(&self.why_len.to_le_bytes());
        put(&self.strings.to_le_bytes());
        bytes
    }
}

const _: () = assert!(size_of::<Head>() == 88);

/// Records that are no system call.
pub mod nr {
    /// A crash, of a program or of the LibOS: `args[0]` signal (0: the LibOS itself), `args[1]` its
    /// `si_code`, `args[2]` what `siginfo_t` has at offset 16 (an address, or who sent it), `args[3]`
    /// the base that addresses of the LibOS count from (0 for a program). `argument` of each content
    /// is one of [`super::crash`].
    pub const CRASH: u32 = 0xFFFF_FFFE;
    /// A signal is delivered: `args[0]` its number, `args[1]` its `si_code`, `args[2]` the sender or
    /// the faulting address.
    pub const SIGNAL: u32 = 0xFFFF_FFFD;
    /// A thread or process is gone: `args[0]` 0 exited, 1 signal; `args[1]` code; `args[2]` 1 when it
    /// was the process's last thread.
    pub const GONE: u32 = 0xFFFF_FFFC;
    /// A call that the LibOS lacks, written once for each: `args[0]` its number; `why` says what the
    /// program got instead.
    pub const MISSING: u32 = 0xFFFF_FFFB;
    /// So many records were dropped since the last, because the pipe was full: `args[0]`.
    pub const LOST: u32 = 0xFFFF_FFFA;
    /// A piece of the core file: `args[0]` where it goes; its one content are the bytes. An empty one
    /// comes last and says how long the file is.
    pub const CORE: u32 = 0xFFFF_FFF9;
}

/// Pieces of a core file.
pub mod core {
    /// The most bytes of a piece.
    pub const PIECE: usize = 15 << 12;
}

/// What a content of a crash record holds: its `argument`.
pub mod crash {
    /// One line for the person, printed as it is; in order.
    pub const LINE: u8 = 0;
    /// The general registers, eighteen `u64` in the order of [`crate::trap::Registers`].
    pub const REGISTERS: u8 = 1;
    /// Lines as in `/proc/PID/maps`, each with its newline: what lies at the address, at the
    /// instruction and at the stack pointer, and what is executable.
    pub const MAPS: u8 = 2;
    /// Memory from some address on: the address as `u64`, then the bytes.
    pub const MEMORY: u8 = 3;
    /// Path of the program, inside.
    pub const PROGRAM: u8 = 4;

    /// The most bytes of the stack in a record.
    pub const STACK_MAX: usize = 48 << 10;
    /// The most bytes of maps in a record.
    pub const MAPS_MAX: usize = 48 << 10;
}

/// `argument` of a content that belongs to the result.
pub const RESULT: u8 = 255;

/// `kind` of a content: a string, without its NUL (a path, a name).
pub const STRING: u8 = 0;
/// `kind` of a content: memory as it was after the call (before it, for what the call reads).
pub const BYTES: u8 = 1;
/// Added to `kind`: there was more than the record holds.
pub const CUT: u8 = 128;

/// The most bytes of a record.
pub const RECORD_MAX: usize = 128 << 10;
/// The most bytes that a record shows of one argument, unless a filter asks for more.
pub const CONTENT_MAX: usize = 64;
