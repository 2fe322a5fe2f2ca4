//! Between a pipe and what is no pipe.

use abi::Errno;
use abi::errno::Result;
use vfs::device;
use vfs::node::Kind;
use vfs::object::{Status, Stop};
use vfs::pipe::End;
use vfs::pipe::splice::{Load, Patience};

use super::{Flags, PAGE, wait};
use crate::context::Context;
use crate::syscalls::files::side::Side;
use crate::syscalls::files::transfer::{self, fill};

/// Checks an explicit offset.
pub(super) fn check(side: &Side) -> Result<()> {
    match side.offset {
        None => Ok(()),
        Some(_) if !side.is_seekable() && !side.file.object().ignores_seeks() => {
            Err(Errno::EINVAL.because("an offset into what has no positions"))
        }
        Some(offset) => transfer::offset(offset).map(|_| ()),
    }
}

/// Whether a file of its kind can be spliced: files, sockets, streams, and devices but `except`.
fn admits(side: &Side, except: device::Kind) -> Result<()> {
    let stat = side.file.object().stat()?;
    let admitted = match Kind::of_mode(stat.mode) {
        Some(Kind::File | Kind::Socket | Kind::Pipe) => true,
        Some(Kind::Character) => stat.rdev != except.number(),
        _ => false,
    };
    if admitted { Ok(()) } else { Err(Errno::EINVAL.because("the file can't be spliced")) }
}

/// From a pipe to a file: what is there, and if nothing is, what comes first.
pub(super) async fn to_file(
    cx: &Context<'_>,
    source: &End,
    side: &mut Side,
    len: usize,
    flags: Flags,
) -> Result<usize> {
    if side.file.status().contains(Status::APPEND) {
        return Err(Errno::EINVAL.because("the file only appends"));
    }
    admits(side, device::Kind::Full)?;
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
        let part = match side.allowed(cx, len - done) {
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
            Ok(part) => part,
        };
        let mut load = match source.pull(part) {
            Err(Stop::Error(error)) if done == 0 => return Err(error),
            Err(_) => break,
            Ok(load) => load,
        };
        let (written, outcome) = side.write(cx, &mut load).await;
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

/// From a file to a pipe: what there is room for.
pub(super) async fn from_file(
    cx: &Context<'_>,
    side: &mut Side,
    target: &End,
    len: usize,
    flags: Flags,
) -> Result<usize> {
    let patience = flags.patience();
    let slots = wait(cx, target.room_queue(), patience, || target.room(patience)).await?;
    admits(side, device::Kind::Null)?;
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
    side: &Side,
    load: &mut Load,
    len: usize,
    flags: Flags,
) -> Result<usize> {
    let file = &side.file;
    let object = file.object();
    let first = load.is_empty();
    loop {
        let position = if object.seekable() { side.position() } else { 0 };
        match load.add(len, |sink| object.read(file, position, sink)) {
            Ok(read) => return Ok(read),
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { offset, len }) => fill(cx, file, offset, len).await?,
            Err(Stop::WouldBlock | Stop::Paced) => {
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
