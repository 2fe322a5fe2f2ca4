//! C strings that are put together where libc may not be called.

use std::mem::MaybeUninit;

use crate::sys;

/// Longest path, with its NUL.
pub(crate) const PATH: usize = 4096;

/// A C string of at most `LEN` bytes with its NUL, on this stack.
pub(crate) struct Text<const LEN: usize> {
    bytes: MaybeUninit<[u8; LEN]>,
    len: usize,
}

impl<const LEN: usize> Text<LEN> {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let mut text = Self { bytes: MaybeUninit::uninit(), len: 0 };
        text.end();
        text
    }

    /// The `len` bytes at `address`, which the caller has checked; `None` when they are too many.
    pub(crate) fn copy(address: u64, len: u64) -> Option<Self> {
        let mut text = Self::new();
        text.push_from(address, len).then_some(text)
    }

    /// Names a descriptor of this process by a path, in the way of procfs.
    pub(crate) fn push_descriptor(&mut self, fd: i32) -> bool {
        self.push(b"/proc/self/fd/") && self.push_number(fd.unsigned_abs())
    }

    /// Appends `len` bytes from `address`, which the caller has checked; false when they don't fit.
    pub(crate) fn push_from(&mut self, address: u64, len: u64) -> bool {
        let Ok(len) = usize::try_from(len) else { return false };
        if len >= LEN - self.len {
            return false;
        }
        // SAFETY: there is room for them, and the source was checked by the caller.
        unsafe { sys::copy(self.at(self.len), address as *const u8, len) };
        self.len += len;
        self.end();
        true
    }

    /// Appends bytes; false when they don't fit.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        self.push_from(bytes.as_ptr() as u64, bytes.len() as u64)
    }

    fn push_number(&mut self, number: u32) -> bool {
        (number < 10 || self.push_number(number / 10)) && self.push(&[b'0' + (number % 10) as u8])
    }

    /// Where it lies.
    pub(crate) fn address(&self) -> u64 {
        self.bytes.as_ptr() as u64
    }

    fn at(&mut self, index: usize) -> *mut u8 {
        // SAFETY: callers stay below LEN.
        unsafe { self.bytes.as_mut_ptr().cast::<u8>().add(index) }
    }

    fn end(&mut self) {
        let end = self.at(self.len);
        // SAFETY: `len` is below LEN.
        unsafe { end.write(0) };
    }
}

#[cfg(test)]
mod tests {
    use super::Text;
    use std::ffi::CStr;

    fn shown<const LEN: usize>(text: &Text<LEN>) -> &[u8] {
        // SAFETY: it ends with a NUL.
        unsafe { CStr::from_ptr(text.address() as *const libc::c_char) }.to_bytes()
    }

    #[test]
    fn texts_end_and_never_overrun() {
        let mut text = Text::<20>::new();
        assert_eq!(shown(&text), b"");
        assert!(text.push_descriptor(10_305));
        assert_eq!(shown(&text), b"/proc/self/fd/10305");
        assert!(!text.push(b"/"), "no room for the NUL");
        assert_eq!(shown(&text), b"/proc/self/fd/10305");
        assert!(Text::<4>::copy(b"abcd".as_ptr() as u64, 4).is_none());
        let three = Text::<4>::copy(b"abcd".as_ptr() as u64, 3).expect("fits");
        assert_eq!(shown(&three), b"abc");
    }
}
