//! A pair: what is typed at the master goes through the line discipline to the slave, what is written
//! at the slave comes out at the master.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::sync::{Guard, Mutex};

use super::folder;
use super::line::{Line, Signal};
use super::master::Master;
use super::seat::{Seat, signals};
use super::slave::Slave;
use super::termios::{Local, Output, Special, Termios};
use crate::credentials::Owner;
use crate::node::TYPE_MASK;
use crate::object::{Object, OpenFile, Pace};
use crate::tree::attributes::Attributes;

/// Bytes that wait at the master for the discipline, at most.
const PENDING: usize = 8192;
/// Bytes that wait to be read at the master, at most, before a writer waits.
const OUTPUT: usize = 65_536;
/// Bytes taken at a time. A write that is no longer than this and may wait is done whole or not yet.
pub(super) const CHUNK: usize = 4096;
/// What one written byte becomes at most: a tab, as spaces.
const WIDEST: usize = 8;
/// Echoes are dropped where the master has so many bytes to read.
const ECHO_END: usize = 2 * OUTPUT;
const TENTH: u64 = 100_000_000;

bitflags::bitflags! {
    /// What packet mode tells, with the bits of `ioctl_tty(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Packet: u8 {
        /// What was typed was dropped.
        const FLUSH_READ = 1;
        /// What was written was dropped.
        const FLUSH_WRITE = 2;
        /// Output is stopped.
        const STOP = 4;
        /// Output goes on.
        const START = 8;
        /// `^S` and `^Q` mean nothing now.
        const NO_STOP = 16;
        /// They do now.
        const DO_STOP = 32;
        /// Attributes changed, with EXTPROC.
        const CONTROL = 64;
    }
}

/// What both sides share.
pub struct Pair {
    index: u32,
    state: Mutex<State>,
    /// Who waits at the master, and at the slave.
    pub(super) queues: [WaitQueue; 2],
    seat: Seat,
    attributes: Attributes,
}

/// The terminal's state.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own, as the terminal has it"
)]
pub(super) struct State {
    pub(super) line: Line,
    /// Typed, and not yet seen by the discipline, which has no room.
    pub(super) pending: VecDeque<u8>,
    /// For the master to read.
    pub(super) output: VecDeque<u8>,
    /// Packet mode is on; what it has to tell.
    pub(super) packet: bool,
    pub(super) status: Packet,
    /// Rows, columns, and pixels.
    pub(super) window: [u8; 8],
    /// The slave can't be opened yet.
    pub(super) locked: bool,
    /// The master's writes wait (`TCXONC` there).
    pub(super) typing_stopped: bool,
    /// Only the privileged may open a side once more: master, slave.
    pub(super) exclusive: [bool; 2],
    /// Descriptions of the slave, and whether there were some that are gone.
    pub(super) slaves: usize,
    pub(super) slave_closed: bool,
    pub(super) master_closed: bool,
    /// Counted up when all slaves that are open lose the terminal.
    pub(super) hangups: u32,
}

/// Which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Plays the terminal.
    Master = 0,
    /// Is taken for one.
    Slave = 1,
}

/// What has to be done once the lock is dropped.
#[derive(Default)]
pub(super) struct After {
    pub(super) wake: [bool; 2],
    pub(super) signals: Vec<i32>,
}

impl After {
    pub(super) fn wake(&mut self, side: Side) {
        self.wake[side as usize] = true;
    }
}

/// The pair of an open description, and which side it is.
pub fn of(file: &OpenFile) -> Option<(&Arc<Pair>, Side)> {
    if let Some(slave) = file.downcast::<Slave>() {
        return Some((slave.pair(), Side::Slave));
    }
    file.downcast::<Master>().map(|master| (master.pair(), Side::Master))
}

/// Makes a pair and opens its master.
///
/// # Errors
/// ENOSPC when there are as many as may be, ENOMEM.
pub fn open_master() -> Result<Arc<dyn Object>> {
    let pair = folder::add(|index| {
        let owner = Owner { uid: 0, gid: 0, mode: crate::anonymous::S_IFCHR | 0o600 };
        let attributes =
            Attributes::new(folder::FIRST_INODE + u64::from(index), owner, 1, number(index));
        Ok(Arc::new(Pair {
            index,
            state: Mutex::new(State::default()),
            queues: [WaitQueue::new(), WaitQueue::new()],
            seat: Seat::default(),
            attributes,
        }))
    })?;
    Ok(Arc::new(Master::new(pair)))
}

/// The device number of a slave.
fn number(index: u32) -> u64 {
    const MAJOR: u64 = 136;
    let minor = u64::from(index);
    minor & 0xff | MAJOR << 8 | (minor & !0xff) << 12
}

impl Default for State {
    fn default() -> Self {
        Self {
            line: Line::default(),
            pending: VecDeque::new(),
            output: VecDeque::new(),
            packet: false,
            status: Packet::default(),
            window: [0; 8],
            locked: true,
            typing_stopped: false,
            exclusive: [false; 2],
            slaves: 0,
            slave_closed: false,
            master_closed: false,
            hangups: 0,
        }
    }
}

