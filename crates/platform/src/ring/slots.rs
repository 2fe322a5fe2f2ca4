//! Operations in flight: what a completion must fit, and who waits for it.

use alloc::vec::Vec;
use core::task::Waker;

use abi::Untrusted;

use super::layout::{CANCELLATION, Completion};
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

/// What a completion did.
pub(crate) enum Done {
    /// It ended an operation, whose waiter is to be woken.
    Woken(Option<Waker>),
    /// It was a cancellation's own.
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
        most: usize,
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
        most: usize,
        bounce: Option<Bounce>,
    ) -> Result<Ticket, Option<Bounce>> {
        let Some(index) = self.free.pop() else { return Err(bounce) };
        let slot = &mut self.slots[index as usize];
        slot.state = State::InFlight { most, bounce, waker: None };
        Ok(Ticket { index, generation: slot.generation })
    }

    pub(crate) fn complete(&mut self, completion: Completion) -> Done {
        if completion.user_data == CANCELLATION {
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
            State::InFlight { most, bounce, waker } => {
                // More than was asked for is the host's lie: an error, never a length.
                let believable = usize::try_from(completion.result).is_ok_and(|got| got <= most)
                    || (-4095..0).contains(&completion.result);
                let lie = -i64::from(abi::Errno::EIO.raw());
                let result = if believable { completion.result.into() } else { lie };
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

    pub(crate) fn poll(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
    ) -> Option<(Untrusted<i64>, Option<Bounce>)> {
        let slot = self.slots.get_mut(ticket.index as usize)?;
        if slot.generation != ticket.generation {
            return None;
        }
        match core::mem::replace(&mut slot.state, State::Free) {
            State::Ended { result, bounce } => {
                Self::free(&mut self.free, slot, ticket.index.into());
                Some((Untrusted::new(result), bounce))
            }
            State::InFlight { most, bounce, waker: old } => {
                let keep = old.filter(|old| old.will_wake(waker)).unwrap_or_else(|| waker.clone());
                slot.state = State::InFlight { most, bounce, waker: Some(keep) };
                None
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// Nobody waits for the operation any more; true when the host still works on it.
    pub(crate) fn abandon(&mut self, ticket: Ticket) -> bool {
        let Some(slot) = self.slots.get_mut(ticket.index as usize) else { return false };
        if slot.generation != ticket.generation {
            return false;
        }
        match core::mem::replace(&mut slot.state, State::Free) {
            State::InFlight { bounce, .. } => {
                slot.state = State::Abandoned { bounce };
                true
            }
            State::Ended { bounce, .. } => {
                drop(bounce);
                Self::free(&mut self.free, slot, ticket.index.into());
                false
            }
            other => {
                slot.state = other;
                false
            }
        }
    }

    fn free(free: &mut Vec<u32>, slot: &mut Slot, index: u64) {
        slot.state = State::Free;
        slot.generation = slot.generation.wrapping_add(1);
        free.push(u32::try_from(index).unwrap_or(0));
    }
}
