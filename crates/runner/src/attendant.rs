//! The attendant: one thread that watches what may become ready, the host's signals and the tick.
//!
//! What it sees it puts into the mailbox as tokens, and wakes or kicks a vCPU. It never enters.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use abi::host::{SIGNAL_SENT, SIGNAL_TOKEN, mailbox};

use crate::plan::Plan;
use crate::space::Space;
use crate::{Outcome, handles, signals, sys, trace, vcpu};

/// The preemption tick.
const TICK_MS: i32 = 4;
/// Ticks without need after which the attendant sleeps again.
const TICKS_KEPT: u32 = 250;
/// Token of the attendant's own eventfd in the epoll set.
const OWN: u64 = u64::MAX;
/// Token of the signal descriptor in the epoll set.
const SIGNALS: u64 = u64::MAX - 1;
/// Token, in the epoll set, of the set for writing.
const WRITERS: u64 = u64::MAX - 2;
/// Token of the alarm's timer in the epoll set.
const ALARM: u64 = u64::MAX - 3;
/// Token of vCPU 0's ring in the epoll set; the others follow.
const RINGS: u64 = u64::MAX - 1000;
const RINGS_END: u64 = RINGS + 64;

static EPOLL: AtomicI32 = AtomicI32::new(-1);
/// A set of its own for those who want to write: a descriptor has one place in a set, and who waits for
/// its other direction must not lose it.
static WRITING: AtomicI32 = AtomicI32::new(-1);
static EVENT: AtomicI32 = AtomicI32::new(-1);
/// The timer of the next alarm; vCPUs set it, without waking the attendant.
static TIMER: AtomicI32 = AtomicI32::new(-1);
/// Signals that handlers hand over, as bits.
static HANDED_OVER: AtomicU64 = AtomicU64::new(0);
static MAILBOX: AtomicU64 = AtomicU64::new(0);
static VCPUS: AtomicU32 = AtomicU32::new(1);

/// Starts the thread.
pub(crate) fn start(plan: &Plan, space: &Space) -> Outcome<()> {
    MAILBOX.store(space.mailbox, Ordering::Relaxed);
    VCPUS.store(plan.header.vcpus, Ordering::Relaxed);
    // SAFETY: makes descriptors.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    // SAFETY: makes descriptors.
    let writing = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    // SAFETY: makes a descriptor.
    let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    // SAFETY: makes a descriptor.
    let timer = unsafe {
        libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK)
    };
    let signal_fd = signal_descriptor();
    if epoll < 0 || writing < 0 || event < 0 || timer < 0 || signal_fd < 0 {
        return Err("can't make the attendant's descriptors; see `ulimit -n`".to_owned());
    }
    EPOLL.store(epoll, Ordering::Release);
    WRITING.store(writing, Ordering::Release);
    EVENT.store(event, Ordering::Release);
    TIMER.store(timer, Ordering::Release);
    long(mailbox::ALARM).store(u64::MAX, Ordering::SeqCst);
    add(event, libc::EPOLLIN as u32, OWN);
    add(timer, libc::EPOLLIN as u32, ALARM);
    add(signal_fd, libc::EPOLLIN as u32, SIGNALS);
    add(writing, libc::EPOLLIN as u32, WRITERS);
    tick(); // a handler may have handed something over before there was anybody
    std::thread::Builder::new()
        .name("attendant".to_owned())
        .stack_size(128 << 10)
        .spawn(move || attend(epoll, event, signal_fd))
        .map_err(|error| format!("can't start the attendant: {error}; see `ulimit -u`"))?;
    Ok(())
}

fn signal_descriptor() -> RawFd {
    let mask = signals::forwarded();
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: a mask of 8 bytes.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const mask, 8, flags) };
    i32::try_from(fd).unwrap_or(-1)
}

fn add(fd: RawFd, events: u32, token: u64) {
    let mut event = libc::epoll_event { events, u64: token };
    let epoll = EPOLL.load(Ordering::Relaxed);
    // SAFETY: descriptors and an event of ours.
    unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
}

