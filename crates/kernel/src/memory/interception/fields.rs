//! Little-endian fields of what linkers write. Whatever lies beyond the bytes is `None`.

/// Reads bytes at an address of memory, or at an offset of a file; returns how many are there.
pub type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> usize;

/// `N` bytes at `at`, or `None` when not all of them are there.
pub(crate) fn fetch<const N: usize>(read: Read<'_>, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (read(at, &mut bytes) == N).then_some(bytes)
}

/// `N` of the bytes from index `at` on.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The 16-bit number at index `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// The 32-bit number at index `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// The 64-bit number at index `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// How many of `count` rows, sorted by where they start, start at or before `address`.
pub(crate) fn rows_up_to(
    count: u64,
    address: u64,
    start: impl Fn(u64) -> Option<u64>,
) -> Option<u64> {
    // Invariant: rows below `low` start at or before the address, those from `high` on after it.
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if start(middle)? <= address {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Some(low)
}
