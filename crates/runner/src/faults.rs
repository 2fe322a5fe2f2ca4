//! A host that lies, for tests: compiled in with the feature `faults` only.
//!
//! `ADYTON_FAULTS=KIND[:ONE_IN[:SEED[:AFTER]]]` in the runner's environment picks one lie, how often it
//! is told, and how many occasions pass before the first. What an enclave may make of it: an error, or
//! a clean stop that says why. `ADYTON_FAULTS_TOLD` names a file that holds, as a u64, how many were
//! told: in a shared mapping, so that it is right however the runner ends.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::io::{Code, Entry, Operation, Stat};
use abi::ring::{COMPLETIONS, Completion, Places, UNAWAITED};

/// The lies, by name.
const KINDS: [(&str, Kind); 27] = [
    ("more", Kind::More),
    ("far-more", Kind::FarMore),
    ("negative", Kind::Negative),
    ("errno", Kind::Errno),
    ("again", Kind::Again),
    ("zero", Kind::Zero),
    ("handle", Kind::Handle),
    ("stat", Kind::Stat),
    ("list", Kind::List),
    ("link", Kind::Link),
    ("data", Kind::Data),
    ("ring-user-data", Kind::RingUserData),
    ("ring-result", Kind::RingResult),
    ("ring-flags", Kind::RingFlags),
    ("ring-twice", Kind::RingTwice),
    ("ring-drop", Kind::RingDrop),
    ("ring-torn", Kind::RingTorn),
    ("ring-tail", Kind::RingTail),
    ("ring-tail-back", Kind::RingTailBack),
    ("ring-head", Kind::RingHead),
    ("ring-head-back", Kind::RingHeadBack),
    ("ring-words", Kind::RingWords),
    ("ring-inside", Kind::RingInside),
    ("token", Kind::Token),
    ("token-twice", Kind::TokenTwice),
    ("mailbox-tail", Kind::MailboxTail),
    ("mailbox-words", Kind::MailboxWords),
];

/// What is lied about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// One byte more than was asked for.
    More = 1,
    /// Any number above what was asked for.
    FarMore,
    /// A negative number that is no errno.
    Negative,
    /// Some errno.
    Errno,
    /// EAGAIN or EINTR.
    Again,
    /// Nothing, where there was something.
    Zero,
    /// A handle that is in use, or one that was never given out.
    Handle,
    /// Times, sizes and types that no file has.
    Stat,
    /// Malformed directory entries.
    List,
    /// Texts of symbolic links with NULs, too long, or empty.
    Link,
    /// Other contents than the file's.
    Data,
    /// A completion for another operation.
    RingUserData,
    /// A completion with any result.
    RingResult,
    /// A completion with flags.
    RingFlags,
    /// Each completion comes twice.
    RingTwice,
    /// A completion never comes.
    RingDrop,
    /// A completion changes after it was announced.
    RingTorn,
    /// The tail is beyond the ring's size.
    RingTail,
    /// The tail goes back.
    RingTailBack,
    /// The head of submissions is beyond its tail.
    RingHead,
    /// The head of submissions goes back.
    RingHeadBack,
    /// The words that only the LibOS writes, and the flags, hold anything.
    RingWords,
    /// A ring that lies in the enclave.
    RingInside,
    /// Tokens that were never handed out.
    Token,
    /// Each token comes twice.
    TokenTwice,
    /// The mailbox's tail is beyond its capacity.
    MailboxTail,
    /// The words that say who sleeps, and on which they do, hold anything.
    MailboxWords,
}

static KIND: AtomicU32 = AtomicU32::new(0);
static ONE_IN: AtomicU64 = AtomicU64::new(1);
/// Occasions that are still to pass.
static AFTER: AtomicU64 = AtomicU64::new(0);
static RANDOM: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
/// Where the kernel's rings truly lie: the fields of [`Places`].
static KERNEL: [[AtomicU64; 7]; 64] = [const { [const { AtomicU64::new(0) }; 7] }; 64];
static LAST_HANDLE: AtomicU64 = AtomicU64::new(0);
/// How many lies were told, in the file's mapping.
static TOLD: OnceLock<&AtomicU64> = OnceLock::new();

/// Reads the environment; an unknown lie ends the runner.
pub(crate) fn init() -> crate::Outcome<()> {
    let Ok(text) = std::env::var("ADYTON_FAULTS") else { return Ok(()) };
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let known = KINDS.iter().find(|(known, _)| *known == name);
    let Some((_, kind)) = known else { return Err(format!("there is no fault \"{name}\"")) };
    let mut number = |least: u64| {
        parts.next().and_then(|part| part.parse::<u64>().ok()).unwrap_or(least).max(least)
    };
    ONE_IN.store(number(1), Ordering::Relaxed);
    RANDOM.fetch_xor(number(1).wrapping_mul(0x2545_f491_4f6c_dd1d), Ordering::Relaxed);
    AFTER.store(number(0), Ordering::Relaxed);
    KIND.store(*kind as u32, Ordering::Relaxed);
    if let Ok(path) = std::env::var("ADYTON_FAULTS_TOLD") {
        let told = counter(&path).map_err(|error| format!("{path}: {error}"))?;
        let _ = TOLD.set(told);
    }
    Ok(())
}

