//! The life of a thread: user code, and what it asks for, in turn.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::{self, Poll};

use abi::Errno;
use abi::errno::Error;
use abi::layout::PAGE;
use platform::context::{Exit, Fault, Parking, UserContext};
use platform::shared::Shared;
use platform::{clock, vcpu};

use crate::Kernel;
use crate::arguments::Arguments;
use crate::context::{Context, Interrupted, Killable};
use crate::memory::Access;
use crate::memory::refusal::Outcome;
use crate::process::interception::Stood;
use crate::process::seccomp::enforce::{self, Verdict};
use crate::process::{Thread, exit, procfs, rseq, vsyscall};
use crate::signal::deliver::{self, InterruptedCall};
use crate::signal::fault::{self, DEBUG, FETCH, GENERAL_PROTECTION, PAGE_FAULT};
use crate::syscalls::table;
use crate::{start, trace};

/// Bit of a page fault's error code: a write.
const WRITE: u64 = 2;
/// Bytes of a `syscall` instruction.
const SYSCALL_LEN: u64 = 2;
/// The bit that makes a call an x32 one.
const X32: u64 = 0x4000_0000;

/// Starts the task of a thread, whose user code begins as `context` says.
pub fn spawn(kernel: &'static Kernel, thread: &Arc<Thread>, context: Box<UserContext>) {
    let owner = Arc::clone(thread);
    let life = Parking::new(context, move |context| live(kernel, owner, context));
    let accounted = Accounted { life: Box::pin(life), thread: Arc::clone(thread) };
    // Before it runs: whoever wants to wake it finds the task, or it finds what is wanted of it.
    kernel.executor.spawn_known(accounted, |task| thread.set_task(Shared::clone(task)));
}

/// Counts the time that a thread's task takes.
struct Accounted<F> {
    life: Pin<Box<F>>,
    thread: Arc<Thread>,
}

impl<F: Future<Output = ()>> Future for Accounted<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        // The switch to a thread counts as its time, as in Linux.
        let started = vcpu::slice_end().unwrap_or_else(clock::now);
        self.thread.slice_started.store(started, Ordering::Relaxed);
        procfs::enter(self.thread.tid);
        rseq::turn_begins(&self.thread);
        let result = self.life.as_mut().poll(cx);
        let ended = clock::now();
        vcpu::set_slice_end(Some(ended));
        let spent = ended.saturating_sub(started);
        self.thread.slice_started.store(0, Ordering::Relaxed);
        // Nobody else writes it, so it needs no locked instruction.
        let before = self.thread.cpu_time.load(Ordering::Relaxed);
        self.thread.cpu_time.store(before + spent, Ordering::Relaxed);
        result
    }
}

async fn live(kernel: &'static Kernel, thread: Arc<Thread>, registers: &'static mut UserContext) {
    let process = Arc::clone(&thread.process);
    let mut cx = Context {
        kernel,
        process: &process,
        thread: &thread,
        registers,
        found: None,
        lent: None,
        interrupted: None,
        record: None,
        raised: None,
    };
    loop {
        // A mask that was set for one call only may outlast the signal that ended the call.
        if thread.must_attend() || cx.interrupted.is_some() || thread.signals.has_errand() {
            if exit::is_due(&cx) {
                break;
            }
            if thread.signals.takes_sequence() {
                rseq::before_user(&mut cx);
            }
            let call = cx.interrupted.take();
            match deliver::before_user(&mut cx, call) {
                deliver::Outcome::Resume => {}
                deliver::Outcome::Stopped(call) => {
                    deliver::continued(&cx).await;
                    cx.interrupted = call;
                    continue;
                }
                deliver::Outcome::End(status) => exit::end_process(&cx, status),
            }
            if exit::is_due(&cx) {
                break;
            }
        }
        if vcpu::set_running(thread.tid) && thread.must_attend() {
            vcpu::set_running(0);
            continue;
        }
        let exit = cx.registers.run();
        vcpu::set_running(0);
        let deed = match exit {
            Exit::Call => Deed::Call,
            Exit::TrappedCall => Deed::TrappedCall,
            Exit::Door => Deed::Door,
            Exit::Interrupted => interrupted(&mut cx, None),
            Exit::Fault(raised) => interrupted(&mut cx, Some(raised)),
        };
        match deed {
            Deed::Call => call(&mut cx).await,
            Deed::TrappedCall => {
                let site = cx.registers.registers.rip.wrapping_sub(SYSCALL_LEN);
                let number = cx.registers.registers.rax;
                call(&mut cx).await;
                // After a successful execve the site belonged to a program that is gone.
                let replaced =
                    matches!(usize::try_from(number), Ok(abi::nr::EXECVE | abi::nr::EXECVEAT))
                        && cx.registers.registers.rax == 0;
                if !replaced {
                    process.interception.trapped(&cx, site, number);
                }
            }
            Deed::PageFault => faulted(&mut cx).await,
            Deed::Door => door(&mut cx),
            Deed::Nothing => {}
        }
        if vcpu::take_attention() {
            start::poll_events();
            start::refine_clock();
            if kernel.executor.preempt_wanted(vcpu::current()) {
                executor::yield_now().await;
            }
        }
    }
    exit::end_thread(&mut cx).await;
}

