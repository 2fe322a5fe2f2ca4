//! What a system call works with: who calls, and the caller's memory and registers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{self, Poll};

use abi::Errno;
use abi::errno::{Error, Result};
use platform::arena::Extent;
use platform::context::UserContext;
use platform::user::{self, Short, Sink, Source, UserRange};
use vfs::object::OpenFile;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::Kernel;
use crate::memory::{Access, Space};
use crate::process::{Process, Thread};
use crate::signal::deliver::InterruptedCall;
use crate::trace::record::Record;

/// The most bytes of one read or write, as Linux's `MAX_RW_COUNT`.
pub const TRANSFER_MAX: usize = 0x7fff_f000;
/// Longest path with its NUL.
pub const PATH_MAX: usize = 4096;

/// The calling thread and its world. Passed, never global.
pub struct Context<'a> {
    /// What all processes share.
    pub kernel: &'static Kernel,
    /// The caller's process.
    pub process: &'a Arc<Process>,
    /// The caller.
    pub thread: &'a Arc<Thread>,
    /// The caller's registers; only calls whose subject they are touch them.
    pub registers: &'a mut UserContext,
    /// The open file of a call that could not finish at once, for when it waits.
    pub found: Option<Found>,
    /// What a call works on in place of its descriptor: a file that a ring has registered.
    pub(crate) lent: Option<Arc<OpenFile>>,
    /// The last call, if a signal interrupted it and that is not settled yet.
    pub interrupted: Option<InterruptedCall>,
    /// The record of a call under way, if it is traced.
    pub(crate) record: Option<Box<Record>>,
    /// The page fault of user code that is to be served.
    pub(crate) raised: Option<platform::context::Fault>,
}

/// The open file that a call is about.
pub struct Found {
    /// The file.
    pub file: Arc<OpenFile>,
    /// It was looked at, could do nothing yet, and nothing was awaited since.
    pub blocked: bool,
}

/// A wait that a signal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl From<Interrupted> for Error {
    fn from(_: Interrupted) -> Self {
        Errno::ERESTARTSYS.because("a signal came")
    }
}

