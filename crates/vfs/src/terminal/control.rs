//! ioctl(2) on a pair, as far as it concerns no processes.
//!
//! Most requests at the master are about the slave's terminal. Source: `ioctl_tty(2)`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;

use super::line::CAPACITY;
use super::pair::{After, Packet, Pair, Side, State};
use super::seat::signals;
use super::termios::{self, Input, Local, Special, Termios};
use crate::object::IoctlArgument;
use crate::pipe::FIONREAD;

/// Reads attributes.
pub const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCGETA: u32 = 0x5405;
const TCSETA: u32 = 0x5406;
const TCSETAW: u32 = 0x5407;
const TCSETAF: u32 = 0x5408;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCOUTQ: u32 = 0x5411;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TIOCPKT: u32 = 0x5420;
const TIOCSETD: u32 = 0x5423;
const TIOCGETD: u32 = 0x5424;
const TCSBRKP: u32 = 0x5425;
const TIOCSBRK: u32 = 0x5427;
const TIOCCBRK: u32 = 0x5428;
const TCGETS2: u32 = 0x802c_542a;
const TCSETS2: u32 = 0x402c_542b;
const TCSETSW2: u32 = 0x402c_542c;
const TCSETSF2: u32 = 0x402c_542d;
const TIOCGPTN: u32 = 0x8004_5430;
const TIOCSPTLCK: u32 = 0x4004_5431;
const TIOCGDEV: u32 = 0x8004_5432;
const TIOCSIG: u32 = 0x4004_5436;
const TIOCGPKT: u32 = 0x8004_5438;
const TIOCGPTLCK: u32 = 0x8004_5439;
const TIOCGEXCL: u32 = 0x8004_5440;
const TIOCEXCL: u32 = 0x540c;
const TIOCNXCL: u32 = 0x540d;

/// Shapes in which attributes are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Old,
    Plain,
    WithSpeed,
}

/// Whether what was typed is dropped as attributes are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typed {
    Kept,
    Dropped,
}

impl Pair {
    /// ioctl(2) at one side.
    pub(super) fn control(
        self: &Arc<Self>,
        side: Side,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        match request {
            TCGETS => argument.write(&self.termios().to_bytes()[..termios::PLAIN])?,
            TCGETS2 => argument.write(&self.termios().to_bytes())?,
            TCGETA => argument.write(&self.termios().to_old())?,
            TCSETS | TCSETSW => self.set(Shape::Plain, Typed::Kept, argument)?,
            TCSETSF => self.set(Shape::Plain, Typed::Dropped, argument)?,
            TCSETS2 | TCSETSW2 => self.set(Shape::WithSpeed, Typed::Kept, argument)?,
            TCSETSF2 => self.set(Shape::WithSpeed, Typed::Dropped, argument)?,
            TCSETA | TCSETAW => self.set(Shape::Old, Typed::Kept, argument)?,
            TCSETAF => self.set(Shape::Old, Typed::Dropped, argument)?,
            // Nothing has to be waited for, and there is no line to send a break on.
            TCSBRK | TCSBRKP | TIOCSBRK | TIOCCBRK => {}
            TCXONC => self.flow(side, argument.value())?,
            TCFLSH => self.flush(side, argument.value())?,
            FIONREAD => self.count(side, argument)?,
            TIOCOUTQ | TIOCGETD => argument.write(&0_i32.to_le_bytes())?,
            TIOCSETD => set_discipline(argument)?,
            TIOCGWINSZ => {
                let window = self.lock().window;
                argument.write(&window)?;
            }
            TIOCSWINSZ => self.set_window(argument)?,
            TIOCEXCL => self.lock().exclusive[side as usize] = true,
            TIOCNXCL => self.lock().exclusive[side as usize] = false,
            TIOCGEXCL => {
                let on = self.lock().exclusive[side as usize];
                argument.write(&i32::from(on).to_le_bytes())?;
            }
            TIOCGDEV => {
                let number = if side == Side::Master { 0x502 } else { self.device() };
                argument.write(&u32::try_from(number).unwrap_or(0).to_le_bytes())?;
            }
            _ if side == Side::Master => self.control_master(request, argument)?,
            _ => return Err(Errno::ENOTTY.because("a pseudoterminal has no such control")),
        }
        Ok(0)
    }

