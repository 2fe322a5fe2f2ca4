//! read, write and their kin.
//!
//! Source: read(2), pread(2), readv(2), write(2). Differs from Linux: two threads that use one
//! description's position at once are kept apart only as long as neither waits for the host.

mod flags;
mod lent;
mod straight;

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::clock;
use platform::user::{Sink, Source, UserRange};
use vfs::epoll::Epoll;
use vfs::node::Kind;
use vfs::object::{Attempt, Object, OpenFile, Status, Stop};

use super::side::carry;
use crate::arguments::{Arguments, Fd};
use crate::context::{Context, Found, TRANSFER_MAX, UserBuffers};
use crate::process::limits::{INFINITY, Resource};
use crate::signal::info::Info;
use crate::signal::{Signal, send};

use flags::Flags;
pub(in crate::syscalls) use lent::{Asked, lent, lent_at_once};
pub(in crate::syscalls) use straight::{plain_at_once, read};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// What becomes of a read that can't go on without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Partial {
    /// It never began: position and count stay.
    Undo,
    /// It goes on from there.
    Keep,
}

/// Writes up to this length to a stream are all or nothing (`PIPE_BUF`).
const ATOMIC: usize = 4096;
/// Why a transfer ends with EAGAIN.
const NOT_NOW: &str = "it would have to wait, and must not";

/// What a call asks for, as its arguments say.
struct Request {
    fd: Fd,
    way: Way,
    /// An explicit offset, or the description's position.
    at: Option<u64>,
    flags: Flags,
    buffers: Buffers,
}

/// One call under way.
struct Transfer<'a> {
    file: &'a Arc<OpenFile>,
    way: Way,
    /// As in [`Request`]; moves on.
    at: Option<u64>,
    buffers: UserBuffers<'a>,
    flags: Flags,
    done: usize,
    /// A write that must stop before this offset (`RLIMIT_FSIZE`).
    limit: u64,
}

/// Brings contents in that an attempt missed; a host that never answers is given up with the thread.
pub(super) async fn fill(cx: &Context<'_>, file: &OpenFile, offset: u64, len: u64) -> Result<()> {
    cx.killable(file.object().fill(offset, len)).await.map_err(Error::from)?
}

/// Which way bytes go by a call; `None`: it is not one of these.
const fn way(number: usize) -> Option<Way> {
    use abi::nr;
    match number {
        nr::READ | nr::PREAD64 | nr::READV | nr::PREADV | nr::PREADV2 => Some(Way::In),
        nr::WRITE | nr::PWRITE64 | nr::WRITEV | nr::PWRITEV | nr::PWRITEV2 => Some(Way::Out),
        _ => None,
    }
}

/// Whether this is one of these calls.
pub(super) const fn is_transfer(number: usize) -> bool {
    way(number).is_some()
}

/// Calls that may finish at once; `None`: they must wait, or are not here.
pub(super) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    let request = match Request::decode(number, args)? {
        Ok(request) => request,
        Err(error) => return Some(Err(error)),
    };
    let file = match cx.process.files.get(request.fd) {
        Ok(file) => file,
        Err(error) => return Some(Err(error)),
    };
    let result = try_at_once(cx, &file, &request);
    if result.is_none() {
        cx.found = Some(Found { file, blocked: false });
    }
    result
}

fn try_at_once(cx: &Context<'_>, file: &Arc<OpenFile>, request: &Request) -> Option<Result<u64>> {
    let mut transfer = match Transfer::new(cx, file, request) {
        Ok(transfer) => transfer,
        Err(error) => return Some(Err(error)),
    };
    if matches!(request.buffers, Buffers::Many(..)) && transfer.is_nothing() {
        return Some(Ok(0));
    }
    if !transfer.may_be_tried_at_once() {
        return None;
    }
    let outcome = transfer.attempt(Partial::Undo);
    transfer.end_at_once(cx, outcome)
}

