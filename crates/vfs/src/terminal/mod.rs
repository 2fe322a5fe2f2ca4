//! Pseudoterminals: pairs of a master, which plays the terminal, and a slave, which programs take for
//! one.
//!
//! - [`line`]: the line discipline, pure; [`termios`]: its attributes.
//! - [`pair`]: what both sides share; [`master`] and [`slave`]: the sides as objects; [`control`]: what ioctl(2) asks of them.
//! - [`folder`]: the file system at `/dev/pts`.
//! - [`seat`]: the session and the foreground group of any terminal, by number, and how signals get there.
//!
//! Differs from Linux: what is written at one side is at the other at once; the master holds 64 KiB
//! and the slave 12 KiB before the other side has to wait, where Linux's numbers depend on how bytes were cut.
//!
//! Source: pty(7), pts(4), tty(4), termios(3), `ioctl_tty(2)`.

pub mod control;
mod erase;
pub mod folder;
pub mod line;
pub mod master;
pub mod pair;
pub mod seat;
pub mod slave;
pub mod termios;
#[cfg(test)]
mod tests;