/// Makes a file of eight bytes and maps it.
fn counter(path: &str) -> std::io::Result<&'static AtomicU64> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(8)?;
    let (how, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: a new mapping, of a file of eight bytes.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 8, how, shared, file.as_raw_fd(), 0) };
    if at == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: page-aligned, and mapped for ever.
    Ok(unsafe { &*at.cast::<AtomicU64>() })
}

/// Any number.
fn random() -> u64 {
    let next = |mut x: u64| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^ x << 17
    };
    let old = RANDOM.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |x| Some(next(x)));
    old.map_or(0, next).wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// Whether this lie is told now; counts it.
fn lies(kind: Kind) -> bool {
    let now = KIND.load(Ordering::Relaxed) == kind as u32
        && AFTER
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_err()
        && random().is_multiple_of(ONE_IN.load(Ordering::Relaxed));
    if now && let Some(told) = TOLD.get() {
        told.fetch_add(1, Ordering::Relaxed);
    }
    now
}

fn is(operation: &Operation, code: Code) -> bool {
    operation.code == code as u32
}

/// What the host says of an operation that truly had `result`; its buffer lies at `buffer`.
pub(crate) fn answer(operation: &Operation, buffer: u64, result: i64) -> i64 {
    let counted =
        is(operation, Code::Read) || is(operation, Code::Write) || is(operation, Code::List);
    // The first three handles are streams: what went wrong could not be told any more.
    let told = operation.handle < 3 && !is(operation, Code::Read);
    if told || result < 0 {
        return result;
    }
    if is(operation, Code::Open) {
        let old = LAST_HANDLE.swap(result as u64, Ordering::Relaxed);
        if lies(Kind::Handle) {
            return [old as i64, 0, 2, random() as i64, i64::MAX][random() as usize % 5];
        }
    }
    if counted && lies(Kind::More) {
        return i64::from(operation.len) + 1;
    }
    if lies(Kind::FarMore) {
        return (random() >> (1 + random() % 30)) as i64 | i64::from(operation.len) << 1 | 1 << 32;
    }
    if lies(Kind::Negative) {
        return [-512, -4096, i64::MIN, -(1 << 31)][random() as usize % 4];
    }
    if lies(Kind::Errno) {
        return -((random() % 133) as i64 + 1);
    }
    if counted && lies(Kind::Again) {
        return -i64::from([libc::EAGAIN, libc::EINTR][random() as usize % 2]);
    }
    if counted && lies(Kind::Zero) {
        return 0;
    }
    falsify(operation, buffer, result)
}

/// Changes what an operation put into its buffer; gives its result.
fn falsify(operation: &Operation, buffer: u64, result: i64) -> i64 {
    let behind = buffer + u64::from(operation.path_len);
    if is(operation, Code::Stat) && lies(Kind::Stat) {
        let words = size_of::<Stat>() as u64 / 4;
        for _ in 0..=random() % 3 {
            // A field or half of one; small, large and huge values.
            put(behind + 4 * (random() % words), 4, random() >> (random() % 64));
        }
    }
    if is(operation, Code::List) && result > 0 && lies(Kind::List) {
        let head = size_of::<Entry>() as u64;
        let at = match random() % 3 {
            0 => random() % (result as u64),
            1 => random() % head.min(result as u64),
            _ => 20,
        };
        put(buffer + at, 1, [random(), 0, b'/'.into()][random() as usize % 3]);
        if random().is_multiple_of(2) {
            return (random() % (result as u64)) as i64;
        }
    }
    if is(operation, Code::ReadLink) && lies(Kind::Link) {
        let room = u64::from(operation.len - operation.path_len);
        return match random() % 4 {
            0 => 0,
            1 => room as i64 + 1,
            2 => room as i64,
            _ => {
                put(behind, 1, 0);
                result
            }
        };
    }
    if is(operation, Code::Read) && result > 0 && lies(Kind::Data) {
        for _ in 0..=random() % 64 {
            put(buffer + random() % (result as u64), 1, random());
        }
    }
    result
}

/// Writes the lower `bytes` of a value.
fn put(address: u64, bytes: usize, value: u64) {
    for (index, byte) in value.to_le_bytes().iter().take(bytes).enumerate() {
        // SAFETY: in a bounce buffer, as the callers say.
        unsafe { ((address + index as u64) as *mut u8).write(*byte) };
    }
}

fn word(address: u64) -> &'static AtomicU32 {
    // SAFETY: a shared word of a ring or of the mailbox, mapped for ever.
    unsafe { &*(address as *const AtomicU32) }
}