/// The same calls, waiting.
pub(super) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    let found = cx.found.take().map(|found| found.file);
    let cx = &*cx;
    let request = match Request::decode(number, args)? {
        Ok(request) => request,
        Err(error) => return Some(Err(error)),
    };
    let file = match found.map_or_else(|| cx.process.files.get(request.fd), Ok) {
        Ok(file) => file,
        Err(error) => return Some(Err(error)),
    };
    let mut transfer = match Transfer::new(cx, &file, &request) {
        Ok(transfer) => transfer,
        Err(error) => return Some(Err(error)),
    };
    let outcome = transfer.run(cx).await;
    Some(transfer.finish(cx, outcome))
}

impl Request {
    /// What a call asks for; `None`: not one of these.
    #[inline]
    fn decode(number: usize, args: &Arguments) -> Option<Result<Self>> {
        use abi::nr;
        let fd = args.fd(0);
        let way = way(number)?;
        if matches!(number, nr::READ | nr::WRITE) {
            let buffers = Buffers::One(args.buffer(1, 2));
            return Some(Ok(Self { fd, way, at: None, flags: Flags::empty(), buffers }));
        }
        Some(Self::decode_rest(number, args, fd, way))
    }

    fn decode_rest(number: usize, args: &Arguments, fd: Fd, way: Way) -> Result<Self> {
        use abi::nr;
        let buffers = match number {
            nr::PREAD64 | nr::PWRITE64 => Buffers::One(args.buffer(1, 2)),
            // Linux takes 32 bits of the count.
            _ => Buffers::Many(args.address(1), args.uint(2) as usize),
        };
        let at = match number {
            nr::READV | nr::WRITEV => None,
            nr::PREADV2 | nr::PWRITEV2 if args.long(3) == -1 => None,
            _ => Some(offset(args.long(3))?),
        };
        let flags = match number {
            nr::PREADV2 | nr::PWRITEV2 => Flags::from_bits_retain(args.uint(5)),
            _ => Flags::empty(),
        };
        Ok(Self { fd, way, at, flags, buffers })
    }
}

impl<'a> Transfer<'a> {
    fn new(cx: &'a Context<'_>, file: &'a Arc<OpenFile>, request: &Request) -> Result<Self> {
        let Request { way, at, flags, ref buffers, .. } = *request;
        let seekable = file.object().seekable();
        let only_named = file.status().contains(Status::PATH);
        if at.is_some() && !seekable && !only_named && !file.object().ignores_seeks() {
            return Err(Errno::ESPIPE.because("it has no position"));
        }
        let allowed = if way == Way::In { file.readable() } else { file.writable() };
        if !allowed {
            return Err(Errno::EBADF.because("the descriptor was not opened for that"));
        }
        let named = match buffers {
            Buffers::One(range) => checked(*range).map(|range| cx.buffer(range)),
            Buffers::Many(address, count) => {
                cx.read_iovecs(*address, *count).map(|ranges| cx.sink(&ranges))
            }
        };
        // What is never read or written says so before its buffers are looked at.
        let buffers = match named {
            Err(_) if file.downcast::<Epoll>().is_some() => {
                return Err(Errno::EINVAL.because("an epoll set is neither read nor written"));
            }
            named => named?,
        };
        if let Some(at) = at {
            ends_in_range(at, buffers.left())?;
        }
        if !flags.is_empty() && buffers.left() > 0 {
            flags.check(file)?;
        }
        let limited = way == Way::Out && seekable;
        let limit = if limited { cx.process.limits.soft(Resource::FileSize) } else { INFINITY };
        Ok(Self { file, way, at, buffers, flags, done: 0, limit })
    }

    /// Whether several buffers have no room between them: nothing is done, unless the object refuses all
    /// transfers of this way.
    fn is_nothing(&self) -> bool {
        let object = self.file.object();
        let directory = object.node().is_some_and(|node| node.kind() == Kind::Directory);
        self.buffers.left() == 0 && (self.way == Way::In && directory || object.seekable())
    }

