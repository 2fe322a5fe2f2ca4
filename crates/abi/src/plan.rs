//! The plan: what Python made and the runner carries out.
//!
//! One sealed memfd: a [`Header`] of one page, the [`Segment`] table, the boot blob (tag-length-value,
//! [`tag`]), then canonical pages, page-aligned. The measured configuration is a segment like any
//! other: one page that starts with [`Config`].

/// First eight bytes of a plan.
pub const MAGIC: u64 = u64::from_le_bytes(*b"ADYPLAN1");
/// Version of this layout; another one is refused.
pub const VERSION: u32 = 2;
/// First eight bytes of a configuration.
pub const CONFIG_MAGIC: u64 = u64::from_le_bytes(*b"ADYCONF1");

/// Head of a plan, in its first page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Number of segments.
    pub segments: u32,
    /// Bytes of the whole plan.
    pub total_len: u64,
    /// Offset of the segment table.
    pub segments_offset: u64,
    /// Offset of the boot blob.
    pub boot_offset: u64,
    /// Bytes of the boot blob.
    pub boot_len: u64,
    /// SIZE of the enclave's range (see [`crate::layout`]).
    pub range_size: u64,
    /// Address of the entry.
    pub entry: u64,
    /// Number of vCPUs to start, 1 to 64.
    pub vcpus: u32,
    /// [`flag`] bits.
    pub flags: u32,
    /// Cycles charged for each exit and each entry.
    pub exit_cost: u64,
    /// Bytes of memory that the enclave may use.
    pub memory_limit: u64,
    /// Bytes of untrusted memory (rings, bounce buffers); the runner picks its address.
    pub untrusted_len: u64,
    /// File descriptor that gets the counters plus one, 0 for none.
    pub stat_fd: u32,
    /// File descriptor of the control socket plus one, 0 for none.
    pub control_fd: u32,
    /// MRENCLAVE, for the record: the runner passes it on, nobody trusts it.
    pub measurement: [u8; 32],
}

/// Bits of [`Header::flags`].
pub mod flag {
    /// No io_uring, even where the host has it.
    pub const NO_RINGS: u32 = 1;
    /// Rings for all that can go through them; with [`NO_RINGS`], the poller's rings.
    pub const RINGS_FOR_ALL: u32 = 2;
    /// Do without inclusive Syscall User Dispatch.
    pub const NO_INCLUSIVE_DISPATCH: u32 = 4;
    /// Leave every system call a trap.
    pub const NO_PATCHING: u32 = 8;
    /// Do without AVX-512 state.
    pub const NO_AVX512: u32 = 16;
    /// Insist on the seccomp filter that refuses host calls which are not the runner's own.
    pub const SECCOMP: u32 = 32;
    /// No seccomp filter, even where the host has it.
    pub const NO_SECCOMP: u32 = 64;
    /// No Syscall User Dispatch: the first call that is not rewritten meets the filter, which ends the
    /// enclave. Shows that the filter sees what dispatch would let through.
    pub const NO_DISPATCH: u32 = 128;
    /// No poller thread in the place of io_uring: host calls only.
    pub const NO_POLLER: u32 = 256;
}

/// A run of pages with one set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Segment {
    /// Address in the enclave's range, page-aligned.
    pub address: u64,
    /// Bytes, page-aligned.
    pub len: u64,
    /// Offset of the pages in the plan, page-aligned.
    pub offset: u64,
    /// `R W X` as 1, 2, 4.
    pub permissions: u32,
    /// SGX page type: 1 TCS, 2 REG. A TCS page is measured and not mapped in `sim`.
    pub page_type: u32,
}

/// Tags of the boot blob. An item is `tag: u32, len: u32`, then `len` bytes, padded to 8.
pub mod tag {
    /// One argument, without its NUL; in order.
    pub const ARGUMENT: u32 = 1;
    /// One `KEY=VALUE`, without its NUL; in order.
    pub const ENVIRONMENT: u32 = 2;
    /// Working directory of the first process.
    pub const DIRECTORY: u32 = 3;
    /// Path of the program inside (resolved with PATH inside when it has no slash).
    pub const PROGRAM: u32 = 4;
    /// A root that the host offers: [`super::Root`], host path, NUL, guest path.
    pub const ROOT: u32 = 5;
    /// `uid: u32, gid: u32` then supplementary groups, u32 each.
    pub const IDENTITY: u32 = 6;
    /// Host name.
    pub const HOSTNAME: u32 = 7;
    /// Signals ignored and blocked when the command started: two u64 masks.
    pub const SIGNALS: u32 = 8;
    /// Trace filter: names of calls, comma-separated; present only when tracing.
    pub const TRACE: u32 = 9;
    /// Limits, as `resource: u32, zero: u32, soft: u64, hard: u64`.
    pub const LIMIT: u32 = 10;
    /// Name of the enclave.
    pub const NAME: u32 = 11;
    /// One word of the command that turns trace records into text, without its NUL; in order, the
    /// first is the file to execute. The runner starts it at the first record, with the records on
    /// its standard input. Nothing of the LibOS's concern.
    pub const DECODER: u32 = 12;
    /// One `KEY=VALUE` of that command's environment.
    pub const DECODER_ENVIRONMENT: u32 = 13;
    /// A core file is wanted of a program that a signal ends; empty.
    pub const CORE: u32 = 14;
}

