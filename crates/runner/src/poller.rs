//! The poller: one thread that serves rings of the runner's own, where io_uring is forbidden.
//!
//! The vCPUs' rings have io_uring's layout and rules ([`abi::ring`]), their entries are typed operations.
//! The thread takes them, does the work with ordinary system calls, and answers; what could block waits
//! in `poll(2)` until it can't. So that nothing leaves the enclave for I/O, it looks at the rings for a
//! while before it sleeps, and says by a flag when an enter has to wake it.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use abi::io::{Code, Operation, STREAM};
use abi::plan::flag;
use abi::ring::{
    ASYNC_CANCEL, COMPLETIONS, Completion, Places, SQ_NEED_WAKEUP, SUBMISSIONS, Submission, TYPED,
};

use crate::plan::Plan;
use crate::{Outcome, attendant, handles, io, sys};

/// Each shared word has a cache line of its own.
const LINE: u64 = 64;
const PLACE_SUBMISSIONS: u64 = 4096;
const PLACE_COMPLETIONS: u64 = PLACE_SUBMISSIONS + 64 * SUBMISSIONS as u64;
const LEN: u64 = PLACE_COMPLETIONS + 16 * COMPLETIONS as u64;
/// How long the thread looks for work before it sleeps, at most; it adapts.
const SPIN: Duration = Duration::from_micros(50);
const SPIN_LEAST: Duration = Duration::from_micros(3);
/// How long a vCPU that isn't idle may leave completions unseen before it is interrupted.
const PATIENCE: Duration = Duration::from_micros(50);
const ECANCELED: i32 = -libc::ECANCELED;
const ENOENT: i32 = -libc::ENOENT;
const EINVAL: i32 = -libc::EINVAL;

/// Addresses of the rings, 0 for those that were not set up.
static RINGS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
static EVENT: AtomicI32 = AtomicI32::new(-1);
static RUNS: AtomicBool = AtomicBool::new(false);

/// Starts the thread if the enclave may want it: exits are dear, or it was asked for.
pub(crate) fn start(plan: &Plan) -> Outcome<()> {
    let has = |bit: u32| plan.header.flags & bit != 0;
    let dear = plan.header.exit_cost > 0 || has(flag::RINGS_FOR_ALL);
    if !dear || has(flag::NO_POLLER) {
        return Ok(());
    }
    // SAFETY: makes a descriptor.
    let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if event < 0 {
        return Err("can't make the poller's descriptor; see `ulimit -n`".to_owned());
    }
    EVENT.store(event, Ordering::Release);
    let vcpus = plan.header.vcpus as usize;
    std::thread::Builder::new()
        .name("poller".to_owned())
        .stack_size(256 << 10)
        .spawn(move || Poller::new(event, vcpus).run())
        .map_err(|error| format!("can't start the poller: {error}; see `ulimit -u`"))?;
    RUNS.store(true, Ordering::Release);
    Ok(())
}

/// Makes the calling vCPU's ring and writes its addresses to `out`. Called on a vCPU's thread.
pub(crate) fn setup(index: u64, out: u64) -> i64 {
    let Some(slot) = RINGS.get(index as usize) else { return EINVAL.into() };
    if !RUNS.load(Ordering::Acquire) || slot.load(Ordering::Relaxed) != 0 {
        return (-libc::ENOSYS).into();
    }
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as u64;
    // SAFETY: the kernel picks a free place.
    let base = unsafe { sys::call(libc::SYS_mmap, [0, LEN, prot, flags, u64::MAX, 0]) };
    if base < 0 {
        return base;
    }
    let base = base as u64;
    let places = Ring { base }.places();
    #[cfg(feature = "faults")]
    let places = crate::faults::places(places);
    // SAFETY: the enclave's bounce buffer of that size.
    unsafe { sys::copy(out as *mut u8, (&raw const places).cast(), Places::LEN) };
    slot.store(base, Ordering::Release);
    enter();
    0
}

/// Whether the vCPU's ring is the poller's.
pub(crate) fn serves(index: u64) -> bool {
    RINGS.get(index as usize).is_some_and(|ring| ring.load(Ordering::Relaxed) != 0)
}

/// Wakes the thread. Called on a vCPU's thread.
pub(crate) fn enter() -> i64 {
    let one = 1_u64;
    let event = EVENT.load(Ordering::Relaxed) as u64;
    // SAFETY: eight bytes of ours.
    let wrote = unsafe { sys::call4(libc::SYS_write, event, (&raw const one) as u64, 8, 0) };
    wrote.min(0)
}

/// One vCPU's ring, as the thread sees it.
#[derive(Clone, Copy)]
struct Ring {
    base: u64,
}

