//! What each operation is: a call of the LibOS with the entry's fields as arguments, mostly.
//!
//! Source: `io_uring_enter(2)`.

use alloc::sync::Arc;

use abi::errno::Result;
use abi::{Errno, nr};

use super::entry::{Entry, Flags, Outcome};
use super::setup::Setup;
use super::submit::Job;
use super::{Ring, cancel, has, poll, register, timeout, transfer};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::table;

pub(super) const NOP: u8 = 0;
pub(super) const READV: u8 = 1;
pub(super) const WRITEV: u8 = 2;
pub(super) const FSYNC: u8 = 3;
pub(super) const READ_FIXED: u8 = 4;
pub(super) const WRITE_FIXED: u8 = 5;
pub(super) const POLL_ADD: u8 = 6;
pub(super) const POLL_REMOVE: u8 = 7;
pub(super) const SYNC_FILE_RANGE: u8 = 8;
pub(super) const SENDMSG: u8 = 9;
pub(super) const RECVMSG: u8 = 10;
pub(super) const TIMEOUT: u8 = 11;
pub(super) const TIMEOUT_REMOVE: u8 = 12;
pub(super) const ASYNC_CANCEL: u8 = 14;
pub(super) const LINK_TIMEOUT: u8 = 15;
pub(super) const FALLOCATE: u8 = 17;
pub(super) const OPENAT: u8 = 18;
pub(super) const CLOSE: u8 = 19;
pub(super) const FILES_UPDATE: u8 = 20;
pub(super) const STATX: u8 = 21;
pub(super) const READ: u8 = 22;
pub(super) const WRITE: u8 = 23;
pub(super) const FADVISE: u8 = 24;
pub(super) const MADVISE: u8 = 25;
pub(super) const SEND: u8 = 26;
pub(super) const RECV: u8 = 27;
pub(super) const OPENAT2: u8 = 28;
pub(super) const EPOLL_CTL: u8 = 29;
pub(super) const TEE: u8 = 33;
pub(super) const SHUTDOWN: u8 = 34;
pub(super) const RENAMEAT: u8 = 35;
pub(super) const UNLINKAT: u8 = 36;
pub(super) const MKDIRAT: u8 = 37;
pub(super) const SYMLINKAT: u8 = 38;
pub(super) const LINKAT: u8 = 39;
pub(super) const MSG_RING: u8 = 40;
pub(super) const FSETXATTR: u8 = 41;
pub(super) const SETXATTR: u8 = 42;
pub(super) const FGETXATTR: u8 = 43;
pub(super) const GETXATTR: u8 = 44;
pub(super) const FTRUNCATE: u8 = 55;
pub(super) const PIPE: u8 = 62;
/// Operations that Linux 6.18 has: those from here on are unknown.
pub(super) const LAST: u8 = 63;

/// Whether there is such an operation here.
pub(super) const fn is_there(opcode: u8) -> bool {
    matches!(
        opcode,
        NOP..=TIMEOUT_REMOVE
            | ASYNC_CANCEL
            | LINK_TIMEOUT
            | FALLOCATE..=EPOLL_CTL
            | TEE..=GETXATTR
            | FTRUNCATE
            | PIPE
    )
}

/// Whether an operation is about an open file.
pub(super) const fn has_file(opcode: u8) -> bool {
    matches!(
        opcode,
        READV..=POLL_ADD
            | SYNC_FILE_RANGE..=RECVMSG
            | FALLOCATE
            | READ..=FADVISE
            | SEND
            | RECV
            | TEE
            | SHUTDOWN
            | MSG_RING
            | FSETXATTR
            | FGETXATTR
            | FTRUNCATE
    )
}

/// Whether fewer bytes than asked for break a chain.
pub(super) fn is_short(entry: &Entry, done: u64) -> bool {
    matches!(entry.opcode, READ | WRITE | READ_FIXED | WRITE_FIXED) && done != u64::from(entry.len)
}

/// What Linux refuses before it begins anything.
///
/// # Errors
/// EINVAL, EOPNOTSUPP, EACCES.
pub(super) fn check(ring: &Ring, entry: &Entry) -> Result<()> {
    if !is_there(entry.opcode) {
        return Err(Errno::EINVAL.because("no such operation"));
    }
    let flags = Flags::from_bits(entry.raw_flags)
        .ok_or(Errno::EINVAL.because("unknown flags of an entry"))?;
    if flags.contains(Flags::BUFFER_SELECT) {
        return Err(Errno::EOPNOTSUPP.because("buffers can't be chosen for it"));
    }
    if let Some(restrictions) = &ring.lock().restrictions {
        restrictions.check(entry)?;
    }
    if entry.personality != 0 {
        return Err(Errno::EINVAL.because("no such personality"));
    }
    if has(ring, Setup::IO_POLL)
        && !matches!(entry.opcode, NOP | READV | WRITEV | READ_FIXED | WRITE_FIXED | READ | WRITE)
    {
        return Err(Errno::EINVAL.because("an operation whose end can't be polled for"));
    }
    fields(entry)
}

