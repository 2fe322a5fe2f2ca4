//! Copies from file to file.
//!
//! Source: sendfile(2), `copy_file_range(2)`.

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::arena::Extent;
use platform::user::{Sink, Source};
use vfs::node::Kind;
use vfs::object::{Status, Stop};

use super::side::{self, Side, Staged, check_modes, or_signal};
use crate::arguments::Arguments;
use crate::context::{Context, TRANSFER_MAX};

/// Bytes that are copied at a time.
const STAGE: usize = 64 << 10;

/// Takes the place to begin at: positions are for what has them.
fn target(cx: &Context<'_>, fd: i32, address: u64) -> Result<Side> {
    let side = Side::new(cx, cx.process.files.get(fd)?, address)?;
    if let Some(offset) = side.offset {
        if !side.is_seekable() {
            return Err(Errno::ESPIPE.because("an offset, and it has no position"));
        }
        super::transfer::offset(offset)?;
    }
    Ok(side)
}

fn kind(side: &Side) -> Result<Option<Kind>> {
    Ok(Kind::of_mode(side.file.object().stat()?.mode))
}

/// sendfile(2).
pub(super) async fn sendfile(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let offset = side::explicit(cx, args.address(2))?;
    let source = cx.process.files.get(args.fd(1))?;
    if !source.readable() {
        return Err(Errno::EBADF.because("the source was not opened for reading"));
    }
    let mut from = Side::at(source, offset, args.address(2));
    if let Some(offset) = from.offset {
        if !from.is_seekable() && !from.file.object().ignores_seeks() {
            return Err(Errno::ESPIPE.because("an offset, and it has no position"));
        }
        super::transfer::offset(offset)?;
    }
    if args.long(3) < 0 {
        return Err(Errno::EINVAL.because("the count is negative"));
    }
    if from.is_seekable() {
        super::transfer::ends_in_range(from.position(), args.size(3))?;
    }
    let mut to = target(cx, args.fd(0), 0)?;
    check_modes(&from.file, &to.file)?;
    if !from.is_seekable() || kind(&from)? == Some(Kind::Directory) {
        return Err(Errno::EINVAL.because("the source has no contents with positions"));
    }
    if to.file.status().contains(Status::APPEND) {
        return Err(Errno::EINVAL.because("the target only appends"));
    }
    let result = copy(cx, &mut from, &mut to, args.size(3)).await;
    from.store(cx)?;
    result
}

/// `copy_file_range(2)`.
pub(super) async fn copy_file_range(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let source = cx.process.files.opened(args.fd(0))?;
    let target = cx.process.files.opened(args.fd(2))?;
    let mut from = Side::new(cx, source, args.address(1))?;
    let mut to = Side::new(cx, target, args.address(3))?;
    if args.uint(5) != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    let kinds = [kind(&from)?, kind(&to)?];
    if kinds.contains(&Some(Kind::Directory)) {
        return Err(Errno::EISDIR.because("a directory can't be copied"));
    }
    if kinds != [Some(Kind::File); 2] {
        return Err(Errno::EINVAL.because("not a regular file"));
    }
    check_modes(&from.file, &to.file)?;
    if to.file.status().contains(Status::APPEND) {
        return Err(Errno::EBADF.because("the target only appends"));
    }
    if from.file.object().stat()?.device != to.file.object().stat()?.device {
        return Err(Errno::EXDEV.because("the files lie on different file systems"));
    }
    for offset in [from.offset, to.offset].into_iter().flatten() {
        super::transfer::offset(offset)?;
    }
    let len = args.size(4).min(TRANSFER_MAX);
    let (start, target) = (from.position(), to.position());
    let same = from.file.object().stat()?.inode == to.file.object().stat()?.inode
        && from.file.object().stat()?.device == to.file.object().stat()?.device;
    let end = |at: u64| at.checked_add(len as u64).ok_or(Errno::EOVERFLOW);
    if same && start < end(target)? && target < end(start)? {
        return Err(Errno::EINVAL.because("the ranges overlap"));
    }
    // Once for all: who gets some bytes is not told of the limit.
    let len = to.allowed(cx, len)?;
    let result = copy(cx, &mut from, &mut to, len).await;
    from.store(cx)?;
    to.store(cx)?;
    result
}

async fn copy(cx: &Context<'_>, from: &mut Side, to: &mut Side, len: usize) -> Result<u64> {
    let len = len.min(TRANSFER_MAX);
    let mut stage = Stage::default();
    let mut done = 0;
    let outcome = loop {
        if done == len {
            break Ok(());
        }
        let part = match to.allowed(cx, (len - done).min(STAGE)) {
            Ok(part) => part,
            Err(error) => break Err(error),
        };
        stage.refill(part);
        if let Err(error) = read(cx, from, &mut stage).await {
            break Err(error);
        }
        let (moved, outcome) = to.write(cx, &mut stage).await;
        from.advance(moved);
        done += moved;
        if moved == 0 || outcome.is_err() {
            break outcome;
        }
    };
    if done > 0 {
        vfs::notify::accessed(&from.file);
        vfs::notify::modified(&to.file);
    }
    or_signal(cx, if done > 0 { Ok(done) } else { outcome.map(|()| 0) })
}

/// Brings the next bytes in.
async fn read(cx: &Context<'_>, from: &Side, stage: &mut Stage) -> Result<()> {
    loop {
        match from.file.object().read(&from.file, from.position(), stage) {
            Ok(_) => return Ok(()),
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { offset, len }) => {
                super::transfer::fill(cx, &from.file, offset, len).await?;
            }
            Err(Stop::WouldBlock | Stop::Paced) => {
                return Err(Errno::EAGAIN.because("O_NONBLOCK, and it is not ready"));
            }
        }
    }
}

/// Bytes on their way.
#[derive(Default)]
struct Stage {
    bytes: Vec<u8>,
    /// What comes before is written.
    start: usize,
    at: usize,
    room: usize,
}

impl Stage {
    fn refill(&mut self, room: usize) {
        self.bytes.clear();
        (self.start, self.at) = (0, 0);
        self.room = room;
    }
}

impl Staged for Stage {
    fn rewind(&mut self) {
        self.at = self.start;
    }

    fn skip(&mut self, len: usize) {
        self.start += len;
        self.at = self.start;
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
