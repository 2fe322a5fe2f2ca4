//! What a record shows of the memory that arguments point to.
//!
//! What a call reads is looked at before the call, which may change it or take it away; what it
//! writes is looked at afterwards. The decoder outside knows the forms: here is only how much.

use alloc::vec::Vec;

use abi::nr;
use abi::trace::{BYTES, CONTENT_MAX, CUT, STRING};

use crate::arguments::Arguments;
use crate::context::Context;
use crate::trace::record::Record;

/// The most bytes of a list of structures, or of names in a directory.
const LIST_MAX: usize = 32 << 10;
/// The most strings of a list, and the most pieces of a vector.
const MEMBERS_MAX: usize = 32;

/// When contents are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the call.
    Before,
    /// After it, with what it returned.
    After(i64),
}

/// What a record shows of an argument that is an address.
#[derive(Clone, Copy)]
enum Content {
    /// A string that the call reads.
    Text,
    /// Strings that the call reads: addresses up to a null.
    Texts,
    /// The same, of which only the number is shown.
    Number,
    /// As many bytes as another argument says, which the call reads.
    Input(usize),
    /// A structure of so many bytes, which the call reads.
    Read(usize),
    /// A structure of so many bytes, which the call wrote.
    Written(usize),
    /// As many bytes as the result says, which the call wrote.
    Output,
    /// The same, of which more is needed than is shown: entries of a directory are counted.
    Entries,
    /// As many structures of so many bytes as the result says, which the call wrote.
    Results(usize),
    /// Of as many structures as one argument says, of so many bytes, which the call read and wrote.
    Array(usize, usize),
    /// As many bytes as stand, as a 32-bit number, where another argument points to.
    Through(usize),
    /// A bit for each descriptor below the first argument, which the call reads.
    Descriptors,
    /// Pieces of memory, as many as another argument says, which the call reads.
    Gathered(usize),
    /// The same, which the call wrote.
    Scattered(usize),
}

type Rows = &'static [(usize, Content)];

/// The arguments whose contents are worth showing.
fn of(number: usize) -> Rows {
    let families = [of_names, of_data, of_process, of_polling, of_time_and_signals];
    families.iter().map(|rows| rows(number)).find(|rows| !rows.is_empty()).unwrap_or_default()
}

fn of_process(number: usize) -> Rows {
    use Content::{Number, Read, Text, Texts, Written};
    match number {
        nr::EXECVE => &[(0, Text), (1, Texts), (2, Number)],
        nr::EXECVEAT => &[(1, Text), (2, Texts), (3, Number)],
        nr::CLONE3 => &[(0, Read(64))],
        // Of its six names three: system, host, release.
        nr::UNAME => &[(0, Written(3 * 65))],
        nr::PRLIMIT64 => &[(2, Read(16)), (3, Written(16))],
        _ => &[],
    }
}

fn of_polling(number: usize) -> Rows {
    use Content::{Array, Descriptors, Read, Results};
    match number {
        nr::POLL => &[(0, Array(1, 8))],
        nr::PPOLL => &[(0, Array(1, 8)), (2, Read(16)), (3, Read(8))],
        nr::SELECT | nr::PSELECT6 => {
            &[(1, Descriptors), (2, Descriptors), (3, Descriptors), (4, Read(16))]
        }
        nr::EPOLL_CTL => &[(3, Read(12))],
        nr::EPOLL_WAIT | nr::EPOLL_PWAIT => &[(1, Results(12))],
        nr::EPOLL_PWAIT2 => &[(1, Results(12)), (3, Read(16))],
        _ => &[],
    }
}

fn of_names(number: usize) -> Rows {
    use Content::{Input, Output, Read, Text, Written};
    match number {
        nr::OPEN
        | nr::ACCESS
        | nr::CHDIR
        | nr::CHROOT
        | nr::MKDIR
        | nr::MKNOD
        | nr::RMDIR
        | nr::CREAT
        | nr::UNLINK
        | nr::CHMOD
        | nr::CHOWN
        | nr::LCHOWN
        | nr::TRUNCATE
        | nr::STATFS
        | nr::MEMFD_CREATE
        | nr::UTIME
        | nr::UTIMES => &[(0, Text)],
        nr::STAT | nr::LSTAT => &[(0, Text), (1, Written(56))],
        nr::FSTAT => &[(1, Written(56))],
        nr::NEWFSTATAT => &[(1, Text), (2, Written(56))],
        nr::STATX => &[(1, Text), (4, Written(48))],
        nr::READLINK | nr::LISTXATTR | nr::LLISTXATTR => &[(0, Text), (1, Output)],
        nr::READLINKAT | nr::FGETXATTR => &[(1, Text), (2, Output)],
        nr::OPENAT
        | nr::FACCESSAT
        | nr::FACCESSAT2
        | nr::MKDIRAT
        | nr::MKNODAT
        | nr::UNLINKAT
        | nr::FCHMODAT
        | nr::FCHOWNAT
        | nr::INOTIFY_ADD_WATCH
        | nr::FREMOVEXATTR => &[(1, Text)],
        nr::OPENAT2 => &[(1, Text), (2, Read(24))],
        nr::UTIMENSAT => &[(1, Text), (2, Read(32))],
        nr::RENAME | nr::LINK | nr::SYMLINK | nr::REMOVEXATTR | nr::LREMOVEXATTR => {
            &[(0, Text), (1, Text)]
        }
        nr::RENAMEAT | nr::RENAMEAT2 | nr::LINKAT => &[(1, Text), (3, Text)],
        nr::SYMLINKAT => &[(0, Text), (2, Text)],
        nr::SETXATTR | nr::LSETXATTR => &[(0, Text), (1, Text), (2, Input(3))],
        nr::FSETXATTR => &[(1, Text), (2, Input(3))],
        nr::GETXATTR | nr::LGETXATTR => &[(0, Text), (1, Text), (2, Output)],
        nr::FLISTXATTR => &[(1, Output)],
        _ => &[],
    }
}