    /// What only a master knows.
    fn control_master(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<()> {
        match request {
            TIOCGPTN => argument.write(&self.index().to_le_bytes()),
            TIOCSPTLCK => {
                self.lock().locked = read_int(argument)? != 0;
                Ok(())
            }
            TIOCGPTLCK => {
                let locked = self.lock().locked;
                argument.write(&i32::from(locked).to_le_bytes())
            }
            TIOCPKT => {
                let on = read_int(argument)? != 0;
                let mut state = self.lock();
                if on && !state.packet {
                    state.status = Packet::default();
                }
                state.packet = on;
                Ok(())
            }
            TIOCGPKT => {
                let on = self.lock().packet;
                argument.write(&i32::from(on).to_le_bytes())
            }
            TIOCSIG => {
                let signal = i32::try_from(argument.value()).unwrap_or(0);
                if ![signals::INTERRUPT, signals::QUIT, signals::SUSPEND].contains(&signal) {
                    return Err(Errno::EINVAL.because("no signal of a keyboard"));
                }
                self.seat().signal(signal);
                Ok(())
            }
            _ => Err(Errno::ENOTTY.because("a pseudoterminal has no such control")),
        }
    }

    fn termios(&self) -> Termios {
        *self.lock().line.termios()
    }

    fn set(&self, shape: Shape, typed: Typed, argument: &mut dyn IoctlArgument) -> Result<()> {
        let mut bytes = [0; termios::WITH_SPEED];
        let len = match shape {
            Shape::Old => termios::OLD,
            Shape::Plain => termios::PLAIN,
            Shape::WithSpeed => termios::WITH_SPEED,
        };
        argument.read(&mut bytes[..len])?;
        let mut after = After::default();
        let mut state = self.lock();
        let old = *state.line.termios();
        let new = match (shape, bytes.first_chunk()) {
            (Shape::Old, Some(bytes)) => Termios::from_old(bytes, &old),
            _ => Termios::from_bytes(&bytes[..len], &old),
        };
        if typed == Typed::Dropped {
            state.drop_typed(&mut after);
        }
        state.set_termios(&old, new.settled(), &mut after);
        drop(state);
        self.finish(after);
        Ok(())
    }

    fn flow(&self, side: Side, action: u64) -> Result<()> {
        const STOP: u64 = 0;
        const START: u64 = 1;
        const SEND_STOP: u64 = 2;
        const SEND_START: u64 = 3;
        let mut after = After::default();
        let mut state = self.lock();
        match (action, side) {
            (STOP | START, Side::Slave) => state.suspend(action == STOP, &mut after),
            (STOP | START, Side::Master) => {
                state.typing_stopped = action == STOP;
                after.wake(Side::Master);
            }
            (SEND_STOP | SEND_START, side) => {
                let which = if action == SEND_STOP { Special::Stop } else { Special::Start };
                let default = if action == SEND_STOP { 0x13 } else { 0x11 };
                let byte = match side {
                    Side::Slave => state.line.termios().special(which),
                    Side::Master => default,
                };
                state.send(side, byte, &mut after);
            }
            _ => return Err(Errno::EINVAL.because("no such action")),
        }
        drop(state);
        self.finish(after);
        Ok(())
    }

    /// `tcflush`: what this side has to read, what the other has, or both.
    fn flush(&self, side: Side, which: u64) -> Result<()> {
        const INPUT: u64 = 0;
        const OUTPUT: u64 = 1;
        const BOTH: u64 = 2;
        if which > BOTH {
            return Err(Errno::EINVAL.because("neither input nor output"));
        }
        let mut after = After::default();
        let mut state = self.lock();
        let typed =
            (side == Side::Slave && which != OUTPUT) || (side == Side::Master && which != INPUT);
        let written =
            (side == Side::Slave && which != INPUT) || (side == Side::Master && which != OUTPUT);
        if typed && side == Side::Slave {
            state.drop_typed(&mut after);
        } else if typed {
            state.pending.clear();
            after.wake(Side::Master);
        }
        if written {
            if side == Side::Slave {
                state.tell(Packet::FLUSH_WRITE, &mut after);
            } else {
                state.output.clear();
            }
            after.wake(Side::Slave);
        }
        drop(state);
        self.finish(after);
        Ok(())
    }

    fn count(&self, side: Side, argument: &mut dyn IoctlArgument) -> Result<()> {
        let bytes = {
            let state = self.lock();
            match side {
                Side::Master => state.output.len(),
                Side::Slave => state.line.readable(),
            }
        };
        argument.write(&i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes())
    }

    fn set_window(&self, argument: &mut dyn IoctlArgument) -> Result<()> {
        let mut window = [0; 8];
        argument.read(&mut window)?;
        let changed = core::mem::replace(&mut self.lock().window, window) != window;
        if changed {
            self.seat().signal(signals::WINDOW);
        }
        Ok(())
    }

    /// Types a byte as if it had come from the master (`TIOCSTI`).
    pub fn type_byte(&self, byte: u8) {
        let mut after = After::default();
        let mut state = self.lock();
        if state.pending.len() < CAPACITY {
            state.pending.push_back(byte);
        }
        state.pump(&mut after);
        drop(state);
        self.finish(after);
    }
}

impl Pair {
    /// Shows a byte to the master's reader (`TIOCSTI` there).
    pub fn show_byte(&self, byte: u8) {
        let mut after = After::default();
        let mut state = self.lock();
        let stopped = state.line.is_stopped();
        state.emit(&[byte], stopped, &mut after);
        drop(state);
        self.finish(after);
    }
}

impl State {
    fn drop_typed(&mut self, after: &mut After) {
        self.line.flush();
        self.pending.clear();
        self.tell(Packet::FLUSH_READ, after);
        after.wake(Side::Master);
    }

