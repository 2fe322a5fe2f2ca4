//! What comes with a signal: `siginfo_t`.
//!
//! Source: sigaction(2), "The `siginfo_t` argument"; offsets from `asm-generic/siginfo.h`.

use abi::Errno;
use abi::errno::Result;

use crate::signal::number::{Signal, SignalSet};

/// Bytes of a `siginfo_t`.
pub const SIZE: usize = 128;
/// Bytes of it that ever hold something.
pub(crate) const USED: usize = 48;
/// Bytes of it behind number, errno and code.
const PAYLOAD: usize = 32;

/// `si_code`: sent by kill(2).
pub const SI_USER: i32 = 0;
/// `si_code`: sent by the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// `si_code`: sent by sigqueue(3).
pub const SI_QUEUE: i32 = -1;
/// `si_code`: a POSIX timer expired.
pub const SI_TIMER: i32 = -2;
/// `si_code`: a descriptor became ready.
const SI_SIGIO: i32 = -5;
/// `si_code`: sent by tkill(2) or tgkill(2).
pub const SI_TKILL: i32 = -6;
/// `si_code` of SIGSYS: a seccomp filter's.
const SYS_SECCOMP: i32 = 1;
/// `si_code`: the lowest that Linux itself knows.
const SI_ASYNCNL: i32 = -60;

/// A signal with what is known about its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Which.
    pub signal: Signal,
    /// `si_errno`, nearly always 0.
    pub errno: i32,
    /// `si_code`: where it comes from.
    pub code: i32,
    payload: [u8; PAYLOAD],
}

impl Info {
    fn new(signal: Signal, code: i32) -> Self {
        Self { signal, errno: 0, code, payload: [0; PAYLOAD] }
    }

    fn put<const N: usize>(mut self, offset: usize, bytes: [u8; N]) -> Self {
        self.payload[offset - 16..offset - 16 + N].copy_from_slice(&bytes);
        self
    }

    /// From the LibOS itself, with no more to say.
    pub fn kernel(signal: Signal) -> Self {
        Self::new(signal, SI_KERNEL)
    }

    /// From a process: `SI_USER` or `SI_TKILL`.
    pub fn sent(signal: Signal, code: i32, pid: u32, uid: u32) -> Self {
        Self::new(signal, code).put(16, pid.to_le_bytes()).put(20, uid.to_le_bytes())
    }

    /// About an instruction: `address` is where it failed.
    pub fn fault(signal: Signal, code: i32, address: u64) -> Self {
        Self::new(signal, code).put(16, address.to_le_bytes())
    }

    /// A seccomp filter answered a call with a trap: where it was made, its number and architecture,
    /// and the filter's 16 bits.
    pub fn seccomp(place: u64, number: u32, architecture: u32, value: u16) -> Self {
        let info = Self::new(Signal::SYS, SYS_SECCOMP);
        Self { errno: value.into(), ..info }
            .put(16, place.to_le_bytes())
            .put(24, number.to_le_bytes())
            .put(28, architecture.to_le_bytes())
    }

    /// A POSIX timer expired; `overrun` more times than this signal says.
    pub fn timer(signal: Signal, id: i32, overrun: i32, value: u64) -> Self {
        Self::new(signal, SI_TIMER)
            .put(16, id.to_le_bytes())
            .put(20, overrun.to_le_bytes())
            .put(24, value.to_le_bytes())
    }

    /// Something can be done with a descriptor.
    pub fn ready(signal: Signal, code: i32, band: i64, fd: i32) -> Self {
        // Codes above 0 are the signal's own where it has such.
        let own = SignalSet::SYNCHRONOUS.contains(signal) || signal == Signal::CHLD;
        let code = if own { SI_SIGIO } else { code };
        Self::new(signal, code).put(16, band.to_le_bytes()).put(24, fd.to_le_bytes())
    }

    /// A child changed its state.
    pub fn child(code: i32, pid: u32, uid: u32, status: i32) -> Self {
        Self::sent(Signal::CHLD, code, pid, uid).put(24, status.to_le_bytes())
    }

    /// What a program passed to `rt_sigqueueinfo`, with the number that it passed beside.
    ///
    /// # Errors
    /// E2BIG when bytes are set behind what Linux knows for a code that it does not know.
    pub fn from_user(signal: Signal, bytes: &[u8; SIZE]) -> Result<Self> {
        let mut info = Self::new(signal, int(bytes, 8));
        info.errno = int(bytes, 4);
        info.payload.copy_from_slice(&bytes[16..USED]);
        if is_unknown(bytes) && bytes[USED..].iter().any(|byte| *byte != 0) {
            return Err(Errno::E2BIG.because("siginfo holds more than is known for its si_code"));
        }
        Ok(info)
    }