/// Answers a call on the vsyscall page; none of the three waits.
fn old_call(cx: &mut Context<'_>, raised: &Fault) {
    let Some(old) = vsyscall::Call::of(cx, raised) else {
        return fault::raise(cx, &vsyscall::exception(raised), None);
    };
    let registers = &cx.registers.registers;
    let args = Arguments([registers.rdi, registers.rsi, registers.rdx, 0, 0, 0]);
    cx.kernel.trace.count(old.number);
    let traced =
        cx.kernel.trace.wants(old.number).then(|| trace::record::begin(cx, old.number, &args));
    let unknown = || Err(Errno::ENOSYS.because("this call waits"));
    let result = match enforce::verdict(cx, old.number, &args) {
        Verdict::Allowed => table::at_once(cx, old.number, &args).unwrap_or_else(unknown),
        Verdict::Gives(result) => result,
        Verdict::Ended => return,
    };
    if let Some(record) = traced {
        trace::record::call(record, cx, old.number, &args, &result);
    }
    if !old.finish(cx, result) {
        fault::raise(cx, &vsyscall::exception(raised), None);
    }
}

/// What the registers ask for: a call's number and arguments.
#[inline]
fn asked(cx: &Context<'_>) -> (usize, Arguments) {
    (called(cx), Arguments(cx.registers.call_arguments()))
}

/// The number alone.
#[inline]
fn called(cx: &Context<'_>) -> usize {
    usize::try_from(cx.registers.registers.rax).unwrap_or(usize::MAX)
}

/// Carries out the system call that the registers ask for.
#[inline]
async fn call(cx: &mut Context<'_>) {
    if !call_at_once(cx) {
        if table::only_asks_the_host(called(cx), &cx.registers.registers) {
            call_asking(cx).await;
        } else {
            call_waiting(cx).await;
        }
    }
}

/// Carries out a call that need not wait; false: it must, and nothing is done yet. Most calls end here,
/// and what they are about stays in the processor's registers, as it could not in a future.
#[inline]
fn call_at_once(cx: &mut Context<'_>) -> bool {
    let (number, args) = asked(cx);
    cx.kernel.trace.count(number);
    if cx.kernel.trace.watched() && !passes(cx, number, &args) {
        return true;
    }
    // Looked at where it lies: moved, it would be read before its parts have reached the cache.
    let Some(result) = &table::at_once(cx, number, &args) else { return false };
    returned(cx, number, &args, result);
    true
}

/// Looks at a call before it is carried out: for the trace, and whether the thread may make it. False: it
/// was answered instead.
#[cold]
#[inline(never)]
fn passes(cx: &mut Context<'_>, number: usize, args: &Arguments) -> bool {
    if cx.kernel.trace.wants(number) {
        cx.record = Some(Box::new(trace::record::begin(cx, number, args)));
    }
    match enforce::verdict(cx, number, args) {
        Verdict::Allowed => return true,
        Verdict::Gives(result) => {
            if let Some(record) = cx.record.take() {
                trace::record::call(*record, cx, number, args, &result);
            }
            enforce::leave(cx, result);
        }
        Verdict::Ended => cx.record = None,
    }
    false
}

async fn call_waiting(cx: &mut Context<'_>) {
    let (number, args) = asked(cx);
    let result = &table::waiting(cx, number, &args).await;
    returned(cx, number, &args, result);
}