    /// What the call returns after an attempt without waiting; `None`: it must wait.
    fn end_at_once(&self, cx: &Context<'_>, outcome: Attempt<()>) -> Option<Result<u64>> {
        match outcome {
            Ok(()) => Some(self.finish(cx, Ok(()))),
            Err(Stop::Error(error)) => Some(self.finish(cx, Err(error))),
            Err(Stop::WouldBlock | Stop::Paced) if self.may_not_wait() => {
                Some(self.finish(cx, Err(Errno::EAGAIN.because(NOT_NOW))))
            }
            Err(_) if self.done > 0 => Some(self.finish(cx, Ok(()))),
            Err(_) => None,
        }
    }

    /// Whether nobody must wait for what it does at once.
    fn may_be_tried_at_once(&self) -> bool {
        self.way == Way::In || self.may_finish_at_once()
    }

    /// Whether a write needs nobody to wait for it: neither the host nor room for all of it.
    fn may_finish_at_once(&self) -> bool {
        let object = self.file.object();
        object.settle().is_none()
            && (object.seekable() || self.buffers.left() <= ATOMIC || self.may_not_wait())
    }

    /// Goes on as far as it can without waiting.
    fn attempt(&mut self, partial: Partial) -> Attempt<()> {
        match self.way {
            Way::In => self.attempt_in(partial),
            Way::Out => self.attempt_out(),
        }
    }

    fn attempt_in(&mut self, partial: Partial) -> Attempt<()> {
        let Self { file, at, buffers, done, .. } = self;
        let object = file.object();
        // Event objects have their own word about a buffer without room.
        let answers = object.seeks_in_vain() && !object.ignores_seeks();
        if buffers.room() == 0 && !answers {
            let directory = object.node().is_some_and(|node| node.kind() == Kind::Directory);
            return if directory {
                Err(Errno::EISDIR.because("a directory is read by getdents64").into())
            } else {
                Ok(())
            };
        }
        if !object.seekable() {
            *done += object.read(file, 0, buffers)?;
            return Ok(());
        }
        let mut position = if at.is_none() { Some(file.position().lock()) } else { None };
        let start = position.as_deref().copied().or(*at).unwrap_or(0);
        let mut offset = start;
        let outcome = loop {
            if buffers.room() == 0 || buffers.faulted() {
                break Ok(());
            }
            match object.read(file, offset, buffers) {
                Ok(0) => break Ok(()),
                Ok(read) => offset += read as u64,
                Err(stop) => break Err(stop),
            }
        };
        if matches!(outcome, Err(Stop::Fill { .. } | Stop::WouldBlock)) && partial == Partial::Undo
        {
            return outcome;
        }
        *done += usize::try_from(offset - start).unwrap_or(usize::MAX);
        match &mut position {
            Some(position) => **position = offset,
            None => *at = Some(offset),
        }
        outcome
    }

    fn attempt_out(&mut self) -> Attempt<()> {
        let Self { file, at, buffers, done, flags, limit, .. } = self;
        let object = file.object();
        if buffers.left() == 0 {
            // Nothing to write, but the object may have an error to tell.
            let offset = at.or(Some(0));
            let refused = object.write(file, offset, buffers);
            return match refused {
                Err(Stop::Error(error)) => Err(error.into()),
                _ => Ok(()),
            };
        }
        if !object.seekable() {
            while buffers.left() > 0 && !buffers.faulted() {
                let start = buffers.mark();
                let left = buffers.left();
                match object.write(file, None, buffers) {
                    Ok((written, _)) => {
                        *done += written;
                        // Some objects take bytes without looking at them.
                        if written == 0 || written >= left {
                            break;
                        }
                    }
                    Err(stop) => {
                        buffers.rewind(start);
                        return Err(stop);
                    }
                }
            }
            return Ok(());
        }
        let append = flags.contains(Flags::APPEND)
            || file.status().contains(Status::APPEND) && !flags.contains(Flags::NO_APPEND);
        let append = append && object.appends();
        let mut position = if at.is_none() { Some(file.position().lock()) } else { None };
        while buffers.left() > 0 && !buffers.faulted() {
            let offset = match (&position, &*at) {
                (Some(position), _) => **position,
                (None, at) => at.unwrap_or(0),
            };
            let mut source = Limited::new(buffers, &**object, append, offset, *limit)?;
            let left = source.left();
            let (written, end) = object.write(file, (!append).then_some(offset), &mut source)?;
            *done += written;
            match (&mut position, &mut *at) {
                (Some(position), _) => **position = end,
                (None, Some(at)) => *at += written as u64,
                (None, None) => {}
            }
            if written == 0 || written >= left {
                break;
            }
        }
        Ok(())
    }

