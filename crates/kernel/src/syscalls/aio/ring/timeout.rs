//! Timeouts: `TIMEOUT`, `TIMEOUT_REMOVE`, `LINK_TIMEOUT`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use executor::Task;

use super::entry::{Completion, Entry, Outcome};
use super::operations::{LINK_TIMEOUT, TIMEOUT, TIMEOUT_REMOVE};
use super::{Aim, Ring};
use crate::context::Context;
use crate::syscalls::time::spec;

const ABSOLUTE: u32 = 1;
const UPDATE: u32 = 2;
const BOOT_TIME: u32 = 4;
const REAL_TIME: u32 = 8;
const UPDATE_LIMIT: u32 = 0x10;
const ELAPSED_IS_SUCCESS: u32 = 0x20;
const MULTI: u32 = 0x40;
const CLOCKS: u32 = BOOT_TIME | REAL_TIME;
/// More completions of this operation follow.
const MORE: u32 = 2;

/// Whether an entry limits the time of the one before it.
pub(super) fn is_limit(entry: &Entry) -> bool {
    entry.opcode == LINK_TIMEOUT
}

/// Whether a timeout that ended with ETIME lets the next of its chain begin.
pub(super) fn counts_as_success(entry: &Entry, outcome: &Outcome) -> bool {
    entry.opcode == TIMEOUT
        && entry.op_flags & ELAPSED_IS_SUCCESS != 0
        && matches!(outcome, Err(error) if error.errno == Errno::ETIME)
}

/// Checks a timeout and reads when it ends, at the time of submission.
///
/// # Errors
/// EINVAL, EFAULT.
pub(super) fn prepare(cx: &Context<'_>, entry: &Entry, before: Option<&Entry>) -> Result<Aim> {
    match entry.opcode {
        TIMEOUT => {}
        LINK_TIMEOUT => {
            if entry.offset != 0 || before.is_none_or(is_limit) {
                return Err(Errno::EINVAL.because("a limit of nothing"));
            }
        }
        TIMEOUT_REMOVE => {
            Entry::unused(&[entry.buffer.into(), entry.len.into(), entry.file_index.into()])?;
            check_change(entry)?;
            return Ok(Aim::None);
        }
        _ => return Ok(Aim::None),
    }
    Entry::unused(&[entry.buffer.into(), entry.file_index.into()])?;
    let flags = entry.op_flags;
    let known = ABSOLUTE | CLOCKS | ELAPSED_IS_SUCCESS | MULTI;
    if entry.len != 1 || flags & !known != 0 || flags & CLOCKS == CLOCKS {
        return Err(Errno::EINVAL.because("unknown flags of a timeout, or two clocks"));
    }
    if flags & MULTI != 0 && flags & ABSOLUTE != 0 {
        return Err(Errno::EINVAL.because("an instant comes only once"));
    }
    deadline(cx, entry.address, flags).map(|deadline| Aim::Deadline(Some(deadline)))
}

fn check_change(entry: &Entry) -> Result<()> {
    let flags = entry.op_flags;
    let update = flags & (UPDATE | UPDATE_LIMIT) != 0;
    let known = if update { UPDATE | UPDATE_LIMIT | ABSOLUTE | CLOCKS } else { 0 };
    if flags & !known != 0 || flags & CLOCKS == CLOCKS {
        return Err(Errno::EINVAL.because("unknown flags of a change, or two clocks"));
    }
    Ok(())
}

fn deadline(cx: &Context<'_>, address: u64, flags: u32) -> Result<u64> {
    let time = spec::read(cx, address)?;
    Ok(match (flags & ABSOLUTE != 0, flags & REAL_TIME != 0) {
        (false, _) => spec::after(time),
        (true, true) => spec::from_realtime(time),
        (true, false) => time,
    })
}

/// `TIMEOUT`: an instant, or so many completions.
pub(super) async fn wait(cx: &Context<'_>, ring: &Ring, entry: &Entry, id: u64) -> Outcome {
    let multi = entry.op_flags & MULTI != 0;
    // The count of a multishot timeout is how often it comes.
    let (count, mut times) = if multi { (0, entry.offset) } else { (entry.offset, 0) };
    let target = ring.lock().posted.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX));
    let interval = if multi { spec::read(cx, entry.address)?.max(1) } else { 0 };
    loop {
        let listener = ring.changed.listen();
        let (deadline, posted) = {
            let state = ring.lock();
            (state.running.get(&id).map(|own| own.aim), state.posted)
        };
        if count != 0 && posted.wrapping_sub(target).cast_signed() >= 0 {
            return Ok((0, 0));
        }
        let Some(Aim::Deadline(deadline)) = deadline else {
            return Err(Errno::ECANCELED.because("the timeout is gone"));
        };
        if deadline.is_none_or(|deadline| platform::clock::now() < deadline) {
            let _ = cx.interruptible(cx.kernel.executor.timeout(deadline, listener)).await?;
            continue;
        }
        times = times.wrapping_sub(1);
        if !multi || times == 0 {
            return Err(Errno::ETIME.because("the time is over"));
        }
        let result = -i32::from(Errno::ETIME.raw().cast_signed());
        if !ring.post(Completion { user_data: entry.user_data, result, flags: MORE }) {
            return Err(Errno::ETIME.because("the completion queue is full"));
        }
        if let Some(own) = ring.lock().running.get_mut(&id) {
            own.aim = Aim::Deadline(deadline.map(|deadline| deadline.saturating_add(interval)));
        }
    }
}

/// `TIMEOUT_REMOVE`: ends a timeout, or gives it another time.
pub(super) fn change(cx: &Context<'_>, ring: &Arc<Ring>, entry: &Entry) -> Result<u64> {
    let limits = entry.op_flags & UPDATE_LIMIT != 0;
    let update = entry.op_flags & (UPDATE | UPDATE_LIMIT) != 0;
    let time = if update { Some(deadline(cx, entry.offset, entry.op_flags)?) } else { None };
    let opcode = if limits { LINK_TIMEOUT } else { TIMEOUT };
    let mut state = ring.lock();
    let found = state
        .running
        .values_mut()
        .find(|own| own.opcode == opcode && own.user_data == entry.address);
    let found = found.ok_or(Errno::ENOENT.because("no such timeout is under way"))?;
    match time {
        None => found.stop(),
        Some(time) => {
            found.aim = Aim::Deadline(Some(time));
            if let Some(task) = found.thread.task() {
                Task::wake(task);
            }
        }
    }
    Ok(0)
}
