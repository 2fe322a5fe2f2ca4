//! How threads and processes end.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::host::ExitKind;
use platform::user::UserWord;
use storage::exposed;
use storage::pages::Reach;

use crate::context::Context;
use crate::process::{Process, futex, pidfd};
use crate::{Kernel, context, start, trace};

/// The way a process ended, as wait(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It returned this code.
    Exited(u8),
    /// This signal ended it.
    Signaled(u8),
}

/// Whether the calling thread has to end now.
pub(crate) fn is_due(cx: &Context<'_>) -> bool {
    cx.thread.ending.load(Ordering::Relaxed) || cx.process.ending.load(Ordering::Relaxed)
}

/// Ends the caller's process: every thread of it ends at its next look.
pub(crate) fn end_process(cx: &Context<'_>, status: Status) {
    end(cx.process, status);
}

/// Ends a process; the first status counts.
pub(crate) fn end(process: &Arc<Process>, status: Status) {
    process.status.lock().get_or_insert(status);
    if process.ending.swap(true, Ordering::SeqCst) {
        return;
    }
    let threads: alloc::vec::Vec<_> = process.threads.lock().values().cloned().collect();
    for thread in threads {
        thread.notify();
    }
}

/// The last steps of a thread, and with the last thread those of its process.
pub(crate) async fn end_thread(cx: &mut Context<'_>) {
    let cored = trace::core::leave(cx);
    let cx = &*cx;
    futex::leave_robust_list(cx);
    let word = cx.thread.clear_child_tid.swap(0, Ordering::Relaxed);
    // A core shows memory as it was: debuggers find a thread's own data by this word.
    if word != 0 && !cored && UserWord::new(word).is_ok() {
        let cleared = context::write_bytes(cx.memory(), word, &[0; 4]);
        if cleared.is_ok() {
            futex::wake_address(cx, word);
        }
    }
    cx.kernel.registry.remove_thread(cx.thread.tid);
    let last = {
        let mut threads = cx.process.threads.lock();
        // After exec another may stand in for this one, and has its time.
        let listed = threads.remove(&cx.thread.tid).is_some();
        if listed {
            cx.process.usage.add_thread(cx.thread);
        }
        listed && threads.is_empty()
    };
    pidfd::thread_ended(cx.thread.tid, wait_status(cx));
    trace::record::gone(cx, last);
    if last {
        trace::core::write(cx);
        // What mappings have changed in files of the host is the host's to have. Nobody is left to be told
        // of an error.
        let _ = exposed::write_back(Reach::Exposed).await;
        end_last(cx.kernel, cx.process);
    } else if cx.process.threads.lock().len() == 1 {
        cx.process.alone.wake_all();
    }
}

/// How the calling thread ends, as wait(2) tells it.
fn wait_status(cx: &Context<'_>) -> u32 {
    match *cx.process.status.lock() {
        Some(Status::Exited(code)) => u32::from(code) << 8,
        Some(Status::Signaled(signal)) => signal.into(),
        None => cx.thread.exit_status.load(Ordering::Relaxed),
    }
}

/// Ends every other thread of the caller's process, for exec: returns when the caller is alone.
pub(crate) async fn end_other_threads(cx: &Context<'_>) {
    let others: alloc::vec::Vec<_> = {
        let threads = cx.process.threads.lock();
        let others = threads.values().filter(|thread| thread.tid != cx.thread.tid);
        others.inspect(|thread| thread.ending.store(true, Ordering::SeqCst)).cloned().collect()
    };
    for thread in others {
        thread.notify();
    }
    loop {
        let listener = cx.process.alone.listen();
        if cx.process.threads.lock().len() <= 1 {
            return;
        }
        listener.await;
    }
}

/// The first process takes the enclave along.
fn end_last(kernel: &'static Kernel, process: &Arc<Process>) {
    let status = process.status.lock().unwrap_or(Status::Exited(0));
    kernel.registry.remove_process(process.pid);
    drop(process.files.remove_range(0, u32::MAX));
    start::report(kernel);
    start::note_losses(kernel);
    match status {
        Status::Exited(code) => platform::boot::exit(ExitKind::Exited, code.into()),
        Status::Signaled(signal) => platform::boot::exit(ExitKind::Signaled, signal.into()),
    }
}
