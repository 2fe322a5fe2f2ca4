//! `ASYNC_CANCEL` and `IORING_REGISTER_SYNC_CANCEL`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;

use super::entry::{Entry, Flags};
use super::operations::LINK_TIMEOUT;
use super::{Ring, Running};
use crate::context::Context;

const ALL: u32 = 1;
const BY_FD: u32 = 2;
const ANY: u32 = 4;
const FD_FIXED: u32 = 8;
const BY_USER_DATA: u32 = 0x10;
const BY_OPCODE: u32 = 0x20;
const KNOWN: u32 = ALL | BY_FD | ANY | FD_FIXED | BY_USER_DATA | BY_OPCODE;

/// Which operations are meant.
pub(super) struct Wanted {
    pub(super) flags: u32,
    pub(super) user_data: u64,
    /// [`vfs::object::OpenFile::identity`].
    pub(super) file: u64,
    pub(super) opcode: u8,
}

/// Fields of the entry.
pub(super) fn check(entry: &Entry) -> Result<()> {
    Entry::unused(&[entry.offset, entry.file_index.into()])?;
    check_flags(entry.op_flags)?;
    if entry.op_flags & (BY_OPCODE | ANY) != BY_OPCODE && entry.len != 0
        || entry.flags().contains(Flags::BUFFER_SELECT)
    {
        return Err(Errno::EINVAL.because("an operation without the flag that asks for one"));
    }
    Ok(())
}

/// Flags of a cancellation.
pub(super) fn check_flags(flags: u32) -> Result<()> {
    let by_key = BY_FD | BY_OPCODE;
    if flags & !KNOWN != 0 || flags & ANY != 0 && flags & by_key != 0 {
        return Err(Errno::EINVAL.because("unknown flags of a cancellation, or two at odds"));
    }
    Ok(())
}

impl Wanted {
    fn is(&self, own: &Running) -> bool {
        if own.opcode == LINK_TIMEOUT || own.is_stopping() {
            return false;
        }
        if self.flags & ANY != 0 {
            return true;
        }
        let by_data = self.flags & (BY_FD | BY_OPCODE) == 0 || self.flags & BY_USER_DATA != 0;
        (self.flags & BY_FD == 0 || own.file == self.file)
            && (self.flags & BY_OPCODE == 0 || own.opcode == self.opcode)
            && (!by_data || own.user_data == self.user_data)
    }

    /// Ends the waits of those that are meant; how many.
    pub(super) fn stop(&self, ring: &Ring) -> u64 {
        let state = ring.lock();
        let mut stopped = 0;
        for own in state.running.values().filter(|own| self.is(own)) {
            own.stop();
            stopped += 1;
            if self.flags & (ALL | ANY) == 0 {
                break;
            }
        }
        stopped
    }

    /// Whether several can be meant, and are counted.
    pub(super) fn counts(&self) -> bool {
        self.flags & (ALL | ANY) != 0
    }

    /// Whether those that were stopped are gone.
    pub(super) fn are_gone(ring: &Ring) -> bool {
        !ring.lock().running.values().any(Running::is_stopping)
    }
}

/// `ASYNC_CANCEL`: 0, or with flags that can mean several how many.
pub(super) fn cancel(cx: &Context<'_>, ring: &Arc<Ring>, entry: &Entry) -> Result<u64> {
    let fixed = entry.flags().contains(Flags::FIXED_FILE);
    let flags = entry.op_flags | if fixed { FD_FIXED } else { 0 };
    let wanted = Wanted {
        flags,
        user_data: entry.address,
        file: file(cx, ring, flags, entry.fd)?,
        opcode: u8::try_from(entry.len).unwrap_or(u8::MAX),
    };
    let stopped = wanted.stop(ring);
    if wanted.counts() {
        return Ok(stopped);
    }
    if stopped == 0 {
        return Err(Errno::ENOENT.because("no such operation is under way"));
    }
    Ok(0)
}

/// The identity of the file whose operations are meant; 0 where that doesn't count.
///
/// # Errors
/// EBADF.
pub(super) fn file(cx: &Context<'_>, ring: &Ring, flags: u32, fd: i32) -> Result<u64> {
    if flags & BY_FD == 0 {
        return Ok(0);
    }
    let file = if flags & FD_FIXED != 0 {
        ring.registered_file(fd.cast_unsigned())?
    } else {
        cx.process.files.get(fd)?
    };
    Ok(file.identity())
}