fn entry(places: &Places, index: u32) -> *mut Completion {
    (places.completions + 16 * u64::from(index % COMPLETIONS)) as *mut Completion
}

/// Falsifies what stands in a ring that the LibOS has not looked at, before it does.
pub(crate) fn ring(places: &Places) {
    let tail = word(places.cq_tail);
    let end = tail.load(Ordering::Relaxed);
    let fresh = end.wrapping_sub(word(places.cq_head).load(Ordering::Relaxed));
    if fresh > 0 && fresh < COMPLETIONS {
        let at = entry(places, end.wrapping_sub(1));
        // SAFETY: an entry of the ring.
        let honest = unsafe { at.read() };
        // SAFETY: as above.
        unsafe { at.write(completion(honest)) };
        // What nobody awaits may come twice: then the next completion would be lost, another lie.
        if honest.user_data != UNAWAITED && lies(Kind::RingTwice) {
            // SAFETY: as above.
            unsafe { entry(places, end).write(honest) };
            tail.store(end.wrapping_add(1), Ordering::SeqCst);
        }
        if lies(Kind::RingDrop) {
            tail.store(end.wrapping_sub(1), Ordering::SeqCst);
        }
    }
    if lies(Kind::RingTail) {
        tail.store(end.wrapping_add(COMPLETIONS + 1 + random() as u32 % 1000), Ordering::SeqCst);
    }
    if lies(Kind::RingTailBack) {
        tail.store(end.wrapping_sub(1 + fresh), Ordering::SeqCst);
    }
    let head = word(places.sq_head);
    let taken = head.load(Ordering::Relaxed);
    if lies(Kind::RingHead) {
        head.store(taken.wrapping_add(1 + random() as u32 % 1000), Ordering::SeqCst);
    }
    if lies(Kind::RingHeadBack) {
        head.store(taken.wrapping_sub(1 + random() as u32 % 3), Ordering::SeqCst);
    }
    if lies(Kind::RingWords) {
        word(places.sq_tail).store(random() as u32, Ordering::SeqCst);
        // Set, never cleared: who hides that work waits answers never, which is another lie.
        word(places.sq_flags).fetch_or(random() as u32, Ordering::SeqCst);
    }
}

fn completion(honest: Completion) -> Completion {
    let mut told = honest;
    if lies(Kind::RingUserData) || lies(Kind::RingTorn) {
        told.user_data = [honest.user_data.wrapping_add(1), honest.user_data ^ 1 << 32, random()]
            [random() as usize % 3];
    }
    if lies(Kind::RingResult) || lies(Kind::RingTorn) {
        told.result = [i32::MAX, i32::MIN, -4096, random() as i32][random() as usize % 4];
    }
    if lies(Kind::RingFlags) {
        told.flags = random() as u32;
    }
    told
}

/// Where a vCPU's kernel ring is said to lie.
pub(crate) fn set_up(index: usize, honest: Places) -> Places {
    let words = [
        honest.sq_head,
        honest.sq_tail,
        honest.sq_flags,
        honest.cq_head,
        honest.cq_tail,
        honest.submissions,
        honest.completions,
    ];
    for (kept, word) in KERNEL[index].iter().zip(words) {
        kept.store(word, Ordering::Relaxed);
    }
    places(honest)
}

/// A vCPU's kernel ring was entered.
pub(crate) fn entered(index: usize) {
    ring(&Places::from_words(|n| KERNEL[index][n].load(Ordering::Relaxed)));
}

/// Where a ring is said to lie.
pub(crate) fn places(honest: Places) -> Places {
    let mut told = honest;
    if lies(Kind::RingInside) {
        let field = if random() & 1 == 0 { &mut told.cq_tail } else { &mut told.submissions };
        *field = [abi::layout::SIZE_MAX - (1 << 30), *field + 1][random() as usize % 2];
    }
    told
}

/// Calls `post` for the tokens that are told in the place of one.
pub(crate) fn token(honest: u64, mut post: impl FnMut(u64)) {
    if lies(Kind::Token) {
        post(random() % 16);
        post(random());
    }
    if lies(Kind::TokenTwice) {
        post(honest);
    }
    post(honest);
}

/// Falsifies the mailbox's words.
pub(crate) fn mailbox(address: u64) {
    use abi::host::mailbox as at;
    if lies(Kind::MailboxTail) {
        let tail = word(address + at::TAIL as u64);
        tail.fetch_add(at::CAPACITY + 1 + random() as u32 % 1000, Ordering::SeqCst);
    }
    if lies(Kind::MailboxWords) {
        for offset in [at::IDLE, at::IDLE + 4, at::TICK, at::EVENTS, at::EVENTS + 64] {
            word(address + offset as u64).store(random() as u32, Ordering::SeqCst);
        }
    }
}