/// Leaves a call's result to the program and to the trace, and word of it if a signal interrupted the call.
#[inline]
fn returned(cx: &mut Context<'_>, number: usize, args: &Arguments, result: &abi::Result<u64>) {
    if let Some(record) = cx.record.take() {
        trace::record::call(*record, cx, number, args, result);
    }
    match result {
        Ok(value) => cx.registers.registers.rax = *value,
        Err(error) => {
            if error.errno == Errno::ENOSPC {
                report_full(cx, *error);
            }
            cx.registers.registers.rax = error.to_return_value().cast_unsigned();
            // Numbers from 512 on are ours: the call is to be restarted, or ends with EINTR.
            if error.errno.raw() >= Errno::ERESTARTSYS.raw() {
                cx.interrupted = Some(InterruptedCall { number, result: Err(*error) });
            }
        }
    }
}

/// Says that a file in memory could not grow because of the enclave's limit.
#[cold]
fn report_full(cx: &Context<'_>, error: Error) {
    if error.why == storage::pages::LIMIT_REACHED {
        cx.memory().report(PAGE, Outcome::Refused);
    }
}

/// A call that changes nothing: given up when the thread must end, for the host may never answer.
async fn call_asking(cx: &mut Context<'_>) {
    let (number, args) = asked(cx);
    let thread = cx.thread;
    let result = {
        let call = core::pin::pin!(table::of_family(cx, number, &args));
        let killable = Killable { future: call, thread };
        killable.await.map_err(abi::Error::from).flatten()
    };
    returned(cx, number, &args, &result);
}

/// What is to be done when user code has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// A system call.
    Call,
    /// A system call that was not rewritten yet.
    TrappedCall,
    /// A way into a kernel that is none here.
    Door,
    /// The page fault of [`Context::raised`].
    PageFault,
    /// No more: it goes on.
    Nothing,
}

/// Looks at an interruption (`None`) or an exception of user code, and does what need not wait.
///
/// Out of line, so that how a call came back stays a plain number: looked at by reference, it would be
/// stored, and be read before its parts have reached the cache.
#[cold]
#[inline(never)]
fn interrupted(cx: &mut Context<'_>, raised: Option<Fault>) -> Deed {
    rseq::left(cx.thread);
    // A program that steps through its instructions sees a rewritten call as one of them; the next trap
    // comes behind the instruction that follows, as on Linux.
    match cx.process.interception.settle(&mut cx.registers.registers) {
        Stood::AtCall => return Deed::Call,
        // Only a step can end there for a reason of the program's.
        Stood::Between if raised.is_none_or(|raised| raised.vector != DEBUG) => {
            return Deed::Nothing;
        }
        Stood::Between | Stood::InProgram => {}
    }
    let Some(raised) = raised else { return Deed::Nothing };
    if vsyscall::is_there(cx.registers.registers.rip) {
        old_call(cx, &raised);
    } else if raised.vector == PAGE_FAULT {
        cx.raised = Some(raised);
        return Deed::PageFault;
    } else {
        fault::raise(cx, &raised, None);
    }
    Deed::Nothing
}

/// Brings in the page that user code asked for, or says why not by a signal.
async fn faulted(cx: &mut Context<'_>) {
    let Some(raised) = cx.raised.take() else { return };
    let access = if raised.error & FETCH != 0 {
        Access::Execute
    } else if raised.error & WRITE != 0 {
        Access::Write
    } else {
        Access::Read
    };
    let populated = cx.killable(cx.memory().populate(raised.address, access)).await;
    match populated {
        // A thread that must end does not come back to the fault.
        Ok(Ok(())) | Err(Interrupted) => {}
        Ok(Err(refusal)) => fault::raise(cx, &raised, Some(refusal)),
    }
}

/// Ways into a kernel that are none here: a 32-bit call is a protection fault, an x32 one is unknown.
fn door(cx: &mut Context<'_>) {
    if cx.registers.registers.rax & X32 != 0 {
        cx.registers.registers.rax = Errno::ENOSYS.because("").to_return_value().cast_unsigned();
    } else {
        let raised = Fault { vector: GENERAL_PROTECTION, error: 0, address: 0 };
        fault::raise(cx, &raised, None);
    }
}
