//! Registered files.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::object::OpenFile;

use super::super::Ring;
use super::super::entry::Entry;
use super::super::operations;
use crate::context::Context;
use crate::process::limits::Resource;

const FILES_MAX: u32 = 1 << 20;
/// A slot that an update leaves alone.
const SKIP: i32 = -2;
/// `IORING_FILE_INDEX_ALLOC`.
const ANY: u32 = u32::MAX;

/// `IORING_REGISTER_FILES`: descriptors, -1 for none.
pub(super) fn register(cx: &Context<'_>, ring: &Ring, address: u64, count: u32) -> Result<u64> {
    let slots = room(cx, ring, count)?;
    let fds: Vec<i32> = cx.read_vec(address, slots)?;
    let mut files = Vec::with_capacity(slots);
    for fd in fds {
        files.push(if fd == -1 { None } else { Some(open(cx, fd)?) });
    }
    put(ring, files)
}

/// Room for files without any.
pub(super) fn reserve(cx: &Context<'_>, ring: &Ring, count: u32) -> Result<u64> {
    let slots = room(cx, ring, count)?;
    put(ring, alloc::vec![None; slots])
}

fn room(cx: &Context<'_>, ring: &Ring, count: u32) -> Result<usize> {
    if !ring.lock().files.is_empty() {
        return Err(Errno::EBUSY.because("there are files"));
    }
    if count == 0 {
        return Err(Errno::EINVAL.because("no files"));
    }
    if count > FILES_MAX || u64::from(count) > cx.process.limits.soft(Resource::Files) {
        return Err(Errno::EMFILE.because("too many files"));
    }
    Ok(count as usize)
}

fn put(ring: &Ring, files: Vec<Option<Arc<OpenFile>>>) -> Result<u64> {
    let mut state = ring.lock();
    if !state.files.is_empty() {
        return Err(Errno::EBUSY.because("there are files"));
    }
    state.files = files;
    Ok(0)
}

/// A file that may be registered: a ring may not, or it could keep itself.
fn open(cx: &Context<'_>, fd: i32) -> Result<Arc<OpenFile>> {
    let file = cx.process.files.get(fd)?;
    if file.downcast::<Ring>().is_some() {
        return Err(Errno::EBADF.because("a ring can't be registered"));
    }
    Ok(file)
}

/// `IORING_UNREGISTER_FILES`.
pub(super) fn unregister(ring: &Ring) -> Result<u64> {
    let before = core::mem::take(&mut ring.lock().files);
    if before.is_empty() {
        return Err(Errno::ENXIO.because("there are none"));
    }
    Ok(0)
}

/// `IORING_REGISTER_FILES_UPDATE`: first slot, nothing, where the descriptors are.
pub(super) fn update(cx: &Context<'_>, ring: &Ring, address: u64, count: u32) -> Result<u64> {
    let [first, reserved, low, high]: [u32; 4] = cx.read(address)?;
    if reserved != 0 || count == 0 {
        return Err(Errno::EINVAL.because("a reserved word is not zero, or no files"));
    }
    replace(cx, ring, first, u64::from(low) | u64::from(high) << 32, count)
}

/// The same as an operation.
pub(in super::super) fn update_by_entry(
    cx: &Context<'_>,
    ring: &Ring,
    entry: &Entry,
) -> Result<u64> {
    let first = u32::try_from(entry.offset).unwrap_or(u32::MAX);
    if first == ANY {
        return Err(Errno::EINVAL.because("slots are not chosen here"));
    }
    replace(cx, ring, first, entry.address, entry.len)
}

/// Puts files into slots; how many were looked at.
fn replace(cx: &Context<'_>, ring: &Ring, first: u32, address: u64, count: u32) -> Result<u64> {
    let slots = ring.lock().files.len();
    if slots == 0 {
        return Err(Errno::ENXIO.because("there are none"));
    }
    let end = u64::from(first) + u64::from(count);
    if end > slots as u64 {
        return Err(Errno::EINVAL.because("beyond the last slot"));
    }
    let mut done = 0;
    for index in 0..count {
        let changed = cx.read::<i32>(address.wrapping_add(u64::from(index) * 4)).and_then(|fd| {
            if fd == SKIP {
                return Ok(());
            }
            let file = if fd == -1 { None } else { Some(open(cx, fd)?) };
            set(ring, first + index, file)
        });
        match changed {
            Ok(()) => done += 1,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

fn set(ring: &Ring, index: u32, file: Option<Arc<OpenFile>>) -> Result<()> {
    let before = {
        let mut state = ring.lock();
        let slot = state.files.get_mut(index as usize);
        core::mem::replace(slot.ok_or(Errno::EINVAL.because("no such slot"))?, file)
    };
    drop(before);
    Ok(())
}

/// `CLOSE` of a slot.
pub(in super::super) fn close_direct(ring: &Ring, index: u32) -> Result<u64> {
    let file = {
        let mut state = ring.lock();
        if state.files.is_empty() {
            return Err(Errno::ENXIO.because("there are no registered files"));
        }
        let slot = state.files.get_mut(index as usize);
        slot.ok_or(Errno::EINVAL.because("no such slot"))?.take()
    };
    file.map(|_| 0).ok_or(Errno::EBADF.because("no file is registered there"))
}

/// `OPENAT` and `OPENAT2` into a slot, or into any: then its number is the result.
pub(in super::super) async fn open_direct(
    cx: &mut Context<'_>,
    ring: &Ring,
    entry: &Entry,
) -> Result<u64> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    if entry.opcode == operations::OPENAT && entry.op_flags & CLOSE_ON_EXEC != 0 {
        return Err(Errno::EINVAL.because("a slot is no descriptor"));
    }
    let fd = operations::call(cx, ring, entry).await?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    let file = cx.process.files.remove(fd)?;
    if entry.file_index != ANY {
        if ring.lock().files.is_empty() {
            return Err(Errno::ENXIO.because("there are no registered files"));
        }
        return set(ring, entry.file_index - 1, Some(file)).map(|()| 0);
    }
    let mut state = ring.lock();
    let free = state.files.iter().position(Option::is_none);
    let index = free.ok_or(Errno::ENFILE.because("no slot is free"))?;
    state.files[index] = Some(file);
    Ok(index as u64)
}
