//! The host's terminal: what it says of its queues, and how it was before the program changed it.
//!
//! Runs on vCPU threads: raw system calls only.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::sys;

/// Words of the kernel's `struct termios`.
const WORDS: usize = 9;
const NONE: u32 = 0;
const SAVING: u32 = 1;
const SAVED: u32 = 2;

static STATE: AtomicU32 = AtomicU32::new(NONE);
static TERMINAL: AtomicU64 = AtomicU64::new(0);
static ATTRIBUTES: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];

/// Remembers the attributes that a terminal has before they are changed for the first time.
pub(crate) fn keep(fd: u64) {
    if STATE.compare_exchange(NONE, SAVING, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return;
    }
    let mut words = [0_u32; WORDS];
    // SAFETY: the buffer has the size of the kernel's attributes.
    let failed =
        unsafe { sys::call4(libc::SYS_ioctl, fd, libc::TCGETS, (&raw mut words) as u64, 0) } != 0;
    for (place, word) in ATTRIBUTES.iter().zip(words) {
        place.store(word, Ordering::Relaxed);
    }
    TERMINAL.store(fd, Ordering::Relaxed);
    STATE.store(if failed { NONE } else { SAVED }, Ordering::Release);
}

/// Gives the terminal the attributes that it had: the program can't do so any more.
pub(crate) fn restore() {
    if STATE.load(Ordering::Acquire) != SAVED {
        return;
    }
    let mut words = [0_u32; WORDS];
    for (word, place) in words.iter_mut().zip(&ATTRIBUTES) {
        *word = place.load(Ordering::Relaxed);
    }
    let fd = TERMINAL.load(Ordering::Relaxed);
    // SAFETY: attributes that the kernel gave.
    unsafe { sys::call4(libc::SYS_ioctl, fd, libc::TCSETS, (&raw const words) as u64, 0) };
}

/// Bytes that wait: 0 to be read, 1 to be sent.
pub(crate) fn count(fd: u64, which: u32) -> i64 {
    let request = if which == 0 { libc::FIONREAD } else { libc::TIOCOUTQ };
    let mut bytes = 0_i32;
    // SAFETY: the request writes one int.
    let result = unsafe { sys::call4(libc::SYS_ioctl, fd, request, (&raw mut bytes) as u64, 0) };
    if result < 0 { result } else { bytes.into() }
}

/// A request whose argument is a small number.
pub(crate) fn act(fd: u64, request: u64, which: u32) -> i64 {
    // SAFETY: the argument is a number.
    unsafe { sys::call4(libc::SYS_ioctl, fd, request, which.into(), 0) }
}