/// Watches a handle once. 0, or 1 when it can't be watched because it is always ready. Called on a
/// vCPU's thread.
pub(crate) fn watch(handle: u64, events: u32, token: u64) -> i64 {
    let Some(fd) = handles::descriptor(handle) else { return -i64::from(libc::EBADF) };
    let event = libc::epoll_event { events: events | libc::EPOLLONESHOT as u32, u64: token };
    let set = if events & libc::EPOLLIN as u32 == 0 { &WRITING } else { &EPOLL };
    let epoll = set.load(Ordering::Relaxed) as u64;
    let control = |operation: i32| {
        // SAFETY: descriptors and an event of ours.
        unsafe {
            let event = (&raw const event) as u64;
            sys::call4(libc::SYS_epoll_ctl, epoll, operation as u64, fd as u64, event)
        }
    };
    let mut result = control(libc::EPOLL_CTL_MOD);
    if result == -i64::from(libc::ENOENT) {
        result = control(libc::EPOLL_CTL_ADD);
    }
    if result == -i64::from(libc::EPERM) { 1 } else { result }
}

/// Watches the descriptor that tells of completions of a vCPU's ring. Called on a vCPU's thread.
pub(crate) fn watch_ring(index: u64, fd: RawFd) -> i64 {
    let events = (libc::EPOLLIN | libc::EPOLLET) as u32;
    let event = libc::epoll_event { events, u64: RINGS + index };
    let epoll = EPOLL.load(Ordering::Relaxed) as u64;
    // SAFETY: descriptors and an event of ours.
    unsafe {
        let event = (&raw const event) as u64;
        sys::call4(libc::SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD as u64, fd as u64, event)
    }
}

/// Makes a vCPU look at its ring.
pub(crate) fn ring_has_news(index: u64) {
    // The word first, then the bit: who is about to sleep sets the bit, then looks at the word, and no
    // more at its ring.
    event_word(index as usize).fetch_add(1, Ordering::SeqCst);
    if !wake_if_idle(index as usize) {
        vcpu::interrupt(index);
    }
}

/// Ends a vCPU's sleep; false when it is awake.
pub(crate) fn wake_if_idle(index: usize) -> bool {
    let idle = long(mailbox::IDLE).load(Ordering::SeqCst) >> index & 1 != 0;
    if idle {
        wake(index);
    }
    idle
}

/// Wakes the attendant, which then looks whether ticks are wanted. Called on a vCPU's thread.
pub(crate) fn tick() -> i64 {
    let one = 1_u64;
    let event = EVENT.load(Ordering::Relaxed) as u64;
    // SAFETY: eight bytes of ours.
    unsafe { sys::call4(libc::SYS_write, event, (&raw const one) as u64, 8, 0) }
}

/// Sets the alarm to come after `timeout` ns. Called on a vCPU's thread.
pub(crate) fn set_alarm(timeout: u64) -> i64 {
    // A time of 0 would stop the timer; one that the host's clock can't reach is a long time anyway.
    let timeout = timeout.clamp(1, i64::MAX.unsigned_abs() / 2);
    let setting = [0, 0, timeout / 1_000_000_000, timeout % 1_000_000_000];
    let timer = TIMER.load(Ordering::Relaxed) as u64;
    // SAFETY: an itimerspec of ours.
    unsafe { sys::call4(libc::SYS_timerfd_settime, timer, 0, (&raw const setting) as u64, 0) }
}

/// Hands on a signal that a handler caught and somebody had sent. Called on any thread, in a handler.
pub(crate) fn hand_over(signal: i32) {
    HANDED_OVER.fetch_or(1 << (signal - 1), Ordering::SeqCst);
    tick();
}

fn event_word(index: usize) -> &'static AtomicU32 {
    word(mailbox::EVENTS + index * mailbox::EVENT_STRIDE)
}

fn word(offset: usize) -> &'static AtomicU32 {
    // SAFETY: the mailbox stays mapped and is used atomically on both sides.
    unsafe { &*((MAILBOX.load(Ordering::Relaxed) as usize + offset) as *const AtomicU32) }
}

fn long(offset: usize) -> &'static AtomicU64 {
    // SAFETY: as in `word`.
    unsafe { &*((MAILBOX.load(Ordering::Relaxed) as usize + offset) as *const AtomicU64) }
}

