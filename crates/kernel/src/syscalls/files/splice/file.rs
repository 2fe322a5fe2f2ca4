//! Between a pipe and what is no pipe.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::device;
use vfs::node::Kind;
use vfs::object::{Events, OpenFile, Status, Stop};
use vfs::pipe::End;
use vfs::pipe::splice::{Load, Patience};

use super::{Flags, PAGE, wait};
use crate::context::Context;
use crate::process::limits::{INFINITY, Resource};
use crate::signal::info::Info;
use crate::signal::{Signal, send};
use crate::syscalls::files::transfer::{self, fill};

/// The end of a splice that is no pipe.
pub(super) struct Side<'a> {
    pub(super) file: &'a Arc<OpenFile>,
    /// An explicit offset, and where it came from.
    pub(super) offset: Option<i64>,
    pub(super) address: u64,
}

impl Side<'_> {
    pub(super) fn check(&self) -> Result<()> {
        let object = self.file.object();
        match self.offset {
            None => Ok(()),
            Some(_) if !object.seekable() && !object.ignores_seeks() => {
                Err(Errno::EINVAL.because("an offset into what has no positions"))
            }
            Some(offset) => transfer::offset(offset).map(|_| ()),
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

    pub(super) fn store(&self, cx: &Context<'_>) -> Result<()> {
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
pub(super) async fn to_file(
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
        let mut load = match source.pull(part) {
            Err(Stop::Error(error)) if done == 0 => return Err(error),
            Err(_) => break,
            Ok(load) => load,
        };
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
                if let Err(error) = fill(cx, file, offset, len).await {
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
    let queue = file.object().readiness().ok_or(Errno::EAGAIN)?;
    let patience = if file.nonblocking() { Patience::None } else { Patience::Waits };
    let ready = Events::OUT | Events::ERR | Events::HUP;
    wait(cx, queue, patience, || {
        if file.poll().intersects(ready) { Ok(()) } else { Err(Stop::WouldBlock) }
    })
    .await
}

/// From a file to a pipe: what there is room for.
pub(super) async fn from_file(
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
        let seekable = side.file.object().seekable();
        let into = if seekable { side.position() % PAGE as u64 } else { 0 };
        let part = (len - done).min(PAGE - usize::try_from(into).unwrap_or(0));
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
            Err(Stop::Fill { offset, len }) => fill(cx, file, offset, len).await?,
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
