//! What a process does about each signal.
//!
//! Source: sigaction(2); the layout is the kernel's `struct sigaction`, not the C library's.

use crate::signal::number::{Default, LAST, Signal, SignalSet};

bitflags::bitflags! {
    /// `sa_flags`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u64 {
        /// No SIGCHLD when children stop.
        const NOCLDSTOP = 0x1;
        /// Children leave no zombies.
        const NOCLDWAIT = 0x2;
        /// The handler gets three arguments. (It always does on x86-64.)
        const SIGINFO = 0x4;
        /// Address tags reach the handler; without meaning on x86-64.
        const EXPOSE_TAGBITS = 0x800;
        /// `restorer` is valid.
        const RESTORER = 0x0400_0000;
        /// The handler runs on the alternate stack.
        const ONSTACK = 0x0800_0000;
        /// Interrupted calls go on.
        const RESTART = 0x1000_0000;
        /// The signal itself is not blocked in its handler.
        const NODEFER = 0x4000_0000;
        /// The handler runs once.
        const RESETHAND = 0x8000_0000;
    }
}

/// `SIG_DFL`.
pub const DEFAULT: u64 = 0;
/// `SIG_IGN`.
pub const IGNORE: u64 = 1;

/// What is done about one signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// [`DEFAULT`], [`IGNORE`] or the handler's address.
    pub handler: u64,
    /// How.
    pub flags: Flags,
    /// Where the handler returns to.
    pub restorer: u64,
    /// What else is blocked in the handler.
    pub mask: SignalSet,
}

impl Action {
    /// Nothing said.
    pub const DEFAULT: Self =
        Self { handler: DEFAULT, flags: Flags::empty(), restorer: 0, mask: SignalSet::EMPTY };

    /// From the four words that a program passes. Flags without meaning are dropped, as Linux does
    /// since 5.11, so that a program can read back which are supported.
    pub fn from_words([handler, flags, restorer, mask]: [u64; 4]) -> Self {
        Self {
            handler,
            flags: Flags::from_bits_truncate(flags),
            restorer,
            mask: SignalSet::from_bits(mask).as_mask(),
        }
    }

    /// As the program reads it back.
    pub fn to_words(self) -> [u64; 4] {
        [self.handler, self.flags.bits(), self.restorer, self.mask.bits()]
    }

    /// Whether `signal` would do nothing.
    pub fn ignores(&self, signal: Signal) -> bool {
        match self.handler {
            IGNORE => true,
            DEFAULT => matches!(signal.default_action(), Default::Ignore | Default::Continue),
            _ => false,
        }
    }

    /// Whether a handler of the program runs.
    pub fn is_handler(&self) -> bool {
        self.handler > IGNORE
    }
}

/// What is done about every signal.
#[derive(Clone, Debug)]
pub struct Actions([Action; LAST as usize]);

impl Actions {
    /// Nothing said about any.
    pub const fn new() -> Self {
        Self([Action::DEFAULT; LAST as usize])
    }

    /// Some are ignored, nothing is said about the others.
    pub fn ignoring(ignored: SignalSet) -> Self {
        let mut actions = Self::new();
        let mut left = ignored.as_mask();
        while let Some(signal) = left.first() {
            left = left.minus(SignalSet::of(&[signal]));
            actions.set(signal, Action { handler: IGNORE, ..Action::DEFAULT });
        }
        actions
    }

    /// What is done about `signal`.
    pub fn get(&self, signal: Signal) -> Action {
        self.0[signal.index()]
    }

    /// Sets it; gives what was done before.
    pub fn set(&mut self, signal: Signal, action: Action) -> Action {
        core::mem::replace(&mut self.0[signal.index()], action)
    }

    /// What execve(2) leaves: handlers are gone, what was ignored stays ignored.
    pub fn reset_for_exec(&mut self) {
        for action in &mut self.0 {
            let handler = if action.handler == IGNORE { IGNORE } else { DEFAULT };
            *action = Action { handler, ..Action::DEFAULT };
        }
    }

    /// The signals that have handlers, and those that are ignored by `SIG_IGN`.
    pub fn caught_and_ignored(&self) -> (SignalSet, SignalSet) {
        let mut sets = (SignalSet::EMPTY, SignalSet::EMPTY);
        for number in 1..=LAST {
            let Some(signal) = Signal::new(i32::from(number)) else { continue };
            match self.get(signal).handler {
                DEFAULT => {}
                IGNORE => sets.1 = sets.1.with(signal),
                _ => sets.0 = sets.0.with(signal),
            }
        }
        sets
    }
}

impl core::default::Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Actions, Flags, IGNORE};
    use crate::signal::number::{Signal, SignalSet};

    #[test]
    fn unknown_flags_and_unblockable_signals_are_dropped() {
        let action = Action::from_words([0x1000, 0x0400_0400 | 1 << 40, 0x2000, u64::MAX]);
        assert_eq!(action.flags, Flags::RESTORER);
        assert_eq!(action.mask, SignalSet::from_bits(u64::MAX).as_mask());
        assert!(action.is_handler() && !action.ignores(Signal::CHLD));
        assert!(Action::DEFAULT.ignores(Signal::CONT) && !Action::DEFAULT.ignores(Signal::TERM));
    }

    #[test]
    fn exec_keeps_what_is_ignored() {
        let mut actions = Actions::new();
        actions.set(Signal::INT, Action { handler: IGNORE, ..Action::DEFAULT });
        actions.set(Signal::TERM, Action { handler: 0x4000, ..Action::DEFAULT });
        let (caught, ignored) = actions.caught_and_ignored();
        assert_eq!(caught, SignalSet::of(&[Signal::TERM]));
        assert_eq!(ignored, SignalSet::of(&[Signal::INT]));
        actions.reset_for_exec();
        assert_eq!(actions.get(Signal::TERM), Action::DEFAULT);
        assert!(actions.get(Signal::INT).ignores(Signal::INT));
    }
}
