//! How ready a process is to be ended when memory is out. Nobody is ended in another's place here, so
//! that the value is kept, checked and told.
//!
//! Source: `proc_pid_oom_score_adj(5)`, `proc_pid_oom_adj(5)`.

use core::sync::atomic::{AtomicI32, Ordering};

use abi::Errno;
use abi::errno::Result;

/// The largest adjustment; its negative keeps a process from being chosen.
const MOST: i32 = 1000;
/// The same in the old scale, whose largest is less.
const OLD_LEAST: i32 = -17;
const OLD_MOST: i32 = 15;
/// Bytes of the longest number.
const DIGITS: usize = 12;

/// The adjustment, and how far down it may go without privileges.
#[derive(Debug, Default)]
pub struct Adjustment {
    value: AtomicI32,
    least: AtomicI32,
}

impl Adjustment {
    /// The value.
    pub fn get(&self) -> i32 {
        self.value.load(Ordering::Relaxed)
    }

    /// The value in the old scale.
    pub fn get_old(&self) -> i32 {
        match self.get() {
            MOST => OLD_MOST,
            value => (value * -OLD_LEAST / MOST).min(OLD_MOST),
        }
    }

    /// Sets it as a program writes it.
    ///
    /// # Errors
    /// EINVAL, or EACCES for less than was allowed before.
    pub fn set(&self, text: &[u8], privileged: bool) -> Result<()> {
        let value = number(text)?;
        if !(-MOST..=MOST).contains(&value) {
            return Err(Errno::EINVAL.because("beyond 1000"));
        }
        if value < self.least.load(Ordering::Relaxed) && !privileged {
            return Err(Errno::EACCES.because("only the privileged lower it"));
        }
        self.value.store(value, Ordering::Relaxed);
        if privileged {
            self.least.store(value, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The same in the old scale.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn set_old(&self, text: &[u8], privileged: bool) -> Result<()> {
        let value = number(text)?;
        if !(OLD_LEAST..=OLD_MOST).contains(&value) {
            return Err(Errno::EINVAL.because("beyond -17 or 15"));
        }
        let value = if value == OLD_MOST { MOST } else { value * MOST / -OLD_LEAST };
        if value < self.get() && !privileged {
            return Err(Errno::EACCES.because("only the privileged lower it"));
        }
        self.value.store(value, Ordering::Relaxed);
        Ok(())
    }

    /// How much of a reason there is to end a process that uses `used` of `all` bytes: 0 to 2000.
    pub fn score(&self, used: u64, all: u64) -> i64 {
        let adjustment = i64::from(self.get());
        if adjustment == i64::from(-MOST) {
            return 0;
        }
        let share = i64::try_from(used.saturating_mul(1000) / all.max(1)).unwrap_or(1000);
        (1000 + share + adjustment) * 2 / 3
    }
}

/// A number as Linux reads it: blanks around it, a sign, and the base that its prefix tells.
pub(crate) fn number(text: &[u8]) -> Result<i32> {
    let bad = Errno::EINVAL.because("not a number");
    let text = &text[..text.len().min(DIGITS)];
    let text = core::str::from_utf8(text).map_err(|_| bad)?.trim_ascii();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (base, digits) = match hex {
        Some(digits) => (16, digits),
        None if digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return Err(bad);
    }
    let value = i64::from_str_radix(digits, base).map_err(|_| bad)?;
    i32::try_from(if negative { -value } else { value })
        .map_err(|_| Errno::ERANGE.because("the number has no room in an int"))
}

#[cfg(test)]
mod tests {
    use super::{Adjustment, number};

    #[test]
    fn numbers_as_linux_reads_them() {
        assert_eq!(number(b" -17\n"), Ok(-17));
        assert_eq!(number(b"0x10"), Ok(16));
        assert_eq!(number(b"010"), Ok(8));
        assert!(number(b"").is_err() && number(b"1 2").is_err() && number(b"--1").is_err());
    }

    #[test]
    fn only_the_privileged_go_below() {
        let adjustment = Adjustment::default();
        assert!(adjustment.set(b"-1", false).is_err());
        assert!(adjustment.set(b"500", false).is_ok());
        assert!(adjustment.set(b"0", false).is_ok());
        assert!(adjustment.set(b"-1000", true).is_ok());
        assert_eq!(adjustment.score(1, 2), 0);
        assert_eq!(adjustment.get_old(), -17);
    }
}
