//! Which way an operation goes: a synchronous host call, or the ring of the vCPU that asks.
//!
//! Exits dear (`--exit-cost`, or asked for): the ring for all that it can carry. Exits cheap: a host
//! call, which is done sooner than a ring's round trip. Rings forbidden: host calls for all, and the
//! attendant watches what is not ready.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::task::{Context, Poll};

use abi::Untrusted;
use abi::host::{HostCall, RING_FILES};
use abi::io::Operation;

use crate::io::{self, Bounce};
use crate::ring::layout::Submission;
use crate::ring::{Broken, Client, Counters, Places, Ticket};
use crate::sync::Mutex;
use crate::{boot, gate, vcpu};

static PREFERRED: AtomicBool = AtomicBool::new(false);
static OUTSIDE: AtomicU64 = AtomicU64::new(0);
/// How deep each vCPU is in [`at_once`].
static AT_ONCE: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];
static RINGS: [Mutex<Ring>; 64] = [const { Mutex::new(Ring::Untried) }; 64];

enum Ring {
    Untried,
    Refused,
    Ready { client: Client, files: alloc::collections::BTreeMap<u64, u64> },
}

/// Sets the policy; once, at start. Ring memory must lie at `outside` or above.
pub(crate) fn init(prefer_rings: bool, outside: u64) {
    PREFERRED.store(prefer_rings, Ordering::Relaxed);
    OUTSIDE.store(outside, Ordering::Relaxed);
}

/// Whether rings carry what they can.
pub fn prefers_rings() -> bool {
    PREFERRED.load(Ordering::Relaxed)
}

/// Runs `work` with operations carried by host calls only, for callers that can't wait: a fault in
/// the middle of a copy.
pub fn at_once<T>(work: impl FnOnce() -> T) -> T {
    let depth = &AT_ONCE[vcpu::current() & 63];
    depth.fetch_add(1, Ordering::Relaxed);
    let result = work();
    depth.fetch_sub(1, Ordering::Relaxed);
    result
}

/// What all rings did together.
pub fn counters() -> Counters {
    let mut sum = Counters::default();
    for ring in &RINGS {
        if let Ring::Ready { client, .. } = &*ring.lock() {
            let one = client.counters();
            sum.submitted += one.submitted;
            sum.completed += one.completed;
            sum.rejected += one.rejected;
        }
    }
    sum
}

/// Carries the calling vCPU's ring forward: hands entries over, takes completions in. True when it
/// woke somebody. Costs a few loads when there is nothing.
pub fn turn() -> bool {
    if !prefers_rings() {
        return false;
    }
    let index = vcpu::current();
    let mut ring = RINGS[index & 63].lock();
    let Ring::Ready { client, .. } = &mut *ring else { return false };
    let waiting = unbroken(client.unsubmitted());
    if waiting == 0 && !client.has_news() {
        return false;
    }
    gate::call(HostCall::RingEnter, [index as u64, waiting.into(), 0, 0, 0]);
    let woken = unbroken(client.reap());
    drop(ring);
    let any = !woken.is_empty();
    woken.into_iter().for_each(core::task::Waker::wake);
    any
}

/// Whether the calling vCPU's ring has operations that nobody has been told of, or in flight.
pub fn is_busy() -> bool {
    prefers_rings()
        && matches!(&*RINGS[vcpu::current() & 63].lock(), Ring::Ready { client, .. } if client.in_flight() > 0)
}

/// Carries out an operation; see [`io::submit`].
pub(crate) async fn carry(operation: Operation, bounce: Bounce) -> (Untrusted<i64>, Bounce) {
    match by_ring(operation, bounce).await {
        Ok(done) => done,
        Err(bounce) => (io::perform(&operation), bounce),
    }
}

/// Waits by the ring until a handle is ready; false when the ring can't.
pub(crate) async fn watch(handle: u64, events: u32) -> bool {
    if !prefers_rings() {
        return false;
    }
    let Some(bounce) = Bounce::with_capacity(1) else { return false };
    let mut operation = io::operation(abi::io::Code::Poll, handle, &bounce, 0);
    operation.flags = events;
    by_ring(operation, bounce).await.is_ok()
}

/// Carries an operation by the ring, or gives the buffer back.
async fn by_ring(operation: Operation, bounce: Bounce) -> Result<(Untrusted<i64>, Bounce), Bounce> {
    if !prefers_rings() || AT_ONCE[vcpu::current() & 63].load(Ordering::Relaxed) > 0 {
        return Err(bounce);
    }
    Carried::Fresh { operation, bounce: Some(bounce) }.await
}

/// An operation on its way.
enum Carried {
    Fresh { operation: Operation, bounce: Option<Bounce> },
    InFlight { ring: usize, ticket: Ticket },
    Done,
}

