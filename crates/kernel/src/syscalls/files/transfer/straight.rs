//! The straight way of plain reads and writes: one buffer, and an object without positions that needs
//! no care afterwards, such as a pipe.

use alloc::sync::Arc;
use core::future::Future;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::user::UserRange;
use platform::vcpu;
use vfs::object::{Attempt, OpenFile, Stop};

use super::{ATOMIC, Buffers, Flags, Partial, Request, Transfer, Way, at_once, checked, waiting};
use crate::arguments::Arguments;
use crate::context::{Context, Found, UserBuffers};
use crate::process::limits::INFINITY;

/// What came of an attempt on the straight way. Small enough for registers, unlike what is said of
/// failures.
#[derive(Clone, Copy)]
enum Straight {
    /// Not for this way.
    Not,
    /// So many bytes went over, and that is what the call returns.
    Done(usize),
    /// So many went over, which may not be all.
    Part(usize),
    /// None did, and nothing can be done until the object says so. Not said elsewhere: it would be read
    /// there before its parts have reached the cache, which costs more than all the rest.
    Blocked,
    /// None did; why is said elsewhere.
    Stopped,
}

/// Plain read and write, as far as they need not wait; `None`: they must.
///
/// What has no positions and needs no care afterwards, such as a pipe, goes a straight way, without
/// anything that only others need.
#[inline(never)]
pub(in crate::syscalls) fn plain_at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    let way = if number == abi::nr::READ { Way::In } else { Way::Out };
    let Ok(range) = checked(args.buffer(1, 2)) else { return at_once(cx, number, args) };
    let mut stop = None;
    let mut buffers = cx.buffer(range);
    let attempt = |file: &Arc<OpenFile>| straight(file, way, range.len, &mut buffers, &mut stop);
    let files = &cx.process.files;
    // The file that was looked at, where another may stand under its number now.
    let mut own = None;
    let outcome = if vcpu::count() == 1 {
        // A reference of one's own to the file would cost two locked instructions. Alone, nobody closes
        // it meanwhile or waits for the table's lock; and no such object looks at the table.
        files.borrowed(args.fd(0), attempt)
    } else {
        own = files.get(args.fd(0)).ok();
        own.as_ref().map(attempt)
    };
    let file = || own.map_or_else(|| files.get(args.fd(0)), Ok);
    match outcome {
        Some(Straight::Done(done)) => Some(Ok(done as u64)),
        None | Some(Straight::Not) => at_once(cx, number, args),
        Some(Straight::Part(done)) => match file() {
            Ok(file) => plain_rest(cx, &file, way, buffers, done, Ok(())),
            Err(error) => Some(Err(error)),
        },
        Some(stopped) => {
            let blocked = matches!(stopped, Straight::Blocked);
            let file = match file() {
                Ok(file) => file,
                Err(error) => return Some(Err(error)),
            };
            if (blocked || matches!(stop, Some(Stop::Fill { .. } | Stop::Paced)))
                && !file.nonblocking()
            {
                drop(buffers);
                cx.found = Some(Found { file, blocked });
                return None;
            }
            let stop = stop.unwrap_or(Stop::WouldBlock);
            plain_rest(cx, &file, way, buffers, 0, Err(stop))
        }
    }
}

/// What is left of a plain call that did not succeed plainly.
fn plain_rest<'a>(
    cx: &'a Context<'_>,
    file: &'a Arc<OpenFile>,
    way: Way,
    buffers: UserBuffers<'a>,
    done: usize,
    outcome: Attempt<()>,
) -> Option<Result<u64>> {
    let flags = Flags::empty();
    let mut transfer = Transfer { file, way, at: None, buffers, flags, done, limit: INFINITY };
    let outcome = if done > 0 { transfer.attempt(Partial::Undo) } else { outcome };
    transfer.end_at_once(cx, outcome)
}

/// Whether a call may take the straight way, and if so, an attempt on it. What is wrong with a call is
/// for the other way to say.
#[inline]
fn straight(
    file: &OpenFile,
    way: Way,
    len: usize,
    buffers: &mut UserBuffers<'_>,
    stop: &mut Option<Stop>,
) -> Straight {
    if !is_straight(file, way, len) {
        return Straight::Not;
    }
    // Looked at where it lies: moved, it would be read before its parts have reached the cache.
    match way {
        Way::In => match &file.object().read(file, 0, buffers) {
            Ok(done) if *done > 0 => return Straight::Done(*done),
            Ok(_) => return Straight::Part(0),
            Err(Stop::WouldBlock) => return Straight::Blocked,
            Err(reason) => note(stop, reason),
        },
        Way::Out => match &file.object().write(file, None, buffers) {
            Ok((done, _)) if *done >= len => return Straight::Done(*done),
            Ok((done, _)) => return Straight::Part(*done),
            Err(Stop::WouldBlock) => return Straight::Blocked,
            Err(reason) => note(stop, reason),
        },
    }
    Straight::Stopped
}