impl Ring {
    fn places(self) -> Places {
        let base = self.base;
        Places {
            sq_head: base,
            sq_tail: base + LINE,
            sq_flags: base + 2 * LINE,
            cq_head: base + 3 * LINE,
            cq_tail: base + 4 * LINE,
            submissions: base + PLACE_SUBMISSIONS,
            completions: base + PLACE_COMPLETIONS,
        }
    }

    fn word(self, line: u64) -> &'static AtomicU32 {
        // SAFETY: the ring stays mapped for ever; both sides use its words atomically.
        unsafe { &*((self.base + line * LINE) as *const AtomicU32) }
    }

    /// Takes the next entry.
    fn take(self) -> Option<Submission> {
        let head = self.word(0).load(Ordering::Relaxed);
        if head == self.word(1).load(Ordering::Acquire) {
            return None;
        }
        let at = self.base + PLACE_SUBMISSIONS + 64 * u64::from(head % SUBMISSIONS);
        // SAFETY: an entry of the ring, complete as the tail says.
        let entry = unsafe { (at as *const Submission).read() };
        self.word(0).store(head.wrapping_add(1), Ordering::Release);
        Some(entry)
    }

    fn has_entries(self) -> bool {
        self.word(0).load(Ordering::Relaxed) != self.word(1).load(Ordering::SeqCst)
    }

    fn say_asleep(self, asleep: bool) {
        self.word(2).store(if asleep { SQ_NEED_WAKEUP } else { 0 }, Ordering::SeqCst);
    }

    fn complete(self, completion: Completion) {
        let tail = self.word(4).load(Ordering::Relaxed);
        // The LibOS never has that many in flight; if it does, nothing is lost by waiting.
        while tail.wrapping_sub(self.word(3).load(Ordering::Acquire)) >= COMPLETIONS {
            std::thread::sleep(PATIENCE);
        }
        let at = self.base + PLACE_COMPLETIONS + 16 * u64::from(tail % COMPLETIONS);
        // SAFETY: an entry of the ring that the LibOS does not look at before the tail moves.
        unsafe { (at as *mut Completion).write(completion) };
        // Seen by whoever is not seen to be idle after this.
        self.word(4).store(tail.wrapping_add(1), Ordering::SeqCst);
        #[cfg(feature = "faults")]
        crate::faults::ring(&self.places());
    }

    fn is_seen(self) -> bool {
        self.word(3).load(Ordering::Acquire) == self.word(4).load(Ordering::Relaxed)
    }
}

/// An operation whose file is not ready.
struct Waiting {
    index: usize,
    user_data: u64,
    operation: Operation,
    fd: RawFd,
    events: i16,
}

struct Poller {
    event: RawFd,
    vcpus: usize,
    waiting: Vec<Waiting>,
    /// For `poll(2)`: the event descriptor, then what waits.
    items: Vec<libc::pollfd>,
    /// Since when each vCPU has completions that it may not have seen.
    unseen: [Option<Instant>; 64],
    spin: Duration,
}

impl Poller {
    fn new(event: RawFd, vcpus: usize) -> Self {
        Self {
            event,
            vcpus,
            waiting: Vec::new(),
            items: Vec::new(),
            unseen: [None; 64],
            spin: SPIN,
        }
    }

    fn run(mut self) {
        let mut since = Instant::now();
        let mut looked = false;
        loop {
            if self.serve_all() {
                if looked {
                    // Work came while awake: looking paid.
                    self.spin = (self.spin * 2).min(SPIN);
                }
                since = Instant::now();
                continue;
            }
            self.remind();
            looked = since.elapsed() < self.spin;
            if looked {
                std::hint::spin_loop();
                continue;
            }
            self.spin = (self.spin / 2).max(SPIN_LEAST);
            self.sleep();
            since = Instant::now();
        }
    }

    fn rings(&self) -> impl Iterator<Item = (usize, Ring)> + use<> {
        let known = |(index, ring): (usize, &'static AtomicU64)| {
            let base = ring.load(Ordering::Acquire);
            (base != 0).then_some((index, Ring { base }))
        };
        RINGS[..self.vcpus].iter().enumerate().filter_map(known)
    }

    /// Takes what stands in the rings; whether there was anything.
    fn serve_all(&mut self) -> bool {
        let mut any = false;
        for (index, ring) in self.rings() {
            while let Some(entry) = ring.take() {
                any = true;
                self.serve(index, ring, &entry);
            }
        }
        any
    }

