//! The core file of a program that a signal ends, for `adyton run --core FILE`.
//!
//! Each thread leaves its registers as it ends ([`leave`]); the last one, while memory still stands, lays
//! an ELF core out and hands it to the decoder piece by piece ([`write`](fn@write)), which writes the file.
//! No piece is larger than a record, and what is all zeros is left out.
//!
//! Source: core(5), elf(5); Linux, `fs/binfmt_elf.c`, "ELF core dumper".

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::layout::PAGE;
use abi::trace::{BYTES, core as pieces, nr};

use crate::context::Context;
use crate::memory::Prot;
use crate::memory::area::Flags;
use crate::memory::maps::{Mapping, Usage};
use crate::signal::info::Info;
use crate::trace::core_notes::{self, Left};
use crate::trace::record::Record;

/// Bytes of an ELF header, and of a program header.
const HEADER: usize = 64;
const SEGMENT: usize = 56;
/// Bytes of a page, as a length.
const PAGE_LEN: usize = 4096;
/// The most segments: what an ELF header counts without help. Programs with more mappings miss the last.
const SEGMENTS: usize = 0xFFF0;

/// What the threads of a process that is ended leave for its core file.
#[derive(Debug)]
pub(crate) struct Core {
    /// The signal.
    pub(crate) info: Info,
    /// Registers of the threads, that of the signal first.
    pub(crate) threads: Vec<Left>,
}

/// A signal with a core ends the calling thread's process: from now on threads leave their registers.
pub(crate) fn begin(cx: &mut Context<'_>, info: &Info) {
    if !cx.kernel.trace.core || cx.process.dumpable.load(Ordering::Relaxed) == 0 {
        return;
    }
    let own = Left::of(cx);
    let mut core = cx.process.signals.core.lock();
    if core.is_none() {
        *core = Some(Core { info: *info, threads: alloc::vec![own] });
    }
}

/// The calling thread ends: it leaves its registers if a core file is to be written, which this says.
pub(crate) fn leave(cx: &mut Context<'_>) -> bool {
    if !cx.kernel.trace.core || cx.process.signals.core.lock().is_none() {
        return false;
    }
    let own = Left::of(cx);
    if let Some(core) = &mut *cx.process.signals.core.lock()
        && core.threads.iter().all(|left| left.tid != own.tid)
    {
        core.threads.push(own);
    }
    true
}

/// Writes the core file, if one is to be written; for the last thread.
pub(crate) fn write(cx: &Context<'_>) {
    let Some(core) = cx.process.signals.core.lock().take() else { return };
    let mut maps = cx.memory().maps_with_usage();
    maps.retain(|(mapping, _)| mapping.name != "[vsyscall]");
    maps.truncate(SEGMENTS);
    let (first, each) = core_notes::sizes(cx, &maps);
    let notes = first + each * (core.threads.len() as u64 - 1);
    let headers = (HEADER + SEGMENT * (maps.len() + 1)) as u64;
    let segments = segments(&maps, (headers + notes).next_multiple_of(PAGE));
    let mut sink = Sink { cx, at: 0, pending: Vec::new() };
    sink.put(&elf_header(segments.len() + 1));
    sink.put(&program_header(4, 0, headers, 0, notes, 0, 4));
    for segment in &segments {
        let range = &segment.range;
        let len = range.end - range.start;
        let flags = segment.flags;
        sink.put(&program_header(1, flags, segment.offset, range.start, segment.len, len, PAGE));
    }
    for (index, left) in core.threads.iter().enumerate() {
        let bytes = core_notes::of_thread(cx, left, &core.info, (index == 0).then_some(&maps));
        sink.put(&bytes);
    }
    let mut end = headers + notes;
    for segment in &segments {
        sink.memory(segment);
        end = end.max(segment.offset + segment.len);
    }
    sink.flush();
    // An empty piece says how long the file is.
    piece(cx, end, &[]);
}

/// A mapping in the file.
struct Segment {
    range: Range<u64>,
    flags: u32,
    offset: u64,
    /// Bytes that the file has of it.
    len: u64,
}

