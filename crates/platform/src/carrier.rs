//! Which way an operation goes: a synchronous host call, or the ring of the vCPU that asks.
//!
//! Exits dear (`--exit-cost`, or asked for): the ring for all that it can carry. That is the kernel's
//! ring, and where io_uring is forbidden the runner's, whose poller thread does the same work. Exits
//! cheap: a host call, which is done sooner than a ring's round trip; the attendant watches what is not
//! ready.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};

use abi::Untrusted;
use abi::host::{HostCall, RING_FILES, RingKind};
use abi::io::{Code, Operation};
use abi::ring::{Places, Submission};

use crate::io::{self, Bounce};
use crate::ring::{Answer, Broken, Client, Counters, Ticket};
use crate::sync::Mutex;
use crate::{boot, gate, mailbox, vcpu};

static PREFERRED: AtomicBool = AtomicBool::new(false);
static ADMITTED: AtomicU8 = AtomicU8::new(0);
static REFUSAL_TOLD: AtomicBool = AtomicBool::new(true);
static IN_USE: AtomicU8 = AtomicU8::new(0);
static OUTSIDE: AtomicU64 = AtomicU64::new(0);
/// How deep each vCPU is in [`at_once`].
static AT_ONCE: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];
static RINGS: [Mutex<Ring>; 64] = [const { Mutex::new(Ring::Untried) }; 64];

/// The kinds of ring, in the order in which they are tried.
const KINDS: [RingKind; 2] = [RingKind::Kernel, RingKind::Poller];

/// How operations are to be carried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Rings, if there are any, for all that they can carry.
    pub(crate) prefers_rings: bool,
    /// Whose rings may be tried.
    pub(crate) admitted: Admitted,
    /// Somebody insisted on the kernel's, and is told when there are none.
    pub(crate) demanded: bool,
}

bitflags::bitflags! {
    /// Kinds of ring: a [`RingKind`] as its bit.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Admitted: u8 {
        /// io_uring.
        const KERNEL = 1 << RingKind::Kernel as u8;
        /// The runner's.
        const POLLER = 1 << RingKind::Poller as u8;
    }
}

enum Ring {
    Untried,
    Refused,
    Ready(Box<Engine>),
}

/// A ring, and what the host knows by it.
struct Engine {
    kind: RingKind,
    client: Client,
    /// Registered files of a kernel's ring: the handle in each slot.
    files: BTreeMap<u64, u64>,
    /// Slots whose handle was given back, and that the kernel was not told of yet.
    forgotten: Vec<u32>,
    /// Whether the kernel's table may still have changes before it that stand in the ring.
    forgetting: bool,
}

/// Sets the policy; once, at start. Ring memory must lie at `outside` or above.
pub(crate) fn init(policy: Policy, outside: u64) {
    ADMITTED.store(policy.admitted.bits(), Ordering::Relaxed);
    REFUSAL_TOLD.store(!policy.demanded, Ordering::Relaxed);
    PREFERRED.store(policy.prefers_rings && !policy.admitted.is_empty(), Ordering::Relaxed);
    OUTSIDE.store(outside, Ordering::Relaxed);
}

/// Whether rings carry what they can.
#[inline]
pub fn prefers_rings() -> bool {
    PREFERRED.load(Ordering::Relaxed)
}

/// Names the carrier that is in use beside host calls.
pub fn in_use() -> &'static str {
    match IN_USE.load(Ordering::Relaxed) {
        0 => "host calls",
        1 => "io_uring",
        2 => "poller",
        _ => "io_uring and poller",
    }
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
        if let Ring::Ready(engine) = &*ring.lock() {
            let one = engine.client.counters();
            sum.submitted += one.submitted;
            sum.completed += one.completed;
        }
    }
    sum
}

/// Carries the calling vCPU's ring forward: hands entries over, takes completions in. True when it
/// woke somebody. Costs a few loads when there is nothing.
#[inline]
pub fn turn() -> bool {
    prefers_rings() && turn_ring()
}

#[inline(never)]
fn turn_ring() -> bool {
    let index = vcpu::current();
    let mut ring = RINGS[index & 63].lock();
    let Ring::Ready(engine) = &mut *ring else { return false };
    let woken = engine.turn(index);
    drop(ring);
    let any = !woken.is_empty();
    woken.into_iter().for_each(Waker::wake);
    any
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
    let mut operation = io::operation(Code::Poll, handle, &bounce, 0);
    operation.flags = events;
    by_ring(operation, bounce).await.is_ok()
}

