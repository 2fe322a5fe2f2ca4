//! Typed I/O operations: what the LibOS asks of the host's files and streams.
//!
//! An operation is written into untrusted memory as one [`Operation`] and carried by a synchronous
//! host call or by the vCPU's ring; the caller never knows which. Data lies in bounce buffers,
//! addressed by their offset in untrusted memory, never by a pointer into the enclave.

/// What to do. The fields of [`Operation`] that a code uses are named in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// Opens `path` (in the buffer, `path_len` bytes, one component or several, never `..`) below
    /// directory `handle`. `flags`: [`open`]; `mode` for new files. Result: a handle.
    Open = 1,
    /// Gives `handle` back.
    Close = 2,
    /// Reads at `offset` ([`STREAM`]: a stream) into the buffer; `flags`: [`NOWAIT`]. Result: bytes.
    Read = 3,
    /// Writes the buffer at `offset` ([`STREAM`]: a stream; [`APPEND`]: at its end); `flags`:
    /// [`NOWAIT`]. Result: bytes.
    Write = 4,
    /// Describes `path` below `handle` without following a last symbolic link (an empty path:
    /// `handle` itself) as one [`Stat`] in the buffer behind the path.
    Stat = 5,
    /// Lists directory `handle` from `offset` (0 first, then each entry's `next`) as [`Entry`]s in
    /// the buffer. Result: bytes, 0 at the end.
    List = 6,
    /// Reads the symbolic link `path` below `handle` into the buffer behind the path. Result: bytes.
    ReadLink = 7,
    /// Makes directory `path`, with `mode`.
    MakeDirectory = 8,
    /// Removes `path`; `flags` 1: a directory.
    Remove = 9,
    /// Renames `path` below `handle` to the second path below handle `offset`; the buffer holds
    /// both, the first `path_len` bytes long; `flags` 2: the two change places.
    Rename = 10,
    /// Makes symbolic link `path`, whose target stands behind it in the buffer.
    SymbolicLink = 11,
    /// Makes hard link: as [`Code::Rename`].
    Link = 12,
    /// Sets the length of `handle` to `offset`.
    Truncate = 13,
    /// Flushes `handle` to its device; `flags` 1: data only.
    Sync = 14,
    /// Sets permissions of `path` below `handle` to `mode`.
    SetMode = 15,
    /// Sets access and modification time (two i64 nanoseconds behind the path; `i64::MIN`: leave).
    SetTimes = 16,
    /// Asks which of `flags` (poll(2) bits) hold for `handle` now. Result: the bits.
    Poll = 17,
    /// Reads terminal attributes: the buffer gets the kernel's `struct termios` (36 bytes).
    GetTerminal = 18,
    /// Sets terminal attributes; `flags` 0 now, 1 drain, 2 flush.
    SetTerminal = 19,
    /// Reads the window size: `struct winsize` (8 bytes).
    GetWindow = 20,
    /// Does nothing: measures the carrier.
    Nothing = 21,
    /// Sets owner and group of `path` below `handle`, a last symbolic link not followed: `offset` holds
    /// the user in the low half, the group in the high half; `u32::MAX`: leave.
    SetOwner = 22,
    /// Makes named pipe `path`, with `mode`.
    MakeFifo = 23,
    /// Reads an extended attribute of `path`: its name, `offset` bytes long, stands behind the path,
    /// and the value comes in its place. Result: bytes.
    GetAttribute = 24,
    /// Sets one: behind the path stand its name, `offset` bytes long, and its value; `flags` as
    /// setxattr(2) has them.
    SetAttribute = 25,
    /// Lists the names of extended attributes of `path`, each with a NUL, behind the path. Result: bytes.
    ListAttributes = 26,
    /// Removes one: as [`Code::GetAttribute`].
    RemoveAttribute = 27,
    /// Flushes the file system that `handle` lies on to its device.
    SyncAll = 28,
    /// Sets the window size: `struct winsize` (8 bytes).
    SetWindow = 29,
    /// Asks how many bytes wait at terminal `handle`: `flags` 0 to be read, 1 to be sent. Result: bytes.
    CountTerminal = 30,
    /// Drops what waits at terminal `handle`: `flags` 0 to be read, 1 to be sent, 2 both.
    FlushTerminal = 31,
    /// Stops and starts terminal `handle`: `flags` 0 and 1 its output, 2 and 3 its input.
    SuspendTerminal = 32,
}

/// `offset` of an operation on a stream.
pub const STREAM: u64 = u64::MAX;
/// `offset` of a write at the end of a file.
pub const APPEND: u64 = u64::MAX - 1;

/// Flag of a read or a write of a stream: EAGAIN is better than a wait.
pub const NOWAIT: u32 = 1;

/// Flags of [`Code::Open`].
pub mod open {
    /// For reading.
    pub const READ: u32 = 1;
    /// For writing.
    pub const WRITE: u32 = 2;
    /// Make it when it is not there.
    pub const CREATE: u32 = 4;
    /// Refuse when it is there.
    pub const EXCLUSIVE: u32 = 8;
    /// Cut it to nothing.
    pub const TRUNCATE: u32 = 16;
    /// It must be a directory; the handle serves for paths and lists.
    pub const DIRECTORY: u32 = 32;
}

/// One operation, 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Operation {
    /// A [`Code`] as its number.
    pub code: u32,
    /// See the code.
    pub flags: u32,
    /// A handle: index in the low half, generation in the high half.
    pub handle: u64,
    /// See the code.
    pub offset: u64,
    /// Offset of the bounce buffer in untrusted memory.
    pub buffer: u64,
    /// Bytes of the bounce buffer.
    pub len: u32,
    /// Bytes of the path at the buffer's start.
    pub path_len: u32,
    /// Permissions of new files.
    pub mode: u32,
    /// Zero.
    pub reserved: [u32; 5],
}

/// What the host says of a file: untrusted, as all that comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Stat {
    /// File type and permissions, as `st_mode`.
    pub mode: u32,
    /// Number of hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Inode number.
    pub inode: u64,
    /// Device number, which tells file systems apart.
    pub device: u64,
    /// Device number of a device file.
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// 512-byte units in use.
    pub blocks: u64,
    /// Last access, ns since 1970.
    pub accessed: i64,
    /// Last modification, ns since 1970.
    pub modified: i64,
    /// Last change of the inode, ns since 1970.
    pub changed: i64,
}

/// One directory entry: this header, then `name_len` bytes, padded to 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Entry {
    /// Where the list goes on behind this entry.
    pub next: u64,
    /// Inode number.
    pub inode: u64,
    /// File type, as `d_type`.
    pub kind: u32,
    /// Bytes of the name.
    pub name_len: u32,
}

/// Handles that exist from the start: stdin, stdout, stderr; roots follow in the plan's order.
pub mod handles {
    /// The first of the three standard streams.
    pub const STDIN: u64 = 0;
    /// Index of the first root.
    pub const ROOTS: u64 = 3;
}