/// Whether a call with one good buffer may take the straight way.
#[inline]
fn is_straight(file: &OpenFile, way: Way, len: usize) -> bool {
    let object = file.object();
    let allowed = match way {
        Way::In => file.readable(),
        Way::Out => file.writable() && len <= ATOMIC && object.settle().is_none(),
    };
    // Those who watch a named pipe are told by a transfer.
    allowed && len != 0 && !object.seekable() && !(vfs::notify::any() && file.place().is_some())
}

/// Apart, so that nothing is copied of what did not stop.
#[inline(never)]
fn note(stop: &mut Option<Stop>, reason: &Stop) {
    *stop = Some(*reason);
}

/// A read that must wait, most often for a pipe.
#[expect(clippy::manual_async_fn, reason = "an async fn would move its arguments once more")]
#[inline]
pub(in crate::syscalls) fn read(
    cx: &mut Context<'_>,
    args: &Arguments,
) -> impl Future<Output = Result<u64>> + Send {
    async move {
        let range = args.buffer(1, 2);
        if let Some(found) = cx.found.take_if(|found| waits_straight(&found.file, range)) {
            let cx = &*cx;
            return stream_read(cx, &found, range).await;
        }
        waiting(cx, abi::nr::READ, args).await.unwrap_or(Err(Errno::ENOSYS.into()))
    }
}

/// Whether a read that could not be done at once may wait on the straight way.
fn waits_straight(file: &OpenFile, range: UserRange) -> bool {
    is_straight(file, Way::In, range.len)
        && checked(range).is_ok()
        && !file.nonblocking()
        && file.object().readiness().is_some()
}

/// The straight way, waiting: what is not plain success is for a [`Transfer`] to say.
#[inline]
async fn stream_read(cx: &Context<'_>, found: &Found, range: UserRange) -> Result<u64> {
    let range = checked(range)?;
    let file = &found.file;
    let queue = file.object().readiness().ok_or(Errno::EAGAIN)?;
    // Nobody has run since the last look, if nobody else runs the LibOS and the host tells of nothing.
    let alone = vcpu::count() == 1 && !file.object().is_outside();
    let mut blocked = found.blocked;
    let stop = loop {
        let mut listener = queue.listen();
        // The look that counts is the one after entering the queue; but alone it would say the same.
        if !(blocked && alone) {
            match look(cx, file, range) {
                Look::Done(done) => return Ok(done as u64),
                Look::Blocked => {}
                Look::Other(error) => break error,
            }
        }
        cx.interruptible(&mut listener).await?;
        match look(cx, file, range) {
            Look::Done(done) => return Ok(done as u64),
            Look::Blocked => blocked = true,
            Look::Other(error) => break error,
        }
    };
    let request = Request {
        fd: 0,
        way: Way::In,
        at: None,
        flags: Flags::empty(),
        buffers: Buffers::One(range),
    };
    let mut transfer = Transfer::new(cx, file, &request)?;
    let outcome = match stop {
        Some(error) => Err(error),
        None => transfer.run(cx).await,
    };
    transfer.finish(cx, outcome)
}

/// What came of looking whether a read can be done.
enum Look {
    Done(usize),
    Blocked,
    /// An error; or the end, or a bad buffer, or something that has to be brought in.
    Other(Option<Error>),
}

fn look(cx: &Context<'_>, file: &OpenFile, range: UserRange) -> Look {
    let mut stop = None;
    let mut buffers = cx.buffer(range);
    match straight(file, Way::In, range.len, &mut buffers, &mut stop) {
        Straight::Done(done) => Look::Done(done),
        Straight::Blocked => Look::Blocked,
        Straight::Stopped => match stop {
            Some(Stop::Error(error)) => Look::Other(Some(error)),
            _ => Look::Other(None),
        },
        // An end may be told only once, as a terminal's is.
        Straight::Part(0) if !buffers.faulted() => Look::Done(0),
        Straight::Part(_) | Straight::Not => Look::Other(None),
    }
}
