//! Advisory locks: flock, and the record locks of fcntl.
//!
//! Source: flock(2), `fcntl_locking(2)`. Differs from Linux: locks on what has no name (pipes, sockets) are
//! granted and forgotten.

use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use vfs::lock::{Holder, Locks, Mode, Record, Wanted, Whole};
use vfs::object::{OpenFile, Status};

use crate::arguments::{Arguments, Fd};
use crate::context::Context;

const F_GETLK: i32 = 5;
const F_SETLK: i32 = 6;
const F_SETLKW: i32 = 7;
const F_OFD_GETLK: i32 = 36;
const F_OFD_SETLK: i32 = 37;
const F_OFD_SETLKW: i32 = 38;
const F_RDLCK: i16 = 0;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;

const LOCK_SH: i32 = 1;
const LOCK_EX: i32 = 2;
const LOCK_NB: i32 = 4;
const LOCK_UN: i32 = 8;
/// Mandatory locks, which Linux no longer has: it says yes and does nothing.
const LOCK_MAND: i32 = 32;

/// Bytes of a `struct flock`: type and whence (i16 each), 4 unused, start and length (i64), pid (i32).
const FLOCK_LEN: usize = 32;

/// Whether a command of fcntl is about record locks.
pub(super) fn is_lock(command: i32) -> bool {
    matches!(command, F_GETLK | F_SETLK | F_SETLKW | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW)
}

/// A record lock command, decoded.
struct Command {
    /// `None`: unlock.
    mode: Option<Mode>,
    bytes: Range<u64>,
    holder: Holder,
    fd: Fd,
    /// Of the description.
    by: u64,
}

impl Command {
    fn read(
        cx: &Context<'_>,
        file: &Arc<OpenFile>,
        fd: Fd,
        command: i32,
        address: u64,
    ) -> Result<Self> {
        if file.status().contains(Status::PATH) {
            return Err(Errno::EBADF.because("the descriptor only names a file (O_PATH)"));
        }
        let mut raw = [0; FLOCK_LEN];
        cx.read_bytes(address, &mut raw)?;
        let half =
            |at: usize| raw[at..].first_chunk().map_or(0, |bytes| i16::from_le_bytes(*bytes));
        let long =
            |at: usize| raw[at..].first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
        let pid = raw[24..].first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
        let mode = match half(0) {
            F_RDLCK => Some(Mode::Shared),
            F_WRLCK => Some(Mode::Exclusive),
            F_UNLCK => None,
            _ => return Err(Errno::EINVAL.because("no such type of lock")),
        };
        let from = match half(2) {
            0 => 0,
            1 => file.position().lock().cast_signed(),
            2 => file.object().stat()?.size.cast_signed(),
            _ => return Err(Errno::EINVAL.because("no such base of the offset")),
        };
        let holder = if command >= F_OFD_GETLK {
            if pid != 0 {
                return Err(Errno::EINVAL.because("l_pid must be 0"));
            }
            Holder::Description(file.identity())
        } else {
            Holder::Process(cx.process.pid)
        };
        Ok(Self { mode, bytes: span(from, long(8), long(16))?, holder, fd, by: file.identity() })
    }

    fn record(&self, mode: Mode) -> Record {
        Record { holder: self.holder, bytes: self.bytes.clone(), mode, by: self.by }
    }
}

/// The bytes that start and length name; a length of 0 reaches beyond any end, one below 0 backwards.
fn span(from: i64, start: i64, len: i64) -> Result<Range<u64>> {
    let overflow = Errno::EOVERFLOW.because("the range ends beyond the largest offset");
    let start = from.checked_add(start).ok_or(overflow)?;
    let (start, end) = match len {
        0 => (start, None),
        1.. => (start, Some(start.checked_add(len - 1).ok_or(overflow)?)),
        _ => (start.checked_add(len).ok_or(overflow)?, Some(start - 1)),
    };
    let start = u64::try_from(start)
        .map_err(|_| Errno::EINVAL.because("the range begins before the file"))?;
    // The last byte that can be locked counts as reaching beyond any end.
    let end = match end.map(i64::cast_unsigned) {
        Some(last) if last < i64::MAX.cast_unsigned() => last + 1,
        _ => u64::MAX,
    };
    Ok(start..end)
}

fn locks_of(file: &OpenFile) -> Option<&Locks> {
    file.place().and_then(|place| place.node().locks())
}

/// The same, for a lock that is about to be taken: it will be shown.
fn locks_to_take(file: &OpenFile) -> Result<Option<&Locks>> {
    let Some(locks) = locks_of(file) else { return Ok(None) };
    if let Some(place) = file.place() {
        let stat = place.node().stat()?;
        locks.set_file(stat.device, stat.inode);
    }
    Ok(Some(locks))
}

fn check_mode(file: &OpenFile, mode: Mode) -> Result<()> {
    let allowed = match mode {
        Mode::Shared => file.readable(),
        Mode::Exclusive => file.writable(),
    };
    if allowed { Ok(()) } else { Err(Errno::EBADF.because("not opened for what the lock is for")) }
}

/// The record lock commands, as far as they need no wait.
pub(super) fn fcntl_at_once(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    fd: Fd,
    command: i32,
    address: u64,
) -> Option<Result<u64>> {
    let decoded = match Command::read(cx, file, fd, command, address) {
        Ok(decoded) => decoded,
        Err(error) => return Some(Err(error)),
    };
    if matches!(command, F_GETLK | F_OFD_GETLK) {
        return Some(test(cx, file, &decoded, address));
    }
    match try_set(file, &decoded) {
        Ok(true) => Some(keep(cx, file, &decoded)),
        Ok(false) if matches!(command, F_SETLK | F_OFD_SETLK) => {
            Some(Err(Errno::EAGAIN.because("somebody else's lock is in the way")))
        }
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    }
}