fn segments(maps: &[(Mapping, Usage)], start: u64) -> Vec<Segment> {
    let mut offset = start;
    let lay = |(mapping, usage): &(Mapping, Usage)| {
        let len = dumped(mapping, usage);
        let prot = mapping.prot;
        let flag = |bit, value| if prot.contains(bit) { value } else { 0 };
        let flags = flag(Prot::READ, 4) | flag(Prot::WRITE, 2) | flag(Prot::EXEC, 1);
        let segment = Segment { range: mapping.range.clone(), flags, offset, len };
        offset += len;
        segment
    };
    maps.iter().map(lay).collect()
}

/// How many bytes of a mapping the file has, as `coredump_filter` says with its usual 0x33: memory that
/// belongs to no file, private copies of files' pages, and the first page of programs and libraries.
fn dumped(mapping: &Mapping, usage: &Usage) -> u64 {
    let len = mapping.range.end - mapping.range.start;
    if mapping.flags.contains(Flags::DONT_DUMP) {
        return 0;
    }
    let whole = match &mapping.file {
        None => usage.resident > 0,
        Some(file) if !is_file(mapping) => file.describe().path == b"[vdso]",
        Some(_) => !mapping.shared && usage.private > 0,
    };
    let begins = is_file(mapping) && mapping.offset == 0 && mapping.prot.contains(Prot::READ);
    if whole {
        len
    } else if begins {
        PAGE.min(len)
    } else {
        0
    }
}

/// Whether a mapping is a file's, which a debugger can open: pages of the LibOS have names in brackets.
pub(super) fn is_file(mapping: &Mapping) -> bool {
    mapping.file.as_ref().is_some_and(|file| !file.describe().path.starts_with(b"["))
}

/// Where the file's bytes go: to the decoder, a record at a time.
struct Sink<'a, 'b> {
    cx: &'a Context<'b>,
    at: u64,
    pending: Vec<u8>,
}

impl Sink<'_, '_> {
    fn put(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(pieces::PIECE) {
            if self.pending.len() + part.len() > pieces::PIECE {
                self.flush();
            }
            self.pending.extend(part);
        }
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            piece(self.cx, self.at, &self.pending);
            self.at += self.pending.len() as u64;
            self.pending.clear();
        }
    }

    /// What is there of a segment's memory.
    fn memory(&mut self, segment: &Segment) {
        self.flush();
        let range = segment.range.start..segment.range.start + segment.len;
        for part in self.cx.memory().backed(&range) {
            let mut at = part.start;
            while at < part.end {
                self.page(at, segment.offset + (at - segment.range.start));
                at += PAGE;
            }
        }
        self.flush();
    }

    fn page(&mut self, address: u64, offset: u64) {
        let mut page = [0; PAGE_LEN];
        let there = self.cx.memory().inspect(address, &mut page) == page.len();
        if !there || page.iter().all(|byte| *byte == 0) {
            return; // a hole
        }
        if self.at + self.pending.len() as u64 != offset {
            self.flush();
            self.at = offset;
        }
        self.put(&page);
    }
}

fn piece(cx: &Context<'_>, offset: u64, bytes: &[u8]) {
    let mut record = Record::event(nr::CORE, [offset, 0, 0, 0, 0, 0]);
    record.add(0, BYTES, bytes);
    record.write(cx);
}

fn elf_header(segments: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &4_u16.to_le_bytes()); // a core
    put(18, &62_u16.to_le_bytes()); // x86-64
    put(20, &1_u32.to_le_bytes());
    put(32, &(HEADER as u64).to_le_bytes()); // where the program headers are
    put(52, &64_u16.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &u16::try_from(segments).unwrap_or(u16::MAX).to_le_bytes());
    header
}

fn program_header(
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    in_file: u64,
    in_memory: u64,
    alignment: u64,
) -> [u8; SEGMENT] {
    let mut header = [0; SEGMENT];
    header[..4].copy_from_slice(&kind.to_le_bytes());
    header[4..8].copy_from_slice(&flags.to_le_bytes());
    let words = [offset, address, 0, in_file, in_memory, alignment];
    for (index, word) in words.into_iter().enumerate() {
        header[8 + 8 * index..16 + 8 * index].copy_from_slice(&word.to_le_bytes());
    }
    header
}
