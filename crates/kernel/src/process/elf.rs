//! ELF files of x86-64: their header, their program headers, and what is to be mapped where.
//!
//! Trusted; its input is not. Pure: it sees bytes and gives numbers that were checked, and never
//! panics, whatever the bytes are. What Linux accepts is accepted, and what Linux refuses gets its
//! errno, at the same of three stages: [`Head`] and [`Elf`] before the old program is gone,
//! [`Elf::plan`] after that.
//!
//! Source: elf(5); System V ABI, AMD64 supplement.

mod plan;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;

pub use crate::process::elf::plan::{Plan, Segment};

/// Bytes of the header.
pub const HEAD: usize = 64;
/// Bytes of a program header.
pub const ENTRY: usize = 56;
/// The most bytes of program headers that Linux reads.
const TABLE_MAX: usize = 65_536;
/// The longest name of an interpreter with its NUL, bytes.
const NAME_MAX: u64 = 4096;
/// `e_machine` of x86-64.
const X86_64: u16 = 62;
/// `PF_X`.
const EXECUTABLE: u32 = 1;

/// Types of program headers.
mod kind {
    pub(super) const LOAD: u32 = 1;
    pub(super) const INTERPRETER: u32 = 3;
    pub(super) const STACK: u32 = 0x6474_e551;
}

/// What the file is read for: which errno a malformation gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To be run: ENOEXEC.
    Program,
    /// To interpret another: ELIBBAD.
    Interpreter,
}

/// Whether a file goes to its own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `ET_EXEC`: to the addresses that it says.
    Fixed,
    /// `ET_DYN`: anywhere.
    Relocatable,
}

/// The header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where it goes.
    pub kind: Type,
    /// The address of its first instruction, before it is moved.
    pub entry: u64,
    /// Where the program headers begin in the file.
    pub table: u64,
    /// Number of program headers: 1 to 1170.
    pub count: u16,
    role: Role,
    /// It is an executable or a shared object.
    loadable: bool,
}

/// A program header, as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`.
    pub flags: u32,
    /// `p_offset`.
    pub offset: u64,
    /// `p_vaddr`.
    pub address: u64,
    /// `p_filesz`.
    pub file_size: u64,
    /// `p_memsz`.
    pub size: u64,
    /// `p_align`.
    pub align: u64,
}

/// Header and program headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// The header.
    pub head: Head,
    /// The program headers, in the file's order.
    pub headers: Vec<Header>,
}

/// What a program wants of its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// It may not be executed.
    Data,
    /// It may be executed.
    Executable,
}

/// Whether the bytes at a file's start are an ELF file's.
pub fn is_elf(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF")
}

impl Head {
    /// Reads the header from a file's first bytes; what is missing at their end counts as zeros.
    ///
    /// # Errors
    /// As [`Role`] says.
    pub fn read(start: &[u8], role: Role) -> Result<Self> {
        let mut bytes = [0; HEAD];
        let len = start.len().min(HEAD);
        bytes[..len].copy_from_slice(&start[..len]);
        if !is_elf(&bytes) {
            return Err(role.refuse("not an ELF file"));
        }
        if half(&bytes, 18) != X86_64 {
            return Err(role.refuse("an ELF file for another processor"));
        }
        let kind = if half(&bytes, 16) == 2 { Type::Fixed } else { Type::Relocatable };
        let loadable = [2, 3].contains(&half(&bytes, 16));
        // Of an interpreter Linux finds out when it maps it.
        if !loadable && role == Role::Program {
            return Err(role.refuse("neither an executable nor a shared object"));
        }
        let count = half(&bytes, 56);
        if usize::from(half(&bytes, 54)) != ENTRY {
            return Err(role.refuse("program headers of another size"));
        }
        if count == 0 || usize::from(count) * ENTRY > TABLE_MAX {
            return Err(role.refuse("no program headers, or more than 64 KiB of them"));
        }
        Ok(Self { kind, entry: long(&bytes, 24), table: long(&bytes, 32), count, role, loadable })
    }

    /// Bytes of the program headers.
    pub fn table_len(&self) -> usize {
        usize::from(self.count) * ENTRY
    }
}

impl Role {
    /// The error for a file of this role.
    pub(crate) fn refuse(self, why: &'static str) -> abi::Error {
        match self {
            Self::Program => Errno::ENOEXEC.because(why),
            Self::Interpreter => Errno::ELIBBAD.because(why),
        }
    }
}

