//! A stretch of program text with its address.

/// Bytes of a program's text, and where they lie.
///
/// Always the program's own bytes: a reader of memory that holds patches overlays the originals
/// first ([`super::sites::Book::overlay`]).
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    base: u64,
    bytes: &'a [u8],
}

impl<'a> Code<'a> {
    /// Names `bytes` as what lies at `base`. What would lie beyond the address space is cut off.
    pub fn new(base: u64, bytes: &'a [u8]) -> Self {
        let room = usize::try_from(u64::MAX - base).unwrap_or(usize::MAX);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        Self { base, bytes }
    }

    /// `len` bytes at `at`, or `None` when not all of them are here.
    pub fn get(&self, at: u64, len: usize) -> Option<&'a [u8]> {
        let from = usize::try_from(at.checked_sub(self.base)?).ok()?;
        self.bytes.get(from..from.checked_add(len)?)
    }

    /// As [`Self::get`], with the number of bytes in the type.
    pub fn array<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        self.get(at, N)?.try_into().ok()
    }

    /// All bytes from `at` on, at most 15 (the longest instruction); empty when `at` is not here.
    pub fn instruction_bytes(&self, at: u64) -> &'a [u8] {
        let tail = at
            .checked_sub(self.base)
            .and_then(|from| self.bytes.get(usize::try_from(from).ok()?..))
            .unwrap_or_default();
        tail.get(..super::boundary::LONGEST).unwrap_or(tail)
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The first address.
    pub fn start(&self) -> u64 {
        self.base
    }
}

/// The page that holds an address.
pub(crate) const fn page_of(at: u64) -> u64 {
    at & !(super::PAGE - 1)
}

/// Offset of an address within its page.
pub(crate) const fn offset_in_page(at: u64) -> u64 {
    at & (super::PAGE - 1)
}

/// The displacement from the end of an instruction to a target, or `None` beyond ±2 GiB.
pub(crate) fn rel32(end: u64, target: u64) -> Option<i32> {
    i32::try_from(target.wrapping_sub(end).cast_signed()).ok()
}
