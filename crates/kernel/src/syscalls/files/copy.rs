//! Copies from file to file.
//!
//! Source: sendfile(2), `copy_file_range(2)`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::arena::Extent;
use platform::user::{Sink, Source};
use vfs::node::Kind;
use vfs::object::{Attempt, OpenFile, Status, Stop};

use crate::arguments::Arguments;
use crate::context::{Context, TRANSFER_MAX};

/// Bytes that are copied at a time.
const STAGE: usize = 64 << 10;

/// One side of a copy.
struct Side {
    file: Arc<OpenFile>,
    /// An explicit offset, or the description's position.
    at: Option<u64>,
}

impl Side {
    fn new(cx: &Context<'_>, fd: i32, address: u64) -> Result<Self> {
        let file = cx.process.files.get(fd)?;
        let at = match address {
            0 => None,
            address => {
                let offset: i64 = cx.read(address)?;
                if !file.object().seekable() {
                    return Err(Errno::ESPIPE.because("an offset, and it has no position"));
                }
                Some(super::transfer::offset(offset)?)
            }
        };
        Ok(Self { file, at })
    }

    fn position(&self) -> u64 {
        self.at.unwrap_or_else(|| *self.file.position().lock())
    }

    fn advance(&mut self, by: usize) {
        match &mut self.at {
            Some(at) => *at += by as u64,
            None => *self.file.position().lock() += by as u64,
        }
    }

    /// Hands an explicit offset back.
    fn store(&self, cx: &Context<'_>, address: u64) -> Result<()> {
        match self.at {
            Some(at) => cx.write(address, &at),
            None => Ok(()),
        }
    }

    fn kind(&self) -> Result<Option<Kind>> {
        Ok(Kind::of_mode(self.file.object().stat()?.mode))
    }
}

/// sendfile(2).
pub(super) async fn sendfile(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mut from = Side::new(cx, args.fd(1), args.address(2))?;
    let mut to = Side::new(cx, args.fd(0), 0)?;
    check_modes(&from, &to)?;
    if !from.file.object().seekable() {
        return Err(Errno::EINVAL.because("the source has no positions"));
    }
    if to.file.status().contains(Status::APPEND) {
        return Err(Errno::EINVAL.because("the target only appends"));
    }
    let result = copy(cx, &mut from, &mut to, args.size(3)).await;
    from.store(cx, args.address(2))?;
    result
}

/// `copy_file_range(2)`.
pub(super) async fn copy_file_range(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mut from = Side::new(cx, args.fd(0), args.address(1))?;
    let mut to = Side::new(cx, args.fd(2), args.address(3))?;
    if args.uint(5) != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    for side in [&from, &to] {
        match side.kind()? {
            Some(Kind::File) => {}
            Some(Kind::Directory) => {
                return Err(Errno::EISDIR.because("a directory can't be copied"));
            }
            _ => return Err(Errno::EINVAL.because("not a regular file")),
        }
    }
    check_modes(&from, &to)?;
    if to.file.status().contains(Status::APPEND) {
        return Err(Errno::EBADF.because("the target only appends"));
    }
    let len = args.size(4).min(TRANSFER_MAX);
    let (start, target) = (from.position(), to.position());
    let same = from.file.object().stat()?.inode == to.file.object().stat()?.inode
        && from.file.object().stat()?.device == to.file.object().stat()?.device;
    let end = |at: u64| at.checked_add(len as u64).ok_or(Errno::EOVERFLOW);
    if same && start < end(target)? && target < end(start)? {
        return Err(Errno::EINVAL.because("the ranges overlap"));
    }
    let result = copy(cx, &mut from, &mut to, len).await;
    from.store(cx, args.address(1))?;
    to.store(cx, args.address(3))?;
    result
}

fn check_modes(from: &Side, to: &Side) -> Result<()> {
    if !from.file.readable() || !to.file.writable() {
        return Err(Errno::EBADF.because("a descriptor was not opened for that"));
    }
    Ok(())
}