impl Carried {
    /// Goes on to the next state; the one before is over and must not cancel anything.
    fn become_state(&mut self, next: Self) {
        core::mem::forget(core::mem::replace(self, next));
    }
}

impl Future for Carried {
    type Output = Result<(Untrusted<i64>, Bounce), Bounce>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Self::Fresh { operation, bounce } = &mut *self {
            let operation = *operation;
            let Some(buffer) = bounce.take() else { return Poll::Pending };
            match start(&operation, buffer) {
                Ok((ring, ticket)) => self.become_state(Self::InFlight { ring, ticket }),
                Err(buffer) => {
                    self.become_state(Self::Done);
                    return Poll::Ready(Err(buffer));
                }
            }
        }
        let Self::InFlight { ring, ticket } = *self else { return Poll::Pending };
        let Ring::Ready { client, .. } = &mut *RINGS[ring].lock() else { return Poll::Pending };
        match client.poll(ticket, cx.waker()) {
            Some((result, Some(bounce))) => {
                self.become_state(Self::Done);
                Poll::Ready(Ok((result, bounce)))
            }
            _ => Poll::Pending,
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Self::InFlight { ring, ticket } = *self
            && let Ring::Ready { client, .. } = &mut *RINGS[ring].lock()
        {
            unbroken(client.cancel(ticket));
        }
    }
}

/// Puts an operation into the calling vCPU's ring; gives the buffer back when it can't go there.
fn start(operation: &Operation, bounce: Bounce) -> Result<(usize, Ticket), Bounce> {
    let index = vcpu::current() & 63;
    let mut ring = RINGS[index].lock();
    if matches!(*ring, Ring::Untried) {
        *ring = set_up(index);
    }
    let Ring::Ready { client, files } = &mut *ring else { return Err(bounce) };
    let slot = operation.handle & 0xffff_ffff;
    let entry = u32::try_from(slot)
        .ok()
        .filter(|slot| u64::from(*slot) < RING_FILES)
        .and_then(|slot| Submission::of(operation, slot, bounce.address()));
    let Some(entry) = entry else { return Err(bounce) };
    if files.get(&slot) != Some(&operation.handle) {
        let arguments = [index as u64, operation.handle, 0, 0, 0];
        if gate::call(HostCall::RingRegister, arguments) != 0 {
            return Err(bounce);
        }
        files.insert(slot, operation.handle);
    }
    let most =
        if operation.code == abi::io::Code::Poll as u32 { 0xffff } else { operation.len as usize };
    match unbroken(client.submit(entry, most, Some(bounce))) {
        Ok(ticket) => Ok((index, ticket)),
        Err(Some(bounce)) => Err(bounce),
        Err(None) => boot::fail(format_args!("a ring lost a buffer")),
    }
}

fn set_up(index: usize) -> Ring {
    let Some(mut out) = Bounce::with_capacity(56) else { return Ring::Refused };
    out.write(0, &[0; 56]);
    if gate::call(HostCall::RingSetup, [index as u64, out.address(), 0, 0, 0]) != 0 {
        return Ring::Refused;
    }
    let mut bytes = [0; 56];
    out.read(0, &mut bytes);
    let mut words = [0_u64; 7];
    for (word, raw) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(raw.try_into().unwrap_or_default());
    }
    let [sq_head, sq_tail, sq_flags, cq_head, cq_tail, submissions, completions] = words;
    let outside = OUTSIDE.load(Ordering::Relaxed);
    let fits = |at: u64, len: u64, align: u64| {
        at >= outside
            && at.is_multiple_of(align)
            && at.checked_add(len).is_some_and(|end| end < 1 << 47)
    };
    let small = [sq_head, sq_tail, sq_flags, cq_head, cq_tail];
    let entries = 64 * u64::from(crate::ring::SUBMISSIONS);
    let completed = 16 * u64::from(crate::ring::COMPLETIONS);
    if !small.iter().all(|at| fits(*at, 4, 4))
        || !fits(submissions, entries, 64)
        || !fits(completions, completed, 16)
    {
        boot::fail(format_args!("the host put a ring where it must not be"));
    }
    let places = Places { sq_head, sq_tail, sq_flags, cq_head, cq_tail, submissions, completions };
    // SAFETY: outside the enclave, aligned, as checked; the runner keeps rings mapped for ever.
    let client = unsafe { Client::new(places) };
    Ring::Ready { client, files: alloc::collections::BTreeMap::new() }
}

fn unbroken<T>(result: Result<T, Broken>) -> T {
    match result {
        Ok(value) => value,
        Err(Broken(what)) => boot::fail(format_args!("the host broke the rules of a ring: {what}")),
    }
}
