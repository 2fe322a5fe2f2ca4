//! Trace records: what calls did, which signals came, who is gone.

use alloc::string::String;
use alloc::vec::Vec;

use abi::errno::Result;
use abi::host::HostCall;
use abi::nr;
use abi::trace::nr as event;
use platform::gate;

use crate::Kernel;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::exit::Status;
use crate::signal::info::Info;

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
        nr::OPEN
        | nr::STAT
        | nr::LSTAT
        | nr::ACCESS
        | nr::CHDIR
        | nr::MKDIR
        | nr::RMDIR
        | nr::CREAT
        | nr::UNLINK
        | nr::READLINK
        | nr::CHMOD
        | nr::CHOWN
        | nr::LCHOWN
        | nr::TRUNCATE
        | nr::STATFS
        | nr::EXECVE
        | nr::MEMFD_CREATE
        | nr::UTIME
        | nr::UTIMES => &[(0, Text)],
        nr::OPENAT
        | nr::NEWFSTATAT
        | nr::FACCESSAT
        | nr::FACCESSAT2
        | nr::MKDIRAT
        | nr::UNLINKAT
        | nr::READLINKAT
        | nr::FCHMODAT
        | nr::FCHOWNAT
        | nr::UTIMENSAT
        | nr::STATX
        | nr::EXECVEAT
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

/// A record in the making; see [`abi::trace`] for the format.
#[derive(Default)]
pub(crate) struct Record {
    /// System call number, or one of [`abi::trace::nr`].
    pub(crate) number: u32,
    /// Monotonic ns at which it began.
    pub(crate) started: u64,
    /// How long it took, ns.
    pub(crate) duration: u32,
    /// What the call returned.
    pub(crate) result: i64,
    /// The arguments.
    pub(crate) args: [u64; 6],
    /// The reason for an error.
    pub(crate) why: String,
    contents: Vec<u8>,
    count: u16,
}

impl Record {
    /// An event that is no call, at this moment.
    pub(crate) fn event(number: u32, args: [u64; 6]) -> Self {
        Self { number, started: platform::clock::now(), args, ..Self::default() }
    }

    /// Adds a content; what goes beyond 64 KiB is cut.
    pub(crate) fn add(&mut self, argument: u8, kind: u8, bytes: &[u8]) {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let cut = if usize::from(len) < bytes.len() { abi::trace::CUT } else { 0 };
        self.contents.push(argument);
        self.contents.push(kind | cut);
        self.contents.extend(len.to_le_bytes());
        self.contents.extend(&bytes[..usize::from(len)]);
        self.count += 1;
    }

    /// Appends it to the enclave's records and hands those out.
    pub(crate) fn write(self, cx: &Context<'_>) {
        let why_len = u16::try_from(self.why.len()).unwrap_or(0);
        let why = &self.why[..usize::from(why_len)];
        let total = size_of::<abi::trace::Head>() + why.len() + self.contents.len();
        let since_start = self.started.saturating_sub(cx.kernel.settings.started);
        let head = abi::trace::Head {
            total_len: u32::try_from(total).unwrap_or(0),
            pid: cx.process.pid,
            tid: cx.thread.tid,
            nr: self.number,
            t_ns: since_start,
            result: self.result,
            args: self.args,
            duration_ns: self.duration,
            why_len,
            strings: self.count,
        };
        let mut buffer = cx.kernel.trace.buffer.lock();
        buffer.extend(head.to_bytes());
        buffer.extend(why.as_bytes());
        buffer.extend(&self.contents);
        drop(buffer);
        flush(cx.kernel);
    }
}

/// Records one finished call.
pub(crate) fn call(
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
    let duration = platform::clock::now().saturating_sub(started);
    let mut record = Record {
        number: u32::try_from(number).unwrap_or(u32::MAX - 64),
        started,
        duration: u32::try_from(duration).unwrap_or(u32::MAX),
        result: value,
        args: args.0,
        why: String::from(why),
        ..Record::default()
    };
    for (index, content) in contents(number) {
        if let Some((kind, bytes)) = show(cx, args, *index, *content, value) {
            record.add(u8::try_from(*index).unwrap_or(0), kind, &bytes);
        }
    }
    record.write(cx);
}

/// Records that a signal is delivered to the calling thread.
pub(crate) fn signal(cx: &Context<'_>, info: &Info) {
    if cx.kernel.trace.on {
        let code = i64::from(info.code).cast_unsigned();
        let args = [info.signal.number().into(), code, info.cause(), 0, 0, 0];
        Record::event(event::SIGNAL, args).write(cx);
    }
}

/// Records that the calling thread is gone; `last`: its process with it.
pub(crate) fn gone(cx: &Context<'_>, last: bool) {
    if cx.kernel.trace.on {
        let (how, code) = match *cx.process.status.lock() {
            Some(Status::Signaled(signal)) => (1, signal.into()),
            Some(Status::Exited(code)) => (0, code.into()),
            None => (0, 0),
        };
        Record::event(event::GONE, [how, code, last.into(), 0, 0, 0]).write(cx);
    }
}

/// Records that a call is missing.
pub(crate) fn missing(cx: &Context<'_>, number: usize, why: &str) {
    let mut record = Record::event(event::MISSING, [number as u64, 0, 0, 0, 0, 0]);
    record.why.push_str(why);
    record.write(cx);
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