/// A host directory or file that the guest may see, in a [`tag::ROOT`] item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Root {
    /// [`root`] bits.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// Bits of [`Root::flags`].
pub mod root {
    /// Writes go to the host; otherwise they stay in a layer in memory or are refused.
    pub const WRITABLE: u32 = 1;
    /// Part of quick mode's root: guest path equals host path, writes go to memory.
    pub const LAYERED: u32 = 2;
    /// May change meanwhile: look again at each lookup.
    pub const REVALIDATE: u32 = 4;
    /// A single file, not a directory.
    pub const FILE: u32 = 8;
}

/// The measured configuration, at the start of its page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// [`CONFIG_MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// [`config`] bits.
    pub flags: u32,
    /// SIZE of the range.
    pub address_space: u64,
    /// Upper bound of memory, bytes.
    pub max_memory: u64,
    /// Upper bound of vCPUs: thread slots.
    pub max_vcpus: u32,
    /// Bytes of the manifest's canonical form, whose digest follows.
    pub manifest_len: u32,
    /// SHA-256 of the manifest's canonical form.
    pub manifest_sha256: [u8; 32],
    /// Root hash of the file-system image; zero: none.
    pub root_hash: [u8; 32],
}

/// Bits of [`Config::flags`].
pub mod config {
    /// Trace, counters by name, crash reports: what happens inside is told to the host.
    pub const DEBUG: u32 = 1;
    /// Files come unmeasured from the host (quick mode).
    pub const HOST_FILES: u32 = 2;
    /// Arguments are the host's to choose.
    pub const FREE_ARGUMENTS: u32 = 4;
    /// Environment is the host's to choose.
    pub const FREE_ENVIRONMENT: u32 = 8;
}

/// What the runner hands to the entry, in untrusted memory; every field is checked or only used to
/// reach the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Boot {
    /// Address of untrusted memory.
    pub untrusted: u64,
    /// Its bytes.
    pub untrusted_len: u64,
    /// Address of the runner's host call function.
    pub host_entry: u64,
    /// Address of the boot blob, copied into untrusted memory.
    pub blob: u64,
    /// Bytes of the boot blob.
    pub blob_len: u64,
    /// Address of the attendant's mailbox.
    pub mailbox: u64,
    /// Number of vCPUs.
    pub vcpus: u32,
    /// [`flag`] bits.
    pub flags: u32,
    /// Cycles charged for each exit and each entry.
    pub exit_cost: u64,
    /// Bytes of memory that the enclave may use.
    pub memory_limit: u64,
    /// [`host_feature`] bits.
    pub features: u64,
    /// TSC ticks per second as the host measured it.
    pub tsc_hz: u64,
    /// Ticks: bit 0 somebody takes trace records, bit 1 counters are wanted.
    pub wanted: u64,
    /// The host process's id, which the main program is shown nowhere.
    pub host_pid: u64,
}

/// Bits of [`Boot::features`]: what the host kernel offers.
pub mod host_feature {
    /// Syscall User Dispatch with an inclusive range.
    pub const INCLUSIVE_DISPATCH: u64 = 1;
    /// io_uring may be set up.
    pub const RINGS: u64 = 2;
    /// A seccomp filter refuses host calls that are not the runner's own.
    pub const FILTER: u64 = 4;
    /// stdin, stdout, stderr are terminals: bits 8, 9, 10.
    pub const TERMINAL: u64 = 256;
}

/// Bits of [`Boot::wanted`].
pub mod wanted {
    /// Somebody takes trace records.
    pub const TRACE: u64 = 1;
    /// Counters are wanted at the end.
    pub const STAT: u64 = 2;
    /// A person reads what the enclave says.
    pub const NOTES: u64 = 4;
}
