//! The report of a program that a signal ends.
//!
//! The LibOS tells registers, mappings and the top of the stack; a decoder outside, which may read the
//! program's files at leisure, makes a backtrace of it. Without a decoder two lines go to stderr.
//! Nothing is allocated on the program's behalf: memory that is not there is left out.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::trace::{BYTES, STRING, crash, nr};
use platform::user;

use crate::context::Context;
use crate::memory::Prot;
use crate::memory::maps::Mapping;
use crate::signal::info::Info;
use crate::trace::record::Record;

/// A stack pointer that ran off its mapping by less than this still belongs to it.
const OVERRUN: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// Tells what is known about the calling thread at the moment at which `info` ends its process.
pub(crate) fn report(cx: &Context<'_>, info: &Info) {
    let trace = &cx.kernel.trace;
    if !trace.debug {
        return;
    }
    let registers = &cx.registers.registers;
    let maps = cx.memory().maps();
    if !trace.decoded {
        platform::boot::message(&plain(cx, info, &maps));
        return;
    }
    let code = i64::from(info.code).cast_unsigned();
    let args = [info.signal.number().into(), code, info.cause(), 0, 0, 0];
    let mut record = Record::event(nr::CRASH, args);
    record.add(crash::PROGRAM, STRING, &cx.process.program.lock().path);
    record.add(crash::REGISTERS, BYTES, registers.words().map(u64::to_le_bytes).as_flattened());
    let near = [info.cause(), registers.rip, registers.rsp];
    record.add(crash::MAPS, STRING, &lines(&maps, near));
    if let Some(stack) = stack(registers.rsp, &maps) {
        record.add(crash::MEMORY, BYTES, &stack);
    }
    record.write(cx);
}

/// The report for those who have no decoder.
fn plain(cx: &Context<'_>, info: &Info, maps: &[Mapping]) -> String {
    let rip = cx.registers.registers.rip;
    let cause = if info.is_from_user() {
        format!("sent by process {}", info.cause() & u64::from(u32::MAX))
    } else {
        format!("address {:#x}", info.cause())
    };
    format!(
        "adyton: {:?} (si_code {}, {cause}) ends process {}, thread {}\n\
         adyton: at {rip:#x}: {}\n",
        info.signal,
        info.code,
        cx.process.pid,
        cx.thread.tid,
        holder(maps, rip).map_or_else(|| "not mapped".to_string(), Mapping::text),
    )
}

fn holder(maps: &[Mapping], address: u64) -> Option<&Mapping> {
    maps.iter().find(|mapping| mapping.range.contains(&address))
}

/// Lines of the mappings that matter: those near `addresses` first, then the executable ones.
fn lines(maps: &[Mapping], addresses: [u64; 3]) -> Vec<u8> {
    let near = |mapping: &&Mapping| addresses.iter().any(|at| mapping.range.contains(at));
    let executable = |mapping: &&Mapping| mapping.prot.contains(Prot::EXEC) && !near(mapping);
    let mut text = Vec::new();
    for mapping in maps.iter().filter(near).chain(maps.iter().filter(executable)) {
        let line = mapping.line();
        if text.len() + line.len() >= crash::MAPS_MAX {
            break;
        }
        text.extend(line);
        text.push(b'\n');
    }
    text
}

/// The stack from its pointer on, behind its address, as far as it is there.
fn stack(pointer: u64, maps: &[Mapping]) -> Option<Vec<u8>> {
    let mapping = maps.iter().find(|mapping| mapping.range.end > pointer)?;
    let start = pointer.max(mapping.range.start);
    if start - pointer > OVERRUN {
        return None;
    }
    let end = mapping.range.end.min(start.saturating_add(crash::STACK_MAX as u64));
    let mut bytes = start.to_le_bytes().to_vec();
    let mut at = start;
    while at < end {
        let next = (at / PAGE * PAGE).saturating_add(PAGE).min(end);
        let mut part = alloc::vec![0; usize::try_from(next - at).ok()?];
        // No populating: a program that ran out of memory must not need more of it to say so.
        if user::copy_in(at, &mut part).is_err() {
            break;
        }
        bytes.extend(part);
        at = next;
    }
    (at > start).then_some(bytes)
}