fn of_data(number: usize) -> Rows {
    use Content::{Entries, Gathered, Input, Output, Scattered, Through, Written};
    match number {
        nr::WRITE | nr::PWRITE64 | nr::CONNECT | nr::BIND => &[(1, Input(2))],
        nr::READ | nr::PREAD64 => &[(1, Output)],
        nr::GETDENTS64 => &[(1, Entries)],
        nr::WRITEV | nr::PWRITEV | nr::PWRITEV2 => &[(1, Gathered(2))],
        nr::READV | nr::PREADV | nr::PREADV2 => &[(1, Scattered(2))],
        nr::GETRANDOM | nr::GETCWD => &[(0, Output)],
        nr::PIPE | nr::PIPE2 => &[(0, Written(8))],
        nr::SOCKETPAIR => &[(3, Written(8))],
        nr::SENDTO => &[(1, Input(2)), (4, Input(5))],
        nr::RECVFROM => &[(1, Output), (4, Through(5))],
        nr::GETSOCKNAME | nr::GETPEERNAME | nr::ACCEPT | nr::ACCEPT4 => &[(1, Through(2))],
        _ => &[],
    }
}

fn of_time_and_signals(number: usize) -> Rows {
    use Content::{Read, Written};
    match number {
        nr::RT_SIGACTION | nr::SETITIMER => &[(1, Read(32)), (2, Written(32))],
        nr::RT_SIGPROCMASK => &[(1, Read(8)), (2, Written(8))],
        nr::RT_SIGPENDING => &[(0, Written(8))],
        nr::RT_SIGSUSPEND => &[(0, Read(8))],
        nr::RT_SIGTIMEDWAIT => &[(0, Read(8)), (2, Read(16))],
        nr::SIGALTSTACK => &[(0, Read(24)), (1, Written(24))],
        nr::SIGNALFD | nr::SIGNALFD4 => &[(1, Read(8))],
        nr::NANOSLEEP => &[(0, Read(16))],
        nr::CLOCK_GETTIME | nr::CLOCK_GETRES | nr::GETRLIMIT => &[(1, Written(16))],
        nr::CLOCK_NANOSLEEP => &[(2, Read(16))],
        nr::GETTIMEOFDAY => &[(0, Written(16))],
        nr::GETITIMER | nr::TIMER_GETTIME | nr::TIMERFD_GETTIME | nr::GETRUSAGE => {
            &[(1, Written(32))]
        }
        nr::TIMER_SETTIME | nr::TIMERFD_SETTIME => &[(2, Read(32)), (3, Written(32))],
        nr::SETRLIMIT | nr::CLOCK_SETTIME => &[(1, Read(16))],
        _ => &[],
    }
}

/// What depends on an operation among the arguments.
fn by_operation(number: usize, args: &Arguments) -> Option<(usize, Content)> {
    match (number, args.uint(1)) {
        // F_GETLK, F_SETLK, F_SETLKW, and those of open file descriptions.
        (nr::FCNTL, 5..=7 | 36..=38) => Some((2, Content::Read(32))),
        // FIONREAD, FIONBIO, TIOCGWINSZ.
        (nr::IOCTL, 0x541B) => Some((2, Content::Written(4))),
        (nr::IOCTL, 0x5421) => Some((2, Content::Read(4))),
        (nr::IOCTL, 0x5413) => Some((2, Content::Written(8))),
        // Of the operations on futexes those that may wait: WAIT, LOCK_PI, WAIT_BITSET, …REQUEUE_PI, LOCK_PI2.
        (nr::FUTEX, operation) if [0, 6, 9, 11, 13].contains(&(operation & 0x7f)) => {
            Some((3, Content::Read(16)))
        }
        // PR_SET_NAME.
        (nr::PRCTL, _) if args.uint(0) == 15 => Some((1, Content::Text)),
        _ => None,
    }
}

