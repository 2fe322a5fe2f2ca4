//! The terminal that controls a process, and how a terminal's signals reach processes.
//!
//! A terminal knows a session and a foreground group by number, a process which terminal is its own.
//!
//! Source: tty(4), `credentials(7)`, setsid(2).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use vfs::object::{Object, OpenFile};
use vfs::stream::{self, Nature, Stream};
use vfs::terminal::pair::{self, Pair, Side};
use vfs::terminal::seat::{self, Message, Seat, signals};

use crate::Kernel;
use crate::process::Process;
use crate::signal::info::Info;
use crate::signal::{Signal, send};

/// A terminal, whoever has it open.
#[derive(Clone)]
pub enum Terminal {
    /// The host's, through which the enclave was started.
    Host,
    /// A pseudoterminal's slave.
    Pair(Arc<Pair>),
}

impl Terminal {
    /// The terminal that an open description is about, and from which side.
    pub fn of(file: &OpenFile) -> Option<(Self, Side)> {
        if let Some((pair, side)) = pair::of(file) {
            return Some((Self::Pair(Arc::clone(pair)), side));
        }
        let stream = file.downcast::<Stream>()?;
        (stream.nature() == Nature::Terminal).then_some((Self::Host, Side::Slave))
    }

    /// Who sits at it.
    pub fn seat(&self) -> &Seat {
        match self {
            Self::Host => stream::seat(),
            Self::Pair(pair) => pair.seat(),
        }
    }

    /// Whether it is `other`.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Host, Self::Host) => true,
            (Self::Pair(one), Self::Pair(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Its device number.
    pub fn number(&self) -> u64 {
        match self {
            Self::Host => {
                stream::terminal().and_then(|stream| stream.stat().ok()).map_or(0, |stat| stat.rdev)
            }
            Self::Pair(pair) => pair.device(),
        }
    }
}

impl Process {
    /// Whether it leads its session.
    pub fn leads_session(&self) -> bool {
        self.session.load(Ordering::Relaxed) == self.pid
    }

    /// The terminal that controls it.
    pub fn terminal(&self) -> Option<Terminal> {
        self.terminal.lock().clone()
    }

    /// Makes a terminal control the session that this process leads.
    pub fn take_terminal(&self, terminal: Terminal) {
        let session = self.session.load(Ordering::Relaxed);
        terminal.seat().give(session, self.group.load(Ordering::Relaxed));
        let old = self.terminal.lock().replace(terminal);
        drop(old);
    }

    /// Has no terminal from here on.
    pub fn forget_terminal(&self) {
        let old = self.terminal.lock().take();
        drop(old);
    }
}

/// Has terminals' messages carried to processes; once, at start.
pub fn connect(kernel: &'static Kernel) {
    seat::set_courier(move |message| match message {
        Message::Signal { group, signal } => signal_group(kernel, group, signal),
        Message::HungUp { session } => hang_up(kernel, session),
    });
}

/// Sends a signal of a terminal to a process group.
pub fn signal_group(kernel: &'static Kernel, group: u32, signal: i32) {
    for process in kernel.registry.processes() {
        if process.group.load(Ordering::Relaxed) == group {
            signal_process(kernel, &process, signal);
        }
    }
}

fn signal_process(kernel: &'static Kernel, process: &Arc<Process>, signal: i32) {
    if let Some(signal) = Signal::new(signal) {
        // Only real-time signals can find the queue full.
        let _ = send::send_to_process(kernel, process, Info::kernel(signal));
    }
}

fn hang_up(kernel: &'static Kernel, session: u32) {
    for process in kernel.registry.processes() {
        if process.session.load(Ordering::Relaxed) != session {
            continue;
        }
        process.forget_terminal();
        if process.leads_session() {
            signal_process(kernel, &process, signals::HANGUP);
            signal_process(kernel, &process, signals::CONTINUE);
        }
    }
}

/// The session's terminal is given up by its leader (`TIOCNOTTY`): the group in front hears of it.
pub fn give_up(kernel: &'static Kernel, session: u32, terminal: &Terminal) {
    let group = terminal.seat().foreground();
    terminal.seat().give(0, 0);
    for process in kernel.registry.processes() {
        if process.session.load(Ordering::Relaxed) == session {
            process.forget_terminal();
        }
    }
    if group != 0 {
        signal_group(kernel, group, signals::HANGUP);
        signal_group(kernel, group, signals::CONTINUE);
    }
}
