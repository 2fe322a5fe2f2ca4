//! `io_uring_register`: what a ring is told once instead of with each entry.
//!
//! Source: `io_uring_register(2)`. Differs from Linux: no tags, no credentials, and no buffers that
//! are chosen when there is something to put in; each is refused with EINVAL.

mod files;
mod restrict;

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::user::{self, UserRange};
use vfs::eventfd::EventFd;
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub(super) use self::files::{close_direct, open_direct, update_by_entry};
pub(super) use self::restrict::Restrictions;
use super::cancel::{self, Wanted};
use super::{Ring, enter, operations};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::time::spec;

/// So many rings of a thread have an index.
pub(super) const RINGS_MAX: usize = 16;
/// The most registered buffers, and the most bytes of one.
const BUFFERS_MAX: usize = 1 << 14;
const BUFFER_MAX: u64 = 1 << 30;
/// Bit of the operation: the descriptor is the index of a registered ring.
const BY_INDEX: u32 = 1 << 31;

const BUFFERS: u32 = 0;
const NO_BUFFERS: u32 = 1;
const FILES: u32 = 2;
const NO_FILES: u32 = 3;
const EVENT: u32 = 4;
const NO_EVENT: u32 = 5;
const FILES_UPDATE: u32 = 6;
const PROBE: u32 = 8;
const RESTRICTIONS: u32 = 11;
const ENABLE: u32 = 12;
const FILES_TWO: u32 = 13;
const BUFFERS_TWO: u32 = 15;
const RINGS: u32 = 20;
const NO_RINGS: u32 = 21;
const SYNC_CANCEL: u32 = 24;
/// From here on Linux 6.18 has none.
const OPERATIONS: u32 = 36;

/// `io_uring_register(2)`: ring, operation, argument, how many.
pub(in crate::syscalls::aio) async fn register(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let operation = args.uint(1) & !BY_INDEX;
    if operation >= OPERATIONS {
        return Err(Errno::EINVAL.because("no such registration"));
    }
    if args.fd(0) == -1 {
        return Err(Errno::EINVAL.because("a registration that needs a ring"));
    }
    let file = enter::find(cx, args.fd(0), args.uint(1) & BY_INDEX != 0)?;
    let ring = enter::ring_of(&file)?;
    if let Some(restrictions) = &ring.lock().restrictions {
        restrictions.check_registration(operation)?;
    }
    let (address, count) = (args.address(2), args.uint(3));
    match operation {
        BUFFERS => buffers(cx, &ring, address, count),
        FILES => files::register(cx, &ring, address, count),
        FILES_UPDATE => files::update(cx, &ring, address, count),
        EVENT => one(count).and_then(|()| event(cx, &ring, address)),
        PROBE => probe(cx, address, count),
        RESTRICTIONS => restrict::restrict(cx, &ring, address, count),
        FILES_TWO | BUFFERS_TWO => resources(cx, &ring, address, count, operation == FILES_TWO),
        RINGS => ring_indices(cx, address, count),
        NO_RINGS => no_ring_indices(cx, address, count),
        SYNC_CANCEL => {
            one(count)?;
            sync_cancel(cx, &ring, address).await
        }
        NO_BUFFERS | NO_FILES | NO_EVENT | ENABLE if address != 0 || count != 0 => {
            Err(Errno::EINVAL.because("an argument of what has none"))
        }
        NO_BUFFERS => {
            let before = core::mem::take(&mut ring.lock().buffers);
            if before.is_empty() { Err(Errno::ENXIO.because("there are none")) } else { Ok(0) }
        }
        NO_FILES => files::unregister(&ring),
        NO_EVENT => {
            let before = ring.lock().event.take();
            before.map(|_| 0).ok_or(Errno::ENXIO.because("there is none"))
        }
        ENABLE => enable(&ring),
        _ => Err(Errno::EINVAL.because("no such registration")),
    }
}

fn one(count: u32) -> Result<()> {
    if count == 1 { Ok(()) } else { Err(Errno::EINVAL.because("not just one")) }
}

