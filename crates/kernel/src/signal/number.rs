//! Signal numbers, sets of them, and what each does when nobody handles it.
//!
//! Source: signal(7).

use core::fmt;

/// The highest signal number.
pub const LAST: u8 = 64;
/// The first real-time signal; from here on signals queue.
pub const FIRST_REALTIME: u8 = 32;

/// A signal number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// What a signal does when the program has not said anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Ends the process.
    Terminate,
    /// Ends the process and would dump its memory.
    Core,
    /// Nothing.
    Ignore,
    /// Stops all threads.
    Stop,
    /// Lets stopped threads go on; nothing otherwise.
    Continue,
}

macro_rules! signals {
    ($($number:literal $name:ident $action:ident;)*) => {
        impl Signal {
            $(
                #[doc = concat!("SIG", stringify!($name))]
                pub const $name: Self = Self($number);
            )*

            /// What it does when the program has not said anything else.
            pub const fn default_action(self) -> Default {
                match self.0 {
                    $($number => Default::$action,)*
                    _ => Default::Terminate,
                }
            }

            /// Its name without SIG, or `None` for a real-time signal.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    1 HUP Terminate;
    2 INT Terminate;
    3 QUIT Core;
    4 ILL Core;
    5 TRAP Core;
    6 ABRT Core;
    7 BUS Core;
    8 FPE Core;
    9 KILL Terminate;
    10 USR1 Terminate;
    11 SEGV Core;
    12 USR2 Terminate;
    13 PIPE Terminate;
    14 ALRM Terminate;
    15 TERM Terminate;
    16 STKFLT Terminate;
    17 CHLD Ignore;
    18 CONT Continue;
    19 STOP Stop;
    20 TSTP Stop;
    21 TTIN Stop;
    22 TTOU Stop;
    23 URG Ignore;
    24 XCPU Core;
    25 XFSZ Core;
    26 VTALRM Terminate;
    27 PROF Terminate;
    28 WINCH Ignore;
    29 IO Terminate;
    30 PWR Terminate;
    31 SYS Core;
}

impl Signal {
    /// The signal with a number, or `None` outside 1 to 64.
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "1 to 64")]
    pub const fn new(number: i32) -> Option<Self> {
        if number >= 1 && number <= LAST as i32 { Some(Self(number as u8)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether it queues: each one sent is delivered, with its information.
    pub const fn is_realtime(self) -> bool {
        self.0 >= FIRST_REALTIME
    }

    /// Whether no program can block, ignore or handle it.
    pub const fn is_unstoppable(self) -> bool {
        self.0 == Self::KILL.0 || self.0 == Self::STOP.0
    }

    /// Its place in a table of all signals.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "SIGRT{}", self.0),
        }
    }
}

/// A set of signals, as a word: signal n is bit n-1.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// Those that no program can block.
    pub const UNSTOPPABLE: Self = Self::of(&[Signal::KILL, Signal::STOP]);
    /// Those that instructions cause.
    pub const SYNCHRONOUS: Self =
        Self::of(&[Signal::SEGV, Signal::BUS, Signal::ILL, Signal::TRAP, Signal::FPE, Signal::SYS]);
    /// Those that stop a process by default.
    pub const STOPPING: Self = Self::of(&[Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU]);

    /// The set of the bits of a word.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set of some signals.
    pub const fn of(signals: &[Signal]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < signals.len() {
            bits |= 1 << signals[index].index();
            index += 1;
        }
        Self(bits)
    }

    /// The word.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether no signal is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `signal` is in it.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 >> signal.index() & 1 == 1
    }

    /// With `signal` in it.
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << signal.index())
    }

    /// All of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Without those of `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// As a mask: without the two that can't be blocked.
    #[must_use]
    pub const fn as_mask(self) -> Self {
        self.minus(Self::UNSTOPPABLE)
    }

    /// The lowest signal in it.
    pub const fn first(self) -> Option<Signal> {
        if self.0 == 0 { None } else { Signal::new(self.0.trailing_zeros().cast_signed() + 1) }
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = *self;
        let mut set = f.debug_set();
        while let Some(signal) = left.first() {
            set.entry(&signal);
            left = left.minus(Self::of(&[signal]));
        }
        set.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Default, Signal, SignalSet};

    #[test]
    fn numbers_end_at_64() {
        assert!(Signal::new(0).is_none());
        assert!(Signal::new(65).is_none());
        assert!(Signal::new(-1).is_none());
        assert_eq!(Signal::new(11), Some(Signal::SEGV));
        assert_eq!(Signal::new(64).map(Signal::default_action), Some(Default::Terminate));
    }

    #[test]
    fn sets_are_ordered_by_number() {
        let set = SignalSet::of(&[Signal::TERM, Signal::INT, Signal::KILL]);
        assert_eq!(set.bits(), 1 << 14 | 1 << 1 | 1 << 8);
        assert_eq!(set.first(), Some(Signal::INT));
        assert!(!set.as_mask().contains(Signal::KILL));
        let last = Signal::new(64).expect("64 is a signal");
        assert_eq!(SignalSet::EMPTY.with(last).bits(), 1 << 63);
        assert_eq!(SignalSet::from_bits(1 << 63).first(), Some(last));
    }
}