/// The record lock commands that wait.
pub(super) async fn fcntl(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = cx.process.files.get(args.fd(0))?;
    let decoded = Command::read(cx, &file, args.fd(0), args.int(1), args.address(2))?;
    let Some(locks) = locks_of(&file) else { return Ok(0) };
    loop {
        let listener = locks.changed().listen();
        if try_set(&file, &decoded)? {
            return keep(cx, &file, &decoded);
        }
        let Some(mode) = decoded.mode else { return Ok(0) };
        let _waiting = locks.wait(Wanted::Record(decoded.record(mode)))?;
        cx.interruptible(listener).await?;
    }
}

/// A process's lock that was just set goes again if the descriptor was closed meanwhile: who closed it
/// met no lock, and nobody else would give it up.
fn keep(cx: &Context<'_>, file: &Arc<OpenFile>, command: &Command) -> Result<u64> {
    let still = || cx.process.files.get(command.fd).is_ok_and(|now| Arc::ptr_eq(&now, file));
    if command.mode.is_some()
        && matches!(command.holder, Holder::Process(_))
        && let Some(locks) = locks_of(file)
        && !still()
    {
        locks.release(command.holder, &command.bytes)?;
        return Err(Errno::EBADF.because("the descriptor was closed meanwhile"));
    }
    Ok(0)
}

fn try_set(file: &OpenFile, command: &Command) -> Result<bool> {
    if let Some(mode) = command.mode {
        check_mode(file, mode)?;
    }
    let Some(mode) = command.mode else {
        if let Some(locks) = locks_of(file) {
            locks.release(command.holder, &command.bytes)?;
        }
        return Ok(true);
    };
    match locks_to_take(file)? {
        Some(locks) => locks.take(command.record(mode)),
        None => Ok(true),
    }
}

/// `F_GETLK`: writes the first lock in the way, or that there is none.
fn test(cx: &Context<'_>, file: &OpenFile, command: &Command, address: u64) -> Result<u64> {
    let mode = command.mode.ok_or(Errno::EINVAL.because("only a lock can be tested"))?;
    let conflict = locks_of(file).and_then(|locks| locks.conflict(&command.record(mode)));
    let Some(found) = conflict else {
        cx.write_bytes(address, &F_UNLCK.to_le_bytes())?;
        return Ok(0);
    };
    let mut raw = [0; FLOCK_LEN];
    let kind = if found.mode == Mode::Shared { F_RDLCK } else { F_WRLCK };
    let len = if found.bytes.end == u64::MAX { 0 } else { found.bytes.end - found.bytes.start };
    let pid = match found.holder {
        Holder::Process(pid) => pid.cast_signed(),
        Holder::Description(_) => -1,
    };
    raw[..2].copy_from_slice(&kind.to_le_bytes());
    raw[8..16].copy_from_slice(&found.bytes.start.to_le_bytes());
    raw[16..24].copy_from_slice(&len.to_le_bytes());
    raw[24..28].copy_from_slice(&pid.to_le_bytes());
    cx.write_bytes(address, &raw)?;
    Ok(0)
}

/// flock(2), if it needs no wait.
pub(super) fn flock_at_once(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    match try_flock(cx, args) {
        Ok(true) => Some(Ok(0)),
        Ok(false) if args.int(1) & LOCK_NB != 0 => {
            Some(Err(Errno::EAGAIN.because("somebody else's lock is in the way")))
        }
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    }
}

/// flock(2), waiting.
pub(super) async fn flock(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = cx.process.files.get(args.fd(0))?;
    let Some(locks) = locks_of(&file) else { return Ok(0) };
    loop {
        let listener = locks.changed().listen();
        if try_flock(cx, args)? {
            return Ok(0);
        }
        let mode = if args.int(1) & LOCK_SH != 0 { Mode::Shared } else { Mode::Exclusive };
        let _waiting = locks.wait(Wanted::Whole(whole(cx, &file, mode)))?;
        cx.interruptible(listener).await?;
    }
}

fn whole(cx: &Context<'_>, file: &OpenFile, mode: Mode) -> Whole {
    Whole { holder: Holder::Description(file.identity()), mode, pid: cx.process.pid }
}

fn try_flock(cx: &Context<'_>, args: &Arguments) -> Result<bool> {
    // As Linux has it, the operation is looked at first.
    if args.int(1) & LOCK_MAND != 0 {
        return Ok(true);
    }
    let mode = match args.int(1) & !LOCK_NB {
        LOCK_SH => Some(Mode::Shared),
        LOCK_EX => Some(Mode::Exclusive),
        LOCK_UN => None,
        _ => return Err(Errno::EINVAL.because("no such lock")),
    };
    let file = cx.process.files.get(args.fd(0))?;
    if file.status().contains(Status::PATH) {
        return Err(Errno::EBADF.because("the descriptor only names a file (O_PATH)"));
    }
    let Some(mode) = mode else {
        if let Some(locks) = locks_of(&file) {
            locks.release_whole(Holder::Description(file.identity()));
        }
        return Ok(true);
    };
    match locks_to_take(&file)? {
        Some(locks) => locks.take_whole(whole(cx, &file, mode)),
        None => Ok(true),
    }
}
