//! Signal-driven I/O: who hears by a signal that something can be done with a description.
//!
//! Here is what a description remembers; sending is the business of who knows processes.
//!
//! Source: fcntl(2), "Managing signals"; `O_ASYNC` in open(2).

use alloc::vec::Vec;

use executor::wait_queue::{Subscription, WaitQueue};

/// What can be done, with the `si_code` that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// Something can be read.
    In = 1,
    /// Something can be written.
    Out = 2,
    /// The other end is gone.
    Hangup = 6,
}

impl Band {
    /// `si_band`: the bits of poll(2).
    pub fn events(self) -> i64 {
        match self {
            Self::In => 0x41,
            Self::Out => 0x304,
            Self::Hangup => 0x18,
        }
    }
}

/// What the number of an owner counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Threads.
    #[default]
    Thread,
    /// Processes.
    Process,
    /// Process groups.
    Group,
}

/// Who hears of a description, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// What `id` counts.
    pub kind: Kind,
    /// Thread, process or group; 0: nobody.
    pub id: u32,
    /// User and effective user of who said so.
    pub users: [u32; 2],
    /// The signal; 0: SIGIO, which then says nothing.
    pub signal: u8,
}

/// A queue whose wake-ups are signals, and of what: `None` is for poll(2) to tell.
pub type Source<'a> = (&'a WaitQueue, Option<Band>);

/// What a description remembers of all this.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) owner: Owner,
    /// Signals are sent as long as there are some.
    pub(crate) subscriptions: Vec<Subscription>,
}