impl Context<'_> {
    /// The caller's memory.
    #[inline]
    pub fn memory(&self) -> &Arc<Space> {
        &self.process.memory
    }

    /// The open file that a call is about: what was lent to it, or what its descriptor names.
    ///
    /// # Errors
    /// EBADF.
    pub(crate) fn file(&self, fd: i32) -> Result<Arc<OpenFile>> {
        match &self.lent {
            Some(file) => Ok(Arc::clone(file)),
            None => self.process.files.get(fd),
        }
    }

    /// Copies from user memory.
    ///
    /// # Errors
    /// EFAULT.
    #[inline]
    pub fn read_bytes(&self, address: u64, out: &mut [u8]) -> Result<()> {
        read_bytes(self.memory(), address, out)
    }

    /// Copies to user memory.
    ///
    /// # Errors
    /// EFAULT.
    #[inline]
    pub fn write_bytes(&self, address: u64, bytes: &[u8]) -> Result<()> {
        write_bytes(self.memory(), address, bytes)
    }

    /// Reads a value of plain bytes.
    ///
    /// # Errors
    /// EFAULT.
    #[inline]
    pub fn read<T: FromBytes + IntoBytes>(&self, address: u64) -> Result<T> {
        let mut value = T::new_zeroed();
        self.read_bytes(address, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a value of plain bytes.
    ///
    /// # Errors
    /// EFAULT.
    #[inline]
    pub fn write<T: IntoBytes + Immutable>(&self, address: u64, value: &T) -> Result<()> {
        self.write_bytes(address, value.as_bytes())
    }

    /// Reads `count` values of plain bytes.
    ///
    /// # Errors
    /// EFAULT; ENOMEM when they would exceed 16 MiB.
    pub fn read_vec<T: FromBytes + IntoBytes + Clone>(
        &self,
        address: u64,
        count: usize,
    ) -> Result<Vec<T>> {
        if count.saturating_mul(size_of::<T>()) > 16 << 20 {
            return Err(Errno::ENOMEM.because("too many elements"));
        }
        let mut values = alloc::vec![T::new_zeroed(); count];
        for (index, value) in values.iter_mut().enumerate() {
            self.read_bytes(
                address.wrapping_add((index * size_of::<T>()) as u64),
                value.as_mut_bytes(),
            )?;
        }
        Ok(values)
    }

    /// Reads a NUL-terminated string of at most `most` bytes with its NUL.
    ///
    /// # Errors
    /// EFAULT; `too_long` when no NUL comes in time.
    pub fn read_string(&self, address: u64, most: usize, too_long: Errno) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < most {
            // Up to the end of a page at a time: the next one may not be there, and need not be.
            let to_page_end = usize::try_from(4096 - at % 4096).unwrap_or(4096);
            let mut chunk = [0; 256];
            let wanted = to_page_end.min(chunk.len()).min(most - text.len());
            self.read_bytes(at, &mut chunk[..wanted])?;
            if let Some(end) = chunk[..wanted].iter().position(|byte| *byte == 0) {
                text.extend_from_slice(&chunk[..end]);
                return Ok(text);
            }
            text.extend_from_slice(&chunk[..wanted]);
            at += wanted as u64;
        }
        Err(too_long.into())
    }

    /// Reads a path.
    ///
    /// # Errors
    /// EFAULT, ENAMETOOLONG.
    pub fn read_path(&self, address: u64) -> Result<Vec<u8>> {
        self.read_string(address, PATH_MAX, Errno::ENAMETOOLONG)
    }

    /// A sink over user buffers, filled in order.
    pub fn sink(&self, ranges: &[UserRange]) -> UserBuffers<'_> {
        UserBuffers::new(self.memory(), ranges)
    }

    /// One buffer, as a sink or as a source.
    #[inline]
    pub fn buffer(&self, range: UserRange) -> UserBuffers<'_> {
        UserBuffers {
            space: self.memory(),
            ranges: smallvec::SmallVec::from_buf([range]),
            index: 0,
            offset: 0,
            left: range.len,
            faulted: false,
        }
    }

    /// A source over user buffers, emptied in order.
    pub fn source(&self, ranges: &[UserRange]) -> UserBuffers<'_> {
        UserBuffers::new(self.memory(), ranges)
    }

    /// Reads an `iovec` array.
    ///
    /// # Errors
    /// EINVAL for more than 1024 entries or a sum beyond `isize::MAX`, EFAULT.
    pub fn read_iovecs(&self, address: u64, count: usize) -> Result<Vec<UserRange>> {
        if count > 1024 {
            return Err(Errno::EINVAL.because("more than 1024 buffers"));
        }
        let raw: Vec<[u64; 2]> = self.read_vec(address, count)?;
        let mut room = TRANSFER_MAX;
        let mut ranges = Vec::with_capacity(count);
        for [start, len] in raw {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            if len.cast_signed() < 0 {
                return Err(Errno::EINVAL.because("a buffer is longer than SSIZE_MAX"));
            }
            if !user::is_below_end(start, len) {
                return Err(Errno::EFAULT.because("a buffer lies outside user memory"));
            }
            let len = len.min(room);
            room -= len;
            ranges.push(UserRange { start, len });
        }
        Ok(ranges)
    }

    /// Waits for `future`, unless a signal that the thread handles comes first.
    ///
    /// # Errors
    /// [`Interrupted`]; as an [`Error`] it is ERESTARTSYS.
    #[inline]
    pub fn interruptible<F: Future + Unpin>(&self, future: F) -> Interruptible<'_, F> {
        Interruptible { future, thread: self.thread }
    }

    /// Awaits something that signals don't interrupt, unless they end the process: what only the host
    /// can finish, which may never come.
    ///
    /// # Errors
    /// [`Interrupted`]: the thread will not go on.
    pub async fn killable<T>(&self, future: impl Future<Output = T>) -> Result<T, Interrupted> {
        Killable { future: core::pin::pin!(future), thread: self.thread }.await
    }
}

/// Copies from the user memory of `space`, bringing pages in as needed.
///
/// # Errors
/// EFAULT.
pub fn read_bytes(space: &Arc<Space>, address: u64, out: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while let Err(short) = space.copy_in(address.wrapping_add(done as u64), &mut out[done..]) {
        done += short.done;
        resolve(space, short)?;
    }
    Ok(())
}

/// Copies to the user memory of `space`, bringing pages in as needed.
///
/// # Errors
/// EFAULT.
pub fn write_bytes(space: &Arc<Space>, address: u64, bytes: &[u8]) -> Result<()> {
    let mut done = 0;
    while let Err(short) = user::copy_out(address.wrapping_add(done as u64), &bytes[done..]) {
        done += short.done;
        resolve(space, short)?;
    }
    Ok(())
}

/// Brings in the page at which a copy ended early.
///
/// # Errors
/// EFAULT when it can't be had.
pub(crate) fn resolve(space: &Arc<Space>, short: Short) -> Result<()> {
    if !user::in_region(short.fault, 1) {
        return Err(short.into());
    }
    let access = if short.write { Access::Write } else { Access::Read };
    space.populate_now(short.fault, access).map_err(|refusal| {
        space.report_if_full(refusal);
        Error::from(short)
    })
}

