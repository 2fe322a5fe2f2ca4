//! What happened, for those who may know: counters, the trace, the line about a missing call.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::errno::Result;
use abi::host::HostCall;
use abi::nr;
use platform::gate::{self, Interruption};
use platform::sync::Mutex;

use crate::Kernel;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::tally::{NUMBERS, Tally};


/// Counters and the trace of one enclave.
pub struct Trace {
    calls: Tally,
    reported: [AtomicBool; NUMBERS],
    /// Whether records are wanted.
    pub(crate) on: bool,
    /// Numbers that are traced; empty: all.
    filter: Vec<usize>,
    /// Records that were not handed out yet.
    pub(crate) buffer: Mutex<Vec<u8>>,
    /// Site counters of interception.
    pub trapped: AtomicU64,
    /// Sites that were rewritten.
    pub patched: AtomicU64,
    /// Sites that stay traps.
    pub unpatched: AtomicU64,
}

impl Trace {
    /// Nothing counted; `filter`: names of calls to trace, comma-separated, or `None` for no trace.
    pub fn new(filter: Option<&[u8]>) -> Self {
        let names = filter.unwrap_or_default().split(|byte| *byte == b',');
        let numbers = names
            .filter_map(|name| (0..NUMBERS).find(|n| nr::name(*n).map(str::as_bytes) == Some(name)))
            .collect();
        Self {
            calls: Tally::new(),
            reported: [const { AtomicBool::new(false) }; NUMBERS],
            on: filter.is_some(),
            filter: numbers,
            buffer: Mutex::new(Vec::new()),
            trapped: AtomicU64::new(0),
            patched: AtomicU64::new(0),
            unpatched: AtomicU64::new(0),
        }
    }

    /// Counts a call.
    #[inline]
    pub(crate) fn count(&self, number: usize) {
        self.calls.count(number);
    }

    /// Whether a call is to be recorded.
    #[inline]
    pub(crate) fn wants(&self, number: usize) -> bool {
        self.on && (self.filter.is_empty() || self.filter.contains(&number))
    }

    /// Says once that a call is missing.
    pub(crate) fn unsupported(&self, cx: &Context<'_>, number: usize, args: &Arguments) {
        if self.reported[number.min(NUMBERS - 1)].swap(true, Ordering::Relaxed) {
            return;
        }
        let name = nr::name(number).map_or_else(|| format!("number {number}"), String::from);
        let [a, b, c, d, e, f] = args.0;
        platform::boot::message(&format!(
            "adyton: {name}({a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}, {f:#x}) is not supported: ENOSYS \
             (process {})\n",
            cx.process.pid,
        ));
    }
}

/// What a record shows of an argument that is an address.
#[derive(Clone, Copy)]
enum Content {
    /// A string, which the call reads.
    Text,
    /// As many bytes as another argument says, which the call reads.
    Input(usize),
    /// As many bytes as the result says, which the call wrote.
    Output,
    /// A structure of so many bytes, which the call reads or wrote.
    Fixed(usize),
}

/// The arguments whose contents are worth showing.
const fn contents(number: usize) -> &'static [(usize, Content)] {
    use Content::{Fixed, Input, Output, Text};
    match number {
        nr::OPEN | nr::STAT | nr::LSTAT | nr::ACCESS | nr::CHDIR | nr::MKDIR | nr::RMDIR
        | nr::CREAT | nr::UNLINK | nr::READLINK | nr::CHMOD | nr::CHOWN | nr::LCHOWN
        | nr::TRUNCATE | nr::STATFS | nr::EXECVE | nr::MEMFD_CREATE | nr::UTIME | nr::UTIMES => {
            &[(0, Text)]
        }
        nr::OPENAT | nr::NEWFSTATAT | nr::FACCESSAT | nr::FACCESSAT2 | nr::MKDIRAT | nr::UNLINKAT
        | nr::READLINKAT | nr::FCHMODAT | nr::FCHOWNAT | nr::UTIMENSAT | nr::STATX | nr::EXECVEAT
        | nr::OPENAT2 => &[(1, Text)],
        nr::RENAME | nr::LINK | nr::SYMLINK => &[(0, Text), (1, Text)],
        nr::RENAMEAT | nr::RENAMEAT2 | nr::LINKAT => &[(1, Text), (3, Text)],
        nr::SYMLINKAT => &[(0, Text), (2, Text)],
        nr::WRITE | nr::PWRITE64 | nr::SENDTO => &[(1, Input(2))],
        nr::READ | nr::PREAD64 | nr::RECVFROM => &[(1, Output)],
        nr::GETRANDOM | nr::GETCWD => &[(0, Output)],
        nr::RT_SIGPROCMASK => &[(1, Fixed(8))],
        nr::PIPE | nr::PIPE2 => &[(0, Fixed(8))],
        nr::NANOSLEEP => &[(0, Fixed(16))],
        nr::CLOCK_GETTIME => &[(1, Fixed(16))],
        nr::CLOCK_NANOSLEEP => &[(2, Fixed(16))],
        _ => &[],
    }
}

