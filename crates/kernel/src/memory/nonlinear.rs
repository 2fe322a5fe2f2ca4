//! remap_file_pages(2): another part of a file in place of what a shared mapping shows.
//!
//! As in Linux since 4.0 it is a new mapping of the same file, so what was one area becomes several.

use abi::Errno;
use abi::errno::Result;

use super::area::{Flags, Kind};
use super::space::Space;
use super::{PAGE, page_down};

impl Space {
    /// Shows `len` bytes of the file from page `page` on at `address`, where a shared mapping of it is.
    /// Addresses and lengths are rounded down. Bringing the pages in is the caller's, with
    /// [`Space::bring`]; gives the range for that.
    ///
    /// # Errors
    /// EINVAL for what is no shared mapping of one file, or overflows.
    pub fn remap_file(&self, address: u64, len: u64, page: u64) -> Result<core::ops::Range<u64>> {
        let (start, len) = (page_down(address), page_down(len));
        let overflow = Errno::EINVAL.because("no bytes, or the range overflows");
        let end = start.checked_add(len).filter(|end| *end > start).ok_or(overflow)?;
        page.checked_add(len / PAGE).ok_or(overflow)?;
        let not_shared = Errno::EINVAL.because("the range is no shared mapping of one file");
        let mut state = self.state.lock();
        let pieces = state.pieces(&(start..end));
        let (_, first) = pieces.first().cloned().ok_or(not_shared)?;
        let Kind::File(shown) = &first.kind else { return Err(not_shared) };
        let mut at = start;
        for (range, area) in &pieces {
            let same = matches!(&area.kind, Kind::File(mapped)
                if mapped.shared && alloc::sync::Arc::ptr_eq(&mapped.pages, &shown.pages));
            // What an area was is of no account: a text's patches are its own.
            let flags = Flags::all() - Flags::TEXT;
            let alike = area.prot == first.prot && area.flags & flags == first.flags & flags;
            if range.start != at || !same || !alike {
                return Err(not_shared);
            }
            at = range.end;
        }
        if at != end {
            return Err(not_shared);
        }
        let offset = page.checked_mul(PAGE).filter(|offset| offset.checked_add(len).is_some());
        let offset = offset.ok_or(Errno::EOVERFLOW.because("offset and length overflow"))?;
        let mut area = first.clone();
        area.end = end;
        if let Kind::File(mapped) = &mut area.kind {
            mapped.offset = offset;
        }
        self.put(&mut state, start, area)?;
        Ok(start..end)
    }
}
