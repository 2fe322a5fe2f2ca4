//! The calls that leave the enclave.
//!
//! Arguments and result are 64-bit words. A pointer among them points into untrusted memory, except
//! where a row says "enclave address": then the host acts on the address, never on what lies there.

/// A host call's number, as it crosses the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum HostCall {
    /// `(word: enclave address, expected: u32, timeout_ns: u64)`: sleeps while the word holds
    /// `expected`, at most so long (`u64::MAX`: for ever). A futex, not private.
    Wait = 1,
    /// `(word: enclave address, count)`: wakes sleepers of a word.
    Wake = 2,
    /// `(address, len, prot, backing, offset)`: maps user memory, [`Backing`] saying what.
    Map = 3,
    /// `(address, len, prot)`: changes what user memory admits.
    Protect = 4,
    /// `(address, len)`: drops user memory; the range is reserved again, inaccessible.
    Unmap = 5,
    /// `(address, len, advice)`: [`Advice`] on user memory.
    Advise = 6,
    /// `(from, to, len)`: moves anonymous user memory to a reserved range; `from` is reserved again.
    Move = 7,
    /// `(offset, len)`: gives frames of the trusted memfd back to the host; they read as zero.
    Discard = 8,
    /// `(clock, out)`: the host's time of clock 0 (realtime) or 1 (monotonic) as nanoseconds.
    Clock = 9,
    /// `(out, len)`: random bytes of the host, a seed beside the processor's own.
    Random = 10,
    /// `(kind, code)`: ends the enclave; [`ExitKind`].
    Exit = 11,
    /// `(operation)`: carries out one [`crate::io::Operation`] at once.
    Io = 12,
    /// `(handle, events, token)`: asks the attendant to report readiness, once.
    Watch = 13,
    /// `(vcpu)`: interrupts a vCPU that runs user code.
    Kick = 14,
    /// `(on)`: the preemption tick, for all vCPUs.
    Tick = 15,
    /// `(ptr, len)`: a line for the person, written to stderr.
    Message = 16,
    /// `(ptr, len)`: the counters, as JSON.
    Stat = 17,
    /// `(ptr, len)`: trace records.
    Trace = 18,
    /// `(vcpu, out, kind)`: sets up the calling vCPU's ring, [`RingKind`] saying whose; its
    /// [`crate::ring::Places`] are written to `out`.
    RingSetup = 19,
    /// `(vcpu, submit)`: `io_uring_enter` for the calling vCPU, without a wait; wakes the poller.
    RingEnter = 20,
    /// `()`: lets the vCPUs other than the first enter; once.
    Start = 21,
    /// `(vcpu, handle)`: makes a handle's file known to the calling vCPU's ring, in the slot of the
    /// handle's index.
    RingRegister = 22,
    /// `()`: stops the host's process until somebody lets it go on, as the program's own is.
    Stop = 23,
    /// `(timeout_ns)`: interrupts all vCPUs that run user code after so long, once, in place of the last
    /// time that was asked for.
    Alarm = 24,
}

/// Whose a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RingKind {
    /// The kernel's: io_uring.
    Kernel = 0,
    /// The runner's own, served by its poller thread.
    Poller = 1,
}

/// Slots for files that a ring has.
pub const RING_FILES: u64 = 4096;

/// Number of host calls plus one: the length of a table indexed by call.
pub const HOST_CALLS: usize = 25;

/// What [`HostCall::Map`] maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Backing {
    /// Zeroed private memory.
    Anonymous = 0,
    /// Frames of the trusted memfd at `offset`, shared.
    FramesShared = 1,
    /// Frames of the trusted memfd at `offset`, private: a write makes a copy.
    FramesPrivate = 2,
}

/// Bits of `prot`, as in mmap(2).
pub mod prot {
    /// May be read.
    pub const READ: u64 = 1;
    /// May be written.
    pub const WRITE: u64 = 2;
    /// May be executed.
    pub const EXEC: u64 = 4;
}

/// What [`HostCall::Advise`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Advice {
    /// Drop the contents now; the pages read as zero (or as the frames) afterwards.
    DontNeed = 0,
    /// Large pages are welcome.
    HugePage = 1,
    /// No large pages.
    NoHugePage = 2,
}

/// How an enclave ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum ExitKind {
    /// The program returned `code`.
    Exited = 0,
    /// Signal `code` ended the program.
    Signaled = 1,
    /// The LibOS gives up: a panic, a host that breaks the rules. `adyton: …` was written.
    Failed = 2,
}

/// Events of [`HostCall::Watch`], as in poll(2).
pub mod events {
    /// Readable, or at its end.
    pub const IN: u32 = 1;
    /// Writable.
    pub const OUT: u32 = 4;
}

/// Tokens from here on are the attendant's own: `SIGNAL_TOKEN + n` says that host signal n came.
pub const SIGNAL_TOKEN: u64 = 1 << 63;
/// Set in such a token when a process sent the signal, and not the host's kernel.
pub const SIGNAL_SENT: u32 = 1 << 8;
/// The control socket has something to say.
pub const CONTROL_TOKEN: u64 = (1 << 63) + 0x1000;

/// The attendant's mailbox: two pages of untrusted memory.
///
/// A ring of tokens with one writer (the attendant) and one reader (the LibOS), and the words on
/// which idle vCPUs sleep. Who wakes vCPU `n`, on either side, counts its event word up and wakes its
/// sleeper; a vCPU reads the word, looks once more for work, then waits for the word to change.
pub mod mailbox {
    /// Offset of the u32 that the writer counts up after each token (wraps).
    pub const TAIL: usize = 0;
    /// Offset of the u32 that the reader counts up (wraps); the writer waits while it is full.
    pub const HEAD: usize = 64;
    /// Offset of the u64 mask of idle vCPUs: a hint for whom the attendant should wake.
    pub const IDLE: usize = 128;
    /// Offset of the u32 that is not 0 while the preemption tick is wanted.
    pub const TICK: usize = 192;
    /// Offset of the u64 that holds the instant of the enclave's clock at which vCPUs are to be
    /// interrupted; the host makes it `u64::MAX` when it does so.
    pub const ALARM: usize = 200;
    /// Offset of the first u64 token.
    pub const TOKENS: usize = 256;
    /// Number of tokens that fit.
    pub const CAPACITY: u32 = 256;
    /// Offset of the u32 event word of vCPU 0.
    pub const EVENTS: usize = 4096;
    /// Distance between two vCPUs' event words.
    pub const EVENT_STRIDE: usize = 64;
    /// Bytes of the mailbox.
    pub const LEN: usize = 8192;
}
