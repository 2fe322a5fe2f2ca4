//! Control of the host's terminal.
//!
//! Source: `ioctl_tty(2)`, termios(3).

use abi::Errno;
use abi::errno::Result;
use abi::io::Code;

use super::Stream;
use super::host::{Data, Host};
use crate::object::IoctlArgument;
use crate::pipe::FIONREAD;

const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCOUTQ: u32 = 0x5411;
const TIOCGETD: u32 = 0x5424;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TCGETS2: u32 = 0x802c_542a;
const TCSETS2: u32 = 0x402c_542b;
const TCSETSW2: u32 = 0x402c_542c;
const TCSETSF2: u32 = 0x402c_542d;

/// Bytes of the kernel's `struct termios`.
const TERMIOS: usize = 36;
/// Bytes of `struct termios2`: two speeds more.
const TERMIOS2: usize = 44;
/// Bytes of `struct winsize`.
const WINSIZE: usize = 8;
/// What a terminal without a line says its speed is.
const SPEED: u32 = 38_400;

/// When new attributes take effect: `flags` of [`Code::SetTerminal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum When {
    Now = 0,
    Drained = 1,
    Flushed = 2,
}

/// Reads a terminal's attributes.
///
/// # Errors
/// ENOTTY when it is none.
pub(super) fn attributes(host: &dyn Host, handle: u64) -> Result<[u8; TERMIOS]> {
    let mut termios = [0; TERMIOS];
    host.perform(Code::GetTerminal, handle, 0, 0, Data::Out(&mut termios))
        .count_at_most(TERMIOS)?;
    Ok(termios)
}

impl Stream {
    /// ioctl(2) on a terminal.
    pub(super) fn control_terminal(
        &self,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        match request {
            TCGETS => argument.write(&attributes(self.host, self.handle)?)?,
            TCGETS2 => argument.write(&self.attributes_with_speed()?)?,
            TCSETS | TCSETS2 => self.set_attributes(argument, When::Now)?,
            TCSETSW | TCSETSW2 => self.set_attributes(argument, When::Drained)?,
            TCSETSF | TCSETSF2 => self.set_attributes(argument, When::Flushed)?,
            TIOCGWINSZ => argument.write(&self.window()?)?,
            TIOCSWINSZ => self.set_window(argument)?,
            // With an argument it waits for the output to be drained; without, it sends a break.
            TCSBRK if argument.value() != 0 => self.reapply(When::Drained)?,
            TCSBRK => {}
            TCFLSH => self.act(Code::FlushTerminal, argument.value(), 2)?,
            TCXONC => self.act(Code::SuspendTerminal, argument.value(), 3)?,
            FIONREAD => self.count(0, argument)?,
            TIOCOUTQ => self.count(1, argument)?,
            TIOCGETD => argument.write(&0_i32.to_le_bytes())?,
            _ => return Err(Errno::ENOTTY.because("the host's terminal has no such control")),
        }
        Ok(0)
    }

    fn attributes_with_speed(&self) -> Result<[u8; TERMIOS2]> {
        let mut termios = [0; TERMIOS2];
        termios[..TERMIOS].copy_from_slice(&attributes(self.host, self.handle)?);
        termios[TERMIOS..TERMIOS + 4].copy_from_slice(&SPEED.to_le_bytes());
        termios[TERMIOS + 4..].copy_from_slice(&SPEED.to_le_bytes());
        Ok(termios)
    }

    fn set_attributes(&self, argument: &mut dyn IoctlArgument, when: When) -> Result<()> {
        let mut termios = [0; TERMIOS];
        argument.read(&mut termios)?;
        self.apply(&termios, when)
    }

    fn apply(&self, termios: &[u8; TERMIOS], when: When) -> Result<()> {
        let data = Data::In(termios);
        self.host.perform(Code::SetTerminal, self.handle, 0, when as u32, data).nothing()
    }

    /// Sets the attributes to what they are: for what happens on the way.
    fn reapply(&self, when: When) -> Result<()> {
        self.apply(&attributes(self.host, self.handle)?, when)
    }

    fn window(&self) -> Result<[u8; WINSIZE]> {
        let mut window = [0; WINSIZE];
        self.host
            .perform(Code::GetWindow, self.handle, 0, 0, Data::Out(&mut window))
            .count_at_most(WINSIZE)?;
        Ok(window)
    }

    fn set_window(&self, argument: &mut dyn IoctlArgument) -> Result<()> {
        let mut window = [0; WINSIZE];
        argument.read(&mut window)?;
        self.host.perform(Code::SetWindow, self.handle, 0, 0, Data::In(&window)).nothing()
    }

    /// How many bytes wait, as the host says.
    fn count(&self, which: u32, argument: &mut dyn IoctlArgument) -> Result<()> {
        const MOST: usize = 1 << 20;
        let answer = self.host.perform(Code::CountTerminal, self.handle, 0, which, Data::None);
        let bytes = i32::try_from(answer.count_at_most(MOST)?).unwrap_or(i32::MAX);
        argument.write(&bytes.to_le_bytes())
    }

    /// A request whose argument is a number up to `most`.
    fn act(&self, code: Code, which: u64, most: u32) -> Result<()> {
        let which = u32::try_from(which).ok().filter(|which| *which <= most);
        let which = which.ok_or(Errno::EINVAL.because("no such action"))?;
        self.host.perform(code, self.handle, 0, which, Data::None).nothing()
    }
}
