//! A client of submission and completion rings that is safe against its host.
//!
//! One ring per vCPU, of the kernel's (io_uring, made by the vCPU's own host thread) or of the runner's
//! poller. The host owns what it can write: SQ head, CQ tail, flags and completions. Nothing of that is
//! believed:
//!
//! 1. sizes and masks are our own, never read back; each address was checked to lie outside;
//! 2. SQ tail and CQ head live in private memory, the shared words are written only;
//! 3. a distance beyond a ring's size, or one that shrinks, ends the enclave;
//! 4. a completion is copied once, then looked at;
//! 5. its slot must be in flight with the same generation, else the enclave ends: a host that means well
//!    completes each operation once, and one that was completed falsely would be waited for for ever;
//! 6. its result is an errno or at most what that operation asked for;
//! 7. buffers and slots are freed by the operation's own completion only.
//!
//! [`abi::ring`] has the structures, [`Client`] the rules, [`slots`] the operations in flight. A client
//! belongs to one vCPU, and another one that cancels takes its lock; what is shared without a lock are the
//! five words, with the host. `tests/loom.rs` goes through every order of those two.

mod slots;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, Ordering, fence};
use core::task::Waker;

use abi::Untrusted;
use abi::ring::{
    COMPLETIONS, Completion, Places, SQ_CQ_OVERFLOW, SQ_NEED_WAKEUP, SQ_TASKRUN, SUBMISSIONS,
    Submission,
};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering, fence};

use crate::io::Bounce;
use slots::Slots;
pub use slots::{Answer, Ticket};

/// Operations in flight at once.
pub const IN_FLIGHT: usize = 512;

/// The host broke a rule that can't be a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str);

/// What a ring did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Operations handed to the host.
    pub submitted: u64,
    /// Operations that ended.
    pub completed: u64,
}

/// One ring.
pub struct Client {
    places: Places,
    sq_tail: u32,
    sq_head_seen: u32,
    cq_head: u32,
    slots: Slots,
    counters: Counters,
    /// Cancellations for which the ring had no room yet.
    untold: Vec<Submission>,
}

impl Client {
    /// A ring at places that the caller checked.
    ///
    /// # Safety
    /// Each place is aligned, mapped for as long as the client lives, and holds the kernel's structure
    /// with [`SUBMISSIONS`] and [`COMPLETIONS`] entries; none lies in the enclave.
    pub unsafe fn new(places: Places) -> Self {
        Self {
            places,
            sq_tail: 0,
            sq_head_seen: 0,
            cq_head: 0,
            slots: Slots::new(IN_FLIGHT),
            untold: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Operations that wait for their completion.
    pub fn in_flight(&self) -> usize {
        self.slots.in_flight()
    }

    /// Entries that the host has not been told of by an enter yet, as far as the shared head says.
    ///
    /// # Errors
    /// [`Broken`] when the host's head makes no sense.
    pub fn unsubmitted(&mut self) -> Result<u32, Broken> {
        let head = word(self.places.sq_head).load(Ordering::Acquire);
        let waiting = self.sq_tail.wrapping_sub(head);
        let before = self.sq_tail.wrapping_sub(self.sq_head_seen);
        if waiting > before {
            return Err(Broken("the submission head went back or too far"));
        }
        self.sq_head_seen = head;
        Ok(waiting)
    }

    /// Whether completions stand in the ring.
    pub fn has_completions(&self) -> bool {
        word(self.places.cq_tail).load(Ordering::Relaxed) != self.cq_head
    }

    /// Whether completions come in only when the kernel is entered.
    pub fn has_work_in_kernel(&self) -> bool {
        let flags = word(self.places.sq_flags).load(Ordering::Relaxed);
        flags & (SQ_TASKRUN | SQ_CQ_OVERFLOW) != 0
    }

    /// Whether the poller sleeps and won't see what was queued.
    pub fn poller_sleeps(&self) -> bool {
        // The poller sets the flag, then looks at the tail once more; we moved the tail, now the flag.
        fence(Ordering::SeqCst);
        word(self.places.sq_flags).load(Ordering::Relaxed) & SQ_NEED_WAKEUP != 0
    }

    /// Queues an operation that may answer what `answer` says; the buffer comes back when no slot or
    /// entry is free.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn submit(
        &mut self,
        submission: Submission,
        answer: Answer,
        bounce: Option<Bounce>,
    ) -> Result<Result<Ticket, Option<Bounce>>, Broken> {
        if self.unsubmitted()? >= SUBMISSIONS {
            return Ok(Err(bounce));
        }
        let ticket = match self.slots.take(answer, bounce) {
            Ok(ticket) => ticket,
            Err(bounce) => return Ok(Err(bounce)),
        };
        self.push(Submission { user_data: ticket.user_data(), ..submission });
        self.counters.submitted += 1;
        Ok(Ok(ticket))
    }

    /// Asks the host to end an operation early. Its slot stays taken until its own completion comes.
    /// Gives the waker of who waited, to be dropped without a lock.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn cancel(&mut self, ticket: Ticket) -> Result<Option<Waker>, Broken> {
        let (in_flight, waker) = self.slots.abandon(ticket);
        if in_flight {
            let cancel = Submission::cancel(ticket.user_data());
            if !self.tell(cancel)? {
                self.untold.push(cancel);
            }
        }
        Ok(waker)
    }

