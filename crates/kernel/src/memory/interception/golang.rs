//! Where functions begin in a Go program, from the table that its run-time system unwinds by.
//!
//! Go's linker writes no call frame information; `.gopclntab` has the start of every function instead,
//! sorted. It is found by the file's section headers, and used only where it agrees with the file: the
//! program's entry must be the start of one of its functions.
//!
//! Source: System V ABI, section header; `runtime/symtab.go` of Go 1.18 and later (`pcHeader`,
//! `functab`).

use core::ops::Range;

use super::fields::{Read, fetch, rows_up_to, u16_at, u32_at, u64_at};

/// Bytes of an ELF header and of one section header.
const EHDR: usize = 64;
const SHDR: usize = 64;
/// The most section headers that are looked at.
const SECTIONS_MAX: u64 = 128;
/// Bytes of the longest name that is looked for.
const NAME: usize = 28;
/// The table's first word in Go 1.18 and 1.19, and since 1.20.
const MAGICS: [u32; 2] = [0xFFFF_FFF0, 0xFFFF_FFF1];
/// Bytes of the table's header, and of a row: start and description, relative to text and table.
const HEAD: usize = 72;
const ROW: u64 = 8;

/// The table of functions of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Offset in the file of the first row.
    rows: u64,
    /// How many functions there are; one more row holds the end of the last.
    count: u64,
    /// Address, as linked, that rows are relative to.
    text: u64,
}

struct Section {
    address: u64,
    offset: u64,
    size: u64,
}

impl Table {
    /// Finds the table of a file; `None` when it has none that can be trusted.
    pub fn find(read: Read<'_>) -> Option<Self> {
        let head: [u8; EHDR] = fetch(read, 0)?;
        if head.get(..5)? != b"\x7fELF\x02" || usize::from(u16_at(&head, 58)?) != SHDR {
            return None;
        }
        let first = u64_at(&head, 40)?;
        let count = u64::from(u16_at(&head, 60)?).min(SECTIONS_MAX);
        let names = section(read, first, u64::from(u16_at(&head, 62)?))?.1;
        let named = |wanted: &[&[u8]]| {
            (0..count).find_map(|index| {
                let (name, section) = section(read, first, index)?;
                let mut bytes = [0; NAME];
                let len = read(names.offset.checked_add(name)?, &mut bytes);
                let name = bytes.get(..len)?.split(|byte| *byte == 0).next()?;
                wanted.contains(&name).then_some(section)
            })
        };
        let lines = named(&[b".gopclntab", b".data.rel.ro.gopclntab"])?;
        let table = Self::in_section(read, &lines, &named(&[b".text"])?)?;
        let entry = u64_at(&head, 24)?;
        (table.function(read, entry)?.start == entry).then_some(table)
    }

    fn in_section(read: Read<'_>, lines: &Section, text: &Section) -> Option<Self> {
        let head: [u8; HEAD] = fetch(read, lines.offset)?;
        if !MAGICS.contains(&u32_at(&head, 0)?) || head.get(6..8)? != [1, 8] {
            return None;
        }
        let (count, start, rows) = (u64_at(&head, 8)?, u64_at(&head, 24)?, u64_at(&head, 64)?);
        let end = count.checked_add(1)?.checked_mul(ROW)?.checked_add(rows)?;
        if end > lines.size {
            return None;
        }
        // Newer linkers leave the start out: it is the section's.
        let start = if start == 0 { text.address } else { start };
        let inside = start.checked_sub(text.address).is_some_and(|skip| skip < text.size);
        inside.then_some(Self { rows: lines.offset.checked_add(rows)?, count, text: start })
    }

    /// From the start of the function that holds `address` to the start of the next, all as linked.
    pub fn function(&self, read: Read<'_>, address: u64) -> Option<Range<u64>> {
        let start = |index: u64| -> Option<u64> {
            let row: [u8; 4] = fetch(read, self.rows.checked_add(index * ROW)?)?;
            self.text.checked_add(u64::from(u32::from_le_bytes(row)))
        };
        let next = rows_up_to(self.count, address, start)?;
        let found = start(next.checked_sub(1)?)?..start(next)?;
        found.contains(&address).then_some(found)
    }
}

/// A section header: where its name is among the names, and the section.
fn section(read: Read<'_>, first: u64, index: u64) -> Option<(u64, Section)> {
    let header: [u8; SHDR] = fetch(read, first.checked_add(index * SHDR as u64)?)?;
    let section = Section {
        address: u64_at(&header, 16)?,
        offset: u64_at(&header, 24)?,
        size: u64_at(&header, 32)?,
    };
    Some((u64::from(u32_at(&header, 0)?), section))
}

#[cfg(test)]
mod tests;