impl State {
    /// Lets the discipline see what was typed, as far as it has room.
    pub(super) fn pump(&mut self, after: &mut After) {
        let mut echoes = Vec::new();
        let stopped = self.line.is_stopped();
        self.line.begin();
        while self.line.room() > 0 {
            let Some(byte) = self.pending.pop_front() else { break };
            let signal = self.line.receive(byte, &mut echoes);
            if let Some(signal) = signal {
                after.signals.push(match signal {
                    Signal::Interrupt => signals::INTERRUPT,
                    Signal::Quit => signals::QUIT,
                    Signal::Suspend => signals::SUSPEND,
                });
                if !self.line.termios().local.contains(Local::NOFLSH) {
                    self.tell(Packet::FLUSH_READ | Packet::FLUSH_WRITE, after);
                }
            }
        }
        self.emit(&echoes, stopped, after);
        if self.line.is_readable() {
            after.wake(Side::Slave);
        }
    }

    /// Hands on what the discipline echoed, and tells of output that stopped or started.
    pub(super) fn emit(&mut self, echoes: &[u8], was_stopped: bool, after: &mut After) {
        if !echoes.is_empty() {
            let room = ECHO_END.saturating_sub(self.output.len());
            self.output.extend(&echoes[..echoes.len().min(room)]);
            after.wake(Side::Master);
        }
        let stopped = self.line.is_stopped();
        if stopped != was_stopped {
            after.wake(Side::Slave);
            let (new, old) =
                if stopped { (Packet::STOP, Packet::START) } else { (Packet::START, Packet::STOP) };
            self.status -= old;
            self.tell(new, after);
        }
    }

    /// Packet mode has something to tell.
    pub(super) fn tell(&mut self, what: Packet, after: &mut After) {
        if self.packet {
            self.status |= what;
            after.wake(Side::Master);
        }
    }

    /// How many bytes may be typed.
    pub(super) fn typing_room(&self) -> usize {
        if self.typing_stopped { 0 } else { PENDING.saturating_sub(self.pending.len()) }
    }

    pub(super) fn output_room(&self) -> usize {
        if self.line.is_stopped() {
            return 0;
        }
        OUTPUT.saturating_sub(self.output.len())
    }

    /// How many bytes a write may hand over that needn't be done whole.
    pub(super) fn admitted(&self) -> usize {
        let room = self.output_room();
        let processed = self.line.termios().output.contains(Output::OPOST);
        if processed { room / WIDEST } else { room }
    }

    /// Whether a poll tells that something can be read at the slave.
    pub(super) fn readable_by_poll(&self) -> bool {
        if self.line.termios().canonical() {
            return self.line.is_readable();
        }
        let least = usize::from(self.line.termios().special(Special::Least));
        let timed = self.line.termios().special(Special::Time) != 0;
        let wanted = if timed { 1 } else { least.max(1) };
        self.line.readable() >= wanted
    }
}

impl Pair {
    /// Its number below `/dev/pts`.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The device number of its slave.
    pub fn device(&self) -> u64 {
        self.attributes.rdev
    }

    /// Who sits at it.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(super) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    pub(super) fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// Does what was put off until the lock is dropped.
    pub(super) fn finish(&self, after: After) {
        for (wake, queue) in after.wake.into_iter().zip(&self.queues) {
            if wake {
                queue.wake_all();
            }
        }
        for signal in after.signals {
            self.seat.signal(signal);
        }
    }

    /// Makes `uid` and `gid` own the slave: they opened the master.
    pub fn set_owner(&self, uid: u32, gid: u32) {
        let permissions = self.attributes.owner().mode & !TYPE_MASK;
        self.attributes.change(crate::node::Change::Owner(Some(uid), Some(gid), permissions));
    }

    /// Whether only the privileged may open a side once more.
    pub fn is_exclusive(&self, side: Side) -> bool {
        self.lock().exclusive[side as usize]
    }

    /// Opens the slave.
    ///
    /// # Errors
    /// EIO while it is locked, and once the master is closed.
    pub fn open_slave(self: &Arc<Self>) -> Result<Arc<Slave>> {
        let mut state = self.lock();
        if state.locked || state.master_closed {
            return Err(Errno::EIO.because("the slave is locked, or its master closed"));
        }
        state.slaves += 1;
        state.slave_closed = false;
        let hangups = state.hangups;
        drop(state);
        Ok(Arc::new(Slave::new(Arc::clone(self), hangups)))
    }

    /// Takes the terminal away from all who have the slave open, and from its session.
    pub fn hang_up(&self) {
        let mut state = self.lock();
        state.hangups += 1;
        state.line.flush();
        drop(state);
        self.queues.iter().for_each(|queue| {
            queue.wake_all();
        });
        self.seat.hang_up();
    }
}

pub(super) fn no_memory() -> abi::Error {
    Errno::ENOMEM.because("no memory for what the terminal has to keep")
}

/// How reads wait by a terminal's attributes, where input doesn't come in lines.
pub fn pace(termios: &Termios) -> Option<Pace> {
    if termios.local.contains(Local::ICANON) {
        return None;
    }
    let least = usize::from(termios.special(Special::Least));
    let time = u64::from(termios.special(Special::Time)) * TENTH;
    Some(match (least, time) {
        (0, time) => Pace { least: 1, first: time, between: u64::MAX },
        (least, 0) => Pace { least, first: u64::MAX, between: u64::MAX },
        (least, time) => Pace { least, first: u64::MAX, between: time },
    })
}