async fn copy(cx: &Context<'_>, from: &mut Side, to: &mut Side, len: usize) -> Result<u64> {
    let len = len.min(TRANSFER_MAX);
    let mut stage = Stage { bytes: Vec::new(), at: 0, room: 0 };
    let mut done = 0;
    while done < len {
        stage.refill((len - done).min(STAGE));
        let moved = match piece(cx, from, to, &mut stage).await {
            Ok(moved) => moved,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        };
        from.advance(moved);
        done += moved;
        if moved == 0 {
            break;
        }
    }
    Ok(done as u64)
}

/// Copies the next bytes; how many the target took.
async fn piece(cx: &Context<'_>, from: &Side, to: &mut Side, stage: &mut Stage) -> Result<usize> {
    let position = from.position();
    loop {
        match from.file.object().read(&from.file, position, stage) {
            Ok(_) => break,
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { offset, len }) => {
                super::transfer::fill(cx, &from.file, offset, len).await?;
            }
            Err(Stop::WouldBlock) => {
                return Err(Errno::EAGAIN.because("O_NONBLOCK, and it is not ready"));
            }
        }
    }
    let mut written = 0;
    while stage.at < stage.bytes.len() {
        match write(to, stage) {
            Ok(0) => break,
            Ok(part) => {
                written += part;
                if to.file.object().seekable() {
                    to.advance(part);
                }
            }
            Err(Stop::WouldBlock) if !to.file.nonblocking() => wait(cx, &to.file, written).await?,
            Err(_) if written > 0 => break,
            Err(Stop::Error(error)) => return Err(error),
            Err(_) => return Err(Errno::EAGAIN.because("O_NONBLOCK, and it is not ready")),
        }
    }
    if let Some(settled) = to.file.object().settle() {
        settled.await?;
    }
    Ok(written)
}

fn write(to: &Side, stage: &mut Stage) -> Attempt<usize> {
    let object = to.file.object();
    let position = object.seekable().then(|| to.position());
    object.write(&to.file, position, stage).map(|(part, _)| part)
}

/// Waits until the target may have room; after a signal, what was written counts.
async fn wait(cx: &Context<'_>, file: &Arc<OpenFile>, written: usize) -> Result<()> {
    let queue = file.object().readiness().ok_or(Errno::EAGAIN)?;
    let listener = queue.listen();
    if file.poll().intersects(vfs::object::Events::OUT | vfs::object::Events::ERR) {
        return Ok(());
    }
    match cx.interruptible(listener).await {
        Err(interrupted) if written == 0 => Err(Error::from(interrupted)),
        Err(_) => Err(Errno::EINTR.into()),
        Ok(()) => Ok(()),
    }
}

/// Bytes on their way.
struct Stage {
    bytes: Vec<u8>,
    at: usize,
    room: usize,
}

impl Stage {
    fn refill(&mut self, room: usize) {
        self.bytes.clear();
        self.at = 0;
        self.room = room;
    }
}

impl Sink for Stage {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.room);
        self.bytes.extend_from_slice(&bytes[..len]);
        self.room -= len;
        len
    }

    fn put_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let len = len.min(self.room);
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        extent.read(at, &mut self.bytes[start..]);
        self.room -= len;
        len
    }

    fn put_zeros(&mut self, len: usize) -> usize {
        let len = len.min(self.room);
        self.bytes.resize(self.bytes.len() + len, 0);
        self.room -= len;
        len
    }
}

impl Source for Stage {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        let len = out.len().min(self.left());
        out[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        len
    }

    fn take_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let len = len.min(self.left());
        extent.write(at, &self.bytes[self.at..self.at + len]);
        self.at += len;
        len
    }

    fn give_back(&mut self, bytes: &[u8]) -> bool {
        self.at -= bytes.len();
        true
    }
}
