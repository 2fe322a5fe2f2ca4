//! Trace records: what calls did, which signals came, who is gone.

use alloc::string::String;
use alloc::vec::Vec;

use abi::errno::Result;
use abi::host::HostCall;
use abi::trace::nr as event;
use platform::gate;

use crate::Kernel;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::exit::Status;
use crate::signal::info::Info;
use crate::trace::contents::{self, Moment};

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

/// Begins the record of a call: notes the time and what the call reads, which may be gone after it.
#[cold]
pub(crate) fn begin(cx: &Context<'_>, number: usize, args: &Arguments) -> Record {
    let mut record = Record {
        number: u32::try_from(number).unwrap_or(u32::MAX - 64),
        started: platform::clock::now(),
        args: args.0,
        ..Record::default()
    };
    contents::add(&mut record, cx, number, args, Moment::Before);
    record
}

/// Completes the record of a call that has finished.
#[cold]
pub(crate) fn call(
    mut record: Record,
    cx: &Context<'_>,
    number: usize,
    args: &Arguments,
    result: &Result<u64>,
) {
    let (value, why) = match result {
        Ok(value) => (value.cast_signed(), ""),
        Err(error) => (error.to_return_value(), error.why),
    };
    let duration = platform::clock::now().saturating_sub(record.started);
    record.duration = u32::try_from(duration).unwrap_or(u32::MAX);
    record.result = value;
    record.why.push_str(why);
    contents::add(&mut record, cx, number, args, Moment::After(value));
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
