//! Options of prctl(2) about the machine, and about what all threads of a process share.
//!
//! What another architecture has, or a kernel that is configured otherwise, is refused with EINVAL as
//! Linux does on such a machine.

use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::{Error, Result};
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::settings::{EarlyKill, Settings};

const GET_TIMING: i32 = 13;
const SET_TIMING: i32 = 14;
const TASK_PERF_EVENTS_DISABLE: i32 = 31;
const TASK_PERF_EVENTS_ENABLE: i32 = 32;
const MCE_KILL: i32 = 33;
const MCE_KILL_GET: i32 = 34;
const SET_MM: i32 = 35;
const SET_CHILD_SUBREAPER: i32 = 36;
const GET_CHILD_SUBREAPER: i32 = 37;
const SET_THP_DISABLE: i32 = 41;
const GET_THP_DISABLE: i32 = 42;
const GET_SPECULATION_CTRL: i32 = 52;
const SET_SPECULATION_CTRL: i32 = 53;
const SET_IO_FLUSHER: i32 = 57;
const GET_IO_FLUSHER: i32 = 58;
const SET_MDWE: i32 = 65;
const GET_MDWE: i32 = 66;
const SET_MEMORY_MERGE: i32 = 67;
const GET_MEMORY_MERGE: i32 = 68;
const FUTEX_HASH: i32 = 78;
const GET_AUXV: i32 = 0x4155_5856;

/// Bytes of the auxiliary vector as Linux keeps it, whatever is used of it.
const AUXV_SIZE: usize = 448;
/// Bytes of `struct prctl_mm_map`.
const MM_MAP_SIZE: u32 = 104;

fn superfluous() -> Error {
    Errno::EINVAL.because("an argument that the option doesn't have")
}

/// Refuses arguments, from `first` on, that the option does not have.
fn nothing_from(args: &Arguments, first: usize) -> Result<()> {
    if args.0[first..5].iter().all(|argument| *argument == 0) { Ok(()) } else { Err(superfluous()) }
}

/// An option and its four arguments.
///
/// # Errors
/// EINVAL for options that are not there, and what each option says.
pub(super) fn prctl(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let value = args.raw(1);
    match args.int(0) {
        GET_TIMING | TASK_PERF_EVENTS_DISABLE | TASK_PERF_EVENTS_ENABLE => Ok(0),
        SET_TIMING if value == 0 => Ok(0),
        SET_TIMING => Err(Errno::EINVAL.because("only statistical timing is there")),
        MCE_KILL => set_early_kill(cx, args),
        MCE_KILL_GET => {
            nothing_from(args, 1)?;
            Ok(cx.thread.attributes.get().early_kill as u64)
        }
        SET_MM => set_mm(cx, args),
        SET_CHILD_SUBREAPER => {
            cx.process.settings.change(|settings| settings.subreaper = value != 0);
            Ok(0)
        }
        GET_CHILD_SUBREAPER => {
            cx.write(value, &i32::from(cx.process.settings.get().subreaper)).map(|()| 0)
        }
        GET_SPECULATION_CTRL | SET_SPECULATION_CTRL => speculation(args),
        SET_IO_FLUSHER | GET_IO_FLUSHER => io_flusher(cx, args),
        FUTEX_HASH => futex_hash(cx, args),
        GET_AUXV => auxiliary(cx, args),
        _ => of_memory(cx, args),
    }
}

