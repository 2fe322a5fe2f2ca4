//! One side of a copy between descriptors, without a buffer of the program's: a file, and where in it.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use platform::user::Source;
use vfs::object::{Events, OpenFile, Status, Stop};
use vfs::pipe::splice::{Load, Patience};

use super::splice::wait;
use super::transfer::fill;
use crate::context::Context;
use crate::process::limits::{INFINITY, Resource};
use crate::signal::info::Info;
use crate::signal::{Signal, send};

/// A file, and an explicit offset or the description's position.
pub(super) struct Side {
    pub(super) file: Arc<OpenFile>,
    /// The explicit offset.
    pub(super) offset: Option<i64>,
    /// Where it came from, and goes to.
    address: u64,
}

/// Bytes on their way, that can be offered again where not all of them were taken.
pub(super) trait Staged: Source {
    /// Goes back to the first byte.
    fn rewind(&mut self);
    /// Drops the first bytes.
    fn skip(&mut self, len: usize);
}

impl Staged for Load {
    fn rewind(&mut self) {
        self.rewind();
    }

    fn skip(&mut self, len: usize) {
        self.skip(len);
    }
}

/// The explicit offset at `address`; none without an address.
pub(super) fn explicit(cx: &Context<'_>, address: u64) -> Result<Option<i64>> {
    if address == 0 { Ok(None) } else { cx.read(address).map(Some) }
}

impl Side {
    /// A side; its explicit offset, if there is one, is read from `address`.
    pub(super) fn new(cx: &Context<'_>, file: Arc<OpenFile>, address: u64) -> Result<Self> {
        Ok(Self { file, offset: explicit(cx, address)?, address })
    }

    /// The same with an offset that was read before the file was looked for.
    pub(super) fn at(file: Arc<OpenFile>, offset: Option<i64>, address: u64) -> Self {
        Self { file, offset, address }
    }

    pub(super) fn is_seekable(&self) -> bool {
        self.file.object().seekable()
    }

    pub(super) fn position(&self) -> u64 {
        match self.offset {
            Some(offset) => offset.cast_unsigned(),
            None => *self.file.position().lock(),
        }
    }

    /// Goes on by so many bytes, in what has positions.
    pub(super) fn advance(&mut self, by: usize) {
        if !self.is_seekable() {
            return;
        }
        match &mut self.offset {
            Some(offset) => *offset = offset.wrapping_add_unsigned(by as u64),
            None => *self.file.position().lock() += by as u64,
        }
    }

    /// Hands an explicit offset back.
    pub(super) fn store(&self, cx: &Context<'_>) -> Result<()> {
        match self.offset {
            Some(offset) => cx.write(self.address, &offset),
            None => Ok(()),
        }
    }

    /// How much of `len` may be written where it stands (`RLIMIT_FSIZE`).
    pub(super) fn allowed(&self, cx: &Context<'_>, len: usize) -> Result<usize> {
        let limit = cx.process.limits.soft(Resource::FileSize);
        if limit == INFINITY || !self.is_seekable() {
            return Ok(len);
        }
        let left = limit.saturating_sub(self.position());
        if left == 0 {
            send::send_to_thread(cx.kernel, cx.thread, Info::kernel(Signal::XFSZ))?;
            return Err(Errno::EFBIG.because("the limit of file sizes is reached (RLIMIT_FSIZE)"));
        }
        Ok(len.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    /// Writes bytes, and waits where they find no room; how many were written, which are gone from
    /// them, and how it ended.
    pub(super) async fn write(
        &mut self,
        cx: &Context<'_>,
        bytes: &mut (impl Staged + Send),
    ) -> (usize, Result<()>) {
        let mut done = 0;
        let outcome = loop {
            bytes.rewind();
            if bytes.left() == 0 {
                break Ok(());
            }
            let offset = self.is_seekable().then(|| self.position());
            match self.file.object().write(&self.file, offset, bytes) {
                Ok((0, _)) => break Ok(()),
                Ok((written, _)) => {
                    bytes.skip(written);
                    self.advance(written);
                    done += written;
                }
                Err(Stop::Error(error)) => break Err(error),
                Err(Stop::Fill { offset, len }) => {
                    if let Err(error) = fill(cx, &self.file, offset, len).await {
                        break Err(error);
                    }
                }
                Err(Stop::WouldBlock | Stop::Paced) => match self.writable(cx).await {
                    Ok(()) => {}
                    Err(error) => break Err(error),
                },
            }
        };
        if done > 0
            && let Err(error) = carry(&self.file, false).await
        {
            return (done, Err(error));
        }
        (done, outcome)
    }

    async fn writable(&self, cx: &Context<'_>) -> Result<()> {
        let file = &self.file;
        let queue = file.object().readiness().ok_or(Errno::EAGAIN)?;
        let patience = if file.nonblocking() { Patience::None } else { Patience::Waits };
        let ready = Events::OUT | Events::ERR | Events::HUP;
        wait(cx, queue, patience, || {
            if file.poll().intersects(ready) { Ok(()) } else { Err(Stop::WouldBlock) }
        })
        .await
    }
}

/// Carries what was written to where it must be before the call returns: to the disk too, if the
/// description says so, or the call.
pub(super) async fn carry(file: &OpenFile, synced: bool) -> Result<()> {
    let Some(settled) = file.object().settle() else { return Ok(()) };
    settled.await?;
    if synced || file.status().intersects(Status::DSYNC | Status::SYNC) {
        file.object().sync().await
    } else {
        Ok(())
    }
}

/// Whether one may be read and the other written.
///
/// # Errors
/// EBADF.
pub(super) fn check_modes(from: &OpenFile, to: &OpenFile) -> Result<()> {
    if !from.readable() || !to.writable() {
        return Err(Errno::EBADF.because("a descriptor was not opened for that"));
    }
    Ok(())
}

/// What the call returns: writing to what nobody reads is also a signal.
pub(super) fn or_signal(cx: &Context<'_>, done: Result<usize>) -> Result<u64> {
    if let Err(error) = done
        && error.errno == Errno::EPIPE
    {
        send::send_to_thread(cx.kernel, cx.thread, Info::kernel(Signal::PIPE))?;
    }
    done.map(|done| done as u64)
}
