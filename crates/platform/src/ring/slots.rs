//! Operations in flight: what a completion must fit, and who waits for it.

use alloc::vec::Vec;
use core::task::Waker;

use abi::Untrusted;
use abi::ring::{CQE_IMPOSSIBLE, Completion, UNAWAITED};

use crate::io::Bounce;

/// Names one operation in flight: slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    index: u32,
    generation: u32,
}

impl Ticket {
    /// As it crosses the wall.
    pub(crate) fn user_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

/// What an operation may answer with, beside an errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A count of at most so many.
    AtMost(usize),
    /// A handle, in two halves.
    Handle,
}

impl Answer {
    /// The result, or `None` when the host lies.
    fn check(self, completion: Completion) -> Option<i64> {
        let result = completion.result;
        if (-4095..0).contains(&result) {
            return (completion.flags & CQE_IMPOSSIBLE == 0).then_some(result.into());
        }
        let count = usize::try_from(result).ok()?;
        match self {
            Self::AtMost(most) => {
                (count <= most && completion.flags & CQE_IMPOSSIBLE == 0).then_some(result.into())
            }
            Self::Handle => {
                let upper = i64::from(completion.flags).checked_shl(32)?;
                Some(upper | i64::from(result)).filter(|handle| *handle >= 0)
            }
        }
    }
}

/// What a completion did.
pub(crate) enum Done {
    /// It ended an operation, whose waiter is to be woken.
    Woken(Option<Waker>),
    /// It was of an entry that nobody waits for.
    Ignored,
    /// It fits nothing in flight.
    Rejected,
}

struct Slot {
    generation: u32,
    state: State,
}

enum State {
    Free,
    InFlight {
        answer: Answer,
        bounce: Option<Bounce>,
        waker: Option<Waker>,
    },
    /// Nobody waits any more; the buffer stays until the host is done with it.
    Abandoned {
        bounce: Option<Bounce>,
    },
    Ended {
        result: i64,
        bounce: Option<Bounce>,
    },
}

pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        let slots = (0..count).map(|_| Slot { generation: 1, state: State::Free }).collect();
        let free = (0..u32::try_from(count).unwrap_or(0)).rev().collect();
        Self { slots, free }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a slot for an operation; the buffer comes back when none is free.
    pub(crate) fn take(
        &mut self,
        answer: Answer,
        bounce: Option<Bounce>,
    ) -> Result<Ticket, Option<Bounce>> {
        let Some(index) = self.free.pop() else { return Err(bounce) };
        let slot = &mut self.slots[index as usize];
        slot.state = State::InFlight { answer, bounce, waker: None };
        Ok(Ticket { index, generation: slot.generation })
    }

    pub(crate) fn complete(&mut self, completion: Completion) -> Done {
        if completion.user_data == UNAWAITED {
            return Done::Ignored;
        }
        let [index, generation] = [completion.user_data & 0xffff_ffff, completion.user_data >> 32];
        let Some(slot) = usize::try_from(index).ok().and_then(|index| self.slots.get_mut(index))
        else {
            return Done::Rejected;
        };
        if u64::from(slot.generation) != generation {
            return Done::Rejected;
        }
        match core::mem::replace(&mut slot.state, State::Free) {
            State::InFlight { answer, bounce, waker } => {
                // More than was asked for is the host's lie: an error, never a length.
                let lie = -i64::from(abi::Errno::EIO.raw());
                let result = answer.check(completion).unwrap_or(lie);
                slot.state = State::Ended { result, bounce };
                Done::Woken(waker)
            }
            State::Abandoned { bounce } => {
                drop(bounce);
                Self::free(&mut self.free, slot, index);
                Done::Woken(None)
            }
            other @ (State::Free | State::Ended { .. }) => {
                slot.state = other;
                Done::Rejected
            }
        }
    }

    /// The result of an operation; while it is in flight, the waker that `waker` replaced.
    pub(crate) fn poll(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
    ) -> Result<(Untrusted<i64>, Option<Bounce>), Option<Waker>> {
        let slot = self.slots.get_mut(ticket.index as usize).ok_or(None)?;
        if slot.generation != ticket.generation {
            return Err(None);
        }
        match core::mem::replace(&mut slot.state, State::Free) {
            State::Ended { result, bounce } => {
                Self::free(&mut self.free, slot, ticket.index.into());
                Ok((Untrusted::new(result), bounce))
            }
            State::InFlight { answer, bounce, waker: old } => {
                let same = old.as_ref().is_some_and(|old| old.will_wake(waker));
                let (kept, replaced) = if same { (old, None) } else { (Some(waker.clone()), old) };
                slot.state = State::InFlight { answer, bounce, waker: kept };
                Err(replaced)
            }
            other => {
                slot.state = other;
                Err(None)
            }
        }
    }

    /// Nobody waits for the operation any more: whether the host still works on it, and the waker of
    /// who waited.
    pub(crate) fn abandon(&mut self, ticket: Ticket) -> (bool, Option<Waker>) {
        let Some(slot) = self.slots.get_mut(ticket.index as usize) else { return (false, None) };
        if slot.generation != ticket.generation {
            return (false, None);
        }
        match core::mem::replace(&mut slot.state, State::Free) {
            State::InFlight { bounce, waker, .. } => {
                slot.state = State::Abandoned { bounce };
                (true, waker)
            }
            State::Ended { bounce, .. } => {
                drop(bounce);
                Self::free(&mut self.free, slot, ticket.index.into());
                (false, None)
            }
            other => {
                slot.state = other;
                (false, None)
            }
        }
    }

    fn free(free: &mut Vec<u32>, slot: &mut Slot, index: u64) {
        slot.state = State::Free;
        slot.generation = slot.generation.wrapping_add(1);
        free.push(u32::try_from(index).unwrap_or(0));
    }
}
