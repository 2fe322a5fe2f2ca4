//! Who sits at a terminal: a session and a foreground group, by number; and the way to them.
//!
//! This crate knows no processes: the kernel says at start how to reach them ([`set_courier`]).

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};

use platform::sync::Once;

/// SIGHUP, SIGINT, SIGQUIT, SIGCONT, SIGTSTP, SIGWINCH.
pub mod signals {
    /// The terminal is gone.
    pub const HANGUP: i32 = 1;
    /// From the keyboard.
    pub const INTERRUPT: i32 = 2;
    /// From the keyboard.
    pub const QUIT: i32 = 3;
    /// Go on.
    pub const CONTINUE: i32 = 18;
    /// From the keyboard.
    pub const SUSPEND: i32 = 20;
    /// The window has another size.
    pub const WINDOW: i32 = 28;
}

/// What a terminal has to say to processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A signal for a process group.
    Signal {
        /// The group.
        group: u32,
        /// The signal's number.
        signal: i32,
    },
    /// The terminal of a session is gone: its processes have none, its leader hears of it.
    HungUp {
        /// The session.
        session: u32,
    },
}

type Courier = Box<dyn Fn(Message) + Send + Sync>;

static COURIER: Once<Courier> = Once::new();

/// Says who carries messages; once, at start.
pub fn set_courier(courier: impl Fn(Message) + Send + Sync + 'static) {
    COURIER.set(Box::new(courier));
}

/// Session and foreground group of a terminal; 0: none.
#[derive(Debug)]
pub struct Seat {
    session: AtomicU32,
    foreground: AtomicU32,
}

impl Default for Seat {
    fn default() -> Self {
        Self::new()
    }
}

impl Seat {
    /// Nobody sits there.
    pub const fn new() -> Self {
        Self { session: AtomicU32::new(0), foreground: AtomicU32::new(0) }
    }

    /// The session whose terminal it is.
    pub fn session(&self) -> u32 {
        self.session.load(Ordering::Relaxed)
    }

    /// The group in front, to which its signals go.
    pub fn foreground(&self) -> u32 {
        self.foreground.load(Ordering::Relaxed)
    }

    /// Gives it to a session, with a group of it in front.
    pub fn give(&self, session: u32, group: u32) {
        self.session.store(session, Ordering::Relaxed);
        self.foreground.store(group, Ordering::Relaxed);
    }

    /// Puts a group in front.
    pub fn set_foreground(&self, group: u32) {
        self.foreground.store(group, Ordering::Relaxed);
    }

    /// Sends a signal to the group in front, if there is one. With no lock held.
    pub fn signal(&self, signal: i32) {
        let group = self.foreground();
        if group != 0 {
            tell(Message::Signal { group, signal });
        }
    }

    /// The terminal is gone for its session. With no lock held.
    pub fn hang_up(&self) {
        let session = self.session();
        self.give(0, 0);
        if session != 0 {
            tell(Message::HungUp { session });
        }
    }
}

fn tell(message: Message) {
    if let Some(courier) = COURIER.get() {
        courier(message);
    }
}