/// Records one finished call; see [`abi::trace`] for the format.
pub(crate) fn record(
    cx: &Context<'_>,
    number: usize,
    args: &Arguments,
    started: u64,
    result: &Result<u64>,
) {
    let (value, why) = match result {
        Ok(value) => (value.cast_signed(), ""),
        Err(error) => (error.to_return_value(), error.why),
    };
    let mut strings = Vec::new();
    let mut count = 0_u16;
    for (index, content) in contents(number) {
        if let Some((kind, bytes)) = show(cx, args, *index, *content, value) {
            let len = u16::try_from(bytes.len()).unwrap_or(0);
            strings.push(u8::try_from(*index).unwrap_or(0));
            strings.push(kind);
            strings.extend(len.to_le_bytes());
            strings.extend(bytes);
            count += 1;
        }
    }
    let now = platform::clock::now();
    let since_start = started.saturating_sub(cx.kernel.settings.started);
    let duration = u32::try_from(now.saturating_sub(started)).unwrap_or(u32::MAX);
    let why_len = u16::try_from(why.len()).unwrap_or(0);
    let total = size_of::<abi::trace::Head>() + why.len() + strings.len();
    let mut buffer = cx.kernel.trace.buffer.lock();
    buffer.extend(u32::try_from(total).unwrap_or(0).to_le_bytes());
    buffer.extend(cx.process.pid.to_le_bytes());
    buffer.extend(cx.thread.tid.to_le_bytes());
    buffer.extend(u32::try_from(number).unwrap_or(u32::MAX - 64).to_le_bytes());
    buffer.extend(since_start.to_le_bytes());
    buffer.extend(value.to_le_bytes());
    args.0.iter().for_each(|arg| buffer.extend(arg.to_le_bytes()));
    buffer.extend(duration.to_le_bytes());
    buffer.extend(why_len.to_le_bytes());
    buffer.extend(count.to_le_bytes());
    buffer.extend(why.as_bytes());
    buffer.extend(&strings);
    drop(buffer);
    flush(cx.kernel);
}

/// The content of one argument, as far as it can be read.
fn show(
    cx: &Context<'_>,
    args: &Arguments,
    index: usize,
    content: Content,
    result: i64,
) -> Option<(u8, Vec<u8>)> {
    use abi::trace::{BYTES, CONTENT_MAX, CUT, STRING};
    let address = args.address(index);
    let len = match content {
        Content::Text => {
            let text = cx.read_path(address).ok()?;
            return Some((STRING, text));
        }
        Content::Input(other) => args.size(other),
        Content::Output => usize::try_from(result).ok()?,
        Content::Fixed(len) => len,
    };
    let shown = len.min(CONTENT_MAX);
    let mut bytes = alloc::vec![0; shown];
    cx.read_bytes(address, &mut bytes).ok()?;
    Some((if shown < len { BYTES | CUT } else { BYTES }, bytes))
}