    /// Goes on until it is done, waiting as needed.
    async fn run(&mut self, cx: &Context<'_>) -> Result<()> {
        // Who was tried at once, and comes here, has to wait: the look that counts is the one after
        // entering the queue.
        let mut look = !self.may_be_tried_at_once()
            || self.may_not_wait()
            || self.file.object().seekable()
            || self.file.object().readiness().is_none();
        loop {
            let first = if core::mem::replace(&mut look, true) {
                self.attempt(Partial::Keep)
            } else {
                Err(Stop::WouldBlock)
            };
            let outcome = match first {
                Err(Stop::WouldBlock) if !self.may_not_wait() => self.wait(cx).await,
                other => other,
            };
            match outcome {
                Ok(()) => break,
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Fill { offset, len }) if !self.flags.contains(Flags::NO_WAIT) => {
                    fill(cx, self.file, offset, len).await?;
                }
                Err(Stop::Paced) if !self.may_not_wait() => {
                    self.paced(cx).await?;
                    break;
                }
                Err(Stop::Fill { .. } | Stop::WouldBlock | Stop::Paced) => {
                    return Err(Errno::EAGAIN.because(NOT_NOW));
                }
            }
        }
        if self.way == Way::Out && self.done > 0 {
            self.carry().await?;
        }
        Ok(())
    }

    /// Reads as [`Object::pace`] says: until there is enough, or for so long.
    async fn paced(&mut self, cx: &Context<'_>) -> Result<()> {
        let object = self.file.object();
        let Some(pace) = object.pace(self.file) else { return Err(Errno::ERESTARTSYS.into()) };
        let queue = object.readiness().ok_or(Errno::EAGAIN)?;
        let after = |wait: u64| (wait != u64::MAX).then(|| clock::now().saturating_add(wait));
        let wanted = self.done + pace.least.min(self.buffers.room());
        let mut deadline = after(pace.first);
        loop {
            let listener = queue.listen();
            match object.read_early(self.file, &mut self.buffers) {
                Ok(0) => return Ok(()),
                Ok(len) => {
                    self.done += len;
                    deadline = after(pace.between);
                    if self.done >= wanted || self.buffers.faulted() {
                        return Ok(());
                    }
                    continue;
                }
                Err(Stop::Error(error)) => return Err(error),
                Err(_) => {}
            }
            match cx.interruptible(cx.kernel.executor.timeout(deadline, listener)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()),
                Err(interrupted) => return Err(interrupted.into()),
            }
        }
    }

    /// Waits until the object is ready, and goes on.
    async fn wait(&mut self, cx: &Context<'_>) -> Attempt<()> {
        let file = self.file;
        let queue = file.object().readiness().ok_or(Errno::EAGAIN)?;
        loop {
            let listener = queue.listen();
            match self.attempt(Partial::Keep) {
                Err(Stop::WouldBlock) => cx.interruptible(listener).await.map_err(Error::from)?,
                other => return other,
            }
        }
    }

    /// Carries what was written to where it must be before the call returns.
    async fn carry(&self) -> Result<()> {
        carry(self.file, self.flags.intersects(Flags::DATA_SYNC | Flags::SYNC)).await
    }

    fn may_not_wait(&self) -> bool {
        self.flags.contains(Flags::NO_WAIT) || self.file.nonblocking()
    }

    /// Tells those who watch the file.
    #[cold]
    fn tell(&self) {
        match self.way {
            Way::In => vfs::notify::accessed(self.file),
            Way::Out => vfs::notify::modified(self.file),
        }
    }

    /// What the call returns.
    fn finish(&self, cx: &Context<'_>, outcome: Result<()>) -> Result<u64> {
        if self.done > 0 {
            if vfs::notify::any() {
                self.tell();
            }
            return Ok(self.done as u64);
        }
        if let Err(error) = outcome {
            let signal = match error.errno {
                Errno::EPIPE if self.way == Way::Out && !self.flags.contains(Flags::NO_SIGNAL) => {
                    Some(Signal::PIPE)
                }
                Errno::EFBIG if self.limit != INFINITY => Some(Signal::XFSZ),
                _ => None,
            };
            if let Some(signal) = signal {
                send::send_to_thread(cx.kernel, cx.thread, Info::kernel(signal))?;
            }
            return Err(error);
        }
        if self.buffers.faulted() {
            return Err(Errno::EFAULT.because("the buffer can't be accessed"));
        }
        Ok(0)
    }
}

