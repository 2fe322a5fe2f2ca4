//! The stack that handlers run on when they ask for another.
//!
//! Source: sigaltstack(2).

use abi::Errno;
use abi::errno::Result;

/// `SS_ONSTACK`: the thread runs on it.
pub const ON_STACK: u32 = 1;
/// `SS_DISABLE`: there is none.
pub const DISABLE: u32 = 2;
/// `SS_AUTODISARM`: it is forgotten while a handler runs.
pub const AUTODISARM: u32 = 1 << 31;

/// The smallest alternate stack, Linux's `MINSIGSTKSZ`.
const SMALLEST: u64 = 2048;

/// A thread's alternate stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlternateStack {
    /// Lowest address.
    pub start: u64,
    /// Bytes; 0 when there is none.
    pub size: u64,
    /// [`DISABLE`] or [`AUTODISARM`] or 0.
    pub flags: u32,
}

impl AlternateStack {
    /// None.
    pub const NONE: Self = Self { start: 0, size: 0, flags: DISABLE };

    /// Whether `sp` lies on it, so that a handler need not switch to it.
    pub fn holds(&self, sp: u64) -> bool {
        // One that disarms itself is never in use, wherever the stack pointer is.
        self.flags & AUTODISARM == 0 && self.spans(sp)
    }

    /// Whether `sp` lies within its bytes: its end counts, its start does not.
    pub fn spans(&self, sp: u64) -> bool {
        sp > self.start && sp - self.start <= self.size
    }

    /// The three words of a `stack_t`, as sigaltstack(2) and signal frames tell them.
    pub fn to_words(&self, sp: u64) -> [u64; 3] {
        let state = match self.size {
            0 => DISABLE,
            _ if self.holds(sp) => ON_STACK,
            _ => 0,
        };
        [self.start, u64::from(state | self.flags & AUTODISARM), self.size]
    }

    /// The stack that a program asks for while its stack pointer is `sp`.
    ///
    /// `needed` is what a signal frame takes on this processor; Linux checks it only when that was
    /// asked for at boot, so it is the caller's to pass 0.
    ///
    /// # Errors
    /// EPERM while it is in use, EINVAL for unknown flags, ENOMEM when it is too small.
    pub fn replaced(&self, [start, flags, size]: [u64; 3], sp: u64, needed: u64) -> Result<Self> {
        if self.size != 0 && self.holds(sp) {
            return Err(Errno::EPERM.because("the thread runs on its alternate stack"));
        }
        let flags = u32::try_from(flags & 0xffff_ffff).unwrap_or(0);
        let mode = flags & !AUTODISARM;
        if mode != 0 && mode != ON_STACK && mode != DISABLE {
            return Err(Errno::EINVAL.because("ss_flags has unknown bits"));
        }
        if mode == DISABLE {
            return Ok(Self { start: 0, size: 0, flags });
        }
        if size < SMALLEST.max(needed) {
            return Err(Errno::ENOMEM.because("the alternate stack is too small"));
        }
        Ok(Self { start, size, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::{AUTODISARM, AlternateStack, DISABLE, ON_STACK};
    use abi::Errno;

    #[test]
    fn follows_sigaltstack() {
        let none = AlternateStack::NONE;
        assert_eq!(none.to_words(5), [0, u64::from(DISABLE), 0]);
        let stack = none.replaced([0x1000, 0, 4096], 5, 0).expect("large enough");
        assert_eq!(stack.to_words(0x1800), [0x1000, u64::from(ON_STACK), 4096]);
        assert_eq!(stack.to_words(0x2000)[1], u64::from(ON_STACK));
        assert_eq!(stack.to_words(0x1000)[1], 0);
        let busy = stack.replaced([0, 2, 0], 0x1800, 0).expect_err("in use");
        assert_eq!(busy.errno, Errno::EPERM);
        let small = none.replaced([0, 0, 2047], 5, 0).expect_err("too small");
        assert_eq!(small.errno, Errno::ENOMEM);
        let odd = none.replaced([0, 4, 9999], 5, 0).expect_err("unknown flag");
        assert_eq!(odd.errno, Errno::EINVAL);
        let disarming =
            none.replaced([0x1000, u64::from(AUTODISARM), 4096], 5, 0).expect("a known flag");
        assert!(!disarming.holds(0x1800));
        assert_eq!(disarming.to_words(0x1800)[1], u64::from(AUTODISARM));
    }
}
