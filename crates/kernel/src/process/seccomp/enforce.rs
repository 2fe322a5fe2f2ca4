//! What a thread's restriction does about a call.

use abi::errno::{Error, Result};
use abi::{Errno, nr};
use core::sync::atomic::Ordering;

use super::{Action, State, bpf, judge};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::exit::Status;
use crate::signal::info::Info;
use crate::signal::number::Signal;
use crate::signal::send;

/// The largest error that a filter gives.
const ERRNO_MAX: u16 = 4095;
/// What strict mode leaves.
const STRICT: [usize; 4] = [nr::READ, nr::WRITE, nr::EXIT, nr::RT_SIGRETURN];

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    /// It is carried out.
    Allowed,
    /// It gives this instead.
    Gives(Result<u64>),
    /// It gives nothing: a signal comes, or the thread ends. The registers stay as they are.
    Ended,
}

/// Asks the calling thread's filters. What they see as the instruction pointer is where the program goes
/// on behind its call.
#[cold]
#[inline(never)]
pub(crate) fn verdict(cx: &Context<'_>, number: usize, args: &Arguments) -> Verdict {
    let filters = match cx.thread.seccomp.get() {
        State::None => return Verdict::Allowed,
        State::Strict if STRICT.contains(&number) => return Verdict::Allowed,
        State::Strict => {
            end_thread(cx, Signal::KILL);
            return Verdict::Ended;
        }
        State::Filters(filters) => filters,
    };
    let shown = number_in_registers(cx);
    let place = cx.registers.registers.rip;
    let (action, value) = judge(&filters, &bpf::Data::new(shown, place, args.0));
    match action {
        Action::Allow | Action::Log => Verdict::Allowed,
        Action::Errno => Verdict::Gives(given(value)),
        Action::Notify | Action::Trace => {
            Verdict::Gives(Err(Errno::ENOSYS.because("a seccomp filter asks nobody")))
        }
        Action::Trap => {
            send::force(cx.thread, info(shown, place, value));
            Verdict::Ended
        }
        Action::KillThread if cx.process.threads.lock().len() > 1 => {
            end_thread(cx, Signal::SYS);
            Verdict::Ended
        }
        Action::KillThread | Action::KillProcess => {
            send::force_fatal(cx.thread, info(shown, place, value));
            Verdict::Ended
        }
    }
}

/// Leaves what a filter gives in the register of a call's result, whatever the number: none of ours is
/// meant by it.
pub(crate) fn leave(cx: &mut Context<'_>, result: Result<u64>) {
    cx.registers.registers.rax = match result {
        Ok(value) => value,
        Err(error) => error.to_return_value().cast_unsigned(),
    };
}

fn number_in_registers(cx: &Context<'_>) -> u32 {
    let [a, b, c, d, ..] = cx.registers.registers.rax.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn given(value: u16) -> Result<u64> {
    let refused = |errno: Errno| -> Error { errno.because("a seccomp filter refuses the call") };
    Errno::from_raw(value.min(ERRNO_MAX)).map_or(Ok(0), |errno| Err(refused(errno)))
}

fn info(number: u32, place: u64, value: u16) -> Info {
    Info::seccomp(place, number, bpf::ARCHITECTURE, value)
}

/// Ends the calling thread alone; with the last one the process ends by the signal.
fn end_thread(cx: &Context<'_>, signal: Signal) {
    if cx.process.threads.lock().len() == 1 {
        cx.process.status.lock().get_or_insert(Status::Signaled(signal.number()));
    }
    cx.thread.ending.store(true, Ordering::Relaxed);
}
