//! The notes of a core file: registers of each thread, and what is known of the process.
//!
//! Source: Linux, `fs/binfmt_elf.c`, `include/linux/elfcore.h`; the layouts are those of x86-64.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::layout::PAGE;
use abi::trap::Registers;
use platform::context::UserContext;

use super::core::is_file;
use crate::context::Context;
use crate::memory::maps::{Mapping, Usage};
use crate::signal::info::{self, Info};

const PRSTATUS: (u32, usize) = (1, 336);
const PRFPREG: (u32, usize) = (2, 512);
const PRPSINFO: (u32, usize) = (3, 136);
const AUXV: u32 = 6;
const XSTATE: u32 = 0x202;
const SIGINFO: u32 = 0x5349_4749;
const FILE: u32 = 0x4649_4c45;
/// Where the state says which components the processor has, in bytes that XSAVE leaves to software.
const COMPONENTS: usize = 464;

/// Bytes of the state that stand at the same place everywhere.
const PLAIN: usize = 576;
/// Components and where they lie in a note: AVX, masks, upper halves of zmm0 to 15, zmm16 to 31.
const PLACES: [(u32, usize); 4] = [(2, 576), (5, 1088), (6, 1152), (7, 1664)];
/// Components of AVX-512, and protection keys; bytes up to the end of these.
const WIDE: u64 = 0xE0;
const KEYS: u64 = 0x200;
const WITH_KEYS: usize = 2696;

/// What a thread leaves.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) tid: u32,
    registers: Registers,
    bases: [u64; 2],
    /// The call that it was in; -1 none.
    call: i64,
    pending: u64,
    blocked: u64,
    used: u64,
    extended: Vec<u8>,
}

impl Left {
    /// Of the calling thread.
    pub(crate) fn of(cx: &mut Context<'_>) -> Self {
        let extended = extended(cx);
        let interrupted = cx.interrupted.map(|call| call.number);
        Self {
            tid: cx.thread.tid,
            registers: cx.registers.registers,
            bases: [cx.registers.current_fs_base(), cx.registers.gs_base],
            call: interrupted.and_then(|number| i64::try_from(number).ok()).unwrap_or(-1),
            pending: cx.thread.signals.pending().bits(),
            blocked: cx.thread.signals.blocked().bits(),
            used: cx.thread.cpu_used(),
            extended,
        }
    }
}

/// The processor's state, in the layout of the first processors that had each component, which is the only
/// one that all debuggers know: from the mask and the size they conclude where each lies.
fn extended(cx: &mut Context<'_>) -> Vec<u8> {
    let mut image = alloc::vec![0; UserContext::extended_size()];
    cx.registers.save_extended(&mut image);
    let mask = UserContext::extended_mask();
    let mut state = alloc::vec![0; extended_len()];
    state[..PLAIN].copy_from_slice(&image[..PLAIN]);
    for (number, to) in PLACES {
        let (from, len) = UserContext::extended_component(number);
        if mask >> number & 1 == 1 {
            state[to..to + len].copy_from_slice(&image[from..from + len]);
        }
    }
    let told = if mask & WIDE != 0 { mask | KEYS } else { mask };
    state[COMPONENTS..COMPONENTS + 8].copy_from_slice(&told.to_le_bytes());
    state
}

