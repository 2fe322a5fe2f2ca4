//! The line discipline: what a terminal makes of bytes that are typed and of bytes that are written.
//!
//! Nothing here waits, locks or knows who reads. What is typed is handed in byte by byte
//! ([`Line::receive`]); echoes come out in a buffer of the caller's, signals as a result. A line that is
//! being edited can't be read until it is ended.
//!
//! Source: termios(3); where it is silent, what Linux 6.18 does.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::termios::{Input, Local, Output, Special, Termios};

/// Bytes that wait to be read, at most.
pub const CAPACITY: usize = 4095;
/// Echoes that a stopped terminal keeps, at most.
const HELD: usize = 4096;
/// Columns from one tab to the next.
const TAB: usize = 8;

/// What a typed character asks for, besides what it leaves to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGTSTP.
    Suspend,
}

/// A byte that can be read, or the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Typed {
    byte: u8,
    /// A line ends behind it.
    ends: bool,
    /// It only ends the line, and is not read itself.
    hidden: bool,
}

/// One terminal's discipline.
#[derive(Clone, Debug, Default)]
pub struct Line {
    termios: Termios,
    /// What can be read, then what is edited.
    typed: VecDeque<Typed>,
    /// How many of `typed` can be read.
    finished: usize,
    /// Where the cursor is, as far as that is known.
    pub(super) column: usize,
    /// Where it was as the line began.
    pub(super) start_column: usize,
    /// The next character is taken as it is.
    literal: bool,
    /// Between `\` and `/` (ECHOPRT).
    pub(super) erasing: bool,
    /// By character, and by `TCXONC`.
    stopped: [bool; 2],
    held: Vec<u8>,
    /// The columns as the batch of typed bytes began.
    batch: (usize, usize),
}

/// As the kernel's tables have Latin-1.
pub(super) fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || (byte >= 0xc0 && byte != 0xd7 && byte != 0xf7)
}

impl Line {
    /// Its attributes.
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Gives it new attributes; echoes that were held may come out.
    pub fn set_termios(&mut self, new: Termios, out: &mut Vec<u8>) {
        let old = core::mem::replace(&mut self.termios, new);
        if (old.local ^ new.local).intersects(Local::ICANON | Local::EXTPROC) {
            for one in &mut self.typed {
                one.ends = false;
            }
            // What was typed already is a line now, however it ended.
            if new.local.contains(Local::ICANON)
                && let Some(last) = self.typed.back_mut()
            {
                last.ends = true;
            }
            self.finished = self.typed.len();
            self.erasing = false;
            self.literal = false;
        }
        if old.input.contains(Input::IXON) && !new.input.contains(Input::IXON) {
            self.start(out);
        }
    }

