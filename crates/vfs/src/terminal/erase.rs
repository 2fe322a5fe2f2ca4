//! Editing a line: erasing a character, a word, the whole line, and what that looks like.

use alloc::vec::Vec;

use super::line::{Line, is_control, is_word};
use super::termios::{Local, Special};

/// How much is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Character,
    Word,
    Line,
}

/// Goes back over one column and wipes it out.
const WIPE: [u8; 3] = [8, b' ', 8];

impl Line {
    /// What `byte` erases.
    pub(super) fn erase(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.edited_len() == 0 {
            return;
        }
        let termios = *self.termios();
        let local = termios.local;
        let extent = if termios.is(Special::Erase, byte) {
            Extent::Character
        } else if termios.is(Special::Word, byte) {
            Extent::Word
        } else {
            if !local.contains(Local::ECHO) {
                self.cut(0);
                return;
            }
            if !local.contains(Local::ECHOK | Local::ECHOKE | Local::ECHOE) {
                self.cut(0);
                self.finish_erasing(out);
                self.echo(termios.special(Special::Kill), out);
                if local.contains(Local::ECHOK) {
                    self.echo_raw(b'\n', out);
                }
                return;
            }
            Extent::Line
        };
        self.erase_backwards(extent, out);
        if self.edited_len() == 0 && local.contains(Local::ECHO) {
            self.finish_erasing(out);
        }
    }

    fn erase_backwards(&mut self, extent: Extent, out: &mut Vec<u8>) {
        let mut in_word = false;
        while self.edited_len() > 0 {
            let end = self.edited_len();
            let mut at = end - 1;
            while at > 0 && self.is_continuation(self.edited_at(at)) {
                at -= 1;
            }
            let first = self.edited_at(at);
            // Never a part of a character.
            if self.is_continuation(first) {
                return;
            }
            if extent == Extent::Word {
                if is_word(first) {
                    in_word = true;
                } else if in_word {
                    return;
                }
            }
            let rest: Vec<u8> = (at + 1..end).map(|at| self.edited_at(at)).collect();
            self.cut(at);
            if self.termios().local.contains(Local::ECHO) {
                self.show_erased(first, &rest, extent, out);
            }
            if extent == Extent::Character {
                return;
            }
        }
    }

    /// Shows that a character is gone: `first` byte and `rest`.
    fn show_erased(&mut self, first: u8, rest: &[u8], extent: Extent, out: &mut Vec<u8>) {
        let termios = *self.termios();
        let local = termios.local;
        if local.contains(Local::ECHOPRT) {
            if !self.erasing {
                self.echo_raw(b'\\', out);
                self.erasing = true;
            }
            self.echo_kept(first, out);
            for byte in rest {
                self.echo_raw(*byte, out);
                self.column = self.column.saturating_sub(1);
            }
        } else if extent == Extent::Character && !local.contains(Local::ECHOE) {
            self.echo_kept(termios.special(Special::Erase), out);
        } else if first == b'\t' {
            self.erase_tab(out);
        } else {
            let shown = local.contains(Local::ECHOCTL);
            let columns = match (is_control(first), shown) {
                (true, true) => 2,
                (true, false) => 0,
                (false, _) => 1,
            };
            for byte in WIPE.iter().cycle().take(columns * WIPE.len()) {
                self.echo_raw(*byte, out);
            }
        }
    }

    /// As [`Line::echo`], where the line began earlier than here.
    fn echo_kept(&mut self, byte: u8, out: &mut Vec<u8>) {
        let start = self.start_column;
        self.echo(byte, out);
        self.start_column = start;
    }

    /// Goes back over a tab: as far as the characters before it, from the last tab or the line's
    /// beginning, leave of eight columns.
    fn erase_tab(&mut self, out: &mut Vec<u8>) {
        let shown = self.termios().local.contains(Local::ECHOCTL);
        let mut columns = 0;
        let mut after_tab = false;
        for at in (0..self.edited_len()).rev() {
            let byte = self.edited_at(at);
            if byte == b'\t' {
                after_tab = true;
                break;
            }
            if is_control(byte) {
                columns += if shown { 2 } else { 0 };
            } else if !self.is_continuation(byte) {
                columns += 1;
            }
        }
        if !after_tab {
            columns = columns % 8 + self.start_column;
        }
        for _ in 0..8 - columns % 8 {
            self.column = self.column.saturating_sub(1);
            self.put_out(&[8], out);
        }
    }
}
