//! The plan, as the runner reads it, and the boot blob, as the LibOS does.
//!
//! An input is laid over a plan that is right: see [`Parts`]. Left alone, most inputs would end at the
//! length in the header.

use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};

use abi::layout::{Layout, PAGE};
use abi::plan::{Header, MAGIC, Segment, VERSION};
use arbitrary::{Arbitrary, Unstructured};

// The runner is a program, not a library: its reader is compiled into this crate as it is.
#[expect(dead_code, reason = "the runner's other parts use the rest")]
#[path = "../../crates/runner/src/plan.rs"]
mod reader;

/// SIZE of the range in plans that say nothing else.
const SIZE: u64 = 1 << 46;
/// Bytes of pages behind the tables.
const PAGES: u64 = 4 * PAGE;

/// What an input says.
#[derive(Arbitrary, Debug)]
struct Parts<'a> {
    /// Words of the header that are replaced: which one, by what.
    changes: Vec<(u8, u64)>,
    /// Segments; small numbers stand for pages, so that sensible ones are likely.
    segments: Vec<Row>,
    /// Bytes cut from the end.
    cut: u16,
    /// The boot blob.
    blob: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Row {
    /// A run of pages: address in the image part, length and offset, all in pages.
    Pages { at: u16, len: u8, offset: u8, permissions: u8, page_type: u8 },
    /// Anything.
    Raw { address: u64, len: u64, offset: u64, permissions: u32, page_type: u32 },
}

impl Row {
    fn segment(&self, pages: u64) -> Segment {
        match *self {
            Self::Pages { at, len, offset, permissions, page_type } => Segment {
                address: Layout { size: SIZE }.image() + u64::from(at) * PAGE,
                len: u64::from(len) * PAGE,
                offset: pages + u64::from(offset) * PAGE,
                permissions: (permissions & 7).into(),
                page_type: (page_type & 3).into(),
            },
            Self::Raw { address, len, offset, permissions, page_type } => {
                Segment { address, len, offset, permissions, page_type }
            }
        }
    }
}

/// Writes the plan that `data` describes, has it read, and checks what was accepted.
///
/// # Panics
/// When an accepted plan has a segment outside of its part of the range, outside of the file, or over
/// another one.
pub fn run(data: &[u8]) {
    // As it is first: a corpus of real plans is worth as much.
    read(data);
    if let Ok(parts) = Parts::arbitrary_take_rest(Unstructured::new(data)) {
        kernel::start::fuzz_blob(parts.blob);
        read(&assembled(&parts));
    }
}

/// The bytes of a plan.
fn assembled(parts: &Parts<'_>) -> Vec<u8> {
    let rows = parts.segments.len() * size_of::<Segment>();
    let boot_offset = PAGE + rows as u64;
    let pages = (boot_offset + parts.blob.len() as u64).next_multiple_of(PAGE);
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        segments: u32::try_from(parts.segments.len()).unwrap_or(u32::MAX),
        total_len: pages + PAGES,
        segments_offset: PAGE,
        boot_offset,
        boot_len: parts.blob.len() as u64,
        range_size: SIZE,
        entry: Layout { size: SIZE }.image(),
        vcpus: 1,
        ..Header::default()
    };
    let mut bytes = vec![0; usize::try_from(pages + PAGES).unwrap_or(0)];
    bytes[..size_of::<Header>()].copy_from_slice(&words_of_header(&header));
    let mut at = usize::try_from(PAGE).unwrap_or(0);
    for segment in parts.segments.iter().map(|row| row.segment(pages)) {
        let words = [
            segment.address,
            segment.len,
            segment.offset,
            u64::from(segment.page_type) << 32 | u64::from(segment.permissions),
        ];
        for word in words {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            at += 8;
        }
    }
    bytes[at..at + parts.blob.len()].copy_from_slice(parts.blob);
    for (index, word) in &parts.changes {
        let at = usize::from(*index) % (size_of::<Header>() / 8) * 8;
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(bytes.len() - usize::from(parts.cut).min(bytes.len()));
    bytes
}

fn words_of_header(header: &Header) -> Vec<u8> {
    // SAFETY: a struct of integers without padding, as the layout's tests hold.
    let bytes = unsafe {
        std::slice::from_raw_parts((&raw const *header).cast::<u8>(), size_of::<Header>())
    };
    bytes.to_vec()
}

/// Has the runner read `bytes`.
fn read(bytes: &[u8]) {
    // SAFETY: the name is a string with its NUL.
    let fd = unsafe { libc::memfd_create(c"plan".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "no memfd");
    // SAFETY: a descriptor of our own, closed by the file.
    let mut file = unsafe { std::fs::File::from_raw_fd(fd) };
    file.write_all(bytes).expect("a memfd takes it");
    let Ok(plan) = reader::Plan::read(file.as_raw_fd()) else { return };
    let len = bytes.len() as u64;
    let mut spans = Vec::new();
    for segment in plan.segments.iter().filter(|segment| segment.page_type == 2) {
        let end = segment.address.checked_add(segment.len).expect("a segment that wraps");
        assert!(segment.address >= plan.layout.vcpus() && end <= plan.layout.size, "out of range");
        let end = segment.offset.checked_add(segment.len).expect("pages that wrap");
        assert!(end <= len, "pages outside of the file");
        spans.push((segment.address, segment.address + segment.len));
    }
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "segments overlap");
    let entry = plan.header.entry;
    assert!(spans.iter().any(|(start, end)| (*start..*end).contains(&entry)), "entry nowhere");
    for tag in 0..16 {
        let items = plan.items(tag);
        assert!(items.iter().map(|item| item.len()).sum::<usize>() <= plan.blob.len());
    }
    let _ = plan.roots();
    kernel::start::fuzz_blob(&plan.blob);
}
