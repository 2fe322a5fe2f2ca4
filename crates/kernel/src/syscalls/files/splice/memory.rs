//! Between a pipe and memory.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use platform::user::{Sink as _, Source as _, UserRange};
use vfs::object::{OpenFile, Stop};
use vfs::pipe::End;
use vfs::pipe::splice::Load;

use super::{Flags, PAGE, wait};
use crate::context::Context;

/// From memory to a pipe: a slot for each page that the buffers lie in, as far as there is room.
pub(super) async fn from_memory(
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
pub(super) async fn to_memory(
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
