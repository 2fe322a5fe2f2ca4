//! Who carries out what cannot finish at once: a task that acts for the thread that submitted.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::{self, Poll};

use abi::Errno;
use platform::context::UserContext;
use platform::shared::Shared;

use super::entry::{Completion, Entry, Flags, Outcome};
use super::submit::{Chain, Job, fail, finish};
use super::{Aim, Ring, Running, operations, timeout};
use crate::Kernel;
use crate::context::Context;
use crate::process::{Thread, procfs};
use crate::signal::number::SignalSet;
use crate::signal::state::ThreadSignals;

/// How often an operation looks whether its stopped process goes on, ns.
const LOOK_AGAIN: u64 = 10_000_000;

/// Carries out a chain: here until it waits, then as a task of its own.
pub(super) async fn start(cx: &Context<'_>, ring: &Arc<Ring>, chain: Chain) {
    let apart = chain.jobs.front().is_some_and(|job| job.entry.flags().contains(Flags::ASYNC));
    let (thread, mut life) = worker(cx.kernel, cx.thread, ring, chain);
    if !apart {
        let waits = poll_fn(|task| Poll::Ready(Pin::new(&mut life).poll(task).is_pending()));
        if !waits.await {
            return;
        }
    }
    hand_over(cx.kernel, &thread, life);
}

fn hand_over(kernel: &'static Kernel, thread: &Arc<Thread>, life: Life) {
    kernel.executor.spawn_known(life, |task| thread.set_task(Shared::clone(task)));
}

/// A task for a chain, not yet begun, and the thread as which it acts: `owner`'s in all but signals.
fn worker(
    kernel: &'static Kernel,
    owner: &Thread,
    ring: &Arc<Ring>,
    chain: Chain,
) -> (Arc<Thread>, Life) {
    ring.lock().active += 1;
    let signals = ThreadSignals::new(SignalSet::from_bits(u64::MAX));
    let process = Arc::clone(&owner.process);
    let thread = Thread::new(owner.tid, process, signals, *b"iou-wrk\0\0\0\0\0\0\0\0\0");
    let future = live(kernel, Arc::clone(&thread), Arc::clone(ring), chain);
    (thread, Life { tid: owner.tid, future: Box::pin(future) })
}

/// The task, which is told from others by the thread for which it acts.
struct Life {
    tid: u32,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Life {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        procfs::enter(self.tid);
        self.future.as_mut().poll(cx)
    }
}

async fn live(kernel: &'static Kernel, thread: Arc<Thread>, ring: Arc<Ring>, mut chain: Chain) {
    let process = Arc::clone(&thread.process);
    let mut registers = Box::new(UserContext::new(0, 0));
    let mut cx = Context {
        kernel,
        process: &process,
        thread: &thread,
        registers: &mut registers,
        found: None,
        lent: None,
        interrupted: None,
        record: None,
        raised: None,
    };
    if chain.refused {
        fail(&ring, &mut chain);
    }
    while let Some(job) = chain.jobs.pop_front() {
        let limit = chain.jobs.front().is_some_and(|next| timeout::is_limit(&next.entry));
        let limit = if limit { chain.jobs.pop_front() } else { None };
        let (outcome, late, user_data) = carry_out(&mut cx, &ring, &job, limit.as_ref()).await;
        let failed = finish(&ring, &Entry { user_data, ..job.entry }, &outcome);
        if let Some(limit) = limit {
            let error = if late { Errno::ETIME } else { Errno::ECANCELED };
            let ended = Err(error.because("the end of a time limit"));
            ring.post(Completion::of(limit.entry.user_data, &ended));
        }
        if failed || ring.lock().closed {
            fail(&ring, &mut chain);
        }
    }
    drop(cx);
    let next = {
        let mut state = ring.lock();
        state.active -= 1;
        next_deferred(&mut state)
    };
    ring.changed.wake_all();
    for chain in next {
        let (next, life) = worker(kernel, &thread, &ring, chain);
        hand_over(kernel, &next, life);
    }
}

/// Chains that waited for all before them, and may begin.
fn next_deferred(state: &mut super::State) -> alloc::vec::Vec<Chain> {
    let mut next = alloc::vec::Vec::new();
    while let Some(chain) = state.deferred.front() {
        if state.active + next.len() > 0 && chain.drains() {
            break;
        }
        next.extend(state.deferred.pop_front());
    }
    next
}

/// One operation, within a limit of time if there is one; whether that ended it, and what it is called
/// in the end.
async fn carry_out(
    cx: &mut Context<'_>,
    ring: &Arc<Ring>,
    job: &Job,
    limit: Option<&Job>,
) -> (Outcome, bool, u64) {
    let id = begin(cx, ring, job);
    let deadline = limit.and_then(|limit| match limit.aim {
        Aim::Deadline(deadline) => deadline,
        _ => None,
    });
    let kernel = cx.kernel;
    let thread = Arc::clone(cx.thread);
    let mut late = false;
    let limit_id = limit.map(|limit| begin(cx, ring, limit));
    let outcome = {
        let mut sleep = deadline.map(|deadline| kernel.executor.sleep_until(deadline));
        let mut operation = core::pin::pin!(persist(cx, ring, job, id));
        poll_fn(|task| {
            if let Some(due) = &mut sleep
                && Pin::new(due).poll(task).is_ready()
            {
                sleep = None;
                late = true;
                thread.ending.store(true, Ordering::SeqCst);
            }
            operation.as_mut().poll(task)
        })
        .await
    };
    let mut state = ring.lock();
    let user_data = state.running.remove(&id).map_or(job.entry.user_data, |own| own.user_data);
    if let Some(id) = limit_id {
        state.running.remove(&id);
    }
    let late = late && outcome.is_err();
    if !state.closed {
        thread.ending.store(false, Ordering::SeqCst);
    }
    (outcome, late, user_data)
}

/// Carries an operation out, once more when only a stop of its process ended a wait.
async fn persist(cx: &mut Context<'_>, ring: &Arc<Ring>, job: &Job, id: u64) -> Outcome {
    loop {
        let outcome = operations::perform(cx, ring, job, id).await;
        let interrupted =
            matches!(&outcome, Err(error) if error.errno.raw() >= Errno::ERESTARTSYS.raw());
        if !interrupted || cx.thread.must_end() {
            return outcome;
        }
        cx.kernel.executor.sleep_until(platform::clock::now() + LOOK_AGAIN).await;
    }
}

fn begin(cx: &Context<'_>, ring: &Ring, job: &Job) -> u64 {
    let entry = &job.entry;
    let file = if operations::has_file(entry.opcode) { entry.file(cx, ring).ok() } else { None };
    let file = file.map_or(0, |file| file.identity());
    let mut state = ring.lock();
    let id = state.next;
    state.next += 1;
    let running = Running {
        user_data: entry.user_data,
        opcode: entry.opcode,
        file,
        thread: Arc::clone(cx.thread),
        aim: job.aim,
    };
    if state.closed {
        running.stop();
    }
    state.running.insert(id, running);
    id
}
