//! splice, tee and vmsplice.
//!
//! Source: splice(2), tee(2), vmsplice(2). Differs from Linux: bytes from and to memory and files are
//! copied when the call is made, so what a program writes to vmspliced memory later is not seen; while
//! bytes go from a pipe to a file, another reader of the pipe meets what is behind them.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::{Error, Result};
use executor::wait_queue::WaitQueue;
use platform::user::{Sink as _, Source as _, UserRange};
use vfs::device;
use vfs::node::Kind;
use vfs::object::{Attempt, OpenFile, Status, Stop};
use vfs::pipe::End;
use vfs::pipe::splice::{Load, Patience};

use crate::arguments::Arguments;
use crate::context::{Context, TRANSFER_MAX};
use crate::process::limits::{INFINITY, Resource};
use crate::signal::info::Info;
use crate::signal::{Signal, send};

bitflags::bitflags! {
    /// Flags of these calls.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u32 {
        /// A hint: pages are copied anyway.
        const MOVE = 1;
        /// No wait for the pipe.
        const NONBLOCK = 2;
        /// A hint: more comes.
        const MORE = 4;
        /// The pages are given away: a hint, too.
        const GIFT = 8;
    }
}

const PAGE: usize = 4096;

impl Flags {
    fn decode(raw: u32) -> Result<Self> {
        Self::from_bits(raw).ok_or(Errno::EINVAL.because("an unknown flag of splice"))
    }

    /// With the word of a pipe's description.
    fn or_of(self, file: &OpenFile) -> Self {
        if file.nonblocking() { self | Self::NONBLOCK } else { self }
    }

    fn patience(self) -> Patience {
        if self.contains(Self::NONBLOCK) { Patience::None } else { Patience::Waits }
    }
}

/// splice(2): from, its offset or null, to, its offset or null, bytes, flags.
pub(super) async fn splice(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let len = args.size(4);
    if len == 0 {
        return Ok(0);
    }
    let flags = Flags::decode(args.uint(5))?;
    let from = cx.process.files.get(args.fd(0))?;
    let to = cx.process.files.get(args.fd(2))?;
    let (source, target) = (from.downcast::<End>(), to.downcast::<End>());
    let (from_at, to_at) = (args.address(1), args.address(3));
    if (source.is_some() && from_at != 0) || (target.is_some() && to_at != 0) {
        return Err(Errno::ESPIPE.because("a pipe has no positions"));
    }
    let to_offset = offset(cx, to_at)?;
    let from_offset = offset(cx, from_at)?;
    check_modes(&from, &to)?;
    let len = len.min(TRANSFER_MAX);
    let done = match (source, target) {
        (Some(source), Some(target)) => {
            let flags = flags.or_of(&from).or_of(&to);
            between(cx, source, target, flags, |source, target| source.move_to(target, len)).await
        }
        (Some(source), None) => {
            let flags = flags.or_of(&from);
            let mut side = Side { file: &to, offset: to_offset, address: to_at };
            side.check()?;
            let done = to_file(cx, source, &mut side, len, flags).await;
            done.and_then(|done| side.store(cx).map(|()| done))
        }
        (None, Some(target)) => {
            let flags = flags.or_of(&to);
            let mut side = Side { file: &from, offset: from_offset, address: from_at };
            side.check()?;
            let done = from_file(cx, &mut side, target, len, flags).await;
            done.and_then(|done| side.store(cx).map(|()| done))
        }
        (None, None) => Err(Errno::EINVAL.because("neither end is a pipe")),
    };
    or_signal(cx, done)
}

/// tee(2): from, to, bytes, flags.
pub(super) async fn tee(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = Flags::decode(args.uint(3))?;
    let len = args.size(2);
    if len == 0 {
        return Ok(0);
    }
    let from = cx.process.files.get(args.fd(0))?;
    let to = cx.process.files.get(args.fd(1))?;
    check_modes(&from, &to)?;
    let (Some(source), Some(target)) = (from.downcast::<End>(), to.downcast::<End>()) else {
        return Err(Errno::EINVAL.because("tee goes from pipe to pipe"));
    };
    let flags = flags.or_of(&from).or_of(&to);
    let done = between(cx, source, target, flags, |source, target| {
        source.copy_to(target, len.min(TRANSFER_MAX))
    });
    or_signal(cx, done.await)
}