/// The buffers as the call names them.
enum Buffers {
    One(UserRange),
    Many(u64, usize),
}

/// A buffer as read(2) checks it.
fn checked(range: UserRange) -> Result<UserRange> {
    if range.len.cast_signed() < 0 {
        return Err(Errno::EFAULT.because("the buffer is longer than memory"));
    }
    if !platform::user::is_below_end(range.start, range.len) {
        return Err(Errno::EFAULT.because("the buffer lies outside user memory"));
    }
    Ok(UserRange { len: range.len.min(TRANSFER_MAX), ..range })
}

/// An offset that must not be negative.
///
/// # Errors
/// EINVAL.
pub(super) fn offset(raw: i64) -> Result<u64> {
    u64::try_from(raw).map_err(|_| Errno::EINVAL.because("the offset is negative"))
}

/// Checks that a transfer ends where offsets still are positive.
///
/// # Errors
/// EINVAL.
pub(super) fn ends_in_range(at: u64, len: usize) -> Result<()> {
    match at.checked_add(len as u64) {
        Some(end) if end.cast_signed() >= 0 => Ok(()),
        _ => Err(Errno::EINVAL.because("the end lies beyond the largest offset")),
    }
}

/// A source that ends where `RLIMIT_FSIZE` does.
struct Limited<'a> {
    source: &'a mut dyn Source,
    room: usize,
}

impl<'a> Limited<'a> {
    fn new(
        source: &'a mut dyn Source,
        object: &dyn Object,
        append: bool,
        offset: u64,
        limit: u64,
    ) -> Result<Self> {
        if limit == INFINITY {
            return Ok(Self { source, room: usize::MAX });
        }
        let offset = if append { object.stat()?.size } else { offset };
        if offset >= limit {
            return Err(Errno::EFBIG.because("the limit of file sizes is reached (RLIMIT_FSIZE)"));
        }
        let room = usize::try_from(limit - offset).unwrap_or(usize::MAX);
        Ok(Self { source, room })
    }
}

impl Source for Limited<'_> {
    fn left(&self) -> usize {
        self.source.left().min(self.room)
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        let len = out.len().min(self.room);
        let taken = self.source.take(&mut out[..len]);
        self.room -= taken;
        taken
    }

    fn take_frames(&mut self, extent: &platform::arena::Extent, at: usize, len: usize) -> usize {
        let taken = self.source.take_frames(extent, at, len.min(self.room));
        self.room -= taken;
        taken
    }

    fn give_back(&mut self, bytes: &[u8]) -> bool {
        let given = self.source.give_back(bytes);
        self.room += if given { bytes.len() } else { 0 };
        given
    }

    fn skip_all(&mut self) -> usize {
        let skipped = self.source.skip_all().min(self.room);
        self.room -= skipped;
        skipped
    }
}
