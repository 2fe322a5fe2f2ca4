//! splice, tee and vmsplice.
//!
//! Source: splice(2), tee(2), vmsplice(2). Differs from Linux: bytes from and to memory and files are
//! copied when the call is made, so what a program writes to vmspliced memory later is not seen; while
//! bytes go from a pipe to a file, another reader of the pipe meets what is behind them.

mod file;
mod memory;

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::{Error, Result};
use executor::wait_queue::WaitQueue;
use platform::arena::PAGE;
use vfs::object::{Attempt, OpenFile, Stop};
use vfs::pipe::End;
use vfs::pipe::splice::Patience;

use super::side::{Side, check_modes, or_signal};
use crate::arguments::Arguments;
use crate::context::{Context, TRANSFER_MAX};

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
    let mut onto = Side::new(cx, Arc::clone(&to), to_at)?;
    let mut of = Side::new(cx, Arc::clone(&from), from_at)?;
    check_modes(&from, &to)?;
    if (source.is_none() || target.is_none()) && len.cast_signed() < 0 {
        return Err(Errno::EINVAL.because("the count is negative"));
    }
    let len = len.min(TRANSFER_MAX);
    let done = match (source, target) {
        (Some(source), Some(target)) => {
            let flags = flags.or_of(&from).or_of(&to);
            between(cx, source, target, flags, |source, target| source.move_to(target, len)).await
        }
        (Some(source), None) => {
            let flags = flags.or_of(&from);
            file::check(&onto)?;
            let done = file::to_file(cx, source, &mut onto, len, flags).await;
            done.and_then(|done| onto.store(cx).map(|()| done))
        }
        (None, Some(target)) => {
            let flags = flags.or_of(&to);
            file::check(&of)?;
            let done = file::from_file(cx, &mut of, target, len, flags).await;
            done.and_then(|done| of.store(cx).map(|()| done))
        }
        (None, None) => Err(Errno::EINVAL.because("neither end is a pipe")),
    };
    if matches!(done, Ok(1..)) {
        vfs::notify::modified(&to);
        vfs::notify::accessed(&from);
    }
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
    let ranges = cx.read_iovecs(args.address(1), args.uint(2) as usize)?;
    if ranges.iter().all(|range| range.len == 0) {
        return Ok(0);
    }
    let pipe = file.downcast::<End>().ok_or(Errno::EBADF.because("not a pipe"))?;
    let done = if file.writable() {
        memory::from_memory(cx, pipe, &ranges, flags).await
    } else {
        memory::to_memory(cx, &file, pipe, &ranges, flags).await
    };
    or_signal(cx, done)
}

/// Attempts something until it doesn't have to wait, or may not.
pub(super) async fn wait<T>(
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
