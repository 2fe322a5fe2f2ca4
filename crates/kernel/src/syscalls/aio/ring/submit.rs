//! Taking entries, and starting what they ask for in chains.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Error;

use super::entry::{Completion, Entry, Flags, Outcome};
use super::setup::Setup;
use super::{Aim, RUNNING_MAX, Ring, SQ_DROPPED, SQ_HEAD, SQ_TAIL, has, operations, timeout, work};
use crate::context::Context;

/// One operation of a chain.
pub(super) struct Job {
    pub(super) entry: Entry,
    /// What it is refused for, found when it was taken.
    pub(super) refused: Option<Error>,
    /// Of a timeout: when, read when it was taken.
    pub(super) aim: Aim,
}

/// Operations that follow one another; mostly one alone.
pub(super) struct Chain {
    pub(super) jobs: VecDeque<Job>,
    /// One of them was refused: none is carried out.
    pub(super) refused: bool,
}

impl Chain {
    const fn new() -> Self {
        Self { jobs: VecDeque::new(), refused: false }
    }

    pub(super) fn drains(&self) -> bool {
        self.jobs.iter().any(|job| job.entry.flags().contains(Flags::DRAIN))
    }
}

/// Takes up to `most` entries and starts them; how many it took.
pub(super) async fn submit(cx: &mut Context<'_>, ring: &Arc<Ring>, most: u32) -> u64 {
    let mut taken = 0;
    let mut chain = Chain::new();
    while taken < u64::from(most) {
        let Some(entry) = take(ring) else { break };
        taken += 1;
        let mut job = Job { entry, refused: None, aim: Aim::None };
        let checked = operations::check(ring, &entry)
            .and_then(|()| timeout::prepare(cx, &entry, chain.jobs.back().map(|job| &job.entry)));
        match checked {
            Ok(aim) => job.aim = aim,
            Err(error) => job.refused = Some(error),
        }
        let refused = job.refused.is_some();
        // One that is refused does not break its chain: all of it fails.
        let goes_on = entry.is_linked();
        chain.refused |= refused;
        chain.jobs.push_back(job);
        if !goes_on {
            start(cx, ring, core::mem::replace(&mut chain, Chain::new())).await;
        }
        if refused && !goes_on && !has(ring, Setup::SUBMIT_ALL) {
            break;
        }
    }
    if !chain.jobs.is_empty() {
        start(cx, ring, chain).await;
    }
    taken
}

/// The next entry, copied.
fn take(ring: &Ring) -> Option<Entry> {
    let mut state = ring.lock();
    let pending = ring.rings.load(SQ_TAIL).wrapping_sub(state.sq_head).min(ring.shape.entries);
    if pending == 0 {
        return None;
    }
    let slot = state.sq_head & (ring.shape.entries - 1);
    state.sq_head = state.sq_head.wrapping_add(1);
    ring.rings.store(SQ_HEAD, state.sq_head);
    let index = match ring.shape.array() {
        Some(array) => ring.rings.load(array + 4 * slot as usize),
        None => slot,
    };
    if index >= ring.shape.entries {
        ring.rings.store(SQ_DROPPED, ring.rings.load(SQ_DROPPED).wrapping_add(1));
        return None;
    }
    let mut bytes = [0; Entry::SIZE];
    ring.entries.read(index as usize * ring.shape.entry_size(), &mut bytes);
    Some(Entry::decode(&bytes))
}

/// Starts a chain, or sets it aside until all before it is done.
async fn start(cx: &mut Context<'_>, ring: &Arc<Ring>, mut chain: Chain) {
    {
        let mut state = ring.lock();
        let busy = state.active > 0;
        if !state.deferred.is_empty() || busy && chain.drains() {
            state.deferred.push_back(chain);
            return;
        }
        if state.active >= RUNNING_MAX {
            drop(state);
            for job in chain.jobs {
                let error = Errno::EAGAIN.because("too many operations are under way");
                ring.post(Completion::of(job.entry.user_data, &Err(error)));
            }
            return;
        }
    }
    while let Some(job) = chain.jobs.front() {
        // What another limits in time is given to a worker, which can be stopped.
        let limited = chain.jobs.get(1).is_some_and(|next| timeout::is_limit(&next.entry));
        let entry = job.entry;
        if chain.refused || limited || entry.flags().contains(Flags::ASYNC) {
            break;
        }
        let Some(outcome) = operations::at_once(cx, ring, &entry) else { break };
        let failed = finish(ring, &entry, &outcome);
        chain.jobs.pop_front();
        if failed {
            fail(ring, &mut chain);
        }
    }
    if !chain.jobs.is_empty() {
        work::start(cx, ring, chain).await;
    }
}

/// Tells how an operation ended; whether those that follow it must not begin.
pub(super) fn finish(ring: &Ring, entry: &Entry, outcome: &Outcome) -> bool {
    let skipped = outcome.is_ok() && entry.flags().contains(Flags::SKIP_SUCCESS);
    if !skipped {
        ring.post(Completion::of(entry.user_data, outcome));
    }
    let failed = match outcome {
        Ok((value, _)) => operations::is_short(entry, *value),
        Err(_) => !timeout::counts_as_success(entry, outcome),
    };
    failed && !entry.flags().contains(Flags::HARD_LINK)
}

/// Ends all of a chain, because of one that failed.
pub(super) fn fail(ring: &Ring, chain: &mut Chain) {
    for job in chain.jobs.drain(..) {
        let cancelled = Errno::ECANCELED.because("what it follows failed");
        let error = job.refused.unwrap_or(cancelled);
        ring.post(Completion::of(job.entry.user_data, &Err(error)));
    }
}
