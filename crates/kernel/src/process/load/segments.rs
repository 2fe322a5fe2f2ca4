//! Segments into user memory.

use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;
use abi::errno::Result;
use abi::layout::PAGE;

use super::executable::Executable;
use crate::context::write_bytes;
use crate::memory::contents::Described;
use crate::memory::map::{MapFlags, Request};
use crate::memory::populate::Refusal;
use crate::memory::{Access, Prot, Space};
use crate::process::elf::Plan;

/// Segments of up to so many bytes are brought in whole: cheaper than the faults that would follow.
const EAGER: u64 = 256 << 10;
/// Zeros for the rest of a page.
static ZEROS: [u8; 4096] = [0; 4096];

/// A free place for `len` bytes in the area of mappings, at a multiple of `align`, a power of two.
///
/// # Errors
/// ENOMEM.
pub(super) fn find_place(space: &Space, len: u64, align: u64) -> Result<u64> {
    let with_slack = len
        .checked_add(align.saturating_sub(PAGE))
        .ok_or(Errno::ENOMEM.because("length and alignment overflow"))?;
    let reserve = Request::anonymous(0, with_slack, Prot::empty(), MapFlags::NO_RESERVE);
    let found = space.map(&reserve)?;
    space.unmap(found, with_slack)?;
    Ok(found.next_multiple_of(align.max(PAGE)))
}

/// Maps all segments, moved by `bias`; later ones over earlier ones where they overlap.
///
/// # Errors
/// ENOMEM; EFAULT when the page in which a writable segment's zeros begin can't be had.
pub(super) async fn map(
    space: &Arc<Space>,
    file: &Executable,
    plan: &Plan,
    bias: u64,
) -> Result<()> {
    let described: Arc<dyn Described> = Arc::new(file.place.clone());
    for segment in &plan.segments {
        let (contents, zeros) = (segment.file_range(), segment.zero_range());
        if !contents.is_empty() {
            let (start, len) = moved(&contents, bias);
            if len <= EAGER {
                // What can't be read now is a fault's matter, if it is used at all.
                let _ = file.pages.fill(segment.file_offset(), len).await;
            }
            let request = Request::private_file(
                start,
                len,
                segment.prot,
                MapFlags::FIXED,
                Arc::clone(&file.pages),
                Some(Arc::clone(&described)),
                segment.file_offset(),
            );
            space.map(&request)?;
        }
        // Of a page that can't be written the file's bytes stay, as on Linux.
        if !segment.tail().is_empty() && segment.prot.contains(Prot::WRITE) {
            let (start, len) = moved(&segment.tail(), bias);
            space.populate(start, Access::Write).await.map_err(refused)?;
            let len = usize::try_from(len).unwrap_or(0).min(ZEROS.len());
            write_bytes(space, start, &ZEROS[..len])?;
        }
        if !zeros.is_empty() {
            let (start, len) = moved(&zeros, bias);
            let prot = Prot::READ | Prot::WRITE | (segment.prot & Prot::EXEC);
            space.map(&Request::anonymous(start, len, prot, MapFlags::FIXED))?;
        }
    }
    Ok(())
}

fn moved(range: &Range<u64>, bias: u64) -> (u64, u64) {
    (range.start.wrapping_add(bias), range.end - range.start)
}

fn refused(refusal: Refusal) -> abi::Error {
    match refusal {
        Refusal::OutOfMemory => Errno::ENOMEM.because("the enclave's memory limit is reached"),
        _ => Errno::EFAULT.because("a segment lies beyond the file's end"),
    }
}