    fn suspend(&mut self, on: bool, after: &mut After) {
        let stopped = self.line.is_stopped();
        let mut echoes = Vec::new();
        self.line.suspend(on, &mut echoes);
        self.emit(&echoes, stopped, after);
    }

    /// Sends a byte to the other side, unprocessed.
    fn send(&mut self, side: Side, byte: u8, after: &mut After) {
        match side {
            Side::Slave if byte != 0 => {
                self.output.push_back(byte);
                after.wake(Side::Master);
            }
            Side::Slave => {}
            Side::Master => {
                self.pending.push_back(byte);
                self.pump(after);
            }
        }
    }

    fn set_termios(&mut self, old: &Termios, new: Termios, after: &mut After) {
        let stopped = self.line.is_stopped();
        let mut echoes = Vec::new();
        self.line.set_termios(new, &mut echoes);
        self.emit(&echoes, stopped, after);
        let flows = |termios: &Termios| {
            termios.input.contains(Input::IXON)
                && termios.special(Special::Stop) == 0x13
                && termios.special(Special::Start) == 0x11
        };
        if flows(old) != flows(&new) {
            self.status -= Packet::DO_STOP | Packet::NO_STOP;
            self.tell(if flows(&new) { Packet::DO_STOP } else { Packet::NO_STOP }, after);
        }
        if (old.local | new.local).contains(Local::EXTPROC) {
            self.tell(Packet::CONTROL, after);
        }
        // Room may have come with other rules, and what was not a line may be one now.
        self.pump(after);
        after.wake(Side::Slave);
    }
}

fn set_discipline(argument: &mut dyn IoctlArgument) -> Result<()> {
    if read_int(argument)? == 0 {
        return Ok(());
    }
    Err(Errno::EINVAL.because("only the discipline N_TTY is there"))
}

fn read_int(argument: &dyn IoctlArgument) -> Result<i32> {
    let mut bytes = [0; 4];
    argument.read(&mut bytes)?;
    Ok(i32::from_le_bytes(bytes))
}
