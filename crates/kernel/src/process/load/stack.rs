//! The stack that a program finds: its strings, its words, its auxiliary vector.
//!
//! ```text
//! top   8 zero bytes, the program's name, environment, arguments (strings in ascending order)
//!       a random distance; "x86_64"; 16 random bytes
//! sp    argc, arguments, 0, environment, 0, auxiliary vector
//! ```
//!
//! Source: System V ABI, AMD64 supplement, 3.4; getauxval(3); execve(2), "Limits on size of arguments".

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use abi::layout::PAGE;
use platform::context::UserContext;
use vfs::credentials::Credentials;

use crate::context::write_bytes;
use crate::memory::{Limit, Prot, Space};
use crate::process::rseq;
use crate::signal::frame;

/// The longest string with its NUL, bytes: Linux's `MAX_ARG_STRLEN`.
pub(super) const STRING_MAX: usize = 128 << 10;
/// What strings may take whatever the stack's limit is: Linux's `ARG_MAX`.
const STRINGS_MIN: u64 = 128 << 10;
/// What they may never exceed: three quarters of Linux's default stack.
const STRINGS_MAX: u64 = (8 << 20) / 4 * 3;
/// Stack that is there at once, beyond what is in use.
const ROOM: u64 = 128 << 10;
/// The random distance below the strings, bytes.
const SPREAD: u64 = 8192;
/// Zeros at the very top.
const TOP: usize = 8;
/// The processor's name.
const PLATFORM: &[u8] = b"x86_64\0";
/// Ticks per second of times(2).
const CLOCK_TICKS: u64 = 100;

/// Types of the auxiliary vector.
mod at {
    pub(super) const NULL: u64 = 0;
    pub(super) const PHDR: u64 = 3;
    pub(super) const PHENT: u64 = 4;
    pub(super) const PHNUM: u64 = 5;
    pub(super) const PAGESZ: u64 = 6;
    pub(super) const BASE: u64 = 7;
    pub(super) const FLAGS: u64 = 8;
    pub(super) const ENTRY: u64 = 9;
    pub(super) const UID: u64 = 11;
    pub(super) const EUID: u64 = 12;
    pub(super) const GID: u64 = 13;
    pub(super) const EGID: u64 = 14;
    pub(super) const PLATFORM: u64 = 15;
    pub(super) const HWCAP: u64 = 16;
    pub(super) const CLKTCK: u64 = 17;
    pub(super) const SECURE: u64 = 23;
    pub(super) const RANDOM: u64 = 25;
    pub(super) const HWCAP2: u64 = 26;
    pub(super) const RSEQ_FEATURE_SIZE: u64 = 27;
    pub(super) const RSEQ_ALIGN: u64 = 28;
    pub(super) const EXECFN: u64 = 31;
    pub(super) const SYSINFO_EHDR: u64 = 33;
    pub(super) const MINSIGSTKSZ: u64 = 51;
}

/// What the program is started with.
pub(super) struct Strings<'a> {
    pub(super) name: &'a [u8],
    pub(super) arguments: &'a [Vec<u8>],
    pub(super) environment: &'a [Vec<u8>],
}

/// Where things lie that the auxiliary vector tells of.
pub(super) struct Origin {
    /// The vDSO's ELF header.
    pub(super) vdso: u64,
    /// The program headers in memory, and their number.
    pub(super) table: u64,
    pub(super) count: u16,
    /// By how much the interpreter was moved; 0: there is none.
    pub(super) base: u64,
    /// The program's own entry.
    pub(super) entry: u64,
}

/// A finished stack.
pub(super) struct Top {
    pub(super) pointer: u64,
    pub(super) auxiliary: Vec<(u64, u64)>,
}