fn enable(ring: &Ring) -> Result<u64> {
    let mut state = ring.lock();
    if state.enabled {
        return Err(Errno::EBADFD.because("the ring is enabled"));
    }
    state.enabled = true;
    Ok(0)
}

fn event(cx: &Context<'_>, ring: &Ring, address: u64) -> Result<u64> {
    if ring.lock().event.is_some() {
        return Err(Errno::EBUSY.because("there is an eventfd"));
    }
    let fd: i32 = cx.read(address)?;
    let file = cx.process.files.get(fd)?;
    if file.downcast::<EventFd>().is_none() {
        return Err(Errno::EINVAL.because("the descriptor is no eventfd"));
    }
    let mut state = ring.lock();
    if state.event.is_some() {
        return Err(Errno::EBUSY.because("there is an eventfd"));
    }
    state.event = Some(file);
    Ok(0)
}

/// `struct io_uring_probe`: the last operation, how many follow, 6 words of nothing; then 8 bytes for
/// each operation, the first its number and the third whether it is there.
fn probe(cx: &Context<'_>, address: u64, count: u32) -> Result<u64> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if address == 0 || count > 256 {
        return Err(Errno::EINVAL.because("no room, or too much"));
    }
    let told = count.min(usize::from(operations::LAST));
    let given: Vec<u8> = cx.read_vec(address, 16 + 8 * count)?;
    if given.iter().any(|byte| *byte != 0) {
        return Err(Errno::EINVAL.because("the probe is not zero"));
    }
    let mut answer = alloc::vec![0_u8; 16 + 8 * count];
    answer[0] = operations::LAST - 1;
    answer[1] = u8::try_from(told).unwrap_or(u8::MAX);
    for opcode in 0..u8::try_from(told).unwrap_or(u8::MAX) {
        let at = 16 + 8 * usize::from(opcode);
        answer[at] = opcode;
        answer[at + 2] = u8::from(operations::is_there(opcode));
    }
    cx.write_bytes(address, &answer)?;
    Ok(0)
}

fn buffers(cx: &Context<'_>, ring: &Ring, address: u64, count: u32) -> Result<u64> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if !ring.lock().buffers.is_empty() {
        return Err(Errno::EBUSY.because("there are buffers"));
    }
    if count == 0 || count > BUFFERS_MAX {
        return Err(Errno::EINVAL.because("no buffers, or too many"));
    }
    let given: Vec<[u64; 2]> = cx.read_vec(address, count)?;
    let mut buffers = Vec::with_capacity(count);
    for [start, len] in given {
        buffers.push(buffer(start, len)?);
    }
    ring.lock().buffers = buffers;
    Ok(0)
}

/// A buffer; none for an address of zero.
fn buffer(start: u64, len: u64) -> Result<Option<UserRange>> {
    if start == 0 && len == 0 {
        return Ok(None);
    }
    let fault = Errno::EFAULT.because("no buffer can lie there");
    if start == 0 || len == 0 || len > BUFFER_MAX {
        return Err(fault);
    }
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if !user::is_below_end(start, len) {
        return Err(fault);
    }
    Ok(Some(UserRange { start, len }))
}

/// `struct io_uring_rsrc_register`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Resources {
    count: u32,
    flags: u32,
    reserved: u64,
    data: u64,
    tags: u64,
}

/// Files or buffers, or room for some.
fn resources(
    cx: &Context<'_>,
    ring: &Ring,
    address: u64,
    size: u32,
    are_files: bool,
) -> Result<u64> {
    const SPARSE: u32 = 1;
    if size as usize != size_of::<Resources>() {
        return Err(Errno::EINVAL.because("the argument has another size"));
    }
    let given: Resources = cx.read(address)?;
    if given.reserved != 0 || given.flags & !SPARSE != 0 || given.count == 0 || given.tags != 0 {
        return Err(Errno::EINVAL.because("unknown flags, nothing, or tags"));
    }
    if given.flags & SPARSE == 0 {
        return if are_files {
            files::register(cx, ring, given.data, given.count)
        } else {
            buffers(cx, ring, given.data, given.count)
        };
    }
    if given.data != 0 {
        return Err(Errno::EINVAL.because("contents for empty slots"));
    }
    if are_files {
        return files::reserve(cx, ring, given.count);
    }
    let count = given.count as usize;
    let mut state = ring.lock();
    if !state.buffers.is_empty() {
        return Err(Errno::EBUSY.because("there are buffers"));
    }
    if count > BUFFERS_MAX {
        return Err(Errno::EINVAL.because("too many buffers"));
    }
    state.buffers = alloc::vec![None; count];
    Ok(0)
}

