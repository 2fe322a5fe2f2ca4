//! The machine's own libraries: how many sites each rule fits.

use super::world::{GATE, Program, Taken, is_by};
use crate::memory::interception::claims::Claims;
use crate::memory::interception::code::Code;
use crate::memory::interception::decide::{Proof, Rule, Site, Surroundings, Text, decide};
use crate::memory::interception::pool::Pool;
use crate::memory::interception::{AFTER, BEFORE};
use crate::memory::interception::{frames, golang};
use iced_x86::{Decoder, DecoderOptions};
use std::ops::Range;
use std::path::Path;

/// A file as it would be mapped.
struct Mapped {
    program: Program,
    sections: Vec<Range<u64>>,
    frames: Option<Range<u64>>,
    table: Option<golang::Table>,
    bias: u64,
    file: Vec<u8>,
}

fn read_file(file: &[u8], at: u64, out: &mut [u8]) -> usize {
    let tail = usize::try_from(at).ok().and_then(|at| file.get(at..)).unwrap_or_default();
    let len = tail.len().min(out.len());
    out[..len].copy_from_slice(&tail[..len]);
    len
}

impl Text for Mapped {
    fn function_start(&self, address: u64) -> Option<u64> {
        let read = |at, buffer: &mut [u8]| self.program.read(at, buffer);
        frames::function_start(&read, self.frames.as_ref()?, address)
    }

    fn function(&self, address: u64) -> Option<Range<u64>> {
        let Some(table) = self.table else {
            let read = |at, buffer: &mut [u8]| self.program.read(at, buffer);
            return frames::function(&read, self.frames.as_ref()?, address);
        };
        let read = |at, out: &mut [u8]| read_file(&self.file, at, out);
        let found = table.function(&read, address - self.bias)?;
        Some(found.start + self.bias..found.end + self.bias)
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        self.program.read(at, buffer)
    }
}

fn field<const N: usize>(file: &[u8], at: u64) -> u64 {
    let at = usize::try_from(at).unwrap();
    let mut bytes = [0; 8];
    bytes[..N].copy_from_slice(&file[at..at + N]);
    u64::from_le_bytes(bytes)
}

fn map(path: &Path) -> Option<Mapped> {
    let file = std::fs::read(path).ok()?;
    let position_independent = field::<2>(&file, 16) == 3;
    let base = if position_independent { 0x2AAA_1234_5000 } else { 0 };
    let (table, count) = (field::<8>(&file, 32), field::<2>(&file, 56));
    let loads: Vec<_> = (0..count)
        .map(|index| table + index * 56)
        .filter(|header| field::<4>(&file, *header) == 1)
        .map(|header| [8, 16, 32, 40].map(|at| field::<8>(&file, header + at)))
        .collect();
    let first = loads.iter().map(|load| load[1]).min()? & !4095;
    let end = loads.iter().map(|load| load[1] + load[3]).max()?;
    let mut bytes = vec![0; usize::try_from(end - first).unwrap()];
    for [offset, address, size, _] in &loads {
        let [from, to, len] =
            [*offset, address - first, *size].map(|value| usize::try_from(value).unwrap());
        bytes[to..to + len].copy_from_slice(&file[from..from + len]);
    }
    let (table, count) = (field::<8>(&file, 40), field::<2>(&file, 60));
    let sections = (0..count)
        .map(|index| table + index * 64)
        .filter(|header| field::<8>(&file, header + 8) & 4 != 0)
        .map(|header| {
            let start = base + field::<8>(&file, header + 16);
            start..start + field::<8>(&file, header + 32)
        })
        .collect();
    let [offset, address, ..] = loads[0];
    let frames = frames::section(&file[..4096], offset, base + address);
    let program = Program { base: base + first, bytes, starts: Vec::new() };
    let table = golang::Table::find(&|at, out: &mut [u8]| read_file(&file, at, out));
    Some(Mapped { program, sections, frames, table, bias: base, file })
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    sites: u32,
    mov: u32,
    pun: u32,
    pad: u32,
    any: u32,
}

fn count(mapped: &Mapped) -> Counts {
    let mut counts = Counts::default();
    let program = &mapped.program;
    let end = program.base + program.bytes.len() as u64;
    let space = Taken::only(program.base..end);
    let pool = Pool::new();
    for section in &mapped.sections {
        let bytes = program.slice(section.clone());
        let mut rax = None;
        for instruction in &mut Decoder::with_ip(64, bytes, section.start, DecoderOptions::NONE) {
            if instruction.code() != iced_x86::Code::Syscall {
                let loads = matches!(
                    instruction.code(),
                    iced_x86::Code::Mov_r32_imm32 | iced_x86::Code::Mov_rm64_imm32
                ) && instruction.op0_register().full_register()
                    == iced_x86::Register::RAX;
                rax = loads.then(|| instruction.immediate64());
                continue;
            }
            let at = instruction.ip();
            counts.sites += 1;
            let from = at - BEFORE as u64;
            let code = Code::new(from, program.slice(from..(at + AFTER as u64).min(end)));
            let (claims, windows) = (Claims::new(), pool.within(&space));
            let around = Surroundings { claims: &claims, windows: &windows, text: Some(mapped) };
            let ask = |proof| decide(&Site { at, code, proof }, &around);
            let mov =
                is_by(Rule::Mov, &ask(Proof::Trapped { rax: rax.take().unwrap_or(u64::MAX) }));
            let pun = is_by(Rule::Pun, &ask(Proof::Learned(Rule::Pun)));
            counts.mov += u32::from(mov);
            counts.pun += u32::from(pun);
            let pad = is_by(Rule::Pad, &ask(Proof::Learned(Rule::Pad)));
            counts.pad += u32::from(pad);
            counts.any += u32::from(mov || pun || pad);
        }
    }
    counts
}

/// Prints a row for each file that is there; of the C library nearly all sites must be rewritable.
#[test]
fn libraries_of_this_machine() {
    assert_eq!(GATE.vcpus & 0xFFFF_FFFF, 0);
    let files = [
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-musl-x86_64.so.1",
        "/bin/busybox",
        "/usr/lib/go/bin/go",
        "/usr/local/go/bin/go",
    ];
    for path in files {
        let Some(mapped) = map(Path::new(path)) else {
            println!("{path}: not here");
            continue;
        };
        let counts = count(&mapped);
        println!("{path}: {counts:?}");
        if path.ends_with("libc.so.6") {
            assert!(counts.sites > 400, "{counts:?}");
            assert!(counts.mov * 100 >= counts.sites * 75, "{counts:?}");
            assert!(counts.any * 100 >= counts.sites * 98, "{counts:?}");
        }
        if path.ends_with("bin/go") {
            assert!(mapped.table.is_some());
            assert!(counts.any * 100 >= counts.sites * 90, "{counts:?}");
        }
    }
}
