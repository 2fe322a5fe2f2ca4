//! `io_uring_enter`: submitting, and waiting for completions.
//!
//! Source: `io_uring_enter(2)`. Differs from Linux: completions appear as they come, also in a ring
//! that asked to have them deferred.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::object::OpenFile;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{CQ_HEAD, CQ_TAIL, Ring, submit};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::poll::mask;
use crate::syscalls::time::spec;

bitflags::bitflags! {
    /// Flags of `io_uring_enter(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u32 {
        /// Waits for completions.
        const GET_EVENTS = 1;
        /// Wakes the polling thread.
        const WAKE_UP = 2;
        /// Waits for room in the submission queue.
        const WAIT_ROOM = 4;
        /// The argument is a structure.
        const EXTENDED = 8;
        /// The descriptor is the index of a registered ring.
        const REGISTERED_RING = 0x10;
        /// The timeout is an instant.
        const ABSOLUTE = 0x20;
        /// The structure lies in a registered region: nobody can register one here.
        const REGION = 0x40;
        /// The time spent does not count as waiting for a disk: nobody counts that here.
        const NO_IO_WAIT = 0x80;
    }
}

/// `struct io_uring_getevents_arg`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Extended {
    mask: u64,
    mask_size: u32,
    shortest: u32,
    time: u64,
}

/// How long to wait.
#[derive(Clone, Copy)]
struct Wait {
    least: u32,
    /// ns of the monotonic clock.
    deadline: Option<u64>,
    /// Until then fewer are not enough.
    shortest: Option<u64>,
}

/// The ring that a descriptor or an index of the thread's names.
///
/// # Errors
/// EBADF; EOPNOTSUPP when it is no ring; EINVAL for an index that names none.
pub(super) fn find(cx: &Context<'_>, fd: i32, registered: bool) -> Result<Arc<OpenFile>> {
    let file = if registered {
        let rings = cx.thread.rings.lock();
        let index = usize::try_from(fd).ok().filter(|index| *index < super::register::RINGS_MAX);
        let index = index.filter(|_| !rings.is_empty());
        let index = index.ok_or(Errno::EINVAL.because("no such index of a registered ring"))?;
        let slot = rings.get(index).cloned().flatten();
        slot.ok_or(Errno::EBADF.because("no ring is registered there"))?
    } else {
        cx.process.files.opened(fd)?
    };
    ring_of(&file)?;
    Ok(file)
}

/// The ring of an open file.
///
/// # Errors
/// EOPNOTSUPP.
pub(super) fn ring_of(file: &OpenFile) -> Result<Arc<Ring>> {
    let ring = file.downcast::<Ring>().and_then(|ring| ring.me.upgrade());
    ring.ok_or(Errno::EOPNOTSUPP.because("the descriptor is no ring"))
}

/// `io_uring_enter(2)`: ring, how many to submit, how many to wait for, flags, argument, its size.
pub(in crate::syscalls::aio) async fn enter(cx: &mut Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = Flags::from_bits(args.uint(3))
        .ok_or(Errno::EINVAL.because("unknown flags of io_uring_enter"))?;
    let file = find(cx, args.fd(0), flags.contains(Flags::REGISTERED_RING))?;
    let ring = ring_of(&file)?;
    if !ring.lock().enabled {
        return Err(Errno::EBADFD.because("the ring is disabled"));
    }
    let submitted = submit::submit(cx, &ring, args.uint(1)).await;
    if !flags.contains(Flags::GET_EVENTS) {
        return Ok(submitted);
    }
    match get_events(cx, &ring, args, flags).await {
        Err(error) if submitted == 0 => Err(error),
        _ => Ok(submitted),
    }
}

async fn get_events(
    cx: &Context<'_>,
    ring: &Arc<Ring>,
    args: &Arguments,
    flags: Flags,
) -> Result<()> {
    let mut extended = Extended::default();
    if flags.contains(Flags::EXTENDED) {
        if flags.contains(Flags::REGION) {
            return Err(Errno::EFAULT.because("no region is registered"));
        }
        if args.size(5) != size_of::<Extended>() {
            return Err(Errno::EINVAL.because("the argument has another size"));
        }
        extended = cx.read(args.address(4))?;
    } else {
        extended.mask = args.address(4);
        extended.mask_size = args.uint(5);
    }
    let mut wait =
        Wait { least: args.uint(2).min(ring.shape.completions), deadline: None, shortest: None };
    if extended.time != 0 {
        // Linux takes it as it is, a fraction beyond a second too.
        let [seconds, fraction]: [i64; 2] = cx.read(extended.time)?;
        let time = seconds.saturating_mul(1_000_000_000).saturating_add(fraction);
        let time = u64::try_from(time).unwrap_or(0);
        let absolute = flags.contains(Flags::ABSOLUTE);
        wait.deadline = Some(if absolute { time } else { spec::after(time) });
    }
    if extended.shortest != 0 {
        wait.shortest = Some(spec::after(u64::from(extended.shortest) * 1000));
    }
    ring.flush();
    if ring.ready() >= wait.least {
        return Ok(());
    }
    mask::begin(cx, extended.mask, extended.mask_size as usize)?;
    let result = wait_for(cx, ring, wait).await;
    mask::end(cx, result)
}

async fn wait_for(cx: &Context<'_>, ring: &Arc<Ring>, wait: Wait) -> Result<()> {
    let mut shortest = wait.shortest;
    loop {
        ring.flush();
        let listener = ring.changed.listen();
        let ready = ring.ready();
        // After the shortest wait any completion is enough.
        if ready >= wait.least || shortest.is_none() && wait.shortest.is_some() && ready > 0 {
            return Ok(());
        }
        let until = match (shortest, wait.deadline) {
            (Some(first), Some(last)) => Some(first.min(last)),
            (first, last) => first.or(last),
        };
        match cx.interruptible(cx.kernel.executor.timeout(until, listener)).await {
            Ok(Ok(())) => {}
            Ok(Err(_))
                if shortest.is_some()
                    && wait.deadline.is_none_or(|last| last > platform::clock::now()) =>
            {
                shortest = None;
            }
            Ok(Err(_)) => return empty_or(ring, Errno::ETIME),
            Err(_) => return empty_or(ring, Errno::EINTR),
        }
    }
}

/// Why a wait ended early; no error when there is something to take all the same.
fn empty_or(ring: &Ring, errno: Errno) -> Result<()> {
    ring.flush();
    if ring.rings.load(CQ_HEAD) != ring.rings.load(CQ_TAIL) {
        return Ok(());
    }
    Err(errno.because("the wait ended before enough completions came"))
}
