//! Reading and writing.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::object::OpenFile;

use super::entry::{Entry, Outcome};
use super::operations::{READ_FIXED, READV, WRITE, WRITE_FIXED, WRITEV};
use super::setup::Setup;
use super::{Ring, has};
use crate::context::Context;
use crate::syscalls::files::transfer::{Asked, lent, lent_at_once};

/// What is refused before it begins.
pub(super) fn check(entry: &Entry) -> Result<()> {
    // The file is not known yet, so other flags are looked at when it is.
    if entry.file_index != 0 {
        return Err(Errno::EINVAL.because("a field that the operation doesn't use is not zero"));
    }
    Ok(())
}

fn asked(ring: &Ring, entry: &Entry) -> Result<Asked> {
    if has(ring, Setup::IO_POLL) {
        return Err(Errno::EOPNOTSUPP.because("nobody can poll for the end of that"));
    }
    if matches!(entry.opcode, READ_FIXED | WRITE_FIXED) {
        in_registered(ring, entry)?;
    }
    Ok(Asked {
        writes: matches!(entry.opcode, WRITE | WRITEV | WRITE_FIXED),
        at: entry.offset.cast_signed(),
        flags: entry.op_flags,
        address: entry.address,
        len: entry.len as usize,
        many: matches!(entry.opcode, READV | WRITEV),
    })
}

/// Whether the bytes lie in the registered buffer that the entry names.
///
/// # Errors
/// EFAULT.
fn in_registered(ring: &Ring, entry: &Entry) -> Result<()> {
    let outside = Errno::EFAULT.because("the bytes lie in no such registered buffer");
    let state = ring.lock();
    let buffer = state.buffers.get(usize::from(entry.buffer)).copied().flatten().ok_or(outside)?;
    let end = entry.address.checked_add(entry.len.into()).ok_or(outside)?;
    let inside = entry.address >= buffer.start && end <= buffer.start + buffer.len as u64;
    if inside { Ok(()) } else { Err(outside) }
}

fn prepared(cx: &Context<'_>, ring: &Ring, entry: &Entry) -> Result<(Arc<OpenFile>, Asked)> {
    Ok((entry.file(cx, ring)?, asked(ring, entry)?))
}

/// What need not wait; `None`: it must.
pub(super) fn at_once(cx: &Context<'_>, ring: &Ring, entry: &Entry) -> Option<Outcome> {
    let (file, asked) = match prepared(cx, ring, entry) {
        Ok(prepared) => prepared,
        Err(error) => return Some(Err(error)),
    };
    lent_at_once(cx, &file, &asked).map(|result| result.map(|done| (done, 0)))
}

/// The same, waiting.
pub(super) async fn perform(cx: &Context<'_>, ring: &Ring, entry: &Entry) -> Result<u64> {
    let (file, asked) = prepared(cx, ring, entry)?;
    lent(cx, &file, &asked).await
}