/// vmsplice(2): pipe, `iovec`s, how many, flags. To a pipe's writing end from memory, from its reading
/// end to memory.
pub(super) async fn vmsplice(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = Flags::decode(args.uint(3))?;
    let file = cx.process.files.get(args.fd(0))?;
    if !file.readable() && !file.writable() {
        return Err(Errno::EBADF.because("the descriptor only names a file (O_PATH)"));
    }
    let ranges = cx.read_iovecs(args.address(1), args.size(2))?;
    if ranges.iter().all(|range| range.len == 0) {
        return Ok(0);
    }
    let pipe = file.downcast::<End>().ok_or(Errno::EBADF.because("not a pipe"))?;
    let done = if file.writable() {
        from_memory(cx, pipe, &ranges, flags).await
    } else {
        to_memory(cx, &file, pipe, &ranges, flags).await
    };
    or_signal(cx, done)
}

fn offset(cx: &Context<'_>, address: u64) -> Result<Option<i64>> {
    if address == 0 { Ok(None) } else { cx.read(address).map(Some) }
}

fn check_modes(from: &OpenFile, to: &OpenFile) -> Result<()> {
    if !from.readable() || !to.writable() {
        return Err(Errno::EBADF.because("a descriptor was not opened for that"));
    }
    Ok(())
}

/// Writing to what nobody reads is also a signal.
fn or_signal(cx: &Context<'_>, done: Result<usize>) -> Result<u64> {
    if let Err(error) = done
        && error.errno == Errno::EPIPE
    {
        send::send_to_thread(cx.kernel, cx.thread, Info::kernel(Signal::PIPE))?;
    }
    done.map(|done| done as u64)
}

/// Attempts something until it doesn't have to wait, or may not.
async fn wait<T>(
    cx: &Context<'_>,
    queue: &WaitQueue,
    patience: Patience,
    mut attempt: impl FnMut() -> Attempt<T>,
) -> Result<T> {
    loop {
        let listener = queue.listen();
        match attempt() {
            Ok(value) => return Ok(value),
            Err(Stop::Error(error)) => return Err(error),
            Err(_) if patience == Patience::None => return Err(Errno::EAGAIN.into()),
            Err(_) => cx.interruptible(listener).await.map_err(Error::from)?,
        }
    }
}

/// From pipe to pipe.
async fn between(
    cx: &Context<'_>,
    source: &End,
    target: &End,
    flags: Flags,
    mut transfer: impl FnMut(&End, &End) -> Attempt<usize>,
) -> Result<usize> {
    if source.is_of(target) {
        return Err(Errno::EINVAL.because("both are ends of one pipe"));
    }
    let patience = flags.patience();
    loop {
        wait(cx, source.bytes_queue(), patience, || source.has_bytes(patience)).await?;
        wait(cx, target.room_queue(), patience, || target.room(patience)).await?;
        match transfer(source, target) {
            Ok(done) => return Ok(done),
            Err(Stop::Error(error)) => return Err(error),
            // Somebody else was faster.
            Err(_) if patience == Patience::None => return Err(Errno::EAGAIN.into()),
            Err(_) => {}
        }
    }
}

/// The end of a splice that is no pipe.
struct Side<'a> {
    file: &'a Arc<OpenFile>,
    /// An explicit offset, and where it came from.
    offset: Option<i64>,
    address: u64,
}

impl Side<'_> {
    fn check(&self) -> Result<()> {
        let object = self.file.object();
        match self.offset {
            None => Ok(()),
            Some(_) if !object.seekable() && !object.ignores_seeks() => {
                Err(Errno::EINVAL.because("an offset into what has no positions"))
            }
            Some(offset) => super::transfer::offset(offset).map(|_| ()),
        }
    }

    fn position(&self) -> u64 {
        match self.offset {
            Some(offset) => offset.cast_unsigned(),
            None => *self.file.position().lock(),
        }
    }

    fn advance(&mut self, by: usize) {
        if !self.file.object().seekable() {
            return;
        }
        match &mut self.offset {
            Some(offset) => *offset = offset.wrapping_add_unsigned(by as u64),
            None => *self.file.position().lock() += by as u64,
        }
    }

    fn store(&self, cx: &Context<'_>) -> Result<()> {
        match self.offset {
            Some(offset) => cx.write(self.address, &offset),
            None => Ok(()),
        }
    }

    /// Whether its kind can be spliced: files, sockets, streams, and devices but `except`.
    fn admits(&self, except: device::Kind) -> Result<()> {
        let stat = self.file.object().stat()?;
        let admitted = match Kind::of_mode(stat.mode) {
            Some(Kind::File | Kind::Socket | Kind::Pipe) => true,
            Some(Kind::Character) => stat.rdev != except.number(),
            _ => false,
        };
        if admitted { Ok(()) } else { Err(Errno::EINVAL.because("the file can't be spliced")) }
    }
}

