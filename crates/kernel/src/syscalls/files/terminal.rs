//! Terminals, as far as they concern processes: opening them, controlling terminals, sessions and groups.
//!
//! Source: `ioctl_tty(2)`, tty(4), open(2).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Capabilities;
use vfs::descriptor::OnExec;
use vfs::device::{self, Device};
use vfs::node::Kind;
use vfs::object::{Object, OpenFile, Status};
use vfs::opening::How;
use vfs::terminal::folder;
use vfs::terminal::pair::{self, Pair, Side};
use vfs::terminal::slave::Slave;

use super::control::Argument;
use crate::context::Context;
use crate::process::terminal::{Terminal, give_up};

const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCSTI: u32 = 0x5412;
const TIOCNOTTY: u32 = 0x5422;
const TIOCGSID: u32 = 0x5429;
const TIOCVHANGUP: u32 = 0x5437;
const TIOCGPTPEER: u32 = 0x5441;
const NOT_OWN: &str = "the terminal is not the caller's own";

/// What becomes of a description that open(2) made, where it is a terminal's: `/dev/tty` becomes the caller's
/// own, a new pair gets its owner, a session's leader may get a terminal.
///
/// # Errors
/// ENXIO for `/dev/tty` without a terminal, EBUSY for one that is open exclusively.
pub(super) fn opened(cx: &Context<'_>, file: Arc<OpenFile>, how: How) -> Result<Arc<OpenFile>> {
    let is_device = file.place().is_some_and(|place| place.node().kind() == Kind::Character);
    if !is_device {
        return Ok(file);
    }
    if let Some(device) = file.downcast::<Device>() {
        return if device.kind() == device::Kind::Tty { own(cx, &file) } else { Ok(file) };
    }
    if let Some((pair, side)) = pair::of(&file) {
        opened_pair(cx, &file, pair, side, how)?;
    }
    Ok(file)
}

/// The caller's terminal, for who opened `/dev/tty`.
fn own(cx: &Context<'_>, file: &OpenFile) -> Result<Arc<OpenFile>> {
    let none = || Errno::ENXIO.because("the process has no controlling terminal");
    let object: Arc<dyn Object> = match cx.process.terminal().ok_or_else(none)? {
        Terminal::Host => vfs::stream::terminal().ok_or_else(none)?,
        Terminal::Pair(pair) => pair.open_slave()?,
    };
    Ok(OpenFile::new(object, file.status(), file.place().cloned()))
}

fn opened_pair(
    cx: &Context<'_>,
    file: &OpenFile,
    pair: &Arc<Pair>,
    side: Side,
    how: How,
) -> Result<()> {
    let who = Arc::clone(&cx.process.credentials.lock());
    if side == Side::Master {
        pair.set_owner(who.fsuid, who.fsgid);
        return Ok(());
    }
    if pair.is_exclusive(side) && !who.has(Capabilities::SYS_ADMIN) {
        return Err(Errno::EBUSY.because("the terminal is open exclusively (TIOCEXCL)"));
    }
    let may = !how.contains(How::NO_CONTROL) && file.readable();
    if may && cx.process.leads_session() && cx.process.terminal().is_none() {
        let terminal = Terminal::Pair(Arc::clone(pair));
        if terminal.seat().session() == 0 {
            cx.process.take_terminal(terminal);
        }
    }
    Ok(())
}

/// ioctl(2) on a terminal, where it is about processes; `None`: it is not.
pub(super) fn control(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    request: u32,
    argument: &Argument<'_, '_>,
) -> Option<Result<u64>> {
    let about_processes = matches!(
        request,
        TIOCSCTTY
            | TIOCGPGRP
            | TIOCSPGRP
            | TIOCSTI
            | TIOCNOTTY
            | TIOCGSID
            | TIOCVHANGUP
            | TIOCGPTPEER
    );
    if !about_processes {
        return None;
    }
    let (terminal, side) = Terminal::of(file)?;
    if file.downcast::<Slave>().is_some_and(Slave::is_hung_up) {
        let errno = if request == TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO };
        return Some(Err(errno.because("the terminal hung up")));
    }
    let at = At { cx, file, terminal, side };
    Some(match request {
        TIOCSCTTY => at.take(argument.raw()),
        TIOCNOTTY => at.give_up(),
        TIOCGPGRP => at.group(argument.raw()),
        TIOCSPGRP => at.set_group(argument.raw()),
        TIOCGSID => at.session(argument.raw()),
        TIOCSTI => at.type_byte(argument.raw()),
        TIOCVHANGUP => at.hang_up(),
        _ => at.open_peer(argument.raw()),
    })
}

/// A request at a terminal.
struct At<'a, 'b> {
    cx: &'a Context<'b>,
    file: &'a Arc<OpenFile>,
    terminal: Terminal,
    side: Side,
}

impl At<'_, '_> {
    fn may(&self, capability: Capabilities) -> bool {
        self.cx.process.credentials.lock().has(capability)
    }

    /// Whether it is the caller's controlling terminal.
    fn is_own(&self) -> bool {
        self.cx.process.terminal().is_some_and(|own| own.is(&self.terminal))
    }

