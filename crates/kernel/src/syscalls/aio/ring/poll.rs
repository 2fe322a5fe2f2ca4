//! Waiting for readiness: `POLL_ADD`, once or again and again, and `POLL_REMOVE`, which also changes.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use executor::Task;
use vfs::object::Events;

use super::entry::{Completion, Entry, Flags, Outcome};
use super::operations::POLL_ADD;
use super::{Aim, Ring};
use crate::context::Context;
use crate::syscalls::poll::wait::one_wake_up;

/// `IORING_POLL_ADD_MULTI` and its neighbours.
const MULTI: u32 = 1;
const UPDATE_EVENTS: u32 = 2;
const UPDATE_DATA: u32 = 4;
const LEVEL: u32 = 8;
/// `EPOLLET`, `EPOLLONESHOT`, `EPOLLEXCLUSIVE`, which mean nothing to be waited for.
const OPTIONS: u32 = 0xf000_0000;
/// More completions of this operation follow.
const MORE: u32 = 2;

/// Fields of `POLL_ADD`.
pub(super) fn check(entry: &Entry) -> Result<()> {
    Entry::unused(&[entry.buffer.into(), entry.offset, entry.address])?;
    let multi = entry.len & MULTI != 0;
    if entry.len & !(MULTI | LEVEL) != 0 || multi && entry.flags().contains(Flags::SKIP_SUCCESS) {
        return Err(Errno::EINVAL.because("unknown flags of POLL_ADD, or two at odds"));
    }
    Ok(())
}

/// Fields of `POLL_REMOVE`.
pub(super) fn check_update(entry: &Entry) -> Result<()> {
    Entry::unused(&[entry.buffer.into(), entry.file_index.into()])?;
    if entry.len & !(MULTI | UPDATE_EVENTS | UPDATE_DATA) != 0 || entry.len == MULTI {
        return Err(Errno::EINVAL.because("unknown flags of POLL_REMOVE, or two at odds"));
    }
    let changes = entry.len & UPDATE_EVENTS != 0;
    if !changes && entry.op_flags != 0 || entry.len & UPDATE_DATA == 0 && entry.offset != 0 {
        return Err(Errno::EINVAL.because("a change without its flag"));
    }
    Ok(())
}

/// `POLL_ADD`.
pub(super) async fn add(cx: &Context<'_>, ring: &Ring, entry: &Entry, id: u64) -> Outcome {
    let file = entry.file(cx, ring)?;
    set(ring, id, entry.op_flags & !OPTIONS);
    let multi = entry.len & MULTI != 0;
    let level = entry.len & LEVEL != 0 && multi;
    let mut told = Events::empty();
    loop {
        let Some(queue) = file.object().readiness() else {
            return Ok((u64::from(ready(ring, id, file.poll())), 0));
        };
        let listener = queue.listen();
        let events = file.poll();
        let found = ready(ring, id, events);
        let fresh = level || !multi || told != events;
        if found != 0 && fresh {
            if !multi {
                return Ok((found.into(), 0));
            }
            told = events;
            let user_data =
                ring.lock().running.get(&id).map_or(entry.user_data, |own| own.user_data);
            let result = found.cast_signed();
            if !ring.post(Completion { user_data, result, flags: MORE }) {
                return Err(Errno::ECANCELED.because("the completion queue is full"));
            }
            continue;
        }
        // A wake-up is news, though what is ready is the same.
        let mut listening = [(queue, listener)];
        cx.interruptible(one_wake_up(&mut listening)).await?;
        told = Events::empty();
    }
}

/// What of `events` is waited for.
fn ready(ring: &Ring, id: u64, events: Events) -> u32 {
    let always = (Events::ERR | Events::HUP).bits();
    let wanted = match ring.lock().running.get(&id).map(|own| own.aim) {
        Some(Aim::Events(wanted)) => wanted,
        _ => 0,
    };
    events.bits() & (wanted | always)
}

fn set(ring: &Ring, id: u64, wanted: u32) {
    if let Some(own) = ring.lock().running.get_mut(&id) {
        own.aim = Aim::Events(wanted);
    }
}

/// `POLL_REMOVE`: ends a poll, or changes what it waits for or is called.
pub(super) fn change(ring: &Arc<Ring>, entry: &Entry) -> Result<u64> {
    let mut state = ring.lock();
    let found = state
        .running
        .values_mut()
        .find(|own| own.opcode == POLL_ADD && own.user_data == entry.address);
    let found = found.ok_or(Errno::ENOENT.because("no such poll is under way"))?;
    if entry.len & (UPDATE_EVENTS | UPDATE_DATA) == 0 {
        found.stop();
        return Ok(0);
    }
    if entry.len & UPDATE_DATA != 0 {
        found.user_data = entry.offset;
    }
    if entry.len & UPDATE_EVENTS != 0 {
        found.aim = Aim::Events(entry.op_flags & !OPTIONS);
    }
    if let Some(task) = found.thread.task() {
        Task::wake(task);
    }
    Ok(0)
}