/// Bytes that strings and their pointers may take under a limit of the stack.
pub(super) fn strings_limit(stack: u64) -> usize {
    let bytes = (stack / 4).clamp(STRINGS_MIN, STRINGS_MAX);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Whether the strings fit.
///
/// # Errors
/// E2BIG.
pub(super) fn check(
    name: &[u8],
    arguments: &[Vec<u8>],
    environment: &[Vec<u8>],
    limit: usize,
) -> Result<()> {
    let mut left = limit.checked_sub(8 * (arguments.len() + environment.len()));
    for string in [name].into_iter().chain(arguments.iter().chain(environment).map(Vec::as_slice)) {
        if string.len() >= STRING_MAX {
            return Err(Errno::E2BIG.because("a string has 128 KiB or more"));
        }
        left = left.and_then(|left| left.checked_sub(string.len() + 1));
    }
    left.map(|_| ()).ok_or(Errno::E2BIG.because("arguments and environment exceed their limit"))
}

/// Maps the stack and fills it.
///
/// # Errors
/// ENOMEM, EFAULT.
pub(super) fn build(
    space: &Arc<Space>,
    prot: Prot,
    strings: &Strings<'_>,
    origin: &Origin,
    who: &Credentials,
) -> Result<Top> {
    let used = strings.len() as u64 + words_len(strings) + SPREAD + 2 * PAGE;
    let limit = space.limit(Limit::Stack).max(used);
    let range = space.map_stack((used + ROOM).min(limit), prot)?;
    let placed = Placed::new(strings, range.end);
    let mut random = [0; 16];
    platform::random::fill(&mut random);
    let skew = platform::random::next() % SPREAD;
    let platform = (placed.start.wrapping_sub(skew) & !15) - PLATFORM.len() as u64;
    let random_at = platform - random.len() as u64;
    let auxiliary = auxiliary(origin, who, [random_at, placed.name, platform]);
    let words = placed.words(&auxiliary);
    let pointer = (random_at & !15).wrapping_sub(words.len() as u64) & !15;
    write_bytes(space, placed.start, &placed.bytes)?;
    write_bytes(space, platform, PLATFORM)?;
    write_bytes(space, random_at, &random)?;
    write_bytes(space, pointer, &words)?;
    Ok(Top { pointer, auxiliary })
}

fn words_len(strings: &Strings<'_>) -> u64 {
    8 * (strings.arguments.len() + strings.environment.len()) as u64
}

fn auxiliary(
    origin: &Origin,
    who: &Credentials,
    [random, name, platform]: [u64; 3],
) -> Vec<(u64, u64)> {
    let secure = who.euid != who.uid || who.egid != who.gid;
    alloc::vec![
        (at::SYSINFO_EHDR, origin.vdso),
        (at::MINSIGSTKSZ, signal_stack_min()),
        (at::HWCAP, u64::from(core::arch::x86_64::__cpuid(1).edx)),
        (at::PAGESZ, PAGE),
        (at::CLKTCK, CLOCK_TICKS),
        (at::PHDR, origin.table),
        (at::PHENT, crate::process::elf::ENTRY as u64),
        (at::PHNUM, u64::from(origin.count)),
        (at::BASE, origin.base),
        (at::FLAGS, 0),
        (at::ENTRY, origin.entry),
        (at::UID, u64::from(who.uid)),
        (at::EUID, u64::from(who.euid)),
        (at::GID, u64::from(who.gid)),
        (at::EGID, u64::from(who.egid)),
        (at::SECURE, u64::from(secure)),
        (at::RANDOM, random),
        // Bit 1 would say that programs may use WRGSBASE, but GS is how the LibOS finds itself.
        (at::HWCAP2, 0),
        (at::RSEQ_FEATURE_SIZE, u64::from(rseq::USED)),
        (at::RSEQ_ALIGN, u64::from(rseq::ALIGN)),
        (at::EXECFN, name),
        (at::PLATFORM, platform),
        (at::NULL, 0),
    ]
}

/// The most that a signal frame takes of a stack.
fn signal_stack_min() -> u64 {
    const ALIGNMENT: u64 = 64 + 16;
    let extended = frame::extended_len(UserContext::extended_size());
    (frame::SIZE as u64 + extended as u64 + ALIGNMENT).next_multiple_of(16)
}

impl Strings<'_> {
    fn all(&self) -> impl Iterator<Item = &[u8]> {
        let in_order = self.arguments.iter().chain(self.environment).map(Vec::as_slice);
        in_order.chain([self.name])
    }

    fn len(&self) -> usize {
        self.all().map(|string| string.len() + 1).sum::<usize>() + TOP
    }
}

/// The strings where they will lie.
struct Placed {
    start: u64,
    bytes: Vec<u8>,
    arguments: Vec<u64>,
    environment: Vec<u64>,
    name: u64,
}

impl Placed {
    fn new(strings: &Strings<'_>, top: u64) -> Self {
        let len = strings.len();
        let start = top - len as u64;
        let mut bytes = Vec::with_capacity(len);
        let mut addresses = Vec::new();
        for string in strings.all() {
            addresses.push(start + bytes.len() as u64);
            bytes.extend_from_slice(string);
            bytes.push(0);
        }
        bytes.resize(len, 0);
        let name = addresses.pop().unwrap_or(0);
        let environment = addresses.split_off(strings.arguments.len());
        Self { start, bytes, arguments: addresses, environment, name }
    }

    /// What the stack pointer points to.
    fn words(&self, auxiliary: &[(u64, u64)]) -> Vec<u8> {
        let count = self.arguments.len() as u64;
        let pairs = auxiliary.iter().flat_map(|(kind, value)| [*kind, *value]);
        [count]
            .into_iter()
            .chain(self.arguments.iter().copied())
            .chain([0])
            .chain(self.environment.iter().copied())
            .chain([0])
            .chain(pairs)
            .flat_map(u64::to_le_bytes)
            .collect()
    }
}