/// From a pipe to a file: what is there, and if nothing is, what comes first.
async fn to_file(
    cx: &Context<'_>,
    source: &End,
    side: &mut Side<'_>,
    len: usize,
    flags: Flags,
) -> Result<usize> {
    if side.file.status().contains(Status::APPEND) {
        return Err(Errno::EINVAL.because("the file only appends"));
    }
    side.admits(device::Kind::Full)?;
    let patience = flags.patience();
    let mut done = 0;
    while done < len {
        let some = match source.has_bytes(patience) {
            Err(_) if done > 0 => false,
            Err(_) => {
                wait(cx, source.bytes_queue(), patience, || source.has_bytes(patience)).await?
            }
            Ok(some) => some,
        };
        if !some {
            break;
        }
        let part = match allowed(cx, side, len - done) {
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
            Ok(part) => part,
        };
        let mut load = source.pull(part);
        let (written, outcome) = write(cx, side, &mut load).await;
        let rest = !load.is_empty();
        source.put_back(load);
        done += written;
        match outcome {
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
            Ok(()) if rest => break,
            Ok(()) => {}
        }
    }
    Ok(done)
}

/// How much may be written where the side stands (`RLIMIT_FSIZE`).
fn allowed(cx: &Context<'_>, side: &Side<'_>, len: usize) -> Result<usize> {
    let limit = cx.process.limits.soft(Resource::FileSize);
    if limit == INFINITY || !side.file.object().seekable() {
        return Ok(len);
    }
    let left = limit.saturating_sub(side.position());
    if left == 0 {
        send::send_to_thread(cx.kernel, cx.thread, Info::kernel(Signal::XFSZ))?;
        return Err(Errno::EFBIG.because("the limit of file sizes is reached (RLIMIT_FSIZE)"));
    }
    Ok(len.min(usize::try_from(left).unwrap_or(usize::MAX)))
}

/// Writes what `load` holds; what was written, which is gone from it, and how it ended.
async fn write(cx: &Context<'_>, side: &mut Side<'_>, load: &mut Load) -> (usize, Result<()>) {
    let file = side.file;
    let object = file.object();
    let mut done = 0;
    let outcome = loop {
        if load.is_empty() {
            break Ok(());
        }
        load.rewind();
        let offset = object.seekable().then(|| side.position());
        match object.write(file, offset, load) {
            Ok((0, _)) => break Ok(()),
            Ok((written, _)) => {
                load.skip(written);
                side.advance(written);
                done += written;
            }
            Err(Stop::Error(error)) => break Err(error),
            Err(Stop::Fill { offset, len }) => {
                if let Err(error) = object.fill(offset, len).await {
                    break Err(error);
                }
            }
            Err(Stop::WouldBlock) => match writable(cx, file).await {
                Ok(()) => {}
                Err(error) => break Err(error),
            },
        }
    };
    if done > 0
        && let Some(settled) = object.settle()
        && let Err(error) = settled.await
    {
        return (done, Err(error));
    }
    (done, outcome)
}

async fn writable(cx: &Context<'_>, file: &OpenFile) -> Result<()> {
    use vfs::object::Events;
    let queue = file.object().readiness().ok_or(Errno::EAGAIN)?;
    let patience = if file.nonblocking() { Patience::None } else { Patience::Waits };
    let ready = Events::OUT | Events::ERR | Events::HUP;
    wait(cx, queue, patience, || {
        if file.poll().intersects(ready) { Ok(()) } else { Err(Stop::WouldBlock) }
    })
    .await
}