    /// As the program sees it.
    pub fn to_user(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[0..4].copy_from_slice(&i32::from(self.signal.number()).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.errno.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        bytes[16..USED].copy_from_slice(&self.payload);
        bytes
    }

    /// As a `signalfd_siginfo`, whose fields depend on where the signal comes from.
    pub(super) fn to_descriptor(self) -> [u8; SIZE] {
        let raw = self.to_user();
        let mut bytes = [0; SIZE];
        bytes[0..4].copy_from_slice(&raw[0..4]);
        bytes[4..12].copy_from_slice(&raw[4..12]);
        for (from, to, len) in self.fields() {
            bytes[*to..to + len].copy_from_slice(&raw[*from..from + len]);
        }
        bytes
    }

    /// The fields behind the code: where they lie in `siginfo_t` and in `signalfd_siginfo`, and their
    /// bytes.
    fn fields(&self) -> &'static [(usize, usize, usize)] {
        const SENDER: (usize, usize, usize) = (16, 12, 8);
        match (self.code, self.signal) {
            // Timer, overrun, value.
            (SI_TIMER, _) => &[(16, 24, 4), (20, 32, 4), (24, 48, 8), (24, 44, 4)],
            // Band, descriptor.
            (SI_SIGIO, _) | (1..=6, Signal::IO) => &[(16, 28, 4), (24, 20, 4)],
            (code, _) if code < SI_USER => &[SENDER, (24, 48, 8), (24, 44, 4)],
            // Status, processor times.
            (1..=6, Signal::CHLD) => &[SENDER, (24, 40, 4), (32, 56, 8), (40, 64, 8)],
            // Caller, number, architecture.
            (1..=2, Signal::SYS) => &[(16, 88, 8), (24, 84, 4), (28, 96, 4)],
            (1..SI_KERNEL, signal) if SignalSet::SYNCHRONOUS.contains(signal) => &[(16, 72, 8)],
            _ => &[SENDER],
        }
    }

    /// Whether a POSIX timer sent it.
    #[inline]
    pub fn is_timers(&self) -> bool {
        self.code == SI_TIMER
    }

    /// Which POSIX timer it comes from.
    pub fn timer_id(&self) -> Option<i32> {
        let [a, b, c, d, ..] = self.payload;
        self.is_timers().then(|| i32::from_le_bytes([a, b, c, d]))
    }

    /// The same, with another overrun count.
    #[must_use]
    pub fn with_overrun(self, overrun: i32) -> Self {
        self.put(20, overrun.to_le_bytes())
    }

    /// The first word of the payload: sender, address or timer.
    pub fn cause(&self) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.payload[..8]);
        u64::from_le_bytes(word)
    }

    /// Whether a program sent it (and not the LibOS).
    pub fn is_from_user(&self) -> bool {
        self.code <= 0
    }
}

/// Whether the `si_code` of what a program passes is none that Linux knows the contents for.
pub(crate) fn is_unknown(bytes: &[u8; SIZE]) -> bool {
    let code = int(bytes, 8);
    code < SI_ASYNCNL || (code > 0 && code != SI_KERNEL)
}

fn int(bytes: &[u8], offset: usize) -> i32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    i32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::{Info, SI_QUEUE, SIZE, int};
    use crate::signal::number::Signal;
    use abi::Errno;

    #[test]
    fn fields_lie_where_linux_has_them() {
        let info = Info::child(1, 7, 8, -9).to_user();
        assert_eq!([0, 4, 8, 16, 20, 24].map(|at| int(&info, at)), [17, 0, 1, 7, 8, -9]);
        let timer = Info::timer(Signal::USR1, 3, 4, 1 << 40);
        assert_eq!(timer.timer_id(), Some(3));
        assert_eq!(int(&timer.with_overrun(9).to_user(), 20), 9);
        assert_eq!(Info::fault(Signal::SEGV, 1, 0xdead).cause(), 0xdead);
    }

    #[test]
    fn a_program_passes_what_it_likes_within_limits() {
        let mut bytes = [0_u8; SIZE];
        bytes[8..12].copy_from_slice(&SI_QUEUE.to_le_bytes());
        bytes[24] = 5;
        bytes[100] = 1; // beyond what SI_QUEUE has: not looked at
        let info = Info::from_user(Signal::USR2, &bytes).expect("a known code");
        assert_eq!(int(&info.to_user(), 0), 12);
        assert_eq!(info.to_user()[24], 5);
        assert_eq!(info.to_user()[100], 0);
        bytes[8..12].copy_from_slice(&(-100_i32).to_le_bytes());
        let refused = Info::from_user(Signal::USR2, &bytes).expect_err("an unknown code");
        assert_eq!(refused.errno, Errno::E2BIG);
    }
}