/// What concerns the process's memory.
fn of_memory(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let settings = &cx.process.settings;
    let value = args.raw(1);
    match args.int(0) {
        SET_THP_DISABLE => {
            /// `PR_THP_DISABLE_EXCEPT_ADVISED`.
            const EXCEPT_ADVISED: u64 = 2;
            nothing_from(args, 3)?;
            let flags = args.raw(2);
            if flags & !EXCEPT_ADVISED != 0 || value == 0 && flags != 0 {
                return Err(superfluous());
            }
            let told = if value == 0 { 0 } else { 1 | flags };
            settings.change(|settings| settings.no_huge_pages = told);
            Ok(0)
        }
        GET_THP_DISABLE => told(args, settings.get().no_huge_pages),
        SET_MEMORY_MERGE => {
            nothing_from(args, 2)?;
            settings.change(|settings| settings.merges_memory = value != 0);
            Ok(0)
        }
        GET_MEMORY_MERGE => told(args, settings.get().merges_memory.into()),
        SET_MDWE => set_write_exec_denied(settings, args),
        GET_MDWE => told(args, settings.get().write_exec_denied),
        _ => Err(Errno::EINVAL.because("the option is not supported")),
    }
}

/// Answers an option that only asks.
fn told(args: &Arguments, answer: u64) -> Result<u64> {
    nothing_from(args, 1)?;
    Ok(answer)
}

/// `PR_SET_MDWE`: from now on memory that can be written can't be executed.
fn set_write_exec_denied(
    settings: &crate::process::settings::Shared,
    args: &Arguments,
) -> Result<u64> {
    const REFUSE_EXEC_GAIN: u64 = 1;
    const NO_INHERIT: u64 = 2;
    nothing_from(args, 2)?;
    let wanted = args.raw(1);
    if wanted & !(REFUSE_EXEC_GAIN | NO_INHERIT) != 0 || wanted == NO_INHERIT {
        return Err(Errno::EINVAL.because("an unknown flag, or one without what it is about"));
    }
    settings.change(|settings: &mut Settings| {
        if settings.write_exec_denied != 0 && settings.write_exec_denied != wanted {
            return Err(Errno::EPERM.because("it can't be changed once it is set"));
        }
        settings.write_exec_denied = wanted;
        Ok(0)
    })
}

/// `PR_MCE_KILL`: when to be told of broken memory. No such news comes into the enclave.
fn set_early_kill(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    nothing_from(args, 3)?;
    let kill = match (args.raw(1), args.raw(2)) {
        (0, 0) | (1, 2) => EarlyKill::Default,
        (1, 0) => EarlyKill::Late,
        (1, 1) => EarlyKill::Early,
        (option, _) => {
            if option == 1 && cx.thread.attributes.get().early_kill == EarlyKill::Default {
                // Linux takes note that the thread has a wish before it looks which.
                cx.thread.attributes.change(|values| values.early_kill = EarlyKill::Late);
            }
            return Err(Errno::EINVAL.because("neither early, late nor default"));
        }
    };
    cx.thread.attributes.change(|values| values.early_kill = kill);
    Ok(0)
}

/// `PR_SET_MM`: the marks of code, data and stack stay where execve(2) put them.
fn set_mm(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const AUXV: u64 = 12;
    const MAP: u64 = 14;
    const MAP_SIZE: u64 = 15;
    let option = args.raw(1);
    if args.raw(4) != 0 || args.raw(3) != 0 && !matches!(option, AUXV | MAP | MAP_SIZE) {
        return Err(superfluous());
    }
    match option {
        MAP_SIZE => cx.write(args.address(2), &MM_MAP_SIZE).map(|()| 0),
        MAP if args.raw(3) != MM_MAP_SIZE.into() => {
            Err(Errno::EINVAL.because("the map has another size"))
        }
        _ => Err(Errno::EPERM.because("the marks of a process's memory can't be moved")),
    }
}

