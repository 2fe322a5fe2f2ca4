//! On the way to user code: what is pending is delivered, and interrupted calls are settled.
//!
//! Source: signal(7), "Execution of signal handlers".

use core::future::poll_fn;
use core::sync::atomic::Ordering;
use core::task::Poll;

use abi::Errno;
use abi::errno::Result;
use abi::nr;
use platform::context::UserContext;

use crate::context::Context;
use crate::process::exit::Status;
use crate::process::rseq;
use crate::signal::action::{Action, DEFAULT, Flags};
use crate::signal::alternate::{AUTODISARM, AlternateStack};
use crate::signal::fault::GENERAL_PROTECTION;
use crate::signal::frame::{self, Place, State};
use crate::signal::info::Info;
use crate::signal::number::{Default, Signal, SignalSet};
use crate::signal::restart::{self, Decision};
use crate::signal::restorer;
use crate::signal::{send, wait};
use crate::trace;

/// Bytes of a `syscall` instruction.
const SYSCALL: u64 = 2;

/// A system call that a signal may have interrupted.
#[derive(Clone, Copy, Debug)]
pub struct InterruptedCall {
    /// Its number.
    pub number: usize,
    /// What it gave.
    pub result: Result<u64>,
}

/// What the thread does next.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// It goes to user code.
    Resume,
    /// The process is stopped: the thread waits for [`continued`] and then comes here again, with
    /// this call.
    Stopped(Option<InterruptedCall>),
    /// A signal ends the process.
    End(Status),
}

/// What a signal that was taken does.
enum Effect {
    Nothing,
    End(Status),
    Stop,
    Handle(Action),
}

/// Delivers what is pending. Afterwards the registers are those with which the program goes on; rax
/// included, where `call` was to be restarted or interrupted. Threads that have to end are the
/// caller's to find out, before and after.
pub fn before_user(cx: &mut Context<'_>, call: Option<InterruptedCall>) -> Outcome {
    let mut call = call.filter(|call| is_interruption(&call.result));
    let deliverable = cx.thread.signals.deliverable(&cx.process.signals);
    if !deliverable && call.is_none() && !cx.thread.signals.has_saved() {
        return Outcome::Resume;
    }
    while cx.thread.signals.deliverable(&cx.process.signals) {
        if cx.process.signals.is_stopped() {
            return Outcome::Stopped(call);
        }
        let wanted = SignalSet::from_bits(u64::MAX).minus(cx.thread.signals.blocked());
        let Some(info) = wait::take(cx.thread, cx.process, wanted) else { break };
        match effect(cx, &info) {
            Effect::Nothing => {}
            Effect::End(status) => return Outcome::End(status),
            Effect::Stop => send::stop(cx.process),
            Effect::Handle(action) => {
                if let Some(call) = call.take() {
                    settle(cx, &call, Some(action.flags));
                }
                run_handler(cx, &info, &action);
            }
        }
    }
    if let Some(call) = call {
        settle(cx, &call, None);
    }
    if let Some(saved) = cx.thread.signals.take_saved() {
        send::set_mask(cx.thread, saved);
        // The signals that the other mask blocked come now.
        if cx.thread.signals.deliverable(&cx.process.signals) {
            return before_user(cx, None);
        }
    }
    Outcome::Resume
}

