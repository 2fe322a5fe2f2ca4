//! A value that the host gave us, and the checks that make it usable.

use crate::errno::{Errno, Error, Result};

/// A value from outside the enclave. Only a checking method takes it out.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Untrusted<T>(T);

impl<T> Untrusted<T> {
    /// Marks a value as the host's word.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Takes the value out if `accept` says that it can be believed.
    pub fn check(self, accept: impl FnOnce(&T) -> bool) -> Option<T> {
        if accept(&self.0) { Some(self.0) } else { None }
    }
}

impl Untrusted<i64> {
    /// A count that cannot exceed what was asked for.
    ///
    /// # Errors
    /// The host's errno; EIO when the value is neither an errno nor within `0..=most`.
    pub fn count_at_most(self, most: usize) -> Result<usize> {
        match usize::try_from(self.0) {
            Ok(count) if count <= most => Ok(count),
            Ok(_) => Err(Errno::EIO.because("the host answered with more than was asked")),
            Err(_) => Err(self.errno()),
        }
    }

    /// Success without a value.
    ///
    /// # Errors
    /// The host's errno; EIO for anything but 0 or an errno.
    pub fn nothing(self) -> Result<()> {
        self.count_at_most(0).map(|_| ())
    }

    fn errno(self) -> Error {
        u16::try_from(self.0.unsigned_abs())
            .ok()
            .and_then(Errno::from_raw)
            // Numbers from 512 on mean something to the LibOS, and never come from a kernel.
            .filter(|errno| errno.name().is_some() && errno.raw() < Errno::ERESTARTSYS.raw())
            .map_or(Errno::EIO.because("the host answered with no known errno"), |errno| {
                errno.because("the host said so")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::Untrusted;
    use crate::errno::Errno;

    #[test]
    fn only_errnos_that_linux_tells_are_passed_on() {
        let told = |raw: i64| Untrusted::new(raw).count_at_most(10).map_err(|error| error.errno);
        assert_eq!(told(10), Ok(10));
        assert_eq!(told(-2), Err(Errno::ENOENT));
        for lie in [11, -41, -512, -514, -516, -4095, -4096, -65_538, i64::MIN, i64::MAX] {
            assert_eq!(told(lie), Err(Errno::EIO), "{lie}");
        }
    }
}