/// Hands the records out that were not yet.
pub(crate) fn flush(kernel: &Kernel) {
    let records = core::mem::take(&mut *kernel.trace.buffer.lock());
    for part in records.chunks(platform::io::Bounce::MAX) {
        let Some(mut bounce) = platform::io::Bounce::with_capacity(part.len()) else { return };
        bounce.write(0, part);
        let arguments = [bounce.address(), part.len() as u64, 0, 0, 0];
        gate::call(HostCall::Trace, arguments);
    }
}

/// The counters as JSON.
pub fn counters(kernel: &Kernel) -> String {
    let calls: Vec<String> = (0..NUMBERS)
        .filter_map(|number| {
            let count = kernel.trace.calls.of(number);
            let name = nr::name(number).unwrap_or("other");
            (count > 0).then(|| format!("\"{name}\": {count}"))
        })
        .collect();
    let total: u64 = (0..NUMBERS).map(|number| kernel.trace.calls.of(number)).sum();
    let exits: [(&str, u64); 15] = [
        ("wait", gate::calls(HostCall::Wait)),
        ("wake", gate::calls(HostCall::Wake)),
        ("map", gate::calls(HostCall::Map)),
        ("protect", gate::calls(HostCall::Protect)),
        ("unmap", gate::calls(HostCall::Unmap)),
        ("advise", gate::calls(HostCall::Advise) + gate::calls(HostCall::Move)),
        ("discard", gate::calls(HostCall::Discard)),
        ("io", gate::calls(HostCall::Io)),
        ("watch", gate::calls(HostCall::Watch)),
        ("kick", gate::calls(HostCall::Kick)),
        ("ring", gate::calls(HostCall::RingEnter) + gate::calls(HostCall::RingSetup)),
        (
            "other",
            gate::calls(HostCall::Tick)
                + gate::calls(HostCall::Clock)
                + gate::calls(HostCall::Random)
                + gate::calls(HostCall::Message)
                + gate::calls(HostCall::Trace)
                + gate::calls(HostCall::Start),
        ),
        ("trap", gate::interruptions(Interruption::Trap)),
        ("fault", gate::interruptions(Interruption::Fault)),
        ("preempt", gate::interruptions(Interruption::Preempt)),
    ];
    let all: u64 = exits.iter().map(|(_, count)| count).sum();
    let exits: Vec<String> =
        exits.iter().map(|(cause, count)| format!("\"{cause}\": {count}")).collect();
    let (mut switches, mut steals, mut sleeps) = (0, 0, 0);
    for vcpu in 0..platform::vcpu::count() {
        let counters = kernel.executor.counters(vcpu);
        switches += counters.polls;
        steals += counters.steals;
        sleeps += counters.sleeps;
    }
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let rings = platform::carrier::counters();
    let elapsed = platform::clock::now().saturating_sub(kernel.settings.started);
    format!(
        "{{\"exits\": {{{}, \"total\": {all}}}, \"syscalls\": {{{}, \"total\": {total}}}, \
         \"context_switches\": {switches}, \"steals\": {steals}, \"sleeps\": {sleeps}, \
         \"preemptions\": {}, \"interception\": {{\"trapped\": {}, \"patched_sites\": {}, \
         \"unpatched_sites\": {}}}, \"memory\": {{\"limit\": {}, \"peak\": {}, \"user\": {}, \
         \"frames\": {}, \"libos\": {}}}, \"rings\": {{\"submitted\": {}, \"completed\": {}, \
         \"rejected\": {}, \"enters\": {}}}, \"wall_seconds\": {}.{:09}}}\n",
        exits.join(", "),
        calls.join(", "),
        gate::interruptions(Interruption::Preempt),
        load(&kernel.trace.trapped),
        load(&kernel.trace.patched),
        load(&kernel.trace.unpatched),
        platform::budget::limit(),
        platform::budget::peak(),
        platform::budget::used(platform::budget::Purpose::User),
        platform::budget::used(platform::budget::Purpose::Frames),
        platform::budget::used(platform::budget::Purpose::Libos),
        rings.submitted,
        rings.completed,
        rings.rejected,
        gate::calls(HostCall::RingEnter),
        elapsed / 1_000_000_000,
        elapsed % 1_000_000_000,
    )
}
