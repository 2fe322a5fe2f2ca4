//! Where the function begins that holds an address, from a program's call frame information.
//!
//! Reads the binary search table of `.eh_frame_hdr` as linkers write it. What it says is used for
//! one thing only, to decode from a function's start, so a program that lies here spoils at most
//! its own text.
//!
//! Source: Linux Standard Base Core 5.0, sections 10.6 (`.eh_frame`, `.eh_frame_hdr`); System V ABI,
//! program header.

use core::ops::Range;

use super::fields::{Read, fetch, rows_up_to, u16_at, u32_at, u64_at};

/// Bytes of an ELF header and of one program header.
const EHDR: usize = 64;
const PHDR: usize = 56;
const PT_LOAD: u32 = 1;
const PT_GNU_EH_FRAME: u32 = 0x6474_E550;
/// Version 1; pointer relative, signed 4 bytes; count unsigned 4 bytes; table relative to the
/// section, signed 4 bytes.
const USUAL: [u8; 4] = [1, 0x1B, 0x03, 0x3B];
/// Bytes before the table, and of one row: start and FDE, both relative to the section.
const HEAD: usize = 12;
const ROW: usize = 8;

/// Finds a mapped file's `.eh_frame_hdr`.
///
/// `head` holds the file's first bytes, with all program headers (a page has room for 70);
/// the file's byte `offset`, within some loaded segment, lies at `address`.
pub fn section(head: &[u8], offset: u64, address: u64) -> Option<Range<u64>> {
    if head.get(..4) != Some(b"\x7fELF") || head.get(4) != Some(&2) || u16_at(head, 54)? != 56 {
        return None;
    }
    let bias = bias(head, offset, address)?;
    headers(head)?.find_map(|header| {
        let start = bias.wrapping_add(u64_at(header, 16)?);
        let end = start.checked_add(u64_at(header, 40)?)?;
        (u32_at(header, 0)? == PT_GNU_EH_FRAME).then_some(start..end)
    })
}

/// What is to be added to a file's linked addresses, given that its byte `offset` lies at `address`.
pub fn bias(head: &[u8], offset: u64, address: u64) -> Option<u64> {
    headers(head)?.find_map(|header| {
        let (start, size) = (u64_at(header, 8)?, u64_at(header, 32)?);
        let inside = offset.checked_sub(start).filter(|within| *within < size)?;
        (u32_at(header, 0)? == PT_LOAD)
            .then_some(address.wrapping_sub(u64_at(header, 16)?).wrapping_sub(inside))
    })
}

fn headers(head: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let first = usize::try_from(u64_at(head, 32)?).ok()?;
    let count = usize::from(u16_at(head, 56)?);
    Some((0..count).map_while(move |index| {
        let at = first.checked_add(index.checked_mul(PHDR)?)?;
        (at >= EHDR).then_some(head.get(at..at.checked_add(PHDR)?)?)
    }))
}

/// The first address of the function that holds `address`, by the table in `section`.
pub fn function_start(read: Read<'_>, section: &Range<u64>, address: u64) -> Option<u64> {
    let found = find(read, section, address)?;
    (address - found.start < u64::from(found.length)).then_some(found.start)
}

/// From the start of the function that holds `address`, or lies before it with nothing but padding
/// between, to the start of the next one; `None` for the last.
pub fn function(read: Read<'_>, section: &Range<u64>, address: u64) -> Option<Range<u64>> {
    let found = find(read, section, address)?;
    Some(found.start..found.next?)
}

/// A function, and where the next one starts.
struct Function {
    start: u64,
    length: u32,
    next: Option<u64>,
}

fn find(read: Read<'_>, section: &Range<u64>, address: u64) -> Option<Function> {
    let head: [u8; HEAD] = fetch(read, section.start)?;
    if head.get(..4)? != USUAL {
        return None;
    }
    let rows = u64::from(u32_at(&head, 8)?);
    if rows.checked_mul(ROW as u64)?.checked_add(HEAD as u64)?
        > section.end.checked_sub(section.start)?
    {
        return None;
    }
    let row = |index: u64| -> Option<(u64, u64)> {
        let bytes: [u8; ROW] = fetch(read, section.start + HEAD as u64 + index * ROW as u64)?;
        Some((relative(section.start, &bytes, 0)?, relative(section.start, &bytes, 4)?))
    };
    let after = rows_up_to(rows, address, |index| row(index).map(|(start, _)| start))?;
    let (start, entry) = row(after.checked_sub(1)?)?;
    let length = covered(read, entry, start)?;
    let next = if after < rows { row(after).map(|(next, _)| next) } else { None };
    Some(Function { start, length, next })
}

/// How many bytes the entry at `entry` covers from `start` on; `None` when it is not written in the
/// usual encoding.
fn covered(read: Read<'_>, entry: u64, start: u64) -> Option<u32> {
    let bytes: [u8; 16] = fetch(read, entry)?;
    let begins = relative(entry.checked_add(8)?, &bytes, 8)?;
    (begins == start).then_some(u32_at(&bytes, 12)?)
}

/// An address given as a signed distance from `origin`.
fn relative(origin: u64, bytes: &[u8], at: usize) -> Option<u64> {
    let distance = u32_at(bytes, at)?.cast_signed();
    origin.checked_add_signed(i64::from(distance))
}