/// Gives a handle back to the host, and sees to it that no ring keeps its file open. Waits for nothing.
pub(crate) fn close(handle: u64) {
    if prefers_rings() {
        if close_by_poller(handle) {
            return;
        }
        forget(handle);
    }
    let close = Operation { code: Code::Close as u32, handle, ..Operation::default() };
    // Whether the host closed anything is its own affair.
    let _ = io::perform(&close);
}

/// Has the poller of the calling vCPU's ring close a handle.
fn close_by_poller(handle: u64) -> bool {
    let Ring::Ready(engine) = &mut *RINGS[vcpu::current() & 63].lock() else { return false };
    if engine.kind != RingKind::Poller {
        return false;
    }
    let close = Operation { code: Code::Close as u32, handle, ..Operation::default() };
    match unbroken(engine.client.submit(Submission::typed(&close), Answer::AtMost(0), None)) {
        Ok(ticket) => {
            engine.client.detach(ticket);
            true
        }
        Err(_) => false,
    }
}

/// Has each ring that knows a handle's file forget it at its next turn.
fn forget(handle: u64) {
    let slot = handle & 0xffff_ffff;
    for (index, ring) in RINGS.iter().enumerate().take(vcpu::count()) {
        let Ring::Ready(engine) = &mut *ring.lock() else { continue };
        if engine.files.get(&slot) != Some(&handle) {
            continue;
        }
        engine.files.remove(&slot);
        engine.forgotten.extend(u32::try_from(slot));
        if index != vcpu::current() {
            mailbox::wake(index);
        }
    }
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
        let mut ring_lock = RINGS[ring].lock();
        let Ring::Ready(engine) = &mut *ring_lock else { return Poll::Pending };
        match engine.client.poll(ticket, cx.waker()) {
            Ok((result, Some(bounce))) => {
                self.become_state(Self::Done);
                Poll::Ready(Ok((result, bounce)))
            }
            Ok((_, None)) => Poll::Pending,
            Err(old) => {
                // Whoever drops a waker may drop its task, and that another operation of a ring.
                drop(ring_lock);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let Self::InFlight { ring, ticket } = *self else { return };
        let mut ring_lock = RINGS[ring].lock();
        let Ring::Ready(engine) = &mut *ring_lock else { return };
        let waker = unbroken(engine.client.cancel(ticket));
        drop(ring_lock);
        drop(waker);
        if ring != vcpu::current() {
            // Only its own vCPU hands entries over.
            mailbox::wake(ring);
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
    let Ring::Ready(engine) = &mut *ring else { return Err(bounce) };
    engine.start(index, operation, bounce).map(|ticket| (index, ticket))
}

impl Engine {
    /// See [`turn`]; gives whom to wake.
    fn turn(&mut self, index: usize) -> Vec<Waker> {
        self.tell_of_forgotten();
        unbroken(self.client.catch_up());
        let waiting = unbroken(self.client.unsubmitted());
        let enter = match self.kind {
            RingKind::Kernel => waiting > 0 || self.client.has_work_in_kernel(),
            RingKind::Poller => waiting > 0 && self.client.poller_sleeps(),
        };
        if enter {
            gate::call(HostCall::RingEnter, [index as u64, waiting.into(), 0, 0, 0]);
        }
        if !self.client.has_completions() {
            return Vec::new();
        }
        unbroken(self.client.reap())
    }

    fn tell_of_forgotten(&mut self) {
        while let Some(slot) = self.forgotten.last() {
            if !unbroken(self.client.tell(Submission::forget(*slot))) {
                break;
            }
            self.forgetting = true;
            self.forgotten.pop();
        }
    }

    fn start(
        &mut self,
        index: usize,
        operation: &Operation,
        bounce: Bounce,
    ) -> Result<Ticket, Bounce> {
        let entry = match self.kind {
            RingKind::Kernel => self.kernel_entry(index, operation, &bounce),
            RingKind::Poller => Some(Submission::typed(operation)),
        };
        let Some(entry) = entry else { return Err(bounce) };
        match unbroken(self.client.submit(entry, answer_to(operation), Some(bounce))) {
            Ok(ticket) => Ok(ticket),
            Err(Some(bounce)) => Err(bounce),
            Err(None) => boot::fail(format_args!("a ring lost a buffer")),
        }
    }

    /// The kernel's entry, its file registered; `None` when the kernel's ring can't carry it.
    fn kernel_entry(
        &mut self,
        index: usize,
        operation: &Operation,
        bounce: &Bounce,
    ) -> Option<Submission> {
        let slot = operation.handle & 0xffff_ffff;
        let file = u32::try_from(slot).ok().filter(|_| slot < RING_FILES)?;
        let entry = Submission::of(operation, file, bounce.address())?;
        if self.files.get(&slot) == Some(&operation.handle) {
            return Some(entry);
        }
        // An entry that empties the slot may still stand in the ring: it must not come after this.
        if self.forgetting {
            self.forgetting = unbroken(self.client.unsubmitted()) > 0;
        }
        if self.forgetting {
            return None;
        }
        let arguments = [index as u64, operation.handle, 0, 0, 0];
        if gate::call(HostCall::RingRegister, arguments) != 0 {
            return None;
        }
        self.forgotten.retain(|forgotten| *forgotten != file);
        self.files.insert(slot, operation.handle);
        Some(entry)
    }
}

/// What the host may answer to an operation.
fn answer_to(operation: &Operation) -> Answer {
    const OPEN: u32 = Code::Open as u32;
    const POLL: u32 = Code::Poll as u32;
    const BEHIND_PATH: [u32; 3] =
        [Code::ReadLink as u32, Code::GetAttribute as u32, Code::ListAttributes as u32];
    const COUNTED: [u32; 3] = [Code::Read as u32, Code::Write as u32, Code::List as u32];
    match operation.code {
        OPEN => Answer::Handle,
        POLL => Answer::AtMost(0xffff),
        code if BEHIND_PATH.contains(&code) => {
            Answer::AtMost(operation.len.saturating_sub(operation.path_len) as usize)
        }
        code if COUNTED.contains(&code) => Answer::AtMost(operation.len as usize),
        _ => Answer::AtMost(0),
    }
}

/// Makes the ring of the calling vCPU: the first kind that is admitted and that the host has.
fn set_up(index: usize) -> Ring {
    let admitted = ADMITTED.load(Ordering::Relaxed);
    for kind in KINDS {
        if admitted >> (kind as u8) & 1 == 0 {
            continue;
        }
        if let Some(client) = set_up_kind(index, kind) {
            IN_USE.fetch_or(1 << (kind as u8), Ordering::Relaxed);
            return Ring::Ready(Box::new(Engine {
                kind,
                client,
                files: BTreeMap::new(),
                forgotten: Vec::new(),
                forgetting: false,
            }));
        }
        if kind == RingKind::Kernel && !REFUSAL_TOLD.swap(true, Ordering::Relaxed) {
            boot::message(
                "adyton: this host denies io_uring; without it, I/O goes on by other ways \
                 (see `adyton info`)\n",
            );
        }
    }
    if IN_USE.load(Ordering::Relaxed) == 0 {
        PREFERRED.store(false, Ordering::Relaxed);
    }
    Ring::Refused
}

fn set_up_kind(index: usize, kind: RingKind) -> Option<Client> {
    let mut out = Bounce::with_capacity(Places::LEN)?;
    out.write(0, &[0; Places::LEN]);
    let arguments = [index as u64, out.address(), kind as u64, 0, 0];
    if gate::call(HostCall::RingSetup, arguments) != 0 {
        return None;
    }
    let mut bytes = [0; Places::LEN];
    out.read(0, &mut bytes);
    let places = Places::from_bytes(&bytes);
    if !places.are_sound(OUTSIDE.load(Ordering::Relaxed)) {
        boot::fail(format_args!("the host put a ring where it must not be"));
    }
    // SAFETY: outside the enclave, aligned, apart, as checked; the runner keeps rings mapped for ever.
    Some(unsafe { Client::new(places) })
}

fn unbroken<T>(result: Result<T, Broken>) -> T {
    match result {
        Ok(value) => value,
        Err(Broken(what)) => boot::fail(format_args!("the host broke the rules of a ring: {what}")),
    }
}