    /// Queues the cancellations for which there was no room, as far as there is some now.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn catch_up(&mut self) -> Result<(), Broken> {
        while let Some(cancel) = self.untold.last().copied() {
            if !self.tell(cancel)? {
                break;
            }
            self.untold.pop();
        }
        Ok(())
    }

    /// Nobody waits for an operation, which goes on: its slot stays taken until its completion.
    pub fn detach(&mut self, ticket: Ticket) {
        self.slots.abandon(ticket);
    }

    /// Queues an entry whose completion says nothing; false when there is no room.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn tell(&mut self, submission: Submission) -> Result<bool, Broken> {
        let room = self.unsubmitted()? < SUBMISSIONS;
        if room {
            self.push(submission);
        }
        Ok(room)
    }

    /// The result of an operation, if it is there; otherwise `waker` is woken when it is.
    ///
    /// # Errors
    /// Not there yet: the waker that was replaced, to be dropped without a lock.
    pub fn poll(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
    ) -> Result<(Untrusted<i64>, Option<Bounce>), Option<Waker>> {
        self.slots.poll(ticket, waker)
    }

    /// Takes all completions that are there; gives whom to wake.
    ///
    /// # Errors
    /// [`Broken`] when the tail is out of range, or a completion fits no operation.
    pub fn reap(&mut self) -> Result<Vec<Waker>, Broken> {
        let tail = word(self.places.cq_tail).load(Ordering::Acquire);
        if tail.wrapping_sub(self.cq_head) > COMPLETIONS {
            return Err(Broken("the completion tail is out of range"));
        }
        let mut woken = Vec::new();
        while self.cq_head != tail {
            let completion = self.completion(self.cq_head % COMPLETIONS);
            self.cq_head = self.cq_head.wrapping_add(1);
            match self.slots.complete(completion) {
                slots::Done::Woken(waker) => {
                    self.counters.completed += 1;
                    woken.extend(waker);
                }
                slots::Done::Ignored => {}
                slots::Done::Rejected => return Err(Broken("a completion fits no operation")),
            }
        }
        word(self.places.cq_head).store(self.cq_head, Ordering::Release);
        Ok(woken)
    }

    fn push(&mut self, submission: Submission) {
        let index = u64::from(self.sq_tail % SUBMISSIONS);
        let at = self.places.submissions + index * size_of::<Submission>() as u64;
        // SAFETY: the index is below SUBMISSIONS, as the modulus says; the place is the constructor's.
        unsafe { (at as *mut Submission).write_volatile(submission) };
        self.sq_tail = self.sq_tail.wrapping_add(1);
        word(self.places.sq_tail).store(self.sq_tail, Ordering::Release);
    }

    fn completion(&self, index: u32) -> Completion {
        let at = self.places.completions + u64::from(index) * size_of::<Completion>() as u64;
        // SAFETY: the index is below COMPLETIONS by the caller's modulus; one copy, then checked.
        unsafe { (at as *const Completion).read_volatile() }
    }
}

/// A shared word of a ring.
fn word<'a>(at: u64) -> &'a AtomicU32 {
    // SAFETY: only called with a client's places, which its constructor's caller vouched for.
    unsafe { &*(at as *const AtomicU32) }
}