    /// Whether output is stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped[0] || self.stopped[1]
    }

    /// Stops or starts the output as `TCXONC` does.
    pub fn suspend(&mut self, on: bool, out: &mut Vec<u8>) {
        let was = core::mem::replace(&mut self.stopped[1], on);
        if was && !on {
            // As on Linux, this starts what a character stopped, too.
            self.start(out);
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        self.stopped[0] = false;
        if !self.is_stopped() {
            let held = core::mem::take(&mut self.held);
            self.put_out(&held, out);
        }
    }

    /// How many bytes may still be typed; one more is always taken where a line has yet to be ended.
    pub fn room(&self) -> usize {
        let room = CAPACITY.saturating_sub(self.typed.len());
        let room = if self.termios.input.contains(Input::PARMRK) { room / 3 } else { room };
        if room == 0 && self.termios.local.contains(Local::ICANON) && self.finished == 0 {
            return usize::MAX;
        }
        room
    }

    /// More bytes are about to be typed, whose echoes go out together.
    pub fn begin(&mut self) {
        self.batch = self.columns();
    }

    /// A byte is typed, after [`Self::begin`]. The caller looks at [`Self::room`] before.
    pub fn receive(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Signal> {
        let (input, local) = (self.termios.input, self.termios.local);
        if self.typed.len() > CAPACITY {
            // A line without an end: its last character gives way.
            self.typed.pop_back();
            self.finished = self.finished.min(self.typed.len());
        }
        let mut byte = byte;
        if input.contains(Input::ISTRIP) {
            byte &= 0x7f;
        }
        if input.contains(Input::IUCLC) && local.contains(Local::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if local.contains(Local::EXTPROC) {
            self.put(byte, false, false);
            self.publish();
            return None;
        }
        if core::mem::take(&mut self.literal) {
            self.ordinary(byte, byte, out);
            self.publish();
            return None;
        }
        let signal = self.special(byte, out);
        self.publish();
        signal
    }

    /// Without lines, what is typed can be read at once.
    fn publish(&mut self) {
        if !self.termios.canonical() {
            self.finished = self.typed.len();
        }
    }

    fn special(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Signal> {
        let termios = self.termios;
        let (input, local) = (termios.input, termios.local);
        if input.contains(Input::IXON) {
            if termios.is(Special::Start, byte) {
                self.start(out);
                return None;
            }
            if termios.is(Special::Stop, byte) {
                self.stopped[0] = true;
                return None;
            }
        }
        if local.contains(Local::ISIG) {
            for (which, signal) in [
                (Special::Interrupt, Signal::Interrupt),
                (Special::Quit, Signal::Quit),
                (Special::Suspend, Signal::Suspend),
            ] {
                if termios.is(which, byte) {
                    return Some(self.signalled(byte, signal, out));
                }
            }
        }
        if self.stopped[0] && !self.stopped[1] && input.contains(Input::IXON | Input::IXANY) {
            self.start(out);
        }
        let typed = byte;
        let byte = match byte {
            b'\r' if input.contains(Input::IGNCR) => return None,
            b'\r' if input.contains(Input::ICRNL) => b'\n',
            b'\n' if input.contains(Input::INLCR) => b'\r',
            other => other,
        };
        if !(local.contains(Local::ICANON) && self.edited(byte, out)) {
            self.ordinary(typed, byte, out);
        }
        None
    }

    fn signalled(&mut self, byte: u8, signal: Signal, out: &mut Vec<u8>) -> Signal {
        if !self.termios.local.contains(Local::NOFLSH) {
            self.flush();
            self.held.clear();
            // What this batch echoed is not out yet.
            out.clear();
            (self.column, self.start_column) = self.batch;
        }
        if self.termios.input.contains(Input::IXON) {
            self.start(out);
        }
        if self.termios.local.contains(Local::ECHO) {
            self.echo(byte, out);
        }
        signal
    }

    /// Drops what was typed and not read.
    pub fn flush(&mut self) {
        self.typed.clear();
        self.finished = 0;
        self.literal = false;
        self.erasing = false;
    }

    /// A character that is only itself, or what it became.
    fn ordinary(&mut self, typed: u8, byte: u8, out: &mut Vec<u8>) {
        if self.termios.local.contains(Local::ECHO) {
            self.finish_erasing(out);
            if byte == b'\n' && typed == b'\r' {
                self.echo_raw(byte, out);
            } else {
                self.echo(byte, out);
            }
        }
        self.put_marked(byte, false);
    }

    /// 0xff stands twice where it would else announce an error.
    fn put_marked(&mut self, byte: u8, ends: bool) {
        if byte == 0xff && self.termios.input.contains(Input::PARMRK) {
            self.put(byte, false, false);
        }
        self.put(byte, ends, false);
    }

    fn put(&mut self, byte: u8, ends: bool, hidden: bool) {
        self.typed.push_back(Typed { byte, ends, hidden });
        if ends {
            self.finished = self.typed.len();
        }
    }

    /// What a line's editing makes of a character; false if it is an ordinary one.
    fn edited(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        let termios = self.termios;
        let local = termios.local;
        let (echo, extended) = (local.contains(Local::ECHO), local.contains(Local::IEXTEN));
        if termios.is(Special::Erase, byte)
            || termios.is(Special::Kill, byte)
            || (extended && termios.is(Special::Word, byte))
        {
            self.erase(byte, out);
        } else if extended && termios.is(Special::Literal, byte) {
            self.literal = true;
            if echo {
                self.finish_erasing(out);
                if local.contains(Local::ECHOCTL) {
                    self.echo_raw(b'^', out);
                    self.echo_raw(8, out);
                }
            }
        } else if extended && echo && termios.is(Special::Reprint, byte) {
            self.reprint(byte, out);
        } else if byte == b'\n' {
            if local.intersects(Local::ECHO | Local::ECHONL) {
                self.echo_raw(b'\n', out);
            }
            self.put(byte, true, false);
        } else if termios.is(Special::End, byte) {
            self.put(0, true, true);
        } else if termios.is(Special::Line, byte) || (extended && termios.is(Special::Line2, byte))
        {
            if echo {
                self.echo(byte, out);
            }
            self.put_marked(byte, true);
        } else {
            return false;
        }
        true
    }

    fn reprint(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.finish_erasing(out);
        self.echo(byte, out);
        self.echo_raw(b'\n', out);
        for at in self.finished..self.typed.len() {
            self.echo(self.typed[at].byte, out);
        }
    }

    /// Bytes of the line that is being edited.
    pub(super) fn edited_len(&self) -> usize {
        self.typed.len() - self.finished
    }

    /// A byte of the line that is being edited.
    pub(super) fn edited_at(&self, at: usize) -> u8 {
        self.typed.get(self.finished + at).map_or(0, |one| one.byte)
    }

    /// Shortens the line that is being edited.
    pub(super) fn cut(&mut self, len: usize) {
        self.typed.truncate(self.finished + len);
    }

    pub(super) fn is_continuation(&self, byte: u8) -> bool {
        self.termios.input.contains(Input::IUTF8) && byte & 0xc0 == 0x80
    }

    pub(super) fn finish_erasing(&mut self, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.erasing) {
            self.echo_raw(b'/', out);
        }
    }

    /// Echoes a character, a control character as `^X` if it is to be.
    pub(super) fn echo(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.edited_len() == 0 {
            self.start_column = self.column;
        }
        if self.termios.local.contains(Local::ECHOCTL) && is_control(byte) && byte != b'\t' {
            self.column += 2;
            self.put_out(&[b'^', byte ^ 0o100], out);
        } else {
            self.echo_raw(byte, out);
        }
    }

    /// Echoes a character as it would be written.
    pub(super) fn echo_raw(&mut self, byte: u8, out: &mut Vec<u8>) {
        let mut echoed = Vec::new();
        if self.termios.output.contains(Output::OPOST) {
            self.post(byte, &mut echoed);
        } else {
            echoed.push(byte);
        }
        self.put_out(&echoed, out);
    }

    /// Hands echoes out, or keeps them while the output is stopped.
    pub(super) fn put_out(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.is_stopped() {
            let room = HELD.saturating_sub(self.held.len());
            self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else {
            out.extend_from_slice(bytes);
        }
    }

    /// What is written becomes what goes out, as far as `room` bytes reach: how many were taken.
    pub fn write(&mut self, bytes: &[u8], room: usize, out: &mut Vec<u8>) -> usize {
        if self.is_stopped() {
            return 0;
        }
        if !self.termios.output.contains(Output::OPOST) {
            let len = bytes.len().min(room);
            out.extend_from_slice(&bytes[..len]);
            return len;
        }
        let start = out.len();
        for (at, byte) in bytes.iter().enumerate() {
            let (column, from) = ((self.column, self.start_column), out.len());
            self.post(*byte, out);
            if out.len() - start > room {
                out.truncate(from);
                (self.column, self.start_column) = column;
                return at;
            }
        }
        bytes.len()
    }

    /// Where the cursor is, and where it was as the line began.
    pub fn columns(&self) -> (usize, usize) {
        (self.column, self.start_column)
    }

    /// Takes a write back that came to nothing.
    pub fn set_columns(&mut self, columns: (usize, usize)) {
        (self.column, self.start_column) = columns;
    }

    /// One written byte, processed.
    fn post(&mut self, byte: u8, out: &mut Vec<u8>) {
        let output = self.termios.output;
        let mut byte = byte;
        match byte {
            b'\n' => {
                if output.contains(Output::ONLRET) {
                    self.column = 0;
                }
                if output.contains(Output::ONLCR) {
                    self.column = 0;
                    out.push(b'\r');
                }
                self.start_column = self.column;
            }
            b'\r' => {
                if output.contains(Output::ONOCR) && self.column == 0 {
                    return;
                }
                if output.contains(Output::OCRNL) {
                    byte = b'\n';
                }
                if !output.contains(Output::OCRNL) || output.contains(Output::ONLRET) {
                    self.column = 0;
                    self.start_column = 0;
                }
            }
            b'\t' => {
                let spaces = TAB - self.column % TAB;
                self.column += spaces;
                if output.contains(Output::XTABS) {
                    out.extend_from_slice(&b"        "[..spaces]);
                    return;
                }
            }
            8 => self.column = self.column.saturating_sub(1),
            _ if !is_control(byte) => {
                if output.contains(Output::OLCUC) {
                    byte = byte.to_ascii_uppercase();
                }
                if !self.is_continuation(byte) {
                    self.column = self.column.wrapping_add(1);
                }
            }
            _ => {}
        }
        out.push(byte);
    }

    /// Whether a read gives something, if only an end.
    pub fn is_readable(&self) -> bool {
        self.finished > 0
    }

    /// How many bytes can be read: `FIONREAD`. Of all lines, not of the next one.
    pub fn readable(&self) -> usize {
        let lines = self.termios.canonical();
        let counts = |one: &&Typed| !(one.hidden && one.ends && lines);
        self.typed.iter().take(self.finished).filter(counts).count()
    }

    /// Takes at most `room` bytes, of one line where input comes in lines.
    pub fn read(&mut self, room: usize, into: &mut Vec<u8>) {
        let lines = self.termios.canonical();
        let mut left = room;
        while self.finished > 0 {
            let Some(first) = self.typed.front().copied() else { return };
            let seen = !(first.hidden && first.ends && lines);
            if seen && left == 0 {
                return;
            }
            self.typed.pop_front();
            self.finished -= 1;
            if seen {
                into.push(first.byte);
                left -= 1;
            }
            if lines && first.ends {
                return;
            }
        }
    }
}