    fn serve(&mut self, index: usize, ring: Ring, entry: &Submission) {
        let user_data = entry.user_data;
        match entry.opcode {
            ASYNC_CANCEL => {
                let is_it = |one: &Waiting| one.index == index && one.user_data == entry.address;
                let found = self.waiting.iter().position(is_it);
                if let Some(place) = found {
                    self.waiting.swap_remove(place);
                    self.answer(index, ring, entry.address, (ECANCELED, 0));
                }
                let result = if found.is_some() { 0 } else { ENOENT };
                self.answer(index, ring, user_data, (result, 0));
            }
            TYPED => {
                let operation = entry.operation();
                if let Some((fd, events)) = blocks_on(&operation) {
                    self.waiting.push(Waiting { index, user_data, operation, fd, events });
                } else {
                    let result = halves(&operation, io::carry_out(operation));
                    self.answer(index, ring, user_data, result);
                }
            }
            _ => self.answer(index, ring, user_data, (EINVAL, 0)),
        }
    }

    fn answer(&mut self, index: usize, ring: Ring, user_data: u64, halves: (i32, u32)) {
        let (result, flags) = halves;
        ring.complete(Completion { user_data, result, flags });
        if attendant::wake_if_idle(index) {
            self.unseen[index] = None;
        } else {
            self.unseen[index].get_or_insert_with(Instant::now);
        }
    }

    /// Interrupts vCPUs that have left completions unseen for long: they run user code.
    fn remind(&mut self) {
        for (index, ring) in self.rings() {
            let Some(since) = self.unseen[index] else { continue };
            if ring.is_seen() {
                self.unseen[index] = None;
            } else if since.elapsed() >= PATIENCE {
                attendant::ring_has_news(index as u64);
                self.unseen[index] = None;
            }
        }
    }

    /// Sleeps until a ring has entries, a file is ready, or somebody has to be reminded.
    fn sleep(&mut self) {
        for (_, ring) in self.rings() {
            ring.say_asleep(true);
        }
        // The LibOS moves the tail, then looks at the flag; here the flag is set, now the tails.
        fence(Ordering::SeqCst);
        let awake = self.rings().any(|(_, ring)| ring.has_entries());
        let reminders = self.unseen.iter().any(Option::is_some);
        let timeout = match (awake, reminders) {
            (true, _) => Some(Duration::ZERO),
            (false, true) => Some(PATIENCE),
            (false, false) => None,
        };
        self.wait(timeout);
        for (_, ring) in self.rings() {
            ring.say_asleep(false);
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        let event = libc::pollfd { fd: self.event, events: libc::POLLIN, revents: 0 };
        self.items.clear();
        self.items.push(event);
        self.items.extend(self.waiting.iter().map(|one| libc::pollfd {
            fd: one.fd,
            events: one.events,
            revents: 0,
        }));
        let limit = timeout
            .map(|time| libc::timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) });
        let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let count = self.items.len() as libc::nfds_t;
        // SAFETY: the items and the limit are ours.
        let ready = unsafe { libc::ppoll(self.items.as_mut_ptr(), count, limit, std::ptr::null()) };
        if ready <= 0 {
            return;
        }
        if self.items[0].revents != 0 {
            let mut count = 0_u64;
            // SAFETY: eight bytes of ours.
            unsafe { libc::read(self.event, (&raw mut count).cast(), 8) };
        }
        for place in (0..self.waiting.len()).rev() {
            if self.items[place + 1].revents != 0 {
                let one = self.waiting.swap_remove(place);
                self.carry_out(&one);
            }
        }
    }

    /// Does what had to wait.
    fn carry_out(&mut self, one: &Waiting) {
        let base = RINGS[one.index].load(Ordering::Relaxed);
        let result = halves(&one.operation, io::carry_out(one.operation));
        self.answer(one.index, Ring { base }, one.user_data, result);
    }
}

/// The file and the events that an operation has to wait for, if it would block now.
fn blocks_on(operation: &Operation) -> Option<(RawFd, i16)> {
    const POLL: u32 = Code::Poll as u32;
    const READ: u32 = Code::Read as u32;
    const WRITE: u32 = Code::Write as u32;
    let events = match operation.code {
        POLL => (operation.flags & 0x7fff) as i16,
        READ if operation.offset == STREAM => libc::POLLIN,
        WRITE if operation.offset == STREAM => libc::POLLOUT,
        _ => return None,
    };
    let fd = handles::descriptor(operation.handle)?;
    let mut item = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one item of ours.
    let ready = unsafe { libc::poll(&raw mut item, 1, 0) };
    (ready == 0).then_some((fd, events))
}

/// A result as a completion carries it: a handle takes both halves.
fn halves(operation: &Operation, result: i64) -> (i32, u32) {
    if operation.code == Code::Open as u32 && result >= 0 {
        return (result as i32, (result >> 32) as u32);
    }
    (result as i32, 0)
}