/// From a file to a pipe: what there is room for.
async fn from_file(
    cx: &Context<'_>,
    side: &mut Side<'_>,
    target: &End,
    len: usize,
    flags: Flags,
) -> Result<usize> {
    let patience = flags.patience();
    let slots = wait(cx, target.room_queue(), patience, || target.room(patience)).await?;
    side.admits(device::Kind::Null)?;
    let mut load = Load::default();
    let mut done = 0;
    for _ in 0..slots {
        // As in Linux, a slot holds what lies in one page of the file.
        let part = (len - done).min(match side.file.object().seekable() {
            true => PAGE - usize::try_from(side.position() % PAGE as u64).unwrap_or(0),
            false => PAGE,
        });
        let read = match read(cx, side, &mut load, part, flags).await {
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
            Ok(read) => read,
        };
        side.advance(read);
        done += read;
        if read < part || done == len {
            break;
        }
    }
    target.push(load);
    Ok(done)
}

/// Reads up to `len` bytes into a slot of `load`; a stream is waited for only for its first byte.
async fn read(
    cx: &Context<'_>,
    side: &Side<'_>,
    load: &mut Load,
    len: usize,
    flags: Flags,
) -> Result<usize> {
    let file = side.file;
    let object = file.object();
    let first = load.is_empty();
    loop {
        let position = if object.seekable() { side.position() } else { 0 };
        match load.add(len, |sink| object.read(file, position, sink)) {
            Ok(read) => return Ok(read),
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { offset, len }) => object.fill(offset, len).await?,
            Err(Stop::WouldBlock) => {
                let queue = object.readiness().ok_or(Errno::EAGAIN)?;
                let gives_up = !first || flags.or_of(file).contains(Flags::NONBLOCK);
                let patience = if gives_up { Patience::None } else { Patience::Waits };
                let read = wait(cx, queue, patience, || {
                    load.add(len, |sink| object.read(file, position, sink))
                });
                return read.await;
            }
        }
    }
}

/// From memory to a pipe: a slot for each page that the buffers lie in, as far as there is room.
async fn from_memory(
    cx: &Context<'_>,
    pipe: &End,
    ranges: &[UserRange],
    flags: Flags,
) -> Result<usize> {
    let patience = flags.patience();
    let mut slots = wait(cx, pipe.room_queue(), patience, || pipe.room(patience)).await?;
    let mut load = Load::default();
    let mut refused = None;
    'buffers: for range in ranges {
        let mut at = range.start;
        let end = range.start + range.len as u64;
        while at < end {
            if slots == 0 {
                break 'buffers;
            }
            let page_end = (at / PAGE as u64 + 1) * PAGE as u64;
            let len = usize::try_from(page_end.min(end) - at).unwrap_or(PAGE);
            if let Err(error) = add_memory(cx, &mut load, UserRange { start: at, len }) {
                refused = Some(error);
                break 'buffers;
            }
            at += len as u64;
            slots -= 1;
        }
    }
    let done = load.len();
    if let Some(error) = refused
        && done == 0
    {
        return Err(error);
    }
    pipe.push(load);
    Ok(done)
}

/// Adds a part of a page of memory, whole or not at all.
fn add_memory(cx: &Context<'_>, load: &mut Load, range: UserRange) -> Result<()> {
    let mut bytes = [0; PAGE];
    let mut buffer = cx.buffer(range);
    let taken = buffer.take(&mut bytes[..range.len]);
    if taken < range.len {
        return Err(Errno::EFAULT.because("the buffer can't be read"));
    }
    match load.add(taken, |sink| Ok(sink.put(&bytes[..taken]))) {
        Ok(_) => Ok(()),
        Err(Stop::Error(error)) => Err(error),
        Err(_) => Err(Errno::ENOMEM.into()),
    }
}

/// From a pipe to memory: what is there, and if nothing is, what comes first.
async fn to_memory(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    pipe: &End,
    ranges: &[UserRange],
    flags: Flags,
) -> Result<usize> {
    let patience = flags.patience();
    let mut buffers = cx.sink(ranges);
    wait(cx, pipe.bytes_queue(), patience, || pipe.has_bytes(patience)).await?;
    let mut done = 0;
    while buffers.room() > 0 && !buffers.faulted() {
        match file.object().read(file, 0, &mut buffers) {
            Ok(0) | Err(_) => break,
            Ok(read) => done += read,
        }
    }
    if done == 0 && buffers.faulted() {
        return Err(Errno::EFAULT.because("the buffer can't be written"));
    }
    Ok(done)
}
