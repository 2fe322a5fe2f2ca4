//! From a number to its family.

use core::future::Future;

use abi::errno::Result;
use abi::trap::Registers;
use abi::{Errno, nr};

use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::{
    aio, families, files, ipc, memory, mounts, poll, process, refused, security, signals, sockets,
    system, time,
};

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Files, names, descriptors.
    Files,
    /// User memory.
    Memory,
    /// Processes, threads, identity, scheduling, futexes.
    Process,
    /// Signals.
    Signals,
    /// Sockets.
    Sockets,
    /// Waiting for several objects.
    Poll,
    /// Clocks and timers.
    Time,
    /// System V and POSIX message passing.
    Ipc,
    /// Native asynchronous I/O and io_uring.
    Aio,
    /// The mount tree.
    Mounts,
    /// What a program gives up or is kept from: seccomp, landlock, keys.
    Security,
    /// The machine as a whole: what only its administrator may do.
    System,
    /// Nobody's: ENOSYS.
    None,
}

/// Numbers beyond this are nobody's.
const NUMBERS: usize = 480;

/// The family of a call.
pub const fn family(number: usize) -> Family {
    if number < NUMBERS { FAMILIES[number] } else { Family::None }
}

static FAMILIES: [Family; NUMBERS] = by_number();

const fn by_number() -> [Family; NUMBERS] {
    let mut table = [Family::None; NUMBERS];
    let groups: [(Family, &[usize]); 12] = [
        (Family::Files, families::FILES),
        (Family::Memory, families::MEMORY),
        (Family::Process, families::PROCESS),
        (Family::Signals, families::SIGNALS),
        (Family::Sockets, families::SOCKETS),
        (Family::Poll, families::POLL),
        (Family::Time, families::TIME),
        (Family::Ipc, families::IPC),
        (Family::Aio, families::AIO),
        (Family::Mounts, families::MOUNTS),
        (Family::Security, families::SECURITY),
        (Family::System, families::SYSTEM),
    ];
    let mut group = 0;
    while group < groups.len() {
        let (family, numbers) = groups[group];
        let mut index = 0;
        while index < numbers.len() {
            table[numbers[index]] = family;
            index += 1;
        }
        group += 1;
    }
    table
}

/// Carries out what needs no wait; `None`: it must wait, ask [`waiting`].
#[expect(clippy::inline_always, reason = "what it gives would go through memory")]
#[inline(always)]
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    match number {
        // What is asked most often where speed counts, past two tables of jumps.
        nr::FUTEX => process::futex::at_once(cx, args),
        nr::READ | nr::WRITE => files::plain_at_once(cx, number, args),
        _ => of_family_at_once(cx, number, args),
    }
}

/// The same for calls of any family. Apart, so that the calls above need not set aside the registers
/// and the stack that this needs.
#[inline(never)]
fn of_family_at_once(cx: &mut Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    match family(number) {
        Family::Files => files::at_once(cx, number, args),
        Family::Memory => memory::at_once(cx, number, args),
        Family::Process => process::at_once(cx, number, args),
        Family::Signals => signals::at_once(cx, number, args),
        Family::Sockets => sockets::at_once(cx, number, args),
        Family::Poll => poll::at_once(cx, number, args),
        Family::Time => time::at_once(cx, number, args),
        Family::Ipc => ipc::at_once(cx, number, args),
        Family::Aio => aio::at_once(cx, number, args),
        Family::Mounts => mounts::at_once(cx, number, args),
        Family::Security => security::at_once(cx, number, args),
        Family::System => system::at_once(cx, number, args),
        Family::None => None,
    }
}

/// Whether a call looks something up, of the host perhaps, and changes nothing: when its thread must
/// end, it may be given up in the middle.
#[inline]
pub(crate) fn only_asks_the_host(number: usize, registers: &Registers) -> bool {
    match number {
        nr::OPEN => return !files::open_changes(registers.rsi),
        nr::OPENAT => return !files::open_changes(registers.rdx),
        _ => {}
    }
    matches!(
        number,
        nr::STAT
            | nr::LSTAT
            | nr::NEWFSTATAT
            | nr::STATX
            | nr::ACCESS
            | nr::FACCESSAT
            | nr::FACCESSAT2
            | nr::READLINK
            | nr::READLINKAT
            | nr::GETDENTS
            | nr::GETDENTS64
            | nr::CHDIR
            | nr::STATFS
    )
}

/// Carries out the others. ENOSYS for what nobody has, with one line for the person.
#[expect(clippy::manual_async_fn, reason = "an async fn would move its arguments once more")]
#[inline]
pub(crate) fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> impl Future<Output = Result<u64>> + Send {
    async move {
        match number {
            // What waits most often comes without its family: each level costs something at each
            // resumption.
            nr::FUTEX => process::futex::waiting(cx, args).await,
            nr::READ => files::read(cx, args).await,
            nr::SCHED_YIELD => process::sched_yield().await,
            _ => of_family(cx, number, args).await,
        }
    }
}

/// The same for calls of any family.
pub(crate) async fn of_family(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Result<u64> {
    let done = match family(number) {
        Family::Files => files::waiting(cx, number, args).await,
        Family::Memory => memory::waiting(cx, number, args).await,
        Family::Process => process::waiting(cx, number, args).await,
        Family::Signals => signals::waiting(cx, number, args).await,
        Family::Sockets => sockets::waiting(cx, number, args).await,
        Family::Poll => poll::waiting(cx, number, args).await,
        Family::Time => time::waiting(cx, number, args).await,
        Family::Ipc => ipc::waiting(cx, number, args).await,
        Family::Aio => aio::waiting(cx, number, args).await,
        Family::Mounts => mounts::waiting(cx, number, args).await,
        Family::Security => security::waiting(cx, number, args).await,
        Family::System => system::waiting(cx, number, args).await,
        Family::None => None,
    };
    done.unwrap_or_else(|| {
        if let Some(error) = refused::refusal(number) {
            return Err(error);
        }
        cx.kernel.trace.unsupported(cx, number, args);
        Err(Errno::ENOSYS.because("the call is not supported yet"))
    })
}