fn attend(epoll: RawFd, event: RawFd, signal_fd: RawFd) {
    let mut spare = 0_u32;
    loop {
        let wanted = word(mailbox::TICK).load(Ordering::SeqCst) != 0;
        spare = if wanted { TICKS_KEPT } else { spare.saturating_sub(1) };
        let timeout = if spare > 0 { TICK_MS } else { -1 };
        let seen = for_each_ready(epoll, timeout, |token| match token {
            OWN => {
                let mut count = 0_u64;
                // SAFETY: eight bytes of ours.
                unsafe { libc::read(event, (&raw mut count).cast(), 8) };
                trace::serve();
                let mut sent = HANDED_OVER.swap(0, Ordering::SeqCst);
                while sent != 0 {
                    announce_signal(sent.trailing_zeros() + 1, true);
                    sent &= sent - 1;
                }
            }
            SIGNALS => take_signals(signal_fd),
            ALARM => ring_alarm(),
            WRITERS => {
                for_each_ready(WRITING.load(Ordering::Relaxed), 0, announce);
            }
            RINGS..RINGS_END => ring_has_news(token - RINGS),
            token => announce(token),
        });
        if seen == 0 && word(mailbox::TICK).load(Ordering::SeqCst) != 0 {
            tick_all();
        }
    }
}

/// Waits for a set, at most `timeout` ms, and passes the tokens on; gives how many, or below 0.
fn for_each_ready(epoll: RawFd, timeout: i32, mut take: impl FnMut(u64)) -> i32 {
    let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 64];
    // SAFETY: room for 64 events.
    let count = unsafe { libc::epoll_wait(epoll, ready.as_mut_ptr(), 64, timeout) };
    let seen = usize::try_from(count).unwrap_or(0);
    ready[..seen].iter().for_each(|item| take(item.u64));
    count
}

/// Interrupts whoever runs user code, if the alarm's time has come.
fn ring_alarm() {
    let mut count = 0_u64;
    let timer = TIMER.load(Ordering::Relaxed);
    // SAFETY: eight bytes of ours.
    let got = unsafe { libc::read(timer, (&raw mut count).cast(), 8) };
    // A timer that was set anew meanwhile has not come.
    if got == 8 {
        // The word first: whoever is interrupted finds that there is no alarm any more.
        long(mailbox::ALARM).store(u64::MAX, Ordering::SeqCst);
        tick_all();
    }
}

fn tick_all() {
    let idle = long(mailbox::IDLE).load(Ordering::SeqCst);
    for index in 0..u64::from(VCPUS.load(Ordering::Relaxed)) {
        if idle >> index & 1 == 0 {
            vcpu::interrupt(index);
        }
    }
}

fn take_signals(fd: RawFd) {
    loop {
        let mut info = [0_u32; 32];
        // SAFETY: 128 bytes of ours, the size of a signalfd_siginfo.
        let got = unsafe { libc::read(fd, info.as_mut_ptr().cast(), 128) };
        if got != 128 {
            return;
        }
        let [number, _, code, ..] = info;
        announce_signal(number, code.cast_signed() <= 0);
    }
}

fn announce_signal(number: u32, sent: bool) {
    announce(SIGNAL_TOKEN + u64::from(number | if sent { SIGNAL_SENT } else { 0 }));
}

/// Tells the LibOS of a token.
fn announce(token: u64) {
    #[cfg(feature = "faults")]
    {
        crate::faults::token(token, post);
        crate::faults::mailbox(MAILBOX.load(Ordering::Relaxed));
        notify();
    }
    #[cfg(not(feature = "faults"))]
    post(token);
}

/// Puts a token into the mailbox, and sees to it that a vCPU looks.
fn post(token: u64) {
    let tail = word(mailbox::TAIL).load(Ordering::Relaxed);
    while tail.wrapping_sub(word(mailbox::HEAD).load(Ordering::Acquire)) >= mailbox::CAPACITY {
        notify();
        trace::serve(); // the vCPU that is to make room may wait for the decoder
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
    let slot = (tail % mailbox::CAPACITY) as usize;
    long(mailbox::TOKENS + 8 * slot).store(token, Ordering::Relaxed);
    word(mailbox::TAIL).store(tail.wrapping_add(1), Ordering::SeqCst);
    notify();
}

/// Wakes an idle vCPU, or kicks the first one.
fn notify() {
    let idle = long(mailbox::IDLE).load(Ordering::SeqCst);
    if idle == 0 {
        vcpu::interrupt(0);
        return;
    }
    wake(idle.trailing_zeros() as usize);
}

/// Ends the sleep of a vCPU.
fn wake(index: usize) {
    let event = event_word(index);
    event.fetch_add(1, Ordering::SeqCst);
    // SAFETY: a futex wake on a word of shared memory.
    unsafe { libc::syscall(libc::SYS_futex, event.as_ptr(), libc::FUTEX_WAKE, 1) };
}