/// Waits until the process is no longer stopped, or has to end.
pub async fn continued(cx: &Context<'_>) {
    let (thread, process) = (cx.thread, cx.process);
    // Whoever lets the process go on, or ends it, notifies each thread.
    poll_fn(|_| {
        let ends = thread.ending.load(Ordering::Relaxed) || process.ending.load(Ordering::Relaxed);
        if ends || !process.signals.is_stopped() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn is_interruption(result: &Result<u64>) -> bool {
    result.is_err_and(|error| restart::decide(error.errno, None).is_some())
}

/// Sets the registers as the fate of the call demands.
fn settle(cx: &mut Context<'_>, call: &InterruptedCall, handler: Option<Flags>) {
    let Err(error) = call.result else { return };
    let registers = &mut cx.registers.registers;
    match restart::decide(error.errno, handler) {
        Some(Decision::Again) => {
            registers.rax = call.number as u64;
            registers.rip -= SYSCALL;
        }
        Some(Decision::GoOn) => {
            registers.rax = nr::RESTART_SYSCALL as u64;
            registers.rip -= SYSCALL;
        }
        Some(Decision::Interrupted) => {
            registers.rax = Errno::EINTR.because("").to_return_value().cast_unsigned();
        }
        None => {}
    }
}

/// What is done about a signal that was taken out of its queue.
fn effect(cx: &mut Context<'_>, info: &Info) -> Effect {
    let signal = info.signal;
    let action = cx.process.signals.with(|shared| {
        let action = shared.actions.get(signal);
        if action.is_handler() && action.flags.contains(Flags::RESETHAND) {
            shared.actions.set(signal, Action { handler: DEFAULT, ..action });
        }
        action
    });
    if action.is_handler() {
        trace::record::signal(cx, info);
        return Effect::Handle(action);
    }
    if action.ignores(signal) {
        return Effect::Nothing;
    }
    trace::record::signal(cx, info);
    match signal.default_action() {
        Default::Ignore | Default::Continue => Effect::Nothing,
        Default::Stop => Effect::Stop,
        Default::Terminate => Effect::End(Status::Signaled(signal.number())),
        Default::Core => {
            trace::crash::report(cx, info);
            trace::core::begin(cx, info);
            Effect::End(Status::Signaled(signal.number()))
        }
    }
}

/// Lays the handler's frame; where there is no room for it, the program gets SIGSEGV.
fn run_handler(cx: &mut Context<'_>, info: &Info, action: &Action) {
    if rseq::refresh(cx).is_err() || lay_frame(cx, info, action).is_err() {
        if info.signal == Signal::SEGV {
            send::force_fatal(cx.thread, Info::kernel(Signal::SEGV));
        } else {
            send::force(cx.thread, Info::kernel(Signal::SEGV));
        }
        return;
    }
    let signals = &cx.thread.signals;
    let own = if action.flags.contains(Flags::NODEFER) {
        SignalSet::EMPTY
    } else {
        SignalSet::of(&[info.signal])
    };
    send::set_mask(cx.thread, signals.blocked().union(action.mask).union(own));
}

fn lay_frame(cx: &mut Context<'_>, info: &Info, action: &Action) -> Result<()> {
    if !action.flags.contains(Flags::RESTORER) {
        return Err(Errno::EFAULT.because("the handler has no SA_RESTORER"));
    }
    let xsave = UserContext::extended_size();
    let mut image = [0; frame::EXTENDED_MAX];
    let bad = Errno::EFAULT.because("the processor's state is larger than any frame's");
    let image = image.get_mut(..frame::extended_len(xsave)).ok_or(bad)?;
    let (stack, fault) = {
        let own = cx.thread.signals.own();
        (own.stack, own.fault)
    };
    let sp = cx.registers.registers.rsp;
    let place = place(sp, &stack, action.flags, image.len())?;
    let used = cx.registers.save_extended(&mut image[..xsave]);
    frame::seal(image, UserContext::extended_mask());
    let signals = &cx.thread.signals;
    let state = State {
        registers: cx.registers.registers,
        mask: signals.own().saved.unwrap_or_else(|| signals.blocked()),
        stack: [stack.start, u64::from(stack.flags), stack.size],
        fault,
        extended: place.extended,
    };
    let restorer = restorer::of(cx, action.restorer);
    let bytes = frame::encode(&state, restorer, &info.to_user(), xsave > frame::LEGACY);
    // As XSAVE does, it leaves the program's memory alone where a component is not in use.
    cx.write_bytes(place.extended, &image[..used])?;
    cx.write_bytes(place.extended.wrapping_add(xsave as u64), &image[xsave..])?;
    cx.write_bytes(place.frame, &bytes)?;
    signals.take_saved();
    if stack.flags & AUTODISARM != 0 {
        signals.own().stack = AlternateStack::NONE;
    }
    let number = info.signal.number();
    frame::enter(&mut cx.registers.registers, place.frame, action.handler, number);
    cx.registers.reset_extended();
    Ok(())
}

/// Where the frame goes: below the red zone, or to the top of the alternate stack.
fn place(sp: u64, stack: &AlternateStack, flags: Flags, extended: usize) -> Result<Place> {
    let overflow = Errno::EFAULT.because("the stack has no room for a signal frame");
    let nested = stack.size != 0 && stack.holds(sp);
    let below = sp.wrapping_sub(frame::RED_ZONE);
    let enters = flags.contains(Flags::ONSTACK) && stack.size != 0 && !stack.holds(below);
    let top = if enters { stack.start.wrapping_add(stack.size) } else { below };
    let place = Place::below(top, extended).ok_or(overflow)?;
    if (nested || enters) && !stack.spans(place.frame) {
        return Err(overflow);
    }
    Ok(place)
}

/// `rt_sigreturn(2)`: takes down the frame above the stack pointer. Gives the program's rax.
///
/// A frame that can't be read, or asks for what no frame can have, is SIGSEGV.
pub fn signal_return(cx: &mut Context<'_>) -> u64 {
    if restore(cx).is_err() {
        send::force(cx.thread, Info::kernel(Signal::SEGV));
    }
    cx.registers.registers.rax
}

fn restore(cx: &mut Context<'_>) -> Result<()> {
    let mut bytes = [0; frame::SIZE];
    let registers = &cx.registers.registers;
    // The handler's return has taken the first word off the stack.
    cx.read_bytes(registers.rsp.wrapping_sub(8), &mut bytes)?;
    let bad = Errno::EFAULT
        .because("the signal frame asks for another code segment, or its state is misaligned");
    let state = frame::decode(&bytes, registers);
    if state.is_none_or(|state| state.extended & 63 != 0) {
        // The processor would refuse to return so, or to load the state from there.
        let mut own = cx.thread.signals.own();
        own.fault.vector = GENERAL_PROTECTION.into();
        own.fault.error = 0;
        return Err(bad);
    }
    let state = state.ok_or(bad)?;
    send::set_mask(cx.thread, state.mask);
    restore_extended(cx, state.extended)?;
    cx.registers.registers = state.registers;
    let mut own = cx.thread.signals.own();
    // As in Linux, a stack that can't be had leaves the present one.
    if let Ok(stack) = own.stack.replaced(state.stack, state.registers.rsp, 0) {
        own.stack = stack;
    }
    Ok(())
}

fn restore_extended(cx: &mut Context<'_>, at: u64) -> Result<()> {
    if at == 0 {
        cx.registers.reset_extended();
        return Ok(());
    }
    let bad = Errno::EFAULT.because("the signal frame has a malformed vector state");
    let mut legacy = [0; frame::LEGACY];
    cx.read_bytes(at, &mut legacy)?;
    let largest = UserContext::extended_size();
    let mut image = [0; frame::EXTENDED_MAX];
    if let Some(seal) = frame::Seal::of(&legacy, largest)
        && let Some(sealed) = image.get_mut(..frame::extended_len(seal.len))
    {
        cx.read_bytes(at, sealed)?;
        if seal.open(sealed) {
            // Behind what the program has, there is nothing: its magic goes.
            image[seal.len..].fill(0);
            let Some(image) = image.get(..largest) else { return Err(bad) };
            return cx.registers.restore_extended(image, true).then_some(()).ok_or(bad);
        }
    }
    cx.registers.restore_extended(&legacy, false).then_some(()).ok_or(bad)
}