/// Bytes of the state in a note.
fn extended_len() -> usize {
    let mask = UserContext::extended_mask();
    let last = PLACES.iter().rev().find(|(number, _)| mask >> number & 1 == 1);
    match last {
        Some((7, _)) => WITH_KEYS,
        Some((number, at)) => at + UserContext::extended_component(*number).1,
        None => PLAIN,
    }
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// Bytes of a note with so much in it; all names take eight bytes.
fn size(len: usize) -> u64 {
    (20 + padded(len)) as u64
}

/// Bytes of the first thread's notes, with those of the process, and of each other thread's.
pub(crate) fn sizes(cx: &Context<'_>, maps: &[(Mapping, Usage)]) -> (u64, u64) {
    let each = size(PRSTATUS.1) + size(PRFPREG.1) + size(extended_len());
    let process =
        size(PRPSINFO.1) + size(info::SIZE) + size(auxiliary(cx).len()) + size(files(maps).len());
    (each + process, each)
}

/// A thread's notes; the first one's with those of the process, which `maps` are for.
pub(crate) fn of_thread(
    cx: &Context<'_>,
    left: &Left,
    info: &Info,
    maps: Option<&Vec<(Mapping, Usage)>>,
) -> Vec<u8> {
    let mut notes = Vec::new();
    note(&mut notes, b"CORE", PRSTATUS.0, &status(cx, left, info));
    if let Some(maps) = maps {
        note(&mut notes, b"CORE", PRPSINFO.0, &process(cx));
        note(&mut notes, b"CORE", SIGINFO, &info.to_user());
        note(&mut notes, b"CORE", AUXV, &auxiliary(cx));
        note(&mut notes, b"CORE", FILE, &files(maps));
    }
    note(&mut notes, b"CORE", PRFPREG.0, &left.extended[..PRFPREG.1]);
    note(&mut notes, b"LINUX", XSTATE, &left.extended);
    notes
}

fn note(notes: &mut Vec<u8>, name: &[u8], kind: u32, content: &[u8]) {
    let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    notes.extend(number(name.len() + 1));
    notes.extend(number(content.len()));
    notes.extend(kind.to_le_bytes());
    let mut field = [0; 8];
    field[..name.len()].copy_from_slice(name);
    notes.extend(field);
    notes.extend(content);
    notes.resize(notes.len() + padded(content.len()) - content.len(), 0);
}

/// `struct elf_prstatus`.
fn status(cx: &Context<'_>, left: &Left, info: &Info) -> [u8; PRSTATUS.1] {
    const SECOND: u64 = 1_000_000_000;
    let mut bytes = [0; PRSTATUS.1];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    let signal = i16::from(info.signal.number());
    put(0, &i32::from(signal).to_le_bytes());
    put(4, &info.code.to_le_bytes());
    put(8, &info.errno.to_le_bytes());
    put(12, &signal.to_le_bytes());
    put(16, &left.pending.to_le_bytes());
    put(24, &left.blocked.to_le_bytes());
    for (index, id) in ids(cx, left.tid).into_iter().enumerate() {
        put(32 + 4 * index, &id.to_le_bytes());
    }
    put(48, &(left.used / SECOND).to_le_bytes());
    put(56, &(left.used % SECOND / 1000).to_le_bytes());
    let r = &left.registers;
    let words = [
        r.r15,
        r.r14,
        r.r13,
        r.r12,
        r.rbp,
        r.rbx,
        r.r11,
        r.r10,
        r.r9,
        r.r8,
        r.rax,
        r.rcx,
        r.rdx,
        r.rsi,
        r.rdi,
        left.call.cast_unsigned(),
        r.rip,
        0x33,
        r.rflags,
        r.rsp,
        0x2b,
        left.bases[0],
        left.bases[1],
    ];
    for (index, word) in words.into_iter().enumerate() {
        put(112 + 8 * index, &word.to_le_bytes());
    }
    put(328, &1_i32.to_le_bytes());
    bytes
}

/// Process or thread, parent, group, session.
fn ids(cx: &Context<'_>, own: u32) -> [u32; 4] {
    let process = cx.process;
    let load = |word: &core::sync::atomic::AtomicU32| word.load(Ordering::Relaxed);
    [own, load(&process.parent), load(&process.group), load(&process.session)]
}

/// `struct elf_prpsinfo`.
fn process(cx: &Context<'_>) -> [u8; PRPSINFO.1] {
    let mut bytes = [0; PRPSINFO.1];
    bytes[1] = b'R';
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    let (uid, gid) = {
        let credentials = cx.process.credentials.lock();
        (credentials.uid, credentials.gid)
    };
    put(16, &uid.to_le_bytes());
    put(20, &gid.to_le_bytes());
    for (index, id) in ids(cx, cx.process.pid).into_iter().enumerate() {
        put(24 + 4 * index, &id.to_le_bytes());
    }
    let program = cx.process.program.lock();
    let name = program.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    put(40, &name[..name.len().min(15)]);
    let words = program.arguments.join(&b' ');
    put(56, &words[..words.len().min(79)]);
    bytes
}

fn auxiliary(cx: &Context<'_>) -> Vec<u8> {
    let program = cx.process.program.lock();
    let words = program.auxiliary.iter().flat_map(|(key, value)| [*key, *value]).chain([0, 0]);
    words.flat_map(u64::to_le_bytes).collect()
}

/// `NT_FILE`: which files lie where.
fn files(maps: &[(Mapping, Usage)]) -> Vec<u8> {
    let mut count = 0_u64;
    let (mut places, mut names) = (Vec::new(), Vec::new());
    for (mapping, _) in maps {
        let Some(file) = mapping.file.as_ref().filter(|_| is_file(mapping)) else { continue };
        count += 1;
        for word in [mapping.range.start, mapping.range.end, mapping.offset / PAGE] {
            places.extend(word.to_le_bytes());
        }
        names.extend(file.describe().path);
        names.push(0);
    }
    let mut bytes = Vec::from(count.to_le_bytes());
    bytes.extend(PAGE.to_le_bytes());
    bytes.extend(places);
    bytes.extend(names);
    bytes
}