    fn take(&self, force: u64) -> Result<u64> {
        let process = self.cx.process;
        let seat = self.terminal.seat();
        let session = process.session.load(Ordering::Relaxed);
        if process.leads_session() && seat.session() == session {
            return Ok(0);
        }
        if !process.leads_session() || process.terminal().is_some() {
            return Err(Errno::EPERM.because("no session leader, or one that has a terminal"));
        }
        let steals = force == 1 && self.may(Capabilities::SYS_ADMIN);
        if seat.session() != 0 {
            if !steals {
                return Err(Errno::EPERM.because("another session has the terminal"));
            }
            for other in self.cx.kernel.registry.processes() {
                if other.session.load(Ordering::Relaxed) == seat.session() {
                    other.forget_terminal();
                }
            }
        }
        if !self.file.readable() && !self.may(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM.because("the terminal was not opened for reading"));
        }
        process.take_terminal(self.terminal.clone());
        Ok(0)
    }

    fn give_up(&self) -> Result<u64> {
        if self.side == Side::Master || !self.is_own() {
            return Err(Errno::ENOTTY.because(NOT_OWN));
        }
        let process = self.cx.process;
        if process.leads_session() {
            give_up(self.cx.kernel, process.session.load(Ordering::Relaxed), &self.terminal);
        } else {
            process.forget_terminal();
        }
        Ok(0)
    }

    fn group(&self, address: u64) -> Result<u64> {
        if self.side == Side::Slave && !self.is_own() {
            return Err(Errno::ENOTTY.because(NOT_OWN));
        }
        self.cx.write(address, &self.terminal.seat().foreground())?;
        Ok(0)
    }

    fn set_group(&self, address: u64) -> Result<u64> {
        let group: i32 = self.cx.read(address)?;
        let group = u32::try_from(group).map_err(|_| Errno::EINVAL.because("not a group"))?;
        let session = self.cx.process.session.load(Ordering::Relaxed);
        if !self.is_own() || self.terminal.seat().session() != session {
            return Err(Errno::ENOTTY.because(NOT_OWN));
        }
        let members = self.cx.kernel.registry.processes();
        let mut members =
            members.iter().filter(|one| one.group.load(Ordering::Relaxed) == group).peekable();
        if members.peek().is_none() {
            return Err(Errno::ESRCH.because("no such group"));
        }
        if members.any(|one| one.session.load(Ordering::Relaxed) != session) {
            return Err(Errno::EPERM.because("the group is of another session"));
        }
        self.terminal.seat().set_foreground(group);
        Ok(0)
    }

    fn session(&self, address: u64) -> Result<u64> {
        let session = self.terminal.seat().session();
        if (self.side == Side::Slave && !self.is_own()) || session == 0 {
            return Err(Errno::ENOTTY.because(NOT_OWN));
        }
        self.cx.write(address, &session)?;
        Ok(0)
    }

    /// Types a byte for the terminal's readers: for the privileged, as where `dev.tty.legacy_tiocsti` is 0.
    fn type_byte(&self, address: u64) -> Result<u64> {
        if !self.may(Capabilities::SYS_ADMIN) {
            return Err(Errno::EIO.because("typing for others needs CAP_SYS_ADMIN"));
        }
        let byte: u8 = self.cx.read(address)?;
        match (&self.terminal, self.side) {
            (Terminal::Pair(pair), Side::Slave) => pair.type_byte(byte),
            (Terminal::Pair(pair), Side::Master) => pair.show_byte(byte),
            (Terminal::Host, _) => {
                return Err(Errno::EIO.because("nobody types for the host's terminal"));
            }
        }
        Ok(0)
    }

    fn hang_up(&self) -> Result<u64> {
        if !self.may(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM.because("hanging up needs CAP_SYS_ADMIN"));
        }
        match &self.terminal {
            Terminal::Pair(pair) => pair.hang_up(),
            Terminal::Host => {
                return Err(Errno::EPERM.because("the host's terminal is the host's to hang up"));
            }
        }
        Ok(0)
    }

    /// `TIOCGPTPEER`: opens the slave, whatever names lead to it.
    fn open_peer(&self, flags: u64) -> Result<u64> {
        const STATUS: Status = Status::from_bits_retain(0o3)
            .union(Status::APPEND)
            .union(Status::NONBLOCK)
            .union(Status::LARGE);
        let (Terminal::Pair(pair), Side::Master) = (&self.terminal, self.side) else {
            return Err(Errno::EIO.because("no master of a pseudoterminal"));
        };
        let flags = u32::try_from(flags & 0xffff_ffff).unwrap_or(0);
        let how = How::from_bits_truncate(flags);
        let status = Status::from_bits_retain(flags) & STATUS | Status::LARGE;
        let reserved = self.cx.process.files.reserve()?;
        let file = OpenFile::new(pair.open_slave()?, status, folder::place_of(pair));
        opened_pair(self.cx, &file, pair, Side::Slave, how)?;
        let closes = how.contains(How::CLOSE_ON_EXEC);
        let on_exec = if closes { OnExec::Close } else { OnExec::Keep };
        Ok(reserved.fill(file, on_exec).into())
    }
}
