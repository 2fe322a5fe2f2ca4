//! The attendant's mailbox and the words that idle vCPUs sleep on.
//!
//! Both lie in untrusted memory. A token is only a hint to look: one that we did not hand out, or
//! that comes twice, wakes nobody or wakes somebody early. Head and tail are read once; a distance
//! beyond the capacity ends the enclave.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};

use abi::host::{HostCall, SIGNAL_TOKEN, mailbox};

use crate::sync::Mutex;
use crate::{boot, gate};

/// Tokens that were taken; the mailbox's own word is for the host to read, never read here.
static HEAD: AtomicU32 = AtomicU32::new(0);
static DRAINING: Mutex<()> = Mutex::new(());
static WATCHES: Mutex<BTreeMap<u64, Watched>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

struct Watched {
    fired: bool,
    waker: Option<Waker>,
}

fn word(offset: usize) -> &'static AtomicU32 {
    // SAFETY: the mailbox was checked to lie outside the enclave; it is never unmapped, and both
    // sides use it atomically.
    unsafe { &*((boot::mailbox_address() as usize + offset) as *const AtomicU32) }
}

fn long(offset: usize) -> &'static AtomicU64 {
    // SAFETY: as in `word`.
    unsafe { &*((boot::mailbox_address() as usize + offset) as *const AtomicU64) }
}

fn event_word(index: usize) -> &'static AtomicU32 {
    word(mailbox::EVENTS + index.min(63) * mailbox::EVENT_STRIDE)
}

/// The event word of a vCPU: changes whenever somebody wakes it.
pub fn event(index: usize) -> u32 {
    event_word(index).load(Ordering::SeqCst)
}

/// Sleeps until the event word of vCPU `index` differs from `seen`, or until `deadline`.
pub fn sleep(index: usize, seen: u32, deadline: Option<u64>) {
    let bit = 1_u64 << (index & 63);
    long(mailbox::IDLE).fetch_or(bit, Ordering::SeqCst);
    if !pending() && event(index) == seen {
        gate::wait(event_word(index), seen, deadline);
    }
    long(mailbox::IDLE).fetch_and(!bit, Ordering::SeqCst);
}

/// Wakes vCPU `index` if it sleeps; if not, it does not fall asleep over what came before this.
pub fn wake(index: usize) {
    event_word(index).fetch_add(1, Ordering::SeqCst);
    // The sleeper sets its bit, then looks at the word; here the word changes before the bit is looked
    // at. A host that clears the bit denies service, which it can do anyway.
    if long(mailbox::IDLE).load(Ordering::SeqCst) & 1 << (index & 63) != 0 {
        gate::wake(event_word(index), 1);
    }
}

/// Asks for the preemption tick, or no longer.
pub fn set_tick(on: bool) {
    if word(mailbox::TICK).swap(u32::from(on), Ordering::SeqCst) != u32::from(on) && on {
        gate::call(HostCall::Tick, [1, 0, 0, 0, 0]);
    }
}

/// Asks for an interruption of all vCPUs at `deadline` (monotonic ns), in place of the last one.
pub fn set_alarm(deadline: u64) {
    // The word first: a host that takes the last alarm's instant for this one makes us ask again.
    long(mailbox::ALARM).store(deadline, Ordering::SeqCst);
    let timeout = deadline.saturating_sub(crate::clock::now());
    gate::call(HostCall::Alarm, [timeout, 0, 0, 0, 0]);
}

/// The instant that was asked for, `u64::MAX` once it has come. The host's word: at worst, timers are
/// late.
#[inline]
pub fn alarm() -> u64 {
    long(mailbox::ALARM).load(Ordering::Relaxed)
}

/// Whether tokens wait.
#[inline]
pub fn pending() -> bool {
    word(mailbox::TAIL).load(Ordering::Acquire) != HEAD.load(Ordering::Relaxed)
}

/// Takes all tokens; gives the host signals among them and whether anything was woken.
pub fn drain() -> (Vec<u32>, bool) {
    let mut signals = Vec::new();
    let mut woke = false;
    if !pending() {
        return (signals, woke);
    }
    // Woken without the lock: whoever wakes or drops a waker may drop a watch.
    let mut wakers = Vec::new();
    let draining = DRAINING.lock();
    let mut head = HEAD.load(Ordering::Relaxed);
    let tail = word(mailbox::TAIL).load(Ordering::Acquire);
    if tail.wrapping_sub(head) > mailbox::CAPACITY {
        boot::fail(format_args!("the host broke the rules of its mailbox"));
    }
    while head != tail {
        let slot = (head % mailbox::CAPACITY) as usize;
        let token = long(mailbox::TOKENS + 8 * slot).load(Ordering::Relaxed);
        head = head.wrapping_add(1);
        if token >= SIGNAL_TOKEN {
            signals.push(u32::try_from(token - SIGNAL_TOKEN).unwrap_or(u32::MAX));
            woke = true;
        } else if let Some(watched) = WATCHES.lock().get_mut(&token) {
            watched.fired = true;
            woke = true;
            wakers.extend(watched.waker.take());
        }
    }
    HEAD.store(head, Ordering::Relaxed);
    word(mailbox::HEAD).store(head, Ordering::Release);
    drop(draining);
    wakers.into_iter().for_each(Waker::wake);
    (signals, woke)
}

/// Waits until the host says that `handle` is ready for one of `events`; a hint, to be tried.
pub fn watch(handle: u64, events: u32) -> Watch {
    let token = NEXT.fetch_add(1, Ordering::Relaxed);
    Watch { handle, events, token, asked: false }
}

/// Future of [`watch`].
pub struct Watch {
    handle: u64,
    events: u32,
    token: u64,
    asked: bool,
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut watches = WATCHES.lock();
        let watched = watches.entry(self.token).or_insert(Watched { fired: false, waker: None });
        if watched.fired {
            return Poll::Ready(());
        }
        let replaced = watched.waker.replace(cx.waker().clone());
        drop(watches);
        drop(replaced);
        if !self.asked {
            self.asked = true;
            let arguments = [self.handle, u64::from(self.events), self.token, 0, 0];
            if gate::call(HostCall::Watch, arguments) != 0 {
                // What can't be watched is always ready: a regular file.
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let removed = WATCHES.lock().remove(&self.token);
        // Only now, without the lock: its waker may be the last that knows a task.
        drop(removed);
    }
}