/// `struct io_uring_rsrc_update`: index or -1, nothing, a descriptor.
type Index = [u32; 4];

fn ring_indices(cx: &Context<'_>, address: u64, count: u32) -> Result<u64> {
    let count = limited(count)?;
    let mut done = 0;
    for index in 0..count {
        let at = address + index as u64 * 16;
        match ring_index(cx, at) {
            Ok(()) => done += 1,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

fn ring_index(cx: &Context<'_>, at: u64) -> Result<()> {
    let [wanted, reserved, fd, _]: Index = cx.read(at)?;
    if reserved != 0 {
        return Err(Errno::EINVAL.because("a reserved word is not zero"));
    }
    let file = enter::find(cx, fd.cast_signed(), false)?;
    let mut rings = cx.thread.rings.lock();
    let slot = if wanted == u32::MAX {
        rings.iter().position(Option::is_none).ok_or(Errno::EBUSY)?
    } else {
        wanted as usize
    };
    let place = rings.get_mut(slot).ok_or(Errno::EINVAL.because("no such index"))?;
    if place.is_some() {
        return Err(Errno::EBUSY.because("the index is taken"));
    }
    *place = Some(file);
    drop(rings);
    cx.write(at, &u32::try_from(slot).unwrap_or(u32::MAX))
}

fn no_ring_indices(cx: &Context<'_>, address: u64, count: u32) -> Result<u64> {
    let count = limited(count)?;
    let mut done = 0;
    for index in 0..count {
        let [wanted, reserved, data, more]: Index = cx.read(address + index as u64 * 16)?;
        if reserved != 0 || data != 0 || more != 0 || wanted as usize >= RINGS_MAX {
            return if done == 0 { Err(Errno::EINVAL.because("no such index")) } else { Ok(done) };
        }
        if let Some(slot) = cx.thread.rings.lock().get_mut(wanted as usize) {
            *slot = None;
        }
        done += 1;
    }
    Ok(done)
}

fn limited(count: u32) -> Result<usize> {
    let count = count as usize;
    if count == 0 || count > RINGS_MAX {
        return Err(Errno::EINVAL.because("no rings, or too many"));
    }
    Ok(count)
}

/// `struct io_uring_sync_cancel_reg`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct SyncCancel {
    user_data: u64,
    fd: i32,
    flags: u32,
    timeout: [i64; 2],
    opcode: u8,
    padding: [u8; 7],
    more: [u64; 3],
}

async fn sync_cancel(cx: &Context<'_>, ring: &Arc<Ring>, address: u64) -> Result<u64> {
    let given: SyncCancel = cx.read(address)?;
    if given.padding != [0; 7] || given.more != [0; 3] {
        return Err(Errno::EINVAL.because("reserved words are not zero"));
    }
    cancel::check_flags(given.flags)?;
    let file = cancel::file(cx, ring, given.flags, given.fd)?;
    let wanted =
        Wanted { flags: given.flags, user_data: given.user_data, file, opcode: given.opcode };
    let deadline = match given.timeout {
        [-1, -1] => None,
        time => Some(spec::after(spec::nanoseconds(time, platform::clock::SECOND)?)),
    };
    let stopped = wanted.stop(ring);
    if stopped == 0 {
        return Err(Errno::ENOENT.because("no such operation is under way"));
    }
    loop {
        let listener = ring.changed.listen();
        if Wanted::are_gone(ring) {
            return Ok(if wanted.counts() { stopped } else { 0 });
        }
        match cx.interruptible(cx.kernel.executor.timeout(deadline, listener)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Errno::ETIME.because("the operation goes on")),
            Err(_) => return Err(Errno::EINTR.because("a signal came")),
        }
    }
}
