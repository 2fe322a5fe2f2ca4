//! From program headers to pages.

use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use abi::layout::PAGE;

use super::{Elf, Header, Type, kind};
use crate::memory::{Prot, page_down};

/// One `PT_LOAD`, by the addresses in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first byte.
    pub address: u64,
    /// Where that byte stands in the file.
    pub offset: u64,
    /// Bytes that come from the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub size: u64,
    /// What the program may do there.
    pub prot: Prot,
}

/// Where all of a file goes, by the addresses in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The segments, in the file's order.
    pub segments: Vec<Segment>,
    /// From the first page to the last.
    pub span: Range<u64>,
    /// What the first page's address must be a multiple of, when it may be moved; a power of two.
    pub align: u64,
    /// Behind the last byte: the heap begins somewhere behind it.
    pub end: u64,
}

impl Elf {
    /// Lays the segments out. Addresses at and behind `limit` are refused.
    ///
    /// # Errors
    /// EINVAL for a wrong type of file, sums that overflow, offsets that don't fit addresses, and nothing to be loaded;
    /// ENOMEM for what does not fit below `limit`.
    pub fn plan(&self, limit: u64) -> Result<Plan> {
        if !self.head.loadable {
            return Err(Errno::EINVAL.because("neither an executable nor a shared object"));
        }
        let mut plan = Plan { segments: Vec::new(), span: 0..0, align: PAGE, end: 0 };
        for header in self.headers.iter().filter(|header| header.kind == kind::LOAD) {
            let segment = Segment::read(header, limit)?;
            let start = page_down(segment.address);
            let end = segment.file_range().end.max(segment.zero_range().end).max(start);
            if end > limit {
                return Err(Errno::ENOMEM.because("a segment ends beyond the user region"));
            }
            let first = if plan.segments.is_empty() { start } else { plan.span.start.min(start) };
            plan.span = first..plan.span.end.max(end);
            plan.end = plan.end.max(segment.address + segment.size);
            // What the region can't give is not asked for.
            let sensible = header.align.is_power_of_two() && header.align <= limit / 16;
            if sensible && header.align > plan.align {
                plan.align = header.align;
            }
            plan.segments.push(segment);
        }
        if plan.segments.is_empty() {
            plan.span = 0..0;
        }
        if plan.span.is_empty() && self.head.kind == Type::Relocatable {
            return Err(Errno::EINVAL.because("nothing in the file is to be loaded"));
        }
        Ok(plan)
    }
}

impl Segment {
    fn read(header: &Header, limit: u64) -> Result<Self> {
        if header.file_size > header.size {
            return Err(Errno::EINVAL.because("a segment is longer in the file than in memory"));
        }
        if header.address >= limit || header.size > limit || limit - header.size < header.address {
            return Err(Errno::EINVAL.because("a segment lies beyond the user region"));
        }
        let mut prot = Prot::empty();
        prot.set(Prot::EXEC, header.flags & 1 != 0);
        prot.set(Prot::WRITE, header.flags & 2 != 0);
        prot.set(Prot::READ, header.flags & 4 != 0);
        let segment = Self {
            address: header.address,
            offset: header.offset,
            file_size: header.file_size,
            size: header.size,
            prot,
        };
        if header.file_size > 0 {
            let into_page = header.address % PAGE;
            let first = header.offset.checked_sub(into_page).filter(|offset| offset % PAGE == 0);
            let end = first.and_then(|first| first.checked_add(header.file_size + into_page));
            if end.and_then(crate::memory::page_up).is_none() {
                return Err(Errno::EINVAL.because("a segment's offset does not fit its address"));
            }
        }
        Ok(segment)
    }

    /// The pages that come from the file, the last one perhaps in part.
    pub fn file_range(&self) -> Range<u64> {
        let start = page_down(self.address);
        if self.file_size == 0 {
            return start..start;
        }
        start..up(self.address + self.file_size)
    }

    /// Where in the file the first page stands.
    pub fn file_offset(&self) -> u64 {
        self.offset - self.address % PAGE
    }

    /// The pages of zeros behind those of the file.
    pub fn zero_range(&self) -> Range<u64> {
        let start = self.file_range().end;
        if self.size == self.file_size {
            return start..start;
        }
        start..up(self.address + self.size).max(start)
    }

    /// The part of the file's last page that must be zero: from behind the file's bytes on.
    pub fn tail(&self) -> Range<u64> {
        let end = self.file_range().end;
        if self.size == self.file_size || self.file_size == 0 {
            return end..end;
        }
        self.address + self.file_size..end
    }
}

/// Rounds an address up; addresses lie below a limit far from the end of 64 bits.
fn up(address: u64) -> u64 {
    crate::memory::page_up(address).unwrap_or(!(PAGE - 1))
}