/// Adds what can be seen at a moment.
pub(crate) fn add(
    record: &mut Record,
    cx: &Context<'_>,
    number: usize,
    args: &Arguments,
    moment: Moment,
) {
    let special = by_operation(number, args);
    for (index, content) in of(number).iter().copied().chain(special) {
        let address = args.address(index);
        if address == 0 {
            continue;
        }
        let shown = match moment {
            Moment::Before => before(cx, args, address, content),
            Moment::After(result) => after(cx, args, address, content, result),
        };
        if let Some((kind, bytes)) = shown {
            record.add(u8::try_from(index).unwrap_or(0), kind, &bytes);
        }
    }
}

fn before(
    cx: &Context<'_>,
    args: &Arguments,
    address: u64,
    content: Content,
) -> Option<(u8, Vec<u8>)> {
    match content {
        Content::Text => cx.read_path(address).ok().map(|text| (STRING, text)),
        Content::Texts => texts(cx, address),
        Content::Number => {
            let count = u32::try_from(count(cx, address)?).ok()?;
            Some((BYTES, count.to_le_bytes().to_vec()))
        }
        Content::Input(other) => memory(cx, address, args.size(other), CONTENT_MAX),
        Content::Read(len) => memory(cx, address, len, len),
        Content::Descriptors => {
            let bits = usize::try_from(args.int(0)).ok()?.min(1024);
            memory(cx, address, bits.div_ceil(64) * 8, LIST_MAX)
        }
        Content::Gathered(other) => vector(cx, address, args.size(other), usize::MAX),
        _ => None,
    }
}

fn after(
    cx: &Context<'_>,
    args: &Arguments,
    address: u64,
    content: Content,
    result: i64,
) -> Option<(u8, Vec<u8>)> {
    let count = usize::try_from(result).ok()?;
    match content {
        Content::Written(len) => memory(cx, address, len, len),
        Content::Output => memory(cx, address, count, CONTENT_MAX),
        Content::Entries => memory(cx, address, count, LIST_MAX),
        Content::Results(len) => memory(cx, address, count.checked_mul(len)?, LIST_MAX),
        Content::Array(other, len) => {
            memory(cx, address, args.size(other).checked_mul(len)?, MEMBERS_MAX * len)
        }
        Content::Through(other) => {
            let len = cx.read::<u32>(args.address(other)).ok()?;
            memory(cx, address, usize::try_from(len).ok()?, CONTENT_MAX)
        }
        Content::Scattered(other) => vector(cx, address, args.size(other), count),
        _ => None,
    }
}

/// Memory of `len` bytes, of which the record gets at most `most`.
fn memory(cx: &Context<'_>, address: u64, len: usize, most: usize) -> Option<(u8, Vec<u8>)> {
    let shown = len.min(most);
    let mut bytes = alloc::vec![0; shown];
    cx.read_bytes(address, &mut bytes).ok()?;
    Some((if shown < len { BYTES | CUT } else { BYTES }, bytes))
}

/// A list of addresses up to a null, at most `most`.
fn addresses(cx: &Context<'_>, list: u64, most: usize) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    let mut at = list;
    while found.len() < most {
        let address = cx.read::<u64>(at).ok()?;
        if address == 0 {
            break;
        }
        found.push(address);
        at = at.checked_add(8)?;
    }
    Some(found)
}

/// How many words a list of words has before its null; `None` for more than execve(2) could take.
fn count(cx: &Context<'_>, list: u64) -> Option<u64> {
    const MOST: u64 = 1 << 20;
    (0..MOST).find_map(|index| match cx.read::<u64>(list.checked_add(8 * index)?) {
        Ok(0) => Some(Some(index)),
        Ok(_) => None,
        Err(_) => Some(None),
    })?
}

/// Strings, each with its NUL.
fn texts(cx: &Context<'_>, list: u64) -> Option<(u8, Vec<u8>)> {
    let all = addresses(cx, list, MEMBERS_MAX + 1)?;
    let mut bytes = Vec::new();
    for address in all.iter().take(MEMBERS_MAX) {
        bytes.extend(cx.read_path(*address).ok()?);
        bytes.push(0);
    }
    Some((if all.len() > MEMBERS_MAX { BYTES | CUT } else { BYTES }, bytes))
}

/// The pieces of an iovec: address, bytes, how many of them are shown (u64 each), and those. Of all
/// pieces together `most` bytes are there.
fn vector(cx: &Context<'_>, list: u64, count: usize, most: usize) -> Option<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut left = most;
    for index in 0..count.min(MEMBERS_MAX) {
        let at = list.checked_add(16 * u64::try_from(index).ok()?)?;
        let [address, len] = [cx.read::<u64>(at).ok()?, cx.read::<u64>(at + 8).ok()?];
        let there = usize::try_from(len).ok()?.min(left);
        left -= there;
        let mut piece = alloc::vec![0; there.min(CONTENT_MAX)];
        // A bad address shows nothing of its piece.
        if cx.read_bytes(address, &mut piece).is_err() {
            piece.clear();
        }
        let shown = u64::try_from(piece.len()).ok()?;
        for word in [address, len, shown] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(piece);
    }
    Some((if count > MEMBERS_MAX { BYTES | CUT } else { BYTES }, bytes))
}