/// User buffers, used from the first byte to the last, as a sink or as a source.
pub struct UserBuffers<'a> {
    space: &'a Arc<Space>,
    ranges: smallvec::SmallVec<[UserRange; 1]>,
    index: usize,
    offset: usize,
    left: usize,
    faulted: bool,
}

/// A place in [`UserBuffers`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    index: usize,
    offset: usize,
    left: usize,
}

impl<'a> UserBuffers<'a> {
    fn new(space: &'a Arc<Space>, ranges: &[UserRange]) -> Self {
        let left = ranges.iter().map(|range| range.len).sum();
        let ranges = smallvec::SmallVec::from_slice(ranges);
        Self { space, ranges, index: 0, offset: 0, left, faulted: false }
    }

    /// Whether an address could not be accessed: EFAULT when nothing was transferred.
    pub fn faulted(&self) -> bool {
        self.faulted
    }

    /// Where it stands, for [`UserBuffers::rewind`].
    pub fn mark(&self) -> Mark {
        Mark { index: self.index, offset: self.offset, left: self.left }
    }

    /// Goes back to where it stood: what was used since is used once more.
    pub fn rewind(&mut self, to: Mark) {
        self.index = to.index;
        self.offset = to.offset;
        self.left = to.left;
    }

    /// Runs `copy(address, done, len)` over the buffers for at most `len` bytes.
    fn transfer(
        &mut self,
        len: usize,
        mut copy: impl FnMut(u64, usize, usize) -> Result<(), Short>,
    ) -> usize {
        let mut done = 0;
        while done < len && self.left > 0 && !self.faulted {
            let range = self.ranges[self.index];
            let part = (range.len - self.offset).min(len - done);
            if part == 0 {
                self.index += 1;
                self.offset = 0;
                continue;
            }
            let moved = match copy(range.start + self.offset as u64, done, part) {
                Ok(()) => part,
                Err(short) => {
                    self.faulted = resolve(self.space, short).is_err();
                    short.done
                }
            };
            done += moved;
            self.offset += moved;
            self.left -= moved;
        }
        done
    }
}

impl Sink for UserBuffers<'_> {
    fn room(&self) -> usize {
        self.left
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        self.transfer(bytes.len(), |address, done, part| {
            user::copy_out(address, &bytes[done..done + part])
        })
    }

    fn put_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        self.transfer(len, |address, done, part| {
            user::copy_out_frames(address, extent, at + done, part)
        })
    }

    fn put_zeros(&mut self, len: usize) -> usize {
        self.transfer(len, |address, _, part| user::clear(address, part))
    }
}

impl Source for UserBuffers<'_> {
    fn left(&self) -> usize {
        self.left
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        let space = self.space;
        self.transfer(out.len(), |address, done, part| {
            space.copy_in(address, &mut out[done..done + part])
        })
    }

    fn take_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let space = self.space;
        self.transfer(len, |address, done, part| {
            space.copy_in_frames(address, extent, at + done, part)
        })
    }

    fn give_back(&mut self, bytes: &[u8]) -> bool {
        self.left += bytes.len();
        let mut rest = bytes.len();
        while rest > self.offset {
            rest -= self.offset;
            self.index -= 1;
            self.offset = self.ranges[self.index].len;
        }
        self.offset -= rest;
        true
    }

    fn skip_all(&mut self) -> usize {
        core::mem::take(&mut self.left)
    }
}

/// A wait that a signal ends; made by [`Context::interruptible`].
#[must_use = "a future does nothing until it is awaited"]
pub struct Interruptible<'a, F> {
    future: F,
    thread: &'a Thread,
}

impl<F: Future + Unpin> Future for Interruptible<'_, F> {
    type Output = Result<F::Output, Interrupted>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        // Senders of signals wake the thread's task, so looking at each poll is enough.
        match Pin::new(&mut self.future).poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.thread.must_attend() => Poll::Ready(Err(Interrupted)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Ends the wait for `future` when the thread must end.
pub(crate) struct Killable<'a, F> {
    pub(crate) future: Pin<&'a mut F>,
    pub(crate) thread: &'a Thread,
}

impl<F: Future> Future for Killable<'_, F> {
    type Output = Result<F::Output, Interrupted>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        // A host that answers at once, and for ever, ends no loop of such waits either.
        if self.thread.must_end() {
            return Poll::Ready(Err(Interrupted));
        }
        match self.future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.thread.must_end() => Poll::Ready(Err(Interrupted)),
            Poll::Pending => Poll::Pending,
        }
    }
}