/// Fields that an operation doesn't use.
fn fields(entry: &Entry) -> Result<()> {
    let Entry { offset, address, len, op_flags, buffer, file_index, priority, .. } = *entry;
    let [offset, address, len, op_flags] = [offset, address, len.into(), op_flags.into()];
    let [buffer, file_index] = [buffer.into(), u64::from(file_index)];
    match entry.opcode {
        NOP if op_flags != 0 => Err(Errno::EINVAL.because("unknown flags of a NOP")),
        FSYNC if op_flags & !1 != 0 => Err(Errno::EINVAL.because("unknown flags of a FSYNC")),
        FSYNC | SYNC_FILE_RANGE => Entry::unused(&[address, buffer, file_index]),
        FALLOCATE => Entry::unused(&[buffer, op_flags, file_index]),
        FTRUNCATE => Entry::unused(&[op_flags, address, len, buffer, file_index]),
        CLOSE => {
            Entry::unused(&[offset, address, len, op_flags, buffer])?;
            let fixed = entry.flags().contains(Flags::FIXED_FILE);
            if fixed {
                return Err(Errno::EBADF.because("a registered file is closed by its index"));
            }
            if file_index != 0 && entry.fd != 0 {
                return Err(Errno::EINVAL.because("a descriptor and an index"));
            }
            Ok(())
        }
        OPENAT | OPENAT2 | STATX if entry.flags().contains(Flags::FIXED_FILE) => {
            Err(Errno::EBADF.because("a directory can't be a registered file"))
        }
        OPENAT | OPENAT2 => Entry::unused(&[buffer]),
        STATX | FADVISE | EPOLL_CTL | RENAMEAT | LINKAT => Entry::unused(&[buffer, file_index]),
        MADVISE => Entry::unused(&[buffer, offset, file_index]),
        SEND | SENDMSG | RECV | RECVMSG if priority != 0 => {
            Err(Errno::EINVAL.because("multishot and bundles are not supported"))
        }
        SHUTDOWN => Entry::unused(&[offset, address, op_flags, buffer, file_index]),
        UNLINKAT => Entry::unused(&[offset, len, buffer, file_index]),
        MKDIRAT => Entry::unused(&[offset, op_flags, buffer, file_index]),
        SYMLINKAT => Entry::unused(&[len, op_flags, buffer, file_index]),
        POLL_ADD => poll::check(entry),
        POLL_REMOVE => poll::check_update(entry),
        ASYNC_CANCEL => cancel::check(entry),
        READ | READV | READ_FIXED | WRITE | WRITEV | WRITE_FIXED => transfer::check(entry),
        FILES_UPDATE => {
            Entry::unused(&[op_flags, file_index, priority.into()])?;
            if len == 0 { Err(Errno::EINVAL.because("no files to update")) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// Operations that need not wait; `None`: one that may, and nothing is done yet.
pub(super) fn at_once(cx: &mut Context<'_>, ring: &Arc<Ring>, entry: &Entry) -> Option<Outcome> {
    let outcome = match entry.opcode {
        NOP => Ok((0, 0)),
        READ | READV | READ_FIXED | WRITE | WRITEV | WRITE_FIXED => {
            return transfer::at_once(cx, ring, entry);
        }
        POLL_REMOVE => poll::change(ring, entry).map(plain),
        TIMEOUT_REMOVE => timeout::change(cx, ring, entry).map(plain),
        ASYNC_CANCEL => cancel::cancel(cx, ring, entry).map(plain),
        FILES_UPDATE => register::update_by_entry(cx, ring, entry).map(plain),
        MSG_RING => message(cx, ring, entry).map(plain),
        CLOSE if entry.file_index != 0 => {
            register::close_direct(ring, entry.file_index - 1).map(plain)
        }
        _ => {
            let (number, args) = call_of(entry)?;
            if has_file(entry.opcode) {
                return None;
            }
            return table::at_once(cx, number, &args).map(|result| result.map(plain));
        }
    };
    Some(outcome)
}

fn plain(value: u64) -> (u64, u32) {
    (value, 0)
}

/// Carries an operation out.
pub(super) async fn perform(cx: &mut Context<'_>, ring: &Arc<Ring>, job: &Job, id: u64) -> Outcome {
    let entry = &job.entry;
    match entry.opcode {
        POLL_ADD => poll::add(cx, ring, entry, id).await,
        TIMEOUT => timeout::wait(cx, ring, entry, id).await,
        READ | READV | READ_FIXED | WRITE | WRITEV | WRITE_FIXED => {
            transfer::perform(cx, ring, entry).await.map(plain)
        }
        OPENAT | OPENAT2 if entry.file_index != 0 => {
            register::open_direct(cx, ring, entry).await.map(plain)
        }
        _ => match at_once(cx, ring, entry) {
            Some(outcome) => outcome,
            None => call(cx, ring, entry).await.map(plain),
        },
    }
}

/// Makes the call that an entry stands for.
pub(super) async fn call(cx: &mut Context<'_>, ring: &Ring, entry: &Entry) -> Result<u64> {
    let Some((number, args)) = call_of(entry) else {
        return Err(Errno::EINVAL.because("no such operation"));
    };
    if has_file(entry.opcode) {
        cx.lent = Some(entry.file(cx, ring)?);
    }
    let result = match table::at_once(cx, number, &args) {
        Some(result) => result,
        None => table::of_family(cx, number, &args).await,
    };
    cx.lent = None;
    result
}

/// The call that does what an entry asks for, and its arguments.
pub(super) fn call_of(entry: &Entry) -> Option<(usize, Arguments)> {
    let Entry { offset, address, address3, .. } = *entry;
    let fd = u64::from(entry.fd.cast_unsigned());
    let (len, flags) = (u64::from(entry.len), u64::from(entry.op_flags));
    let (number, args) = match entry.opcode {
        FSYNC if flags & 1 != 0 => (nr::FDATASYNC, [fd, 0, 0, 0, 0, 0]),
        FSYNC => (nr::FSYNC, [fd, 0, 0, 0, 0, 0]),
        SYNC_FILE_RANGE => (nr::SYNC_FILE_RANGE, [fd, offset, len, flags, 0, 0]),
        FALLOCATE => (nr::FALLOCATE, [fd, len, offset, address, 0, 0]),
        OPENAT => (nr::OPENAT, [fd, address, flags, len, 0, 0]),
        OPENAT2 => (nr::OPENAT2, [fd, address, offset, len, 0, 0]),
        CLOSE => (nr::CLOSE, [fd, 0, 0, 0, 0, 0]),
        STATX => (nr::STATX, [fd, address, flags, len, offset, 0]),
        FADVISE => {
            let bytes = if address == 0 { len } else { address };
            (nr::FADVISE64, [fd, offset, bytes, flags, 0, 0])
        }
        MADVISE => (nr::MADVISE, [address, if offset == 0 { len } else { offset }, flags, 0, 0, 0]),
        SEND => (nr::SENDTO, [fd, address, len, flags | NO_SIGNAL, 0, 0]),
        RECV => (nr::RECVFROM, [fd, address, len, flags, 0, 0]),
        SENDMSG => (nr::SENDMSG, [fd, address, flags | NO_SIGNAL, 0, 0, 0]),
        RECVMSG => (nr::RECVMSG, [fd, address, flags, 0, 0, 0]),
        SHUTDOWN => (nr::SHUTDOWN, [fd, len, 0, 0, 0, 0]),
        EPOLL_CTL => (nr::EPOLL_CTL, [fd, len, offset, address, 0, 0]),
        RENAMEAT => (nr::RENAMEAT2, [fd, address, len, offset, flags, 0]),
        UNLINKAT => (nr::UNLINKAT, [fd, address, flags, 0, 0, 0]),
        MKDIRAT => (nr::MKDIRAT, [fd, address, len, 0, 0, 0]),
        SYMLINKAT => (nr::SYMLINKAT, [address, fd, offset, 0, 0, 0]),
        LINKAT => (nr::LINKAT, [fd, address, len, offset, flags, 0]),
        FSETXATTR => (nr::FSETXATTR, [fd, address, offset, len, flags, 0]),
        SETXATTR => (nr::SETXATTR, [address3, address, offset, len, flags, 0]),
        FGETXATTR => (nr::FGETXATTR, [fd, address, offset, len, 0, 0]),
        GETXATTR => (nr::GETXATTR, [address3, address, offset, len, 0, 0]),
        FTRUNCATE => (nr::FTRUNCATE, [fd, offset, 0, 0, 0, 0]),
        PIPE => (nr::PIPE2, [address, flags, 0, 0, 0, 0]),
        _ => return None,
    };
    Some((number, Arguments(args)))
}

/// `MSG_NOSIGNAL`: a ring raises no SIGPIPE for a socket.
const NO_SIGNAL: u64 = 0x4000;

/// `MSG_RING` with a word: a completion in another ring.
fn message(cx: &Context<'_>, ring: &Ring, entry: &Entry) -> Result<u64> {
    const SKIP: u32 = 1;
    const FLAGS: u32 = 2;
    let file = entry.file(cx, ring)?;
    let Some(target) = file.downcast::<Ring>() else {
        return Err(Errno::EBADFD.because("the message goes to no ring"));
    };
    if entry.address != 0 || entry.op_flags & !FLAGS != 0 || entry.op_flags & SKIP != 0 {
        return Err(Errno::EINVAL.because("only words can be sent, not files"));
    }
    let pass_flags = entry.op_flags & FLAGS != 0;
    if !pass_flags && entry.file_index != 0 {
        return Err(Errno::EINVAL.because("flags of the completion without the flag to pass them"));
    }
    if !target.lock().enabled {
        return Err(Errno::EBADFD.because("the ring is disabled"));
    }
    let posted = target.post(super::Completion {
        user_data: entry.offset,
        result: entry.len.cast_signed(),
        flags: if pass_flags { entry.file_index } else { 0 },
    });
    if posted { Ok(0) } else { Err(Errno::EOVERFLOW.because("the other ring is full")) }
}