/// How the processor speculates, which is the host's to say: it can be asked, not changed.
fn speculation(args: &Arguments) -> Result<u64> {
    const STORE_BYPASS: u64 = 0;
    const INDIRECT_BRANCH: u64 = 1;
    const L1D_FLUSH: u64 = 2;
    const ENABLE: u64 = 2;
    const DISABLE: u64 = 4;
    const FORCE_DISABLE: u64 = 8;
    let fixed = Errno::EPERM.because("the host says how the processor speculates");
    if args.int(0) == GET_SPECULATION_CTRL {
        nothing_from(args, 2)?;
        return match args.raw(1) {
            STORE_BYPASS | INDIRECT_BRANCH => Ok(ENABLE),
            L1D_FLUSH => Ok(FORCE_DISABLE),
            _ => Err(Errno::ENODEV.because("no such kind of speculation")),
        };
    }
    nothing_from(args, 3)?;
    match (args.raw(1), args.raw(2)) {
        (STORE_BYPASS, _) => Err(Errno::ENXIO.because("there is no control for it")),
        (INDIRECT_BRANCH, ENABLE) => Ok(0),
        (INDIRECT_BRANCH, DISABLE | FORCE_DISABLE) | (L1D_FLUSH, _) => Err(fixed),
        (INDIRECT_BRANCH, _) => Err(Errno::ERANGE.because("no such setting")),
        _ => Err(Errno::ENODEV.because("no such kind of speculation")),
    }
}

/// `PR_SET_IO_FLUSHER`: a mark for those who write memory back, which nothing else looks at here.
fn io_flusher(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if !cx.process.credentials.lock().has(Capabilities::SYS_RESOURCE) {
        return Err(Errno::EPERM.because("needs CAP_SYS_RESOURCE"));
    }
    let attributes = &cx.thread.attributes;
    if args.int(0) == GET_IO_FLUSHER {
        return told(args, attributes.get().io_flusher.into());
    }
    nothing_from(args, 2)?;
    let on = super::switch(args.raw(1))?;
    attributes.change(|values| values.io_flusher = on);
    Ok(0)
}

/// `PR_FUTEX_HASH`: how many buckets the process's own table of waiters has. All processes share one
/// table here; what is set is kept and told.
fn futex_hash(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const SET_SLOTS: u64 = 1;
    const GET_SLOTS: u64 = 2;
    let settings = &cx.process.settings;
    match args.raw(1) {
        GET_SLOTS => Ok(settings.get().futex_slots.unwrap_or(0).into()),
        SET_SLOTS => {
            let slots = args.raw(2);
            let known = u32::try_from(slots).ok().filter(|slots| *slots != 1);
            let known = known.filter(|slots| *slots == 0 || slots.is_power_of_two());
            let Some(slots) = known.filter(|_| args.raw(3) == 0) else {
                return Err(Errno::EINVAL.because("flags, or no power of two"));
            };
            settings.change(|settings| {
                if settings.futex_slots == Some(0) {
                    return Err(Errno::EBUSY.because("the process uses the common table for good"));
                }
                settings.futex_slots = Some(slots);
                Ok(0)
            })
        }
        _ => Err(Errno::EINVAL.because("neither to set nor to ask")),
    }
}

/// `PR_GET_AUXV`: where it goes, and how much of it. Gives how long it is.
fn auxiliary(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    nothing_from(args, 3)?;
    let mut bytes = [0_u8; AUXV_SIZE];
    let entries = cx.process.program.lock().auxiliary.clone();
    for (place, (kind, value)) in bytes.chunks_exact_mut(16).zip(entries) {
        place[..8].copy_from_slice(&kind.to_le_bytes());
        place[8..].copy_from_slice(&value.to_le_bytes());
    }
    let len = args.size(2).min(AUXV_SIZE);
    cx.write_bytes(args.address(1), &bytes[..len])?;
    Ok(AUXV_SIZE as u64)
}

/// Whether memory that is to be mapped or protected so would be written and executed, which the process
/// has forsworn.
///
/// # Errors
/// EACCES.
pub(crate) fn check_write_exec(
    cx: &Context<'_>,
    raw: u64,
    was_executable: impl FnOnce() -> bool,
) -> Result<()> {
    const WRITE: u64 = 2;
    const EXECUTE: u64 = 4;
    if !cx.process.settings.denies_write_exec.load(Ordering::Relaxed) || raw & EXECUTE == 0 {
        return Ok(());
    }
    if raw & WRITE != 0 || !was_executable() {
        return Err(Errno::EACCES.because("PR_SET_MDWE forbids memory to become executable"));
    }
    Ok(())
}