impl Elf {
    /// Reads the program headers from `table`, the bytes that [`Head::table`] and
    /// [`Head::table_len`] name.
    ///
    /// # Errors
    /// As [`Role`] says when bytes are missing.
    pub fn read(head: Head, table: &[u8]) -> Result<Self> {
        let Some(table) = table.get(..head.table_len()) else {
            return Err(head.role.refuse("the program headers lie beyond the file's end"));
        };
        let headers = table.chunks_exact(ENTRY).map(Header::read).collect();
        Ok(Self { head, headers })
    }

    /// Offset and length of the interpreter's name with its NUL.
    ///
    /// # Errors
    /// ENOEXEC when it can't be a name; EINVAL when it ends beyond the longest of files.
    pub fn interpreter(&self) -> Result<Option<(u64, usize)>> {
        let Some(header) = self.headers.iter().find(|header| header.kind == kind::INTERPRETER)
        else {
            return Ok(None);
        };
        if !(2..=NAME_MAX).contains(&header.file_size) {
            return Err(Errno::ENOEXEC.because("the interpreter's name is too short or too long"));
        }
        let end = header.offset.checked_add(header.file_size);
        if end.is_none_or(|end| i64::try_from(end).is_err()) {
            return Err(Errno::EINVAL.because("the interpreter's name lies beyond any file's end"));
        }
        let len = usize::try_from(header.file_size).unwrap_or(0);
        Ok(Some((header.offset, len)))
    }

    /// What it wants of its stack; `None`: it does not say, and gets the default.
    pub fn stack(&self) -> Option<Stack> {
        let header = self.headers.iter().rev().find(|header| header.kind == kind::STACK)?;
        let executable = header.flags & EXECUTABLE != 0;
        Some(if executable { Stack::Executable } else { Stack::Data })
    }

    /// Address of the program headers in memory before it is moved; 0 when no segment has them.
    pub fn table_address(&self) -> u64 {
        let at = self.head.table;
        let holds = |header: &&Header| {
            header.kind == kind::LOAD
                && at >= header.offset
                && at - header.offset < header.file_size
        };
        self.headers
            .iter()
            .rev()
            .find(holds)
            .map_or(0, |header| header.address.wrapping_add(at - header.offset))
    }
}

impl Header {
    /// Reads one from [`ENTRY`] bytes.
    fn read(bytes: &[u8]) -> Self {
        Self {
            kind: word(bytes, 0),
            flags: word(bytes, 4),
            offset: long(bytes, 8),
            address: long(bytes, 16),
            file_size: long(bytes, 32),
            size: long(bytes, 40),
            align: long(bytes, 48),
        }
    }
}

/// Reads a name as it stands in the file: up to its first NUL.
///
/// # Errors
/// ENOEXEC when its last byte isn't NUL.
pub fn name(bytes: &[u8]) -> Result<&[u8]> {
    if bytes.last() != Some(&0) {
        return Err(Errno::ENOEXEC.because("the interpreter's name does not end"));
    }
    Ok(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// Reads a whole file as the loader would; for fuzzers.
///
/// # Panics
/// When a plan says what no plan may; whatever `data` is, that is a mistake here.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(data: &[u8]) {
    for role in [Role::Program, Role::Interpreter] {
        let Ok(head) = Head::read(data, role) else { continue };
        let from = usize::try_from(head.table).unwrap_or(usize::MAX);
        let Ok(elf) = Elf::read(head, data.get(from..).unwrap_or_default()) else { continue };
        if let Ok(Some((offset, len))) = elf.interpreter() {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = data.get(from..).and_then(|rest| rest.get(..len));
            let _ = name(bytes.unwrap_or_default());
        }
        let _ = (elf.stack(), elf.table_address());
        let limit = abi::layout::SIZE_MAX;
        let Ok(plan) = elf.plan(limit) else { continue };
        assert!(plan.span.end <= limit, "beyond the region");
        for segment in &plan.segments {
            let (file, zeros) = (segment.file_range(), segment.zero_range());
            assert!(file.start <= file.end && zeros.start <= zeros.end, "a negative length");
            assert!(plan.span.start <= file.start, "below the span");
            assert!(zeros.is_empty() || zeros.end <= plan.span.end, "behind the span");
        }
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
